"""What stands around a core, and answers as the core does wherever it changes nothing."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import torch
from torch import Tensor

from analogdeq.cores.core import Core

C_co = TypeVar("C_co", bound=Core, covariant=True)


class AroundCore(ABC, Generic[C_co]):
    """A core in something: on a chip, or seen from a turning frame."""

    @property
    @abstractmethod
    def core(self) -> C_co:
        """What is inside."""

    @property
    def n_nodes(self) -> int:
        """How many states there are."""
        return self.core.n_nodes

    @property
    def n_inputs(self) -> int:
        """How many inputs drive them."""
        return self.core.n_inputs

    @property
    def full_scale(self) -> float:
        """The core's: the largest |z| of a saturated node, 1 rad, or the largest free amplitude."""
        return self.core.full_scale

    @property
    def tau_s(self) -> float:
        """The unit of dimensionless time [s]."""
        return self.core.tau_s

    @property
    def rate(self) -> Tensor | None:
        """(node,) [1]. `tau_s` over each node's time constant; None where all are equal."""
        return self.core.rate

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the state."""
        return self.core.dtype

    @property
    def device(self) -> torch.device:
        """Where the state lives."""
        return self.core.device

    def is_finite(self) -> bool:
        """Whether every weight is a finite number."""
        return self.core.is_finite()
