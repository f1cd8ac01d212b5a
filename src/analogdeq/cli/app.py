"""`analogdeq`: the commands, and what their exit codes mean.

0 done, 1 failed, 2 bad usage or scenario, 3 did not settle.
"""

import sys
from importlib import metadata
from typing import Annotated

import typer

from analogdeq.cli import (
    bench,
    bench_gradients,
    bench_hardware,
    bench_oscillators,
    chip_yield,
    compare,
    devices,
    evaluate,
    export,
    noise_margin,
    report,
    robustness,
    run,
    scenario,
    simulate,
    spice_check,
    sweep,
    train,
)
from analogdeq.cli.exits import FAILED, INTERRUPTED, code_of
from analogdeq.errors import AnalogdeqError

HELP = """Simulate Deep Equilibrium Models that run on analog hardware: settling time, joules, accuracy on a chip.

Examples:

  analogdeq run digits-crossbar

  analogdeq run --help
"""

app = typer.Typer(
    name="analogdeq",
    help=HELP,
    epilog="Exit codes: 0 done, 1 failed, 2 bad usage or scenario, 3 did not settle.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for module in (
    run, simulate, train, evaluate, compare, sweep, robustness, noise_margin, chip_yield, report, spice_check
):  # fmt: skip
    module.register(app)
app.add_typer(devices.app, name="devices")
app.add_typer(scenario.app, name="scenario")
app.add_typer(export.app, name="export")
for more in (bench_gradients, bench_hardware, bench_oscillators):
    bench.app.add_typer(more.app)
app.add_typer(bench.app, name="bench")


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"analogdeq {metadata.version('analogdeq')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """The options before the command."""


def main() -> None:
    """Run the command line; errors of this package become one message and an exit code."""
    try:
        app(prog_name="analogdeq")
    except AnalogdeqError as error:
        _say(str(error))
        sys.exit(code_of(error))
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.exit(FAILED)
    except OSError as error:
        _say(str(error))
        sys.exit(FAILED)


def _say(text: str) -> None:
    for line in text.splitlines():
        sys.stderr.write(f"error: {line}\n")
