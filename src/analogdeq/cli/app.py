"""`analogdeq`: the commands, and what their exit codes mean.

0 done, 1 failed, 2 bad usage or scenario, 3 did not settle.
"""

import sys

import typer

from analogdeq.cli import bench, devices, evaluate, report, run, scenario, simulate, train
from analogdeq.cli.exits import FAILED, INTERRUPTED, code_of
from analogdeq.errors import AnalogdeqError

app = typer.Typer(
    name="analogdeq",
    help="Simulate Deep Equilibrium Models that run on analog hardware: settling time, joules, accuracy on a chip.",
    epilog="Exit codes: 0 done, 1 failed, 2 bad usage or scenario, 3 did not settle.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for module in (run, simulate, train, evaluate, report):
    module.register(app)
app.add_typer(devices.app, name="devices")
app.add_typer(scenario.app, name="scenario")
app.add_typer(bench.app, name="bench")


def main() -> None:
    """Run the command line; errors of this package become one message and an exit code."""
    try:
        app()
    except AnalogdeqError as error:
        _say(str(error))
        sys.exit(code_of(error))
    except KeyboardInterrupt:
        _say("interrupted; what was written is kept. A run goes on with: analogdeq run --resume DIRECTORY")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.exit(FAILED)
    except OSError as error:
        _say(str(error))
        sys.exit(FAILED)


def _say(text: str) -> None:
    for line in text.splitlines():
        sys.stderr.write(f"error: {line}\n")
