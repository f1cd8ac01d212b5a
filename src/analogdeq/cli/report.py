"""`analogdeq report`: the pictures and the page again."""

import sys

import typer

from analogdeq.cli.console import ConsoleProgress, print_files, print_json
from analogdeq.cli.options import JsonOption, RunArgument

HELP = """Write a run's figures and report.html again, from its files; nothing is simulated.

Example:

  analogdeq report runs/digits-crossbar-20260101-120000
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", help=HELP)(report)


def report(run: RunArgument, json: JsonOption = False) -> None:
    """See `HELP`."""
    from analogdeq.runs import workflow
    from analogdeq.runs.directory import RunDirectory

    with RunDirectory.open(run) as directory, ConsoleProgress(quiet=json) as progress:
        files = workflow.write_run_report(directory, sys.argv, progress)
    if json:
        print_json({"files": [str(path) for path in files]})
    else:
        print_files({path.stem.replace("_", " "): str(path) for path in files})
