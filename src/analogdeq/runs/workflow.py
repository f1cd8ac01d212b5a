"""The steps of a run, in the order `analogdeq run` takes them; each command does some of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch

from analogdeq.build import (
    build_chip,
    build_circuit,
    build_data,
    build_fit_options,
    build_model,
    build_oscillators,
    build_settle_options,
    image_shape,
    only_core,
)
from analogdeq.build_chips import check_couplings
from analogdeq.errors import DataError, InputError, RangeError, ScenarioError
from analogdeq.library import device_preset
from analogdeq.models.cost import Cost, cost_of
from analogdeq.models.shapes import read_stages
from analogdeq.runs.amplifiers import amplifier_figures
from analogdeq.runs.device import training_device
from analogdeq.runs.directory import RunDirectory, write_whole
from analogdeq.runs.evaluation import CHUNK, Evaluation, evaluate, quantile
from analogdeq.runs.latency import with_latency
from analogdeq.runs.noise import noise_figures
from analogdeq.runs.report import report_run
from analogdeq.runs.threads import threads_for
from analogdeq.runs.waveforms import record_waveforms
from analogdeq.scenario import Scenario, dump_scenario, load_scenario
from analogdeq.solve.settled import Settled
from analogdeq.solve.verdict import Verdict
from analogdeq.tasks.dataset import Dataset, pixels
from analogdeq.trace import provenance
from analogdeq.train.checkpoint import load_checkpoint
from analogdeq.train.fit import Trainer, load_weights
from analogdeq.train.metrics import Row
from analogdeq.train.workers import ALONE, Workers


class Progress(Protocol):
    """Where a run tells how far it is."""

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        """`done` of `total` steps of `stage` are over."""
        ...


def check_buildable(scenario: Scenario) -> None:
    """Find out before an hour of training what the schema cannot know: whether preset and tables have what it asks for.

    Raises:
        ScenarioError: naming the section.
    """
    problems = []
    image = image_shape(scenario)
    for section, build in (
        ("model", lambda: read_stages(scenario.model.stages, image[1]) if scenario.model.core == "conv" else None),
        ("train", lambda: training_device(scenario)),
        ("device", lambda: device_preset(scenario.device.preset)),
        ("circuit", lambda: build_circuit(scenario)),
        ("oscillator", lambda: build_oscillators(scenario)),
        ("oscillator", lambda: check_couplings(scenario)),
    ):
        try:
            build()
        except (DataError, InputError) as error:
            problems.append(f"scenario {scenario.name!r}: [{section}] {error}")
    if not problems:
        try:
            c = scenario.circuit
            window = torch.tensor([c.g_min_S, c.g_max_S], dtype=torch.float64)
            device_preset(scenario.device.preset).check_targets(window, scenario.device.allow.split())
        except RangeError as error:
            problems.append(f"scenario {scenario.name!r}: [circuit] {error}")
        try:
            build_fit_options(scenario)
        except (DataError, InputError) as error:
            problems.append(f"scenario {scenario.name!r}: [train.hardware] {error}")
    if problems:
        raise ScenarioError(problems)


def check_has_chip(scenario: Scenario) -> None:
    """Find out before training whether a chip can be made of the model.

    Raises:
        InputError: if not.
    """
    only_core(scenario, build_model(scenario))


def run_provenance(scenario: Scenario, argv: list[str]) -> dict[str, str]:
    """Versions, seeds, commit and command line."""
    return provenance(scenario.seeds.model_dump(), argv)


def train_run(
    run: RunDirectory, *, resume: bool, progress: Progress, workers: Workers = ALONE, data: Dataset | None = None
) -> list[Row]:
    """Train the run's scenario to its last epoch; returns the rows of metrics of the epochs trained now.

    Args:
        run: where the files go; only the first of several processes writes.
        resume: go on from the checkpoint, if there is one.
        progress: told after every epoch.
        workers: the processes that train together.
        data: the scenario's data, if they have been read already.
    """
    scenario = run.scenario()
    device = training_device(scenario)
    model = build_model(scenario).to(device)
    data = (build_data(scenario) if data is None else data).to(device)
    trainer = Trainer(model, data, build_fit_options(scenario), workers)
    if resume and run.checkpoint.exists():
        trainer.resume(run.checkpoint, run.metrics)
    progress.update("training", trainer.epoch, scenario.train.epochs)
    rows: list[Row] = []

    def on_epoch(row: Row) -> None:
        rows.append(row)
        note = f"loss {row['loss']:.4f}, test accuracy {100 * row['test_accuracy']:.2f} %"
        progress.update("training", row["epoch"], scenario.train.epochs, note)

    with threads_for(_state_size(scenario), scenario.train.batch_size):
        trainer.fit(run.checkpoint, run.metrics, run.scenario_file.read_text(encoding="utf-8"), on_epoch)
    return rows


def model_cost(scenario: Scenario) -> Cost:
    """Parameters and multiply-accumulates of the scenario's model."""
    return cost_of(build_model(scenario), torch.zeros(1, *image_shape(scenario)).flatten(1))


def _state_size(scenario: Scenario) -> int:
    """Numbers in the state of one image."""
    if scenario.model.core == "dense":
        return scenario.model.nodes
    stages = read_stages(scenario.model.stages, image_shape(scenario)[1])
    return sum(stage.channels * stage.side**2 for stage in stages)


def trained_model(run: RunDirectory, scenario: Scenario) -> Any:
    """The run's network with the weights of its checkpoint."""
    model = build_model(scenario)
    load_weights(model, load_checkpoint(run.checkpoint), run.checkpoint)
    return model


def evaluate_run(run: RunDirectory, scenario: Scenario, progress: Progress) -> Evaluation:
    """Settle every test image on the chip of the scenario's chip seed, and store what came out."""
    model = trained_model(run, scenario)
    chip = build_chip(scenario, only_core(scenario, model))
    data, on_batch = build_data(scenario), _stage(progress, "settling test images")
    with threads_for(_state_size(scenario), CHUNK):
        result = evaluate(model, chip, data, build_settle_options(scenario), on_batch)
    result.save(run.evaluation)
    # The scenario as evaluated goes with the figures: --set may have changed it from the run's own.
    noise = noise_figures(model, chip, data, build_settle_options(scenario), scenario)
    amplifiers = amplifier_figures(model, chip, data)
    content = {**summary_of(scenario, result), **noise, **amplifiers, "evaluated_scenario": dump_scenario(scenario)}
    write_whole(run.summary, (json.dumps(content, indent=2) + "\n").encode())
    return result


def summary_of(scenario: Scenario, result: Evaluation) -> dict[str, Any]:
    """The figures of an evaluation with the seeds they belong to."""
    return {
        "scenario": scenario.name,
        "seeds": scenario.seeds.model_dump(),
        **_with_cycles(scenario, with_latency(scenario, result.summary())),
    }


def _with_cycles(scenario: Scenario, figures: dict[str, Any]) -> dict[str, Any]:
    """The same with settling times in periods of the oscillators too, where the core is made of those."""
    if scenario.oscillator.core == "none":
        return figures
    frequency_Hz = build_oscillators(scenario).frequency_Hz
    times = figures["t_settle_s"].items()
    return figures | {"t_settle_cycles": {key: None if t is None else t * frequency_Hz for key, t in times}}


def record_run(run: RunDirectory, scenario: Scenario, argv: list[str], progress: Progress) -> Settled | None:
    """Record the waveforms of the first test images of a trained run."""
    return simulate(trained_model(run, scenario), scenario, run.trace, argv, progress)


def chip_changes(overrides: list[str] | None, seed: int | None) -> list[str]:
    """`--set` and `--seed` of a command that only places a trained network on a chip."""
    return [*(overrides or []), *([] if seed is None else [f"seeds.chip={seed}"])]


def scenario_of_trained(run: RunDirectory, overrides: list[str] | None, seed: int | None) -> Scenario:
    """The scenario of a trained run, with changes to where its network is placed.

    Raises:
        ScenarioError: if the outcome is unusable.
        InputError: if a change is to what was trained.
    """
    scenario = run.scenario(chip_changes(overrides, seed))
    refuse_retraining(run.path, run.scenario(), scenario)
    check_buildable(scenario)
    return scenario


def refuse_retraining(path: Path, own: Scenario, changed: Scenario) -> None:
    """Refuse changes to what the network of a run was trained with.

    Raises:
        InputError: naming the table.
    """
    names = [name for name in ("model", "train", "gradient") if getattr(own, name) != getattr(changed, name)]
    if names or own.seeds.train != changed.seeds.train:
        raise InputError(
            f"{path}: [{names[0] if names else 'seeds'}] cannot be changed, this network is trained already; "
            "change circuit, device, settle, task or trace, or begin a new run"
        )


def network(source: str, overrides: list[str] | None, seed: int | None) -> tuple[Scenario, Any]:
    """The network of a run directory, trained, or of a scenario, untrained.

    Raises:
        ScenarioError: if the scenario is unusable.
        InputError: if a change is to what was trained.
        CheckpointError: if the run has no usable checkpoint.
    """
    if Path(source, "scenario.toml").is_file():
        run = RunDirectory(Path(source))
        scenario = scenario_of_trained(run, overrides, seed)
        return scenario, trained_model(run, scenario)
    both = [] if seed is None else [f"seeds.train={seed}"]
    scenario = load_scenario(source, [*chip_changes(overrides, seed), *both])
    check_buildable(scenario)
    return scenario, build_model(scenario)


def simulate(model: Any, scenario: Scenario, path: Path, argv: list[str], progress: Progress) -> Settled | None:
    """Settle the scenario's first `trace.samples` test images on its chip and record them; None if it asks for none."""
    if scenario.trace.samples == 0:
        return None
    chip = build_chip(scenario, only_core(scenario, model))
    x = pixels(build_data(scenario).test_x[: scenario.trace.samples], chip.dtype)
    progress.update("recording waveforms", 0, x.shape[0])
    with torch.no_grad():
        u = model.encoder(x)
    options, origin = build_settle_options(scenario), run_provenance(scenario, argv)
    with threads_for(_state_size(scenario), u.shape[0]):
        settled = record_waveforms(path, chip, u, options, scenario, origin)
    progress.update("recording waveforms", x.shape[0], x.shape[0])
    return settled


def settled_summary(scenario: Scenario, settled: Settled | None) -> dict[str, Any]:
    """The figures of a settle, in the form of `summary_of`.

    Raises:
        InputError: if nothing was settled.
    """
    if settled is None or settled.ledger is None:
        raise InputError("the scenario records no samples; ask for some with --set trace.samples=8")
    times = settled.t_settle_s[settled.is_settled].numpy()
    terms = settled.ledger.terms_J()
    figures = {
        "scenario": scenario.name,
        "seeds": scenario.seeds.model_dump(),
        "images": settled.z.shape[0],
        "fraction_not_settled": 1 - float(settled.is_settled.double().mean()),
        "verdicts": {verdict.text: settled.count(verdict) for verdict in Verdict},
        "t_settle_s": {"p50": quantile(times, 0.5), "p95": quantile(times, 0.95), "max": quantile(times, 1.0)},
        "energy_J": {"mean": float(settled.energy_J.mean())},
        "energy_terms_mean_J": {name: float(value.mean()) for name, value in terms.items()},
        "evaluations_mean": float(settled.evaluations.double().mean()),
        "residual_max": float(settled.residual.max()),
    }
    return _with_cycles(scenario, with_latency(scenario, figures))


def write_run_report(run: RunDirectory, argv: list[str], progress: Progress) -> list[Path]:
    """Figures and report.html from the run's files."""
    progress.update("writing the report", 0, 1)
    files = report_run(run, run_provenance(run.scenario(), argv))
    has_waveforms = not run.trace.exists() or any(path.stem == "waveforms" for path in files)
    note = "" if has_waveforms else f"without waveforms: {run.trace.name} is of another scenario than the figures"
    progress.update("writing the report", 1, 1, note)
    return files


def _stage(progress: Progress, stage: str) -> Callable[[int, int], None]:
    return lambda done, total: progress.update(stage, done, total)
