"""`analogdeq export`: what runs elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from analogdeq.cli.options import ChipSeedOption, SetOption

app = typer.Typer(
    help="Write a chip in another program's format.\n\nExample:\n\n  analogdeq export spice digits-crossbar out.cir",
    no_args_is_help=True,
    rich_markup_mode=None,
)

SPICE_HELP = """Write a chip and one of its inputs as a SPICE netlist.

Every device is a resistor, amplifiers are ideal, meters count the energy; ngspice runs the file as it is.

Given a run directory, the chip holds the trained network; given a scenario, an untrained one (random weights, --seed
sets them). The header says what analogdeq expects ngspice to find.

Examples:

  analogdeq export spice runs/digits-crossbar-20260101-120000 out.cir --image 3

  analogdeq export spice digits-crossbar out.cir --set model.nodes=16
"""

SourceArgument = Annotated[str, typer.Argument(metavar="RUN_OR_SCENARIO", help="A run directory, or a scenario.")]
OutArgument = Annotated[Path, typer.Argument(metavar="OUT", help="The netlist to write; replaced if it exists.")]
ImageOption = Annotated[int, typer.Option("--image", min=0, help="Which test image drives the chip.")]


@app.callback()
def _keep_the_group() -> None:
    """Keep `export spice` two words while it is the only format."""


@app.command("spice", help=SPICE_HELP)
def spice(
    source: SourceArgument,
    out: OutArgument,
    image: ImageOption = 0,
    set_: SetOption = None,
    seed: ChipSeedOption = None,
) -> None:
    """See `SPICE_HELP`."""
    from analogdeq.build import build_settle_options
    from analogdeq.runs.directory import write_whole
    from analogdeq.runs.placed import place
    from analogdeq.spice.export import export_netlist

    placed = place(source, image=image, overrides=set_, seed=seed)
    about = {"scenario": placed.scenario.name, "test image": str(image)}
    text = export_netlist(placed.chip, placed.u, build_settle_options(placed.scenario), about)
    write_whole(out, text.encode())
    typer.echo(f"{out}: {placed.chip.n_devices} devices; run it with: ngspice -b -r out.raw {out}")
