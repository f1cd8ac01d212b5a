"""What can be read of oscillators: quantities that do not depend on where the common phase happens to stand."""

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn

from analogdeq.cores.oscillators.base import OscillatorCore
from analogdeq.cores.oscillators.corotating import Corotating
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.cores.oscillators.stuart_landau import StuartLandauCore
from analogdeq.errors import InputError

Oscillators = OscillatorCore | Corotating


class Features(nn.Module, ABC):
    """(batch, node) state of a network -> (batch, feature), unchanged when all oscillators and the reference turn.

    Args:
        core: the network, or what `Corotating` made of it.
    """

    def __init__(self, core: Oscillators) -> None:
        super().__init__()
        self._has_reference = isinstance(core, OscillatorCore) and core.has_reference
        inner = core.core if isinstance(core, Corotating) else core
        if not isinstance(inner, PhaseCore | StuartLandauCore):
            raise InputError(f"no features are known for a {type(inner).__name__}")
        # Held in a tuple: the network belongs to the model, its features only look at it.
        self._frame: tuple[Oscillators] = (core,)
        self._has_amplitude = isinstance(inner, StuartLandauCore)
        self.n_oscillators = inner.n_oscillators

    @property
    @abstractmethod
    def n_features(self) -> int:
        """How many numbers come out."""

    def quadratures(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, oscillator) each: real and imaginary part of every oscillator's amplitude."""
        core = self._frame[0]
        full = core.embed(z) if isinstance(core, Corotating) else z
        if self._has_amplitude:
            return full[:, ::2], full[:, 1::2]
        return torch.cos(full), torch.sin(full)


@final
class Quadratures(Features):
    """cos phi_i and sin phi_i (times the amplitude, where there is one) against the reference.

    Raises:
        InputError: if the network has no reference. Its common phase is then undefined and drifts under noise, and a
            loss that depends on it has no gradient.
    """

    def __init__(self, core: Oscillators) -> None:
        super().__init__(core)
        if not self._has_reference:
            raise InputError(
                "quadratures are read against a reference and this network has none (no injection U, b or shil): its "
                "common phase is undefined. Read phase differences or amplitudes, or inject a reference"
            )

    @property
    def n_features(self) -> int:
        """How many numbers come out."""
        return 2 * self.n_oscillators

    def forward(self, z: Tensor) -> Tensor:
        """(batch, node) -> (batch, 2 oscillator)."""
        return torch.cat(self.quadratures(z), 1)


@final
class PhaseDifferences(Features):
    """Re and Im of a_i conj(a_j) for given pairs of oscillators: cos and sin of phase differences.

    Args:
        core: the network.
        pairs: (pair, 2) int64; each oscillator with the one after it, in a ring, if None.

    Raises:
        InputError: if a pair names an oscillator there is not.
    """

    pairs: Tensor

    def __init__(self, core: Oscillators, pairs: Tensor | None = None) -> None:
        super().__init__(core)
        n = self.n_oscillators
        ring = torch.stack((torch.arange(n), torch.arange(n).roll(-1)), 1)
        chosen = ring if pairs is None else pairs
        if chosen.ndim != 2 or chosen.shape[1] != 2 or int(chosen.min()) < 0 or int(chosen.max()) >= n:
            raise InputError(f"pairs must be (pair, 2) numbers from 0 to {n - 1}, got shape {tuple(chosen.shape)}")
        self.register_buffer("pairs", chosen)

    @property
    def n_features(self) -> int:
        """How many numbers come out."""
        return 2 * self.pairs.shape[0]

    def forward(self, z: Tensor) -> Tensor:
        """(batch, node) -> (batch, 2 pair)."""
        x, y = self.quadratures(z)
        first, second = self.pairs[:, 0], self.pairs[:, 1]
        cos = x[:, first] * x[:, second] + y[:, first] * y[:, second]
        sin = y[:, first] * x[:, second] - x[:, first] * y[:, second]
        return torch.cat((cos, sin), 1)


@final
class SquaredAmplitudes(Features):
    """|a_i|^2 of each oscillator.

    Raises:
        InputError: for phase oscillators, whose amplitudes are all 1.
    """

    def __init__(self, core: Oscillators) -> None:
        super().__init__(core)
        if not self._has_amplitude:
            raise InputError("phase oscillators all have amplitude 1; there is nothing to read there")

    @property
    def n_features(self) -> int:
        """How many numbers come out."""
        return self.n_oscillators

    def forward(self, z: Tensor) -> Tensor:
        """(batch, node) -> (batch, oscillator)."""
        x, y = self.quadratures(z)
        return x * x + y * y


@final
class OrderParameter(Features):
    """Kuramoto's r = |mean_i e^{i phi_i}|: 0 for phases all over the circle, 1 for equal ones."""

    @property
    def n_features(self) -> int:
        """How many numbers come out."""
        return 1

    def forward(self, z: Tensor) -> Tensor:
        """(batch, node) -> (batch, 1)."""
        x, y = self.quadratures(z)
        return torch.hypot(x.mean(1), y.mean(1)).unsqueeze(1)
