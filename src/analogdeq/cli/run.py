"""`analogdeq run`: everything, from a scenario to a report."""

import sys

import typer

from analogdeq.cli.begin import begin, working_in
from analogdeq.cli.console import ConsoleProgress
from analogdeq.cli.options import (
    DataDirOption,
    JsonOption,
    ResumeOption,
    RunDirOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
)
from analogdeq.cli.result import show

HELP = """Train a network, put it on a chip, settle every test image, record waveforms, write a report.

Examples:

  analogdeq run

  analogdeq run digits-balanced --seed 3

  analogdeq run my-chip.toml --set circuit.node_C_F="50 fF" --set train.epochs=10

  analogdeq run --resume runs/digits-crossbar-20260101-120000
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", help=HELP)(run)


def run(
    scenario: ScenarioArgument = None,
    set_: SetOption = None,
    seed: SeedOption = None,
    run_dir: RunDirOption = None,
    resume: ResumeOption = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """See `HELP`."""
    from analogdeq.runs import workflow
    from analogdeq.runs.amplifiers import stored_amplifier_figures
    from analogdeq.runs.noise import stored_noise

    begun = begin(scenario, set_, seed, run_dir, resume, needs_chip=True)
    with working_in(begun, "run") as directory, ConsoleProgress(quiet=json) as progress:
        resolved = directory.scenario()
        workflow.train_run(directory, resume=resume is not None, progress=progress)
        evaluation = workflow.evaluate_run(directory, resolved, progress)
        workflow.record_run(directory, resolved, sys.argv, progress)
        workflow.write_run_report(directory, sys.argv, progress)
    summary = workflow.summary_of(resolved, evaluation) | stored_noise(directory)
    summary |= stored_amplifier_figures(directory)
    raise typer.Exit(show(summary, directory.files(), as_json=json))
