"""What a read adds to a conductance: slow noise, frozen during one inference and another in the next."""

import math
from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor

from analogdeq.devices.curve import Curve


class ReadNoise(Protocol):
    """Standard deviation of one read."""

    def sigma_S(self, G_S: Tensor, target_S: Tensor, t_s: float) -> Tensor:
        """[S]. At conductance `G_S` now, programmed towards `target_S`, t after programming."""
        ...


def _decades(t_s: float, read_s: float) -> float:
    """sqrt(ln((t + t_read) / (2 t_read))), of an integral over 1/f from 1/(t + t_read) to 1/(2 t_read); 0 before."""
    return math.sqrt(max(0.0, math.log((t_s + read_s) / (2 * read_s))))


@final
@dataclass(frozen=True, kw_only=True)
class FlickerReadNoise:
    """sigma = G Q(x) sqrt(ln((t + t_read)/(2 t_read))), x = G_target / G_max: S_G/G^2 = Q^2/f, integrated.

    Attributes:
        amplitude: x -> Q.
        g_max_S: [S]. Reference of x.
        read_s: [s]. Duration of one read.

    Source: Nandakumar et al., ICECS 2019; Joshi et al., Nat. Commun. 11:2473 (2020), methods.
    """

    amplitude: Curve
    g_max_S: float
    read_s: float

    def sigma_S(self, G_S: Tensor, target_S: Tensor, t_s: float) -> Tensor:
        """[S]. Standard deviation of a read at time t."""
        return G_S * self.amplitude(target_S / self.g_max_S) * _decades(t_s, self.read_s)


@final
@dataclass(frozen=True, kw_only=True)
class LogStateReadNoise:
    """sigma = scale log10(G / 1 uS) sqrt(ln((t + t_read)/(2 t_read))); 0 below 1 uS.

    Attributes:
        scale_S: [S].
        read_s: [s]. Duration of one read.

    Source: Falcone et al., arXiv 2502.04524, as published in aihwkit; its documentation writes "log" for the log10.
    """

    scale_S: float
    read_s: float

    def sigma_S(self, G_S: Tensor, target_S: Tensor, t_s: float) -> Tensor:
        """[S]. Standard deviation of a read at time t."""
        # A conductance that noise has driven below 1 uS must not come out as NaN.
        return self.scale_S * (G_S / 1e-6).clamp_min(1.0).log10() * _decades(t_s, self.read_s)


@final
@dataclass(frozen=True)
class CurveReadNoise:
    """sigma = curve(G), whatever the time.

    Attributes:
        curve: conductance [S] -> standard deviation [S].
    """

    curve: Curve

    def sigma_S(self, G_S: Tensor, target_S: Tensor, t_s: float) -> Tensor:
        """[S]. Standard deviation of a read."""
        return self.curve(G_S)


def noisy_read(noise: ReadNoise, G_S: Tensor, target_S: Tensor, t_s: float, normal: Tensor) -> Tensor:
    """[S]. One read; no conductance reads negative."""
    return torch.clamp_min(G_S + noise.sigma_S(G_S, target_S, t_s) * normal, 0)
