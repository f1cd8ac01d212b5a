"""Arguments and options that several commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer

from analogdeq.scenario import Scenario, load_scenario

DEFAULT_SCENARIO = "digits-crossbar"

ScenarioArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="SCENARIO", help=f"A shipped scenario's name, or the path of a TOML file; {DEFAULT_SCENARIO} if none."
    ),
]
RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run directory, as 'analogdeq run' or 'train' made it.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help='Change one value, e.g. circuit.node_C_F="50 fF". May be repeated.'
    ),
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, help="Both seeds, of the chip and of the training; else the scenario's.")
]
ChipSeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="The chip seed; else the run's.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, no progress bars.")]
RunDirOption = Annotated[
    Path | None, typer.Option("--run-dir", help="Write here instead of a new directory under the scenario's output.")
]
ResumeOption = Annotated[Path | None, typer.Option("--resume", metavar="RUN", help="Go on with an interrupted run.")]


def _set_data_folder(folder: Path | None) -> Path | None:
    if folder is not None:
        os.environ["ANALOGDEQ_DATA"] = str(folder)
    return folder


DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        callback=_set_data_folder,
        help="Folder of data sets that are not shipped; else $ANALOGDEQ_DATA, else the user's cache.",
    ),
]


def scenario_from(source: str, overrides: list[str] | None, seed: int | None) -> Scenario:
    """The scenario with the command line's changes."""
    changes = list(overrides or [])
    if seed is not None:
        changes += [f"seeds.chip={seed}", f"seeds.train={seed}"]
    return load_scenario(source, changes)
