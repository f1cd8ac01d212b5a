"""`analogdeq bench hardware-aware`: naive mapping beside hardware-aware training."""

from pathlib import Path
from typing import Annotated

import typer

from analogdeq.cli.console import ConsoleProgress, print_json
from analogdeq.cli.options import JsonOption, SetOption

app = typer.Typer(rich_markup_mode=None)

HARDWARE_HELP = """Train naively and hardware-aware, and put every network on many chips, fresh and a day old.

Three trainings per seed: on ideal cores, on ideal cores with clipped weights, and as the scenario says. Chips are read
with noise; aged ones are compensated right before. Writes rows.csv and table.md into --out, beside the run directories,
and goes on with what is there.

Examples:

  analogdeq bench hardware-aware --out aware

  analogdeq bench hardware-aware --set circuit.g_max_S="5 uS" --seeds 3 --chips 10 --out aware-5uS
"""


@app.command("hardware-aware", help=HARDWARE_HELP)
def hardware_aware(
    out: Annotated[Path, typer.Option("--out", file_okay=False, help="Folder for runs, rows and table.")] = Path(
        "hardware-aware"
    ),
    scenario: Annotated[str, typer.Option(help="A scenario that trains on chips.")] = "digits-hardware-aware",
    set_: SetOption = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Training seeds.")] = 3,
    chips: Annotated[int, typer.Option(min=1, max=10_000, help="Chips per network.")] = 10,
    age_s: Annotated[float, typer.Option(min=1.0, help="The later age, in seconds.")] = 86400.0,
    json: JsonOption = False,
) -> None:
    """See `HARDWARE_HELP`."""
    from dataclasses import asdict

    from analogdeq.runs.directory import write_whole
    from analogdeq.runs.hardware_table import hardware_csv, hardware_rows, hardware_table

    with ConsoleProgress(quiet=json) as progress:
        rows = hardware_rows(
            scenario, list(set_ or []), seeds=seeds, chips=chips, ages_s=(0.0, age_s), folder=out, progress=progress
        )
    files = {"rows.csv": hardware_csv(rows), "table.md": hardware_table(rows)}
    for name, text in files.items():
        write_whole(out / name, text.encode())
    if json:
        print_json({"rows": [asdict(row) for row in rows], "files": [str(out / name) for name in files]})
    else:
        typer.echo(files["table.md"] + "\n" + ", ".join(str(out / name) for name in files))
