"""Naive mapping beside hardware-aware training: accuracy over training seeds, chips and ages."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, final

import torch

from analogdeq.ageing.life import Care
from analogdeq.ageing.maintenance import GlobalCompensation
from analogdeq.build import build_circuit, build_data, only_core
from analogdeq.build_chips import build_care, build_device
from analogdeq.chip import Chip
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.errors import InputError
from analogdeq.gradient.forward import ByRootFinding
from analogdeq.runs.compare import train_seeds
from analogdeq.runs.directory import RunDirectory
from analogdeq.runs.workflow import Progress, trained_model
from analogdeq.scenario import Scenario, load_scenario
from analogdeq.studies.interval import mean_interval
from analogdeq.tasks.dataset import Dataset, pixels
from analogdeq.train.accuracy import accuracy

NAIVE = ("train.hardware.draws=none", "train.hardware.clip_rms=none")
TRAININGS = {
    "naive": NAIVE,
    "clipped weights alone": NAIVE[:1],
    "hardware-aware": (),
}
"""What each training changes about a hardware-aware scenario."""


@final
@dataclass(frozen=True, kw_only=True)
class ChipRow:
    """One network on one chip at one age.

    Attributes:
        training: a key of `TRAININGS`.
        train_seed, chip_seed: which network, which chip.
        age_s: [s]. 0 is the first read; later ages are compensated right before the read.
        accuracy: [1]. On that chip, its devices read with noise.
        accuracy_ideal: [1]. Of the same network on the ideal core.
        unsettled: test images without an equilibrium there.
    """

    training: str
    train_seed: int
    chip_seed: int
    age_s: float
    accuracy: float
    accuracy_ideal: float
    unsettled: int


def hardware_rows(
    source: str,
    overrides: Sequence[str],
    *,
    seeds: int,
    chips: int,
    ages_s: Sequence[float],
    folder: Path,
    progress: Progress,
) -> list[ChipRow]:
    """Train a hardware-aware scenario and its naive counterparts, and put every network on every chip.

    Trainings that are in `folder` already are gone on with.

    Args:
        source: a scenario with `train.hardware.draws = "minibatch"`.
        overrides: changes to it.
        seeds: training seeds 0, 1, ...
        chips: chip seeds 0, 1, ...
        ages_s: [s]. Ascending.
        folder: of the run directories.
        progress: told of trainings and of chips.

    Raises:
        InputError: if the scenario trains on ideal cores, or its chips cannot be made.
    """
    if load_scenario(source, overrides).train.hardware.draws == "none":
        raise InputError(
            f"{source}: trains on ideal cores, so there is nothing to compare; say train.hardware.draws = 'minibatch'"
        )
    rows = []
    for name, changes in TRAININGS.items():
        place = folder / name.replace(" ", "-")
        for path in train_seeds(source, [*overrides, *changes], seeds, place, progress):
            with RunDirectory.open(path) as run:
                rows += _on_chips(run, name, chips, ages_s)
            progress.update(f"chips of {name}", len(rows), len(TRAININGS) * seeds * chips * len(ages_s))
    return rows


@torch.no_grad()
def _on_chips(run: RunDirectory, training: str, chips: int, ages_s: Sequence[float]) -> list[ChipRow]:
    scenario = run.scenario()
    model, data = trained_model(run, scenario), build_data(scenario)
    ideal = accuracy(model, data.test_x, data.test_y)
    rows = []
    for chip_seed in range(chips):
        for age_s in ages_s:
            right, unsettled = _on_chip(model, data, _chip(scenario, model, chip_seed, age_s), chip_seed)
            rows.append(
                ChipRow(
                    training=training, train_seed=scenario.seeds.train, chip_seed=chip_seed, age_s=age_s,
                    accuracy=right, accuracy_ideal=ideal, unsettled=unsettled,
                )
            )  # fmt: skip
    return rows


def _chip(scenario: Scenario, model: Any, seed: int, age_s: float) -> Chip:
    """Programmed, aged, and calibrated at the end of that."""
    core = only_core(scenario, model)
    if not isinstance(core, SaturatingNetwork):
        raise InputError(f"scenario {scenario.name!r}: a {type(core).__name__} is not stored in a crossbar that ages")
    own = build_care(scenario)
    compensation = GlobalCompensation(every_s=age_s) if age_s > 0 else None
    care = Care(write=own.write, compensation=compensation, allow=own.allow)
    chip = Chip(core, build_circuit(scenario), build_device(scenario), seed=seed, care=care)
    return chip.age(age_s, scenario.ageing.temperature_K)


def _on_chip(model: Any, data: Dataset, chip: Chip, noise_seed: int) -> tuple[float, int]:
    """Share of test images classified rightly by one read of the chip, and images without an equilibrium."""
    chip.begin_inference(noise_seed)
    u = model.encoder(pixels(data.test_x, model.dtype))
    found = ByRootFinding(tol=1e-5).solve(chip, u)
    right = model.readout(chip.read(found.z)).argmax(1) == data.test_y
    return float(right.double().mean()), int((~found.is_found).sum())


def hardware_csv(rows: Sequence[ChipRow]) -> str:
    """Every row, with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [item.name for item in fields(ChipRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows([asdict(row) for row in rows])
    return text.getvalue()


def hardware_table(rows: Sequence[ChipRow]) -> str:
    """A line per training and age, as Markdown; intervals are 95 % by Student's t over the training seeds.

    What is lost is counted from the naively trained networks on the ideal core, seed by seed.
    """
    goal = {row.train_seed: row.accuracy_ideal for row in rows if row.training == "naive"}
    lines = [
        "| training | ideal core | age | on chips | lost | worst chip | unsettled |",
        "|---|---|---|---|---|---|---|",
    ]
    for training in dict.fromkeys(row.training for row in rows):
        for age_s in dict.fromkeys(row.age_s for row in rows):
            mine = [row for row in rows if row.training == training and row.age_s == age_s]
            by_seed = {seed: _mean(mine, seed) for seed in goal}
            ideal = mean_interval([next(r.accuracy_ideal for r in mine if r.train_seed == seed) for seed in goal])
            lines.append(
                f"| {training} | {_percent(ideal.mean, ideal.half_width)} | {age_s:g} s "
                f"| {_interval(list(by_seed.values()))} | {_interval([goal[s] - by_seed[s] for s in goal])} "
                f"| {_percent(min(row.accuracy for row in mine))} | {sum(row.unsettled for row in mine)} |"
            )
    return "\n".join(lines) + "\n"


def _mean(rows: Sequence[ChipRow], seed: int) -> float:
    mine = [row.accuracy for row in rows if row.train_seed == seed]
    return sum(mine) / len(mine)


def _interval(values: Sequence[float]) -> str:
    found = mean_interval(values)
    return _percent(found.mean, found.half_width)


def _percent(value: float, half_width: float | None = None) -> str:
    return f"{100 * value:.2f}" + ("" if half_width is None else f" ± {100 * half_width:.2f}") + " %"
