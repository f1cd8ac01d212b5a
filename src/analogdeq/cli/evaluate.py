"""`analogdeq evaluate`: a trained network on its chip."""

import typer

from analogdeq.cli.console import ConsoleProgress
from analogdeq.cli.options import ChipSeedOption, JsonOption, RunArgument, SetOption
from analogdeq.cli.result import show

HELP = """Settle every test image of a trained run on its chip: accuracy, settling time, energy, verdicts.

Another --seed is another chip of the same fab. --set changes circuit, device or settle for this evaluation; the run's
own scenario stays as it is, and summary.json says what was changed.

Examples:

  analogdeq evaluate runs/digits-crossbar-20260101-120000

  analogdeq evaluate runs/digits-crossbar-20260101-120000 --seed 7 --set device.preset=ideal
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate", help=HELP)(evaluate)


def evaluate(run: RunArgument, set_: SetOption = None, seed: ChipSeedOption = None, json: JsonOption = False) -> None:
    """See `HELP`."""
    from analogdeq.runs import workflow
    from analogdeq.runs.directory import RunDirectory

    directory = RunDirectory.open(run)
    scenario = directory.scenario(workflow.chip_changes(set_, seed))
    workflow.check_buildable(scenario)
    with ConsoleProgress(quiet=json) as progress:
        evaluation = workflow.evaluate_run(directory, scenario, progress)
    raise typer.Exit(show(workflow.summary_of(scenario, evaluation), directory.files(), as_json=json))
