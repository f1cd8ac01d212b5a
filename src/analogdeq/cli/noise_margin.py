"""`analogdeq noise-margin`: the largest noise and the smallest bit widths that keep the accuracy."""

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

HELP = """Find the largest noise and the smallest bit widths that keep the accuracy within a point.

Every chip is compared with itself, without noise and with the scenario's own resolutions. Widths are those of the A/D
converters, of the D/A converters and of the conductances that a device can be asked for.

Examples:

  analogdeq noise-margin runs/mine

  analogdeq noise-margin digits-crossbar --axes noise,adc --within 0.5 --chips 50 --workers 2
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("noise-margin", help=HELP)(noise_margin)


def noise_margin(
    source: SourceArgument = None,
    axes: Annotated[str, typer.Option(help="Which axes.")] = "noise,adc,dac,weights",
    noise: Annotated[str, typer.Option(help="Factors on read and thermal noise.")] = "1,2,3,5,7,10,14,20",
    bits: Annotated[str, typer.Option(help="Widths.")] = "1,2,3,4,5,6,7,8",
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
    from analogdeq.errors import InputError
    from analogdeq.runs.study.noise_margin import NoiseMargin

    def make() -> NoiseMargin:
        widths = numbers("--bits", bits)
        if any(width != int(width) for width in widths):
            raise InputError(f"--bits {bits!r}: widths are whole numbers")
        return NoiseMargin(
            chips=chips, axes=words(axes), noise=numbers("--noise", noise), bits=tuple(map(int, widths)),
            points_lost=within,
        )  # fmt: skip

    carry_out(
        "noise-margin", source, make, changes=set_, images=images, workers=workers, out=out, resume=resume, as_json=json
    )
