"""`analogdeq spice-check`: ngspice as an independent judge."""

from typing import TYPE_CHECKING, Annotated

import typer

from analogdeq.cli.console import ConsoleProgress, print_json, print_table
from analogdeq.cli.exits import DONE, FAILED, NOT_SETTLED
from analogdeq.cli.export import ImageOption, SourceArgument
from analogdeq.cli.options import ChipSeedOption, JsonOption, SetOption

if TYPE_CHECKING:
    from analogdeq.spice.comparison import Difference, SpiceComparison

HELP = """Settle one test image with analogdeq and with ngspice, and compare waveform, settling time and energy terms.

Needs the program ngspice (Debian, Ubuntu: apt-get install ngspice). Exit codes: 0 they agree, 1 they do not, or there
is no ngspice, 3 the image does not settle.

Examples:

  analogdeq spice-check digits-crossbar --set model.nodes=16

  analogdeq spice-check runs/digits-crossbar-20260101-120000 --image 3 --json
"""

TimeoutOption = Annotated[float, typer.Option("--timeout", min=1.0, help="Seconds that ngspice may take.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("spice-check", help=HELP)(spice_check)


def spice_check(
    source: SourceArgument,
    image: ImageOption = 0,
    set_: SetOption = None,
    seed: ChipSeedOption = None,
    timeout: TimeoutOption = 600.0,
    json: JsonOption = False,
) -> None:
    """See `HELP`."""
    from analogdeq.build import build_settle_options
    from analogdeq.errors import SettleError
    from analogdeq.runs.placed import place
    from analogdeq.spice.check import spice_check as check

    placed = place(source, image=image, overrides=set_, seed=seed)
    try:
        with ConsoleProgress(quiet=json) as progress:
            progress.update("settling, then ngspice", 0, 1)
            result = check(placed.chip, placed.u, build_settle_options(placed.scenario), timeout_s=timeout)
            progress.update("settling, then ngspice", 1, 1)
    except SettleError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(NOT_SETTLED) from None
    if json:
        print_json({"scenario": placed.scenario.name, "image": image, **result.as_dict()})
    else:
        print_table(f"{placed.scenario.name}, test image {image}, against {result.ngspice}", _rows(result))
    raise typer.Exit(DONE if result.agrees else FAILED)


def _rows(result: "SpiceComparison") -> list[tuple[str, str]]:
    figures = [(d.name, _row(d)) for d in result.differences]
    apart = ("waveforms furthest apart", result.waveform.where)
    return [("", "analogdeq | ngspice | difference"), *figures, apart, ("", ""), ("verdict", result.verdict)]


def _row(d: "Difference") -> str:
    from analogdeq.units import format_quantity

    native, spice = (
        f"{value:.6f}" if d.unit == "1" else format_quantity(value, d.unit, 6) for value in (d.native, d.spice)
    )
    return f"{native} | {spice} | {d.error:.1e}{'' if d.agrees else f', over {d.tolerance:g}'}"
