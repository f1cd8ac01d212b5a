"""Where the shipped `scenarios/` and `data/` folders are: inside an installed wheel, or beside `src/` in a clone."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_path(*parts: str) -> Path:
    """The path of a shipped file or folder, for example `resource_path("data", "digits", "digits.csv")`."""
    installed = _PACKAGE.joinpath(*parts)
    return installed if installed.exists() else _PACKAGE.parents[1].joinpath(*parts)
