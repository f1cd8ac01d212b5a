"""`analogdeq simulate`: waveforms of a few inputs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from analogdeq.cli.console import ConsoleProgress
from analogdeq.cli.options import ChipSeedOption, DataDirOption, JsonOption, SetOption
from analogdeq.cli.result import show

HELP = """Settle the first test images on a chip and write their time-domain waveforms to an HDF5 trace.

Given a run directory, the chip holds the trained network; given a scenario, an untrained one (random weights, --seed
sets them).

Examples:

  analogdeq simulate runs/digits-crossbar-20260101-120000 --output trace.h5

  analogdeq simulate digits-crossbar --set trace.samples=2 --set settle.method=scipy-radau --output radau.h5
"""

SourceArgument = Annotated[str, typer.Argument(metavar="RUN_OR_SCENARIO", help="A run directory, or a scenario.")]
OutputOption = Annotated[
    Path, typer.Option("--output", "-o", dir_okay=False, help="The trace file to write; replaced if it exists.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("simulate", help=HELP)(simulate)


def simulate(
    source: SourceArgument,
    output: OutputOption = Path("trace.h5"),
    set_: SetOption = None,
    seed: ChipSeedOption = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """See `HELP`."""
    from analogdeq.runs import workflow
    from analogdeq.runs.amplifiers import amplifiers_of

    scenario, model = workflow.network(source, set_, seed)
    with ConsoleProgress(quiet=json) as progress:
        settled = workflow.simulate(model, scenario, output, sys.argv, progress)
    summary = {**workflow.settled_summary(scenario, settled), **amplifiers_of(model, scenario)}
    raise typer.Exit(show(summary, {"waveforms": str(output)}, as_json=json))
