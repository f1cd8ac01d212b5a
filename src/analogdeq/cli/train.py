"""`analogdeq train`: the network alone, without a chip."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from analogdeq.cli.begin import begin, working_in
from analogdeq.cli.console import ConsoleProgress, print_files, print_json, print_table
from analogdeq.cli.exits import FAILED
from analogdeq.cli.options import (
    DataDirOption,
    JsonOption,
    ResumeOption,
    RunDirOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
)

if TYPE_CHECKING:
    from analogdeq.runs.directory import RunDirectory
    from analogdeq.train.workers import Workers

HELP = """Train the scenario's network on ideal cores; leaves a checkpoint and metrics in a run directory.

Examples:

  analogdeq train digits-crossbar --set train.epochs=20

  analogdeq train --resume runs/digits-crossbar-20260101-120000

  analogdeq train cifar10-small --data-dir ~/data

  torchrun --nproc-per-node 2 -m analogdeq train cifar10 --data-dir ~/data
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
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """See `HELP`."""
    from analogdeq.runs import workflow
    from analogdeq.train.workers import joined_workers

    with joined_workers() as workers:
        if not workers.is_first:
            _help_training(workers)
            return
        begun = None
        try:
            begun = begin(scenario, set_, seed, run_dir, resume)
        finally:
            workers.tell(begun and (str(begun.path), resume is not None))  # None lets the others go, too
        with working_in(begun, "train") as directory, ConsoleProgress(quiet=json) as progress:
            workflow.train_run(directory, resume=resume is not None, progress=progress, workers=workers)
    _show(begun, as_json=json)


def _help_training(workers: "Workers") -> None:
    """What every process but the first does: the same training, without writing a file.

    Raises:
        Exit: if the first one could not begin.
    """
    from analogdeq.runs import workflow
    from analogdeq.runs.directory import RunDirectory

    told = workers.tell(None)
    if told is None:
        raise typer.Exit(FAILED)
    path, is_resumed = told
    with ConsoleProgress(quiet=True) as progress:
        workflow.train_run(RunDirectory(Path(path)), resume=is_resumed, progress=progress, workers=workers)


def _show(directory: "RunDirectory", *, as_json: bool) -> None:
    """The last epoch and what the model is made of."""
    from analogdeq.runs import workflow
    from analogdeq.train.metrics import read_metrics

    rows = read_metrics(directory.metrics)
    last = rows[-1] if rows else {}
    scenario = directory.scenario()
    cost = workflow.model_cost(scenario)
    if as_json:
        files = directory.files()
        print_json({"scenario": scenario.name, "last_epoch": last, "model": cost.summary(), "files": files})
        return
    shown = [(name.replace("_", " "), f"{value:.6g}") for name, value in last.items()]
    counts = [
        ("parameters", f"{cost.parameters:,}  ({100 * cost.equilibrium_share_parameters:.0f} % in equilibria)"),
        (
            "multiply-accumulates",
            f"{cost.macs(1):,.0f} with one evaluation  ({100 * cost.equilibrium_share_macs:.0f} % in equilibria), "
            f"{cost.macs_evaluation:,} for each further one",
        ),
    ]
    print_table(f"{scenario.name}, last epoch", [*shown, ("", ""), *counts])
    print_files(directory.files())
