"""`analogdeq robustness`: accuracy, settling time and energy against noise, age and temperature."""

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

HELP = """Measure accuracy, settling time and energy of many chips against noise, programming error, age, temperature.

One axis at a time; all else is as the scenario says, with noise as it is in nature. Age and temperature are measured
without and with global drift compensation (--cares). What lies outside the device preset's measured range is refused,
and said so, unless --set device.allow="time temperature" lets it extrapolate.

Examples:

  analogdeq robustness runs/mine

  analogdeq robustness digits-crossbar --axes age --age 0,3600,86400 --chips 50 --images 100 --workers 2

  analogdeq robustness runs/mine --set device.allow="time temperature" --out robust
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("robustness", help=HELP)(robustness)


def robustness(
    source: SourceArgument = None,
    axes: Annotated[str, typer.Option(help="Which axes.")] = "noise,programming,age,temperature",
    noise: Annotated[str, typer.Option(help="Factors on read and thermal noise.")] = "0,1,2,5,7,10,15,20",
    programming: Annotated[str, typer.Option(help="Factors on the programming error.")] = "0,1,2,3,5,8",
    age: Annotated[
        str, typer.Option(help="Seconds since programming; 0 is the first read.")
    ] = "1,20,100,1e3,1e4,86400,2.63e6,3.156e7,3.156e8",
    temperature: Annotated[
        str, typer.Option(help="Kelvin, of storage and operation.")
    ] = "250,275,290,300,310,325,350,375,400",
    soak: Annotated[float, typer.Option(min=0.0, help="Seconds spent at each temperature.")] = 86400.0,
    cares: Annotated[str, typer.Option(help="none, compensation, scenario.")] = "none,compensation",
    compensation: Annotated[float, typer.Option(min=1e-6, help="Seconds between compensations.")] = 60.0,
    within: WithinOption = 1.0,
    chips: ChipsOption = 30,
    set_: ChangeOption = None,
    images: ImagesOption = None,
    workers: WorkersOption = 1,
    out: OutOption = None,
    resume: ResumeStudyOption = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """See `HELP`."""
    from analogdeq.runs.study.robustness import Robustness

    def make() -> Robustness:
        return Robustness(
            chips=chips, axes=words(axes), noise=numbers("--noise", noise),
            programming=numbers("--programming", programming), age=numbers("--age", age),
            temperature=numbers("--temperature", temperature), soak_s=soak, cares=words(cares),
            compensation_s=compensation, points_lost=within,
        )  # fmt: skip

    carry_out(
        "robustness", source, make, changes=set_, images=images, workers=workers, out=out, resume=resume, as_json=json
    )
