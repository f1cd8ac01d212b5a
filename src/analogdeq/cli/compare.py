"""`analogdeq compare`: models side by side."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from analogdeq.cli.console import ConsoleProgress, print_json
from analogdeq.cli.options import DataDirOption, JsonOption, SetOption

HELP = """Put trained models side by side: accuracy over seeds, solver work, wall time, parameters.

Run directories are read. Scenarios are trained first, with seeds 0, 1, ...; what an interrupted comparison has trained
is gone on with. Accuracy is of the test images after the last epoch, on ideal cores; runs that were evaluated on a chip
('analogdeq run', 'analogdeq evaluate') show its accuracy, settling time and joules too.

Examples:

  analogdeq compare digits-crossbar digits-digital digits-feedforward --seeds 5

  analogdeq compare runs/crossbar runs/oscillator
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare", help=HELP)(compare)


def compare(
    sources: Annotated[
        list[str], typer.Argument(metavar="RUN|SCENARIO...", help="Run directories and scenarios; the first one leads.")
    ],
    set_: SetOption = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Training seeds of each scenario.")] = 3,
    output: Annotated[Path, typer.Option(help="Folder of the runs of scenarios.")] = Path("runs/compare"),
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """See `HELP`."""
    from analogdeq.runs.compare import compare as compare_runs
    from analogdeq.runs.compare import train_seeds

    paths: list[Path] = []
    with ConsoleProgress(quiet=json) as progress:
        for source in sources:
            if Path(source, "scenario.toml").is_file():
                paths.append(Path(source))
            else:
                paths += train_seeds(source, list(set_ or []), seeds, output, progress)
    result = compare_runs(paths)
    if json:
        print_json(result)
        return
    _print(result)


def _print(result: dict[str, Any]) -> None:
    contenders = result["contenders"]
    table = Table(title="side by side; intervals are 95 %", title_justify="left")
    table.add_column("")
    for one in contenders:
        table.add_column(one["name"], justify="right", overflow="fold")
    for title, show in _ROWS:
        table.add_row(title, *(show(one) for one in contenders))
    Console().print(table, markup=False, highlight=False)
    for warning in result["warnings"]:
        typer.echo(f"note: {warning}")


def _percent(pair: dict[str, float | None] | None, sign: str = "") -> str:
    if pair is None or pair["mean"] is None:
        return "-"
    width = pair["half_width_95"]
    return f"{100 * pair['mean']:{sign}.2f}" + ("" if width is None else f" ± {100 * width:.2f}") + " %"


def _number(value: float | None, form: str, factor: float = 1, unit: str = "") -> str:
    return "-" if value is None else f"{factor * value:{form}}{unit}"


def _chip(one: dict[str, Any], key: str, form: str, factor: float = 1, unit: str = "") -> str:
    return "-" if one["chip"] is None else _number(one["chip"][key], form, factor, unit)


_ROWS = (
    ("kind", lambda one: one["kind"]),
    ("seeds", lambda one: str(len(one["seeds"]))),
    ("epochs", lambda one: str(one["epochs"])),
    ("test accuracy", lambda one: _percent(one["accuracy"])),
    ("difference from the first", lambda one: _percent(one["difference_from_first"], "+")),
    ("training accuracy", lambda one: _number(one["train_accuracy"], ".2f", 100, " %")),
    ("parameters", lambda one: f"{one['parameters']:,}"),
    ("  in equilibria", lambda one: f"{100 * one['equilibrium_share_parameters']:.0f} %"),
    ("MACs, one evaluation", lambda one: f"{one['macs_one_evaluation']:,.0f}"),
    ("  in equilibria", lambda one: f"{100 * one['equilibrium_share_macs']:.0f} %"),
    ("MACs, as evaluated in training", lambda one: f"{one['macs_measured']:,.0f}"),
    ("evaluations forward", lambda one: _number(one["forward_evaluations"], ".1f")),
    ("products backward", lambda one: _number(one["backward_products"], ".1f")),
    ("unsettled", lambda one: _number(one["unsettled_fraction"], ".2f", 100, " %")),
    ("spectral abscissa", lambda one: _number(one["spectral_abscissa"], ".3f")),
    ("wall time of a training", lambda one: f"{one['seconds']:,.1f} s"),
    ("accuracy on the chip", lambda one: _chip(one, "accuracy", ".2f", 100, " %")),
    ("settling time, median", lambda one: _chip(one, "settle_p50_s", ".1f", 1e9, " ns")),
    ("settling time, 95 %", lambda one: _chip(one, "settle_p95_s", ".1f", 1e9, " ns")),
    ("  in cycles, median", lambda one: _chip(one, "settle_p50_cycles", ".1f")),
    ("energy per image", lambda one: _chip(one, "energy_J", ",.0f", 1e12, " pJ")),
    ("unsettled on the chip", lambda one: _chip(one, "unsettled", ".2f", 100, " %")),
)
"""What is printed, by row."""
