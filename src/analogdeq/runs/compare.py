"""Trained models side by side: accuracy over seeds, solver work, wall time, size."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np

from analogdeq.errors import InputError
from analogdeq.models.cost import Cost
from analogdeq.runs.compare_chips import OnChip, comparability, mean_on_chip, read_chip
from analogdeq.runs.directory import RunDirectory
from analogdeq.runs.workflow import Progress, check_buildable, model_cost, train_run
from analogdeq.scenario import Scenario, dump_scenario, load_scenario
from analogdeq.studies.interval import Interval, difference, mean_interval
from analogdeq.train.metrics import Row, read_metrics


@final
@dataclass(frozen=True, kw_only=True)
class Contender:
    """All runs of one scenario, which differ in nothing but their seeds.

    Attributes:
        name: of the scenario, numbered where another one has the same.
        scenario: of the first run.
        cost: parameters and multiply-accumulates.
        rows: seed -> the metrics of its run, one row per epoch.
        chips: what those runs measured on chips, where they did.
    """

    name: str
    scenario: Scenario
    cost: Cost
    rows: dict[int, list[Row]]
    chips: list[dict[str, Any]] = field(default_factory=list)

    @property
    def on_chip(self) -> OnChip | None:
        """The mean of what the runs measured on chips."""
        return mean_on_chip(self.chips)

    def last(self, metric: str) -> dict[int, float]:
        """Seed -> the metric after the last epoch; without the seeds that have none."""
        return {seed: float(rows[-1][metric]) for seed, rows in self.rows.items() if metric in rows[-1]}

    @property
    def epochs(self) -> int:
        """Of the run that is least far."""
        return min(rows[-1]["epoch"] for rows in self.rows.values())

    def summary(self, first: "Contender") -> dict[str, Any]:
        """The figures, with the difference in accuracy from the first contender."""
        accuracy = self.last("test_accuracy")
        evaluations = _mean(self.last("forward_evaluations_mean"))
        per_core = (evaluations or 1.0) / max(1, self._n_cores)
        return {
            "name": self.name,
            "kind": self.scenario.model.kind,
            "seeds": sorted(self.rows),
            "epochs": self.epochs,
            "accuracy": _pair(mean_interval(list(accuracy.values()))),
            "accuracy_by_seed": accuracy,
            "difference_from_first": None
            if self is first
            else _pair(difference(accuracy, first.last("test_accuracy"))),
            "train_accuracy": _mean(self.last("train_accuracy")),
            "forward_evaluations": evaluations,
            "backward_products": _mean(self.last("backward_iterations_mean")),
            "unsettled_fraction": _mean(self.last("unsettled_fraction")),
            "spectral_abscissa": _mean(self.last("spectral_abscissa")),
            "seconds": float(np.mean([sum(row["seconds"] for row in rows) for rows in self.rows.values()])),
            "chip": None if self.on_chip is None else asdict(self.on_chip),
            **self.cost.summary(),
            "macs_measured": self.cost.macs(per_core),
        }

    @property
    def _n_cores(self) -> int:
        model = self.scenario.model
        return 1 if model.core == "dense" else len(model.stages.split(","))


def compare(sources: list[Path]) -> dict[str, Any]:
    """The figures of run directories, gathered by scenario; the first one named is what the others are measured by.

    Raises:
        InputError: if a source is no run directory or has no metrics, or two runs of a scenario have the same seed.
        DataError: if metrics are damaged.
    """
    gathered: dict[str, Contender] = {}
    for path in sources:
        scenario, rows = _read(path)
        key = _without_seeds(scenario)
        if key not in gathered:
            name = _numbered(scenario.name, [one.name for one in gathered.values()])
            gathered[key] = Contender(name=name, scenario=scenario, cost=model_cost(scenario), rows={})
        seed = scenario.seeds.train
        if seed in gathered[key].rows:
            raise InputError(f"{path}: another run of {scenario.name!r} with training seed {seed} is named already")
        gathered[key].rows[seed] = rows
        chip = read_chip(path)
        if chip is not None:
            gathered[key].chips.append(chip)
    contenders = list(gathered.values())
    return {
        "contenders": [one.summary(contenders[0]) for one in contenders],
        "warnings": _warnings(contenders),
    }


def train_seeds(source: str, overrides: list[str], seeds: int, folder: Path, progress: Progress) -> list[Path]:
    """Train a scenario with training seeds 0 to `seeds` - 1, each in a directory under `folder`.

    A directory that is there already is gone on with, so an interrupted comparison continues where it was.

    Raises:
        InputError: if a directory holds another scenario than the one asked for.
    """
    paths = []
    for seed in range(seeds):
        scenario = load_scenario(source, [*overrides, f"seeds.train={seed}"])
        check_buildable(scenario)
        path = folder / f"{scenario.name}-seed{seed}"
        is_there = RunDirectory(path).scenario_file.is_file()
        with RunDirectory.open(path) if is_there else RunDirectory.create(scenario, path) as run:
            if dump_scenario(run.scenario()) != dump_scenario(scenario):
                raise InputError(f"{path}: holds a run of another scenario; choose another folder with --output")
            train_run(run, resume=True, progress=_Named(progress, f"{scenario.name}, seed {seed}"))
        paths.append(path)
    return paths


@final
class _Named:
    """A progress whose stages carry a name."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress, self._name = progress, name

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Tell the progress behind."""
        self._progress.update(f"{stage} {self._name}", done, total, note)


def _read(path: Path) -> tuple[Scenario, list[Row]]:
    run = RunDirectory(path)
    if not run.scenario_file.is_file():
        raise InputError(f"{path}: not a run directory (it has no scenario.toml)")
    rows = read_metrics(run.metrics)
    if not rows:
        raise InputError(f"{path}: has no metrics yet; train it first")
    return run.scenario(), rows


def _without_seeds(scenario: Scenario) -> str:
    seeds = scenario.seeds.model_copy(update={"train": 0, "chip": 0})
    return dump_scenario(scenario.model_copy(update={"seeds": seeds}))


def _numbered(name: str, taken: list[str]) -> str:
    return next(word for k in range(1, len(taken) + 2) if (word := name if k == 1 else f"{name} ({k})") not in taken)


def _warnings(contenders: list[Contender]) -> list[str]:
    """What makes the figures incomparable, and what lets chips compare."""
    first, found = contenders[0], []
    for one in contenders:
        if one.scenario.task != first.scenario.task:
            found.append(f"{one.name} learns another task or another part of it than {first.name}")
        if one.epochs != first.epochs:
            found.append(f"{one.name} has trained for {one.epochs} epochs, {first.name} for {first.epochs}")
        if one.epochs < one.scenario.train.epochs:
            found.append(f"{one.name} is not finished: {one.epochs} of {one.scenario.train.epochs} epochs")
        if len(one.rows) < 2:
            found.append(f"{one.name} has one seed: no interval")
        if one is not first and one.on_chip and first.on_chip:
            found.append(comparability(one.name, one.on_chip, first.name, first.on_chip))
    return found


def _mean(values: dict[int, float]) -> float | None:
    return float(np.mean(list(values.values()))) if values else None


def _pair(interval: Interval) -> dict[str, float | None]:
    return {"mean": interval.mean, "half_width_95": interval.half_width}
