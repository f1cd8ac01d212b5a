"""Where data sets that do not travel with the package are kept."""

import os
from pathlib import Path

VARIABLE = "ANALOGDEQ_DATA"


def data_folder() -> Path:
    """The folder named by ANALOGDEQ_DATA (which `--data-dir` sets), or `analogdeq` in the user's cache."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    import pooch

    return Path(pooch.os_cache("analogdeq"))
