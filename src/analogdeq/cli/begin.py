"""Where `run` and `train` begin: a new run directory, or an interrupted one."""

from pathlib import Path
from typing import TYPE_CHECKING

from analogdeq.cli.options import DEFAULT_SCENARIO, scenario_from
from analogdeq.errors import InputError

if TYPE_CHECKING:
    from analogdeq.runs.directory import RunDirectory


def begin(
    scenario: str | None, overrides: list[str] | None, seed: int | None, run_dir: Path | None, resume: Path | None
) -> "RunDirectory":
    """The directory to work in, locked, with its resolved scenario inside.

    Raises:
        InputError: if `resume` is combined with what only a new run can be told.
    """
    from analogdeq.runs.directory import RunDirectory
    from analogdeq.runs.workflow import check_buildable

    if resume is not None:
        if scenario is not None or overrides or seed is not None or run_dir is not None:
            raise InputError(
                "--resume goes on with a run as it was begun; it takes no scenario, --set, --seed or --run-dir"
            )
        return RunDirectory.open(resume)
    resolved = scenario_from(scenario or DEFAULT_SCENARIO, overrides, seed)
    check_buildable(resolved)
    return RunDirectory.create(resolved, run_dir)
