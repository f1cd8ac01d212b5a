"""`analogdeq evaluate`: a trained network on its chip."""

import shlex
import sys

import typer

from analogdeq.cli.console import ConsoleProgress
from analogdeq.cli.options import ChipSeedOption, DataDirOption, JsonOption, RunArgument, SetOption
from analogdeq.cli.result import show

HELP = """Settle every test image of a trained run on its chip: accuracy, settling time, energy, verdicts.

Another --seed is another chip of the same fab. --set changes circuit, device, settle, task or trace for this
evaluation; the run's own scenario stays as it is, and summary.json says what was changed. The waveforms are recorded
anew; report.html is as before until 'analogdeq report' writes it again.

Examples:

  analogdeq evaluate runs/digits-crossbar-20260101-120000

  analogdeq evaluate runs/digits-crossbar-20260101-120000 --seed 7 --set device.preset=ideal
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate", help=HELP)(evaluate)


def evaluate(
    run: RunArgument,
    set_: SetOption = None,
    seed: ChipSeedOption = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """See `HELP`."""
    from analogdeq.runs import workflow
    from analogdeq.runs.amplifiers import stored_amplifier_figures
    from analogdeq.runs.directory import RunDirectory
    from analogdeq.runs.noise import stored_noise
    from analogdeq.runs.trained import training_note

    with RunDirectory.open(run) as directory:
        scenario = workflow.scenario_of_trained(directory, set_, seed)
        with ConsoleProgress(quiet=json) as progress:
            evaluation = workflow.evaluate_run(directory, scenario, progress)
            workflow.record_run(directory, scenario, sys.argv, progress)
        note = training_note(directory)
        summary = workflow.summary_of(scenario, evaluation) | stored_noise(directory)
        summary |= stored_amplifier_figures(directory)
        files = {name: path for name, path in directory.files().items() if name != "report"}
    code = show(summary, files, as_json=json)
    if note:
        typer.echo(f"note: {note}", err=True)
    if not json:
        typer.echo(f"For figures and report.html of this evaluation: analogdeq report {shlex.quote(str(run))}")
    raise typer.Exit(code)
