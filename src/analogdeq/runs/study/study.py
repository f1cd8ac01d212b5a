"""What every kind of study is: a grid of points, and what is made of their figures."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from matplotlib.figure import Figure

from analogdeq.runs.study.point import Figures, Point
from analogdeq.scenario import Scenario

Measured = Sequence[tuple[Point, Figures]]
"""Every point of the grid with what was measured there, in the order of the grid."""


@dataclass(frozen=True, kw_only=True)
class Study(ABC):
    """One kind of study with its options, which are the fields.

    Attributes:
        chips: how many chips; the first one has the scenario's chip seed, the others the seeds that follow.
    """

    kind: ClassVar[str]

    chips: int

    @abstractmethod
    def points(self, scenario: Scenario) -> list[Point]:
        """The grid.

        Raises:
            InputError: if the options give none.
        """

    @abstractmethod
    def summary(self, measured: Measured) -> dict[str, Any]:
        """What came out, with a "verdict" in words."""

    @abstractmethod
    def pictures(self, summary: Mapping[str, Any]) -> dict[str, Figure]:
        """File name without suffix -> picture of a summary."""

    def withheld(self, point: Point) -> tuple[str, ...]:
        """Names of the figures that mean nothing at a point, for what it changes; none, unless a study says so."""
        del point
        return ()

    def options(self) -> dict[str, Any]:
        """The fields as JSON would give them back."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return found

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """The study that these are the options of."""
        return cls(**{name: _frozen(value) for name, value in options.items()})

    def seeds(self, scenario: Scenario) -> range:
        """The chip seeds."""
        return range(scenario.seeds.chip, scenario.seeds.chip + self.chips)


def _frozen(value: Any) -> Any:
    """Lists become tuples, at every depth."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
