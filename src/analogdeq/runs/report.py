"""From the files of a run directory to its report."""

import json
from datetime import UTC, datetime
from pathlib import Path

from analogdeq.build import build_chip, build_model, build_oscillators, build_settle_options, only_core
from analogdeq.errors import DataError, ScenarioError
from analogdeq.report import ReportData, Waveforms, write_report
from analogdeq.runs.assumptions import assumptions_of
from analogdeq.runs.directory import RunDirectory
from analogdeq.runs.evaluation import Evaluation
from analogdeq.runs.noise import stored_noise
from analogdeq.scenario import Scenario, dump_scenario, parse_scenario
from analogdeq.trace import TraceFile, open_trace
from analogdeq.train.checkpoint import load_checkpoint
from analogdeq.train.fit import load_weights
from analogdeq.train.metrics import read_metrics

MOST_STATES = 16_000_000
"""Of a trace, read at once for drawing: 64 MB. A longer trace is thinned."""


def report_run(run: RunDirectory, provenance: dict[str, str]) -> list[Path]:
    """Write figures and page from what the run has stored; nothing is simulated again."""
    scenario = _evaluated_scenario(run)
    evaluation = Evaluation.load(run.evaluation)
    model = build_model(scenario)
    load_weights(model, load_checkpoint(run.checkpoint), run.checkpoint)
    chip = build_chip(scenario, only_core(scenario, model))
    waveforms = None
    if run.trace.exists():
        with open_trace(run.trace) as trace:
            if _is_of(trace, scenario):
                waveforms = _waveforms(trace, evaluation)
    terms = dict(zip(evaluation.terms.tolist(), evaluation.energy_terms_J.T, strict=True))
    data = ReportData(
        title=scenario.title or scenario.name,
        scenario_name=scenario.name,
        scenario_toml=dump_scenario(scenario),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provenance=provenance,
        t_settle_s=evaluation.t_settle_s,
        verdict_code=evaluation.verdict_code,
        evaluations=evaluation.evaluations,
        energy_total_J=evaluation.energy_J,
        energy_terms_J=terms,
        tau_s=float(evaluation.tau_s),
        accuracy_ideal=evaluation.accuracy_ideal,
        accuracy_chip=evaluation.accuracy_chip,
        accuracy_at_noise=stored_noise(run).get("noisy", {}).get("accuracy"),
        noise_rms=stored_noise(run).get("noisy", {}).get("noise_rms"),
        accuracy_noisy=_noisy(run),
        frequency_Hz=None if scenario.oscillator.core == "none" else build_oscillators(scenario).frequency_Hz,
        assumptions=assumptions_of(chip, build_settle_options(scenario)),
        waveforms=waveforms,
        eigenvalues=evaluation.eigenvalues,
        metrics=read_metrics(run.metrics),
    )
    return write_report(data, run.path)


def _evaluated_scenario(run: RunDirectory) -> Scenario:
    """The scenario the stored figures belong to, which `evaluate --set` may have changed from the run's own."""
    try:
        text = json.loads(run.summary.read_text(encoding="utf-8"))["evaluated_scenario"]
        if not isinstance(text, str):
            raise TypeError(f"evaluated_scenario is {text!r}, not text")
        return parse_scenario(text, "evaluated_scenario")
    except FileNotFoundError:
        raise DataError(f"{run.path}: not evaluated yet; run 'analogdeq evaluate {run.path}' first") from None
    except ScenarioError as error:
        raise DataError(
            f"{run.summary}: its scenario is damaged ({error.problems[0]}); evaluate the run again"
        ) from None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{run.summary}: damaged ({error}); evaluate the run again") from None


def _noisy(run: RunDirectory) -> dict[float, float]:
    """Accuracy by linewidth [Hz], where the evaluation had noise."""
    rows = json.loads(run.summary.read_text(encoding="utf-8")).get("accuracy_noisy", [])
    return {row["linewidth_Hz"]: row["accuracy"] for row in rows}


def _is_of(trace: TraceFile, scenario: Scenario) -> bool:
    """Whether a trace shows the chip, the images and the settle that the figures are of."""
    try:
        recorded = parse_scenario(trace.scenario_toml, "scenario")
    except ScenarioError:
        return False
    same = ("seeds", "task", "model", "circuit", "device", "ageing", "oscillator", "settle", "train")
    return all(getattr(recorded, name) == getattr(scenario, name) for name in same)


def _waveforms(trace: TraceFile, evaluation: Evaluation) -> Waveforms:
    result = trace.result
    every = max(1, -(-trace.n_times * result.z.size // MOST_STATES))
    recorded = trace.to_trace(every=every, with_steps=False)
    labels = evaluation.label
    names = tuple(f"test image {k}, a {labels[k]}" for k in recorded.sample.tolist())
    return Waveforms(
        trace=recorded,
        names=names,
        equilibrium=result.z,
        t_settle_s=result.t_settle_s,
        band=trace.band,
        supply_terms=trace.supply_terms,
        every=every,
    )
