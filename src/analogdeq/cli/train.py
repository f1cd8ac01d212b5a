"""`analogdeq train`: the network alone, without a chip."""

import typer

from analogdeq.cli.begin import begin, working_in
from analogdeq.cli.console import ConsoleProgress, print_files, print_json, print_table
from analogdeq.cli.options import JsonOption, ResumeOption, RunDirOption, ScenarioArgument, SeedOption, SetOption

HELP = """Train the scenario's network on the ideal core; leaves a checkpoint and metrics in a run directory.

Examples:

  analogdeq train digits-crossbar --set train.epochs=20

  analogdeq train --resume runs/digits-crossbar-20260101-120000
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train", help=HELP)(train)


def train(
    scenario: ScenarioArgument = None,
    set_: SetOption = None,
    seed: SeedOption = None,
    run_dir: RunDirOption = None,
    resume: ResumeOption = None,
    json: JsonOption = False,
) -> None:
    """See `HELP`."""
    from analogdeq.runs import workflow
    from analogdeq.train.metrics import read_metrics

    begun = begin(scenario, set_, seed, run_dir, resume)
    with working_in(begun, "train") as directory, ConsoleProgress(quiet=json) as progress:
        workflow.train_run(directory, resume=resume is not None, progress=progress)
    rows = read_metrics(directory.metrics)
    last = rows[-1] if rows else {}
    if json:
        print_json({"scenario": directory.scenario().name, "last_epoch": last, "files": directory.files()})
        return
    shown = [(name.replace("_", " "), f"{value:.6g}") for name, value in last.items()]
    print_table(f"{directory.scenario().name}, last epoch", shown)
    print_files(directory.files())
