"""The drive of a chip whose lines cannot be told apart: what its constant lines add to every other's current."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from analogdeq.cores.core import Drive
from analogdeq.errors import InputError


@final
@dataclass(frozen=True)
class LineDrive(Drive):
    """A drive with what inputs and bias add to the currents of the lines.

    Attributes:
        constant_S: (batch, any) [S]. As the chip's power wants it.
    """

    constant_S: Tensor

    def rows(self, index: Tensor) -> "LineDrive":
        """The drive of some samples."""
        return LineDrive(self.current[index], self.standing_power_W[index], self.constant_S[index])


def constant_of(drive: Drive) -> Tensor:
    """(batch, any) [S]. What the drive of a chip with wires keeps.

    Raises:
        InputError: for a drive of something else.
    """
    if not isinstance(drive, LineDrive):
        raise InputError(
            f"a {type(drive).__name__} is no drive of a chip whose wires have resistance; take chip.drive(u)"
        )
    return drive.constant_S
