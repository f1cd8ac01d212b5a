"""`analogdeq sweep`: any keys of a scenario, every combination of their values."""

from typing import Annotated

import typer

from analogdeq.cli.options import DataDirOption, JsonOption
from analogdeq.cli.studying import (
    ChipsOption,
    ImagesOption,
    OutOption,
    ResumeStudyOption,
    SourceArgument,
    WorkersOption,
    carry_out,
)

HELP = """Measure accuracy, settling time and energy at every combination of some keys' values.

A --set with several values, separated by commas, is varied; with one value it holds at every point. The first varied
key is drawn along x. A comma inside a value wants quotes: --set 'model.stages="48@32, 64@16"'. Networks are trained
only where a varied key changes what is learnt; a run directory is never trained again. Rows, plot and summary lie in
the study's folder; an interrupted or killed sweep goes on with --resume.

Examples:

  analogdeq sweep digits-crossbar --set circuit.node_C_F="50 fF,100 fF,200 fF" --chips 5

  analogdeq sweep runs/mine --set device.preset=pcm-generic,ideal --set circuit.adc.bits=4,6,8 --out sweeps/bits

  analogdeq sweep digits-crossbar --set model.nodes=16,32,64 --set train.epochs=20 --workers 2

  analogdeq sweep --resume sweeps/bits --workers 2
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sweep", help=HELP)(sweep)


def sweep(
    source: SourceArgument = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUES", help="Values of one key, separated by commas. May be repeated."),
    ] = None,
    chips: ChipsOption = 1,
    noise: Annotated[float, typer.Option(min=0.0, help="Factor on read and thermal noise; 0: none.")] = 0.0,
    images: ImagesOption = None,
    workers: WorkersOption = 1,
    out: OutOption = None,
    resume: ResumeStudyOption = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """See `HELP`."""
    from analogdeq.errors import InputError
    from analogdeq.runs.study.sweep import Sweep
    from analogdeq.scenario.axes import read_axes

    axes = read_axes(set_ or [])
    varied = tuple((axis.key, axis.values) for axis in axes if len(axis.values) > 1)
    fixed = [change for axis in axes if len(axis.values) == 1 for change in axis.changes()]
    if resume is None and not varied:
        raise InputError("a sweep varies at least one key: --set circuit.adc.bits=4,6,8")
    carry_out(
        "sweep", source, lambda: Sweep(chips=chips, axes=varied, noise=noise),
        changes=fixed if resume is None else set_, images=images, workers=workers, out=out, resume=resume, as_json=json,
    )  # fmt: skip
