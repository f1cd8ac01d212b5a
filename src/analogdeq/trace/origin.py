"""Where a file comes from: seeds, command, versions, commit, time."""

import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("analogdeq", "numpy", "torch", "h5py")


def provenance(seeds: Mapping[str, int], argv: Sequence[str]) -> dict[str, str]:
    """Everything needed to make the numbers of a run again, as text.

    Args:
        seeds: by name, for example {"chip": 0, "noise": 1}; stored as "seed_chip", "seed_noise".
        argv: the command that was given. Only the last part of the program's own path is kept.

    Returns:
        "created" (ISO 8601, UTC), "argv", the seeds, the versions of Python and of the packages that decide the
        numbers, "platform", and "git_commit" and "git_dirty" of the clone it ran in ("unknown" outside one).
    """
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "argv": _command(argv),
        **{f"seed_{name}": str(seed) for name, seed in seeds.items()},
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        **_git(),
    }


def _command(argv: Sequence[str]) -> str:
    """One line that a shell would split into `argv` again; bytes that are not text are written as escapes."""
    parts = [Path(argv[0]).name, *argv[1:]] if argv else []
    return shlex.join(parts).encode("utf-8", "backslashreplace").decode()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _git() -> dict[str, str]:
    """The commit of the clone that holds the running package, else of the one around the working folder."""
    for folder in (Path(__file__).parent, Path.cwd()):
        commit = _ask_git(folder, "rev-parse", "HEAD")
        if commit is not None:
            changes = _ask_git(folder, "status", "--porcelain", "--untracked-files=no")
            return {"git_commit": commit, "git_dirty": "unknown" if changes is None else str(bool(changes)).lower()}
    return {"git_commit": "unknown", "git_dirty": "unknown"}


def _ask_git(folder: Path, *question: str) -> str | None:
    """What git says in `folder`; None where there is no git, no clone or no answer."""
    try:
        answer = subprocess.run(["git", *question], cwd=folder, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
