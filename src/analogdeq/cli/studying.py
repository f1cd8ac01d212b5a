"""What the commands that study many chips have in common: their options, their course, how they show what came out."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analogdeq.cli.console import ConsoleProgress, print_files, print_json, print_table
from analogdeq.cli.exits import INTERRUPTED
from analogdeq.errors import InputError

if TYPE_CHECKING:
    from analogdeq.runs.study.study import Study

SourceArgument = Annotated[
    str | None,
    typer.Argument(metavar="RUN_OR_SCENARIO", help="A run directory, or a scenario, whose network is trained first."),
]
ChangeOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one value at every point. May be repeated."),
]
ChipsOption = Annotated[
    int, typer.Option(min=1, max=100_000, help="Chips per point, from the scenario's chip seed upwards.")
]
ImagesOption = Annotated[
    int | None, typer.Option(min=1, help="Only the first so many test images; else the scenario's.")
]
WorkersOption = Annotated[
    int, typer.Option(min=1, max=1024, help="Processes. The figures do not depend on their number.")
]
OutOption = Annotated[
    Path | None,
    typer.Option(file_okay=False, help="Folder of the study; a new one under the scenario's output if none."),
]
ResumeStudyOption = Annotated[
    Path | None, typer.Option("--resume", metavar="STUDY", help="Go on with an interrupted study.")
]
WithinOption = Annotated[float, typer.Option(min=0.0, max=100.0, help="Accuracy that may be lost, in points.")]


def carry_out(
    kind: str,
    source: str | None,
    make: Callable[[], "Study"],
    *,
    changes: list[str] | None,
    images: int | None,
    workers: int,
    out: Path | None,
    resume: Path | None,
    as_json: bool,
) -> None:
    """Begin a study or go on with one, and show what came out.

    Args:
        kind: the command.
        source: a run directory or a scenario.
        make: the study, made of the command's options; not called where one is resumed.
        changes: of the scenario, at every point.
        images: how many test images.
        workers: processes.
        out: folder of a new study.
        resume: folder of an interrupted one.
        as_json: one object on standard output.

    Raises:
        InputError: for a resumed study that is told anew what to do, or is of another kind.
    """
    from analogdeq.runs.study.conduct import Source, begin_study, conduct
    from analogdeq.runs.study.folder import StudyFolder

    if resume is not None:
        if source is not None or changes or images is not None or out is not None:
            raise InputError("--resume goes on with a study as it was begun; it takes --workers and --json, no more")
        folder = StudyFolder.resume(resume)
        begun_as = folder.manifest().get("kind")
        if begun_as != kind:
            folder.release()
            raise InputError(f"{resume}: is a study of another kind; go on with analogdeq {begun_as} --resume")
    elif source is None:
        raise InputError(f"name a run directory or a scenario: analogdeq {kind} digits-crossbar")
    else:
        limit = [] if images is None else [f"task.test_limit={images}"]
        folder = begin_study(Source.named(source, [*(changes or []), *limit]), make(), out)
    try:
        with folder, ConsoleProgress(quiet=as_json) as progress:
            summary = conduct(folder, workers, progress)
    except KeyboardInterrupt:
        again = f"analogdeq {kind} --resume {shlex.quote(str(folder.path))}"
        sys.stderr.write(f"interrupted; what was measured is kept. Go on with: {again}\n")
        raise typer.Exit(INTERRUPTED) from None
    _show(summary, as_json=as_json)


def numbers(option: str, text: str) -> tuple[float, ...]:
    """Numbers separated by commas; () of nothing.

    Raises:
        InputError: naming the one that is none.
    """
    found = []
    for word in filter(None, map(str.strip, text.split(","))):
        try:
            found.append(float(word))
        except ValueError:
            raise InputError(f"{option} {text!r}: {word!r} is no number; give numbers separated by commas") from None
    return tuple(found)


def words(text: str) -> tuple[str, ...]:
    """Words separated by commas."""
    return tuple(filter(None, map(str.strip, text.split(","))))


def _show(summary: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(summary)
        return
    rows = [("points", f"{summary['points']}" + (f", {summary['refused']} refused" if summary["refused"] else ""))]
    rows += [("", ""), *(("", part) for part in summary["verdict"].split("; "))]
    print_table(f"{summary['study']}, {summary['scenario']}", _with_title(rows))
    for line in [*summary["reasons"][:3], summary["note"]]:
        if line:
            typer.echo(f"note: {line}")
    print_files(summary["files"])


def _with_title(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The first line of the verdict says that it is one."""
    first = next(k for k, (name, value) in enumerate(rows) if value and not name)
    return [("verdict", value) if k == first else (name, value) for k, (name, value) in enumerate(rows)]
