"""How a programmed conductance changes with time: one law per file entry, composed, never replacing each other."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import torch
from torch import Tensor

from analogdeq.devices.curve import Curve
from analogdeq.errors import RangeError


@final
@dataclass(frozen=True, kw_only=True)
class PowerLawDrift:
    """G(t) = G(t0) (t/t0)^(-nu), nu = |mean(x) + std(x) N(0,1)|, one draw per device, x = G_target / G_max.

    Attributes:
        t0_s: [s]. When the programmed conductance was read.
        mean: x -> mean of nu.
        std: x -> device-to-device standard deviation of nu.

    Source: Nandakumar et al., ICECS 2019 (IEEE 8964852); Joshi et al., Nat. Commun. 11:2473 (2020).
    """

    t0_s: float
    mean: Curve
    std: Curve

    def exponent(self, x: Tensor, normal: Tensor) -> Tensor:
        """[1]. nu of each device."""
        return (self.mean(x) + self.std(x) * normal).abs()

    def factor(self, x: Tensor, t_s: float, normal: Tensor) -> Tensor:
        """[1]. G(t)/G(t0); 1 before t0."""
        return torch.exp(-math.log(max(t_s, self.t0_s) / self.t0_s) * self.exponent(x, normal))


@final
@dataclass(frozen=True, kw_only=True)
class LogRelaxation:
    """G(t) = G_programmed + mean ln t + (std_slope ln t + std_offset) N(0,1), t in seconds, from 1 s on.

    Attributes:
        mean_S: [S]. Mean shift per e-fold of time.
        std_slope_S: [S]. Growth of the spread per e-fold.
        std_offset_S: [S]. Spread at 1 s.

    Source: Falcone et al., arXiv 2502.04524, for CMO/HfOx ReRAM.
    """

    mean_S: float
    std_slope_S: float
    std_offset_S: float

    def shift_S(self, t_s: float) -> float:
        """[S]. Mean of the change."""
        return self.mean_S * math.log(max(t_s, 1.0))

    def sigma_S(self, t_s: float) -> float:
        """[S]. Standard deviation of the change."""
        return self.std_slope_S * math.log(max(t_s, 1.0)) + self.std_offset_S


@final
@dataclass(frozen=True, kw_only=True)
class TimedDeviation:
    """Standard deviation from the target, measured at a few times; programming error and relaxation together.

    Between two times the curves are interpolated, linearly in `t` or in `ln t`; before the first and after the last the
    nearest holds. A device keeps its place in the distribution, G(t) = G_target + sigma(G_target, t) N with one N per
    programming: the sources give the spread at each time and not how a device moves within it. Where a source gives a
    mean shift m too, G(t) = G_target + m(G_target, t) + sigma(G_target + m, t) N.

    Attributes:
        times_s: [s]. Ascending.
        sigmas_S: one curve per time, conductance [S] -> standard deviation [S].
        is_logarithmic: whether to interpolate in ln t.
        shifts_S: one curve per time, target [S] -> mean shift [S]; () where there is none.
    """

    times_s: tuple[float, ...]
    sigmas_S: tuple[Curve, ...]
    is_logarithmic: bool
    shifts_S: tuple[Curve, ...] = ()

    def __post_init__(self) -> None:
        """Refuse times that do not ascend, or a curve too few.

        Raises:
            RangeError: naming what is wrong.
        """
        if len(self.times_s) != len(self.sigmas_S) or not self.times_s:
            raise RangeError(f"{len(self.times_s)} times need as many curves, got {len(self.sigmas_S)}")
        if len(self.shifts_S) not in (0, len(self.times_s)):
            raise RangeError(f"{len(self.times_s)} times need as many mean shifts or none, got {len(self.shifts_S)}")
        ascend = all(a < b for a, b in pairwise(self.times_s))
        if not ascend or self.times_s[0] < 0 or (self.is_logarithmic and self.times_s[0] == 0):
            raise RangeError(f"times must ascend from 0, or from above 0 for a logarithm, got {self.times_s}")

    def sigma_S(self, mean_S: Tensor, t_s: float) -> Tensor:
        """[S]. Standard deviation at time t of devices whose mean is there."""
        return self._at(self.sigmas_S, mean_S, t_s)

    def shift_S(self, target_S: Tensor, t_s: float) -> Tensor:
        """[S]. Mean shift from the target at time t."""
        return self._at(self.shifts_S, target_S, t_s) if self.shifts_S else torch.zeros_like(target_S)

    def _at(self, curves: tuple[Curve, ...], G_S: Tensor, t_s: float) -> Tensor:
        """The curves of the neighbouring times, interpolated."""
        later = next((k for k, time in enumerate(self.times_s) if time >= t_s), None)
        if later is None:
            return curves[-1](G_S)
        if later == 0 or self.times_s[later] == t_s:
            return curves[later](G_S)
        start, end = self.times_s[later - 1], self.times_s[later]
        share = math.log(t_s / start) / math.log(end / start) if self.is_logarithmic else (t_s - start) / (end - start)
        return torch.lerp(curves[later - 1](G_S), curves[later](G_S), share)


@final
@dataclass(frozen=True, kw_only=True)
class Retention:
    """G decays towards a rest: G(t) = G_rest + (G - G_rest) exp(-t_eq / lifetime).

    t_eq is the time at `reference_K` that an Arrhenius process of activation energy E_a makes of the device's history.

    Attributes:
        lifetime_s: [s]. At `reference_K`.
        reference_K: [K].
        activation_eV: [eV].
        rest_S: [S]. Where the conductance goes.

    Source: Arrhenius law of retention, textbook; the lifetime and E_a are the preset's.
    """

    lifetime_s: float
    reference_K: float
    activation_eV: float
    rest_S: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a lifetime or a temperature that is not positive.

        Raises:
            RangeError: naming the value.
        """
        if not (self.lifetime_s > 0 and self.reference_K > 0 and self.activation_eV >= 0 and self.rest_S >= 0):
            raise RangeError(f"retention needs positive lifetime and temperature, E_a >= 0 and rest >= 0, got {self}")

    def apply(self, G_S: Tensor, equivalent_s: float) -> Tensor:
        """[S]. What is left of each conductance."""
        return self.rest_S + (G_S - self.rest_S) * math.exp(-equivalent_s / self.lifetime_s)


@final
@dataclass(frozen=True, kw_only=True)
class ReadDisturb:
    """Reading at more than a threshold voltage moves the conductance towards `toward_S`, at a rate. Off by default.

    G -> toward + (G - toward) exp(-rate t_read) where the read voltage exceeds the threshold

    Attributes:
        threshold_V: [V]. At or below it a read leaves no trace.
        rate_per_s: [1/s].
        toward_S: [S].
    """

    threshold_V: float
    rate_per_s: float
    toward_S: float

    def apply(self, G_S: Tensor, read_V: float, read_s: float) -> Tensor:
        """[S]. The conductance after `read_s` under `read_V`."""
        if read_V <= self.threshold_V:
            return G_S
        return self.toward_S + (G_S - self.toward_S) * math.exp(-self.rate_per_s * read_s)
