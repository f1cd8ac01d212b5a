"""The kinds of study by their names."""

from collections.abc import Mapping
from typing import Any

from analogdeq.errors import RunError
from analogdeq.runs.study.chip_yield import ChipYield
from analogdeq.runs.study.noise_margin import NoiseMargin
from analogdeq.runs.study.robustness import Robustness
from analogdeq.runs.study.study import Study
from analogdeq.runs.study.sweep import Sweep

KINDS: Mapping[str, type[Study]] = {kind.kind: kind for kind in (Sweep, Robustness, NoiseMargin, ChipYield)}


def study_of(kind: str, options: Mapping[str, Any]) -> Study:
    """The study that a manifest describes.

    Raises:
        RunError: if there is no such kind, or its options are others.
    """
    try:
        return KINDS[kind].from_options(options)
    except (KeyError, TypeError) as error:
        raise RunError(f"the manifest is of no study of this program ({error}); choose another folder") from None
