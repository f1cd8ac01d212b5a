"""`analogdeq yield`: the share of chips that are good enough."""

from typing import Annotated

import typer

from analogdeq.cli.options import DataDirOption, JsonOption
from analogdeq.cli.studying import (
    ChangeOption,
    ChipsOption,
    ImagesOption,
    OutOption,
    ResumeStudyOption,
    SourceArgument,
    WithinOption,
    WorkersOption,
    carry_out,
    numbers,
    words,
)

HELP = """Count the chips of a fab that are good enough: accuracy, settling of every image, time, energy.

A good chip loses at most --within points of accuracy against the ideal core, fresh and after --ages.

Examples:

  analogdeq yield runs/mine --chips 100

  analogdeq yield digits-crossbar --ages 0,3600,86400 --within 0.5 --max-energy 6.5e-9 --workers 2
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("yield", help=HELP)(chip_yield)


def chip_yield(
    source: SourceArgument = None,
    ages: Annotated[str, typer.Option(help="Seconds since programming; 0 is the first read.")] = "0,86400",
    cares: Annotated[str, typer.Option(help="none, compensation, scenario.")] = "none,compensation",
    compensation: Annotated[float, typer.Option(min=1e-6, help="Seconds between compensations.")] = 60.0,
    noise: Annotated[float, typer.Option(min=0.0, help="Factor on read and thermal noise.")] = 1.0,
    within: WithinOption = 1.0,
    max_time: Annotated[float | None, typer.Option(min=0.0, help="Seconds until the slowest image settles.")] = None,
    max_energy: Annotated[float | None, typer.Option(min=0.0, help="Joules per inference, mean.")] = None,
    chips: ChipsOption = 100,
    set_: ChangeOption = None,
    images: ImagesOption = None,
    workers: WorkersOption = 1,
    out: OutOption = None,
    resume: ResumeStudyOption = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """See `HELP`."""
    from analogdeq.runs.study.chip_yield import ChipYield

    def make() -> ChipYield:
        return ChipYield(
            chips=chips, ages=numbers("--ages", ages), cares=words(cares), compensation_s=compensation, noise=noise,
            points_lost=within, t_settle_max_s=max_time, energy_max_J=max_energy,
        )  # fmt: skip

    carry_out("yield", source, make, changes=set_, images=images, workers=workers, out=out, resume=resume, as_json=json)
