"""What is measured at one point of a study, and the key by which a resumed study knows it again."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

Label = str | int | float
Figures = dict[str, Any]
"""What was measured: numbers by name, None where there is none."""


@final
@dataclass(frozen=True, kw_only=True)
class Content:
    """Everything that decides the figures of a point, besides the study's scenario and its trained networks.

    Attributes:
        overrides: changes to the scenario, as `--set` spells them.
        chip: the chip seed.
        noise: [1]. Factor on read noise and on the white noise of resistors and amplifiers; 0: none of it.
        programming: [1]. Factor on the programming error.
    """

    overrides: tuple[str, ...]
    chip: int
    noise: float = 0.0
    programming: float = 1.0

    @property
    def key(self) -> str:
        """The same for equal contents, in every process."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


@final
@dataclass(frozen=True, kw_only=True)
class Point:
    """A content and where it stands in the study's grid; one content may stand in several places.

    Attributes:
        labels: column of the table -> value.
        content: what is measured.
    """

    labels: tuple[tuple[str, Label], ...]
    content: Content

    def __getitem__(self, column: str) -> Label:
        """The value in one column."""
        return dict(self.labels)[column]


def contents_of(points: Sequence[Point]) -> list[Content]:
    """Each content once, in order of first appearance."""
    return list(dict.fromkeys(point.content for point in points))
