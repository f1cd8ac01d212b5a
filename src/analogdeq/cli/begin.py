"""Where `run` and `train` begin, in a new run directory or an interrupted one, and what ctrl-C says."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from analogdeq.cli.exits import INTERRUPTED
from analogdeq.cli.options import DEFAULT_SCENARIO, scenario_from
from analogdeq.errors import InputError

if TYPE_CHECKING:
    from analogdeq.runs.directory import RunDirectory


def begin(
    scenario: str | None,
    overrides: list[str] | None,
    seed: int | None,
    run_dir: Path | None,
    resume: Path | None,
    *,
    needs_chip: bool = False,
) -> "RunDirectory":
    """The directory to work in, locked, with its resolved scenario inside.

    Args:
        scenario: a name or a path.
        overrides: as `--set` spells them.
        seed: both seeds.
        run_dir: where; a new directory if None.
        resume: an existing run, instead of all of the above.
        needs_chip: whether the model will have to be placed on a chip.

    Raises:
        InputError: if `resume` is combined with what only a new run can be told, or no chip can be made of the model.
    """
    from analogdeq.runs.directory import RunDirectory
    from analogdeq.runs.workflow import check_buildable, check_has_chip

    if resume is not None:
        if scenario is not None or overrides or seed is not None or run_dir is not None:
            raise InputError(
                "--resume goes on with a run as it was begun; it takes no scenario, --set, --seed or --run-dir"
            )
        run = RunDirectory.open(resume)
        if needs_chip:
            check_has_chip(run.scenario())
        return run
    resolved = scenario_from(scenario or DEFAULT_SCENARIO, overrides, seed)
    check_buildable(resolved)
    if needs_chip:
        check_has_chip(resolved)
    return RunDirectory.create(resolved, run_dir)


@contextmanager
def working_in(directory: "RunDirectory", command: str) -> Iterator["RunDirectory"]:
    """Let the directory go at the end; if ctrl-C ends the work, say how `command` goes on with it."""
    try:
        with directory:
            yield directory
    except KeyboardInterrupt:
        again = f"analogdeq {command} --resume {shlex.quote(str(directory.path))}"
        sys.stderr.write(f"interrupted; what was written is kept. Go on with: {again}\n")
        raise typer.Exit(INTERRUPTED) from None
