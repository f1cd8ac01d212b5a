"""The measured statistics of one kind of device."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.errors import RangeError


@final
@dataclass(frozen=True, kw_only=True)
class DevicePreset:
    """Programming statistics of one device technology, with their source and the range they were measured in.

    A device asked for conductance G lands at G + sigma(G) N(0, 1), clipped at 0, with

        sigma(G) = sum_k c_k (G / G_max)^k                                          (one draw per device, from the chip
        seed)

    Attributes:
        name: as scenarios spell it.
        title: what it is.
        g_max_S: [S]. Reference conductance of the polynomial and upper end of the measured range; infinite where
            nothing was measured (ideal and Gaussian devices), and then the circuit's g_max takes its place.
        g_min_S: [S]. Lower end of the measured range.
        sigma_S: [S]. c_0, c_1, ... ; for presets without a measured g_max, in units of the circuit's g_max.
        source: where the figures come from.
        not_modelled: what the source reports and this version leaves out.
    """

    name: str
    title: str
    g_min_S: float
    g_max_S: float
    sigma_S: tuple[float, ...]
    source: str
    not_modelled: str = ""

    def programming_sigma_S(self, target_S: Tensor, circuit_g_max_S: float) -> Tensor:
        """[S]. Standard deviation of the programmed conductance, elementwise.

        Raises:
            RangeError: if a target lies outside the measured range.
        """
        reference_S, scale_S = (self.g_max_S, 1.0) if self.is_measured else (circuit_g_max_S, circuit_g_max_S)
        low, high = float(target_S.min()), float(target_S.max())
        slack = 1e-9 * reference_S
        if self.is_measured and not (self.g_min_S - slack <= low and high <= self.g_max_S + slack):
            raise RangeError(
                f"device {self.name!r} was measured from {self.g_min_S:g} to {self.g_max_S:g} S, but the circuit asks "
                f"for {low:g} to {high:g} S; choose circuit g_min_S and g_max_S inside that range"
            )
        x = target_S / reference_S
        sigma = torch.zeros_like(x)
        for coefficient in reversed(self.sigma_S):
            sigma = sigma * x + coefficient
        return scale_S * sigma

    def program(self, target_S: Tensor, circuit_g_max_S: float, generator: torch.Generator) -> Tensor:
        """[S]. One draw of the programmed conductances; the same generator state gives the same chip."""
        sigma = self.programming_sigma_S(target_S, circuit_g_max_S)
        noise = torch.randn(target_S.shape, dtype=target_S.dtype, generator=generator)
        return (target_S + sigma * noise).clamp_min(0)

    @property
    def is_exact(self) -> bool:
        """Whether every device lands where it is asked to."""
        return not any(self.sigma_S)

    @property
    def is_measured(self) -> bool:
        """Whether the preset covers a measured range rather than any conductance."""
        return self.g_max_S != float("inf")


IDEAL = DevicePreset(
    name="ideal",
    title="Ideal device",
    g_min_S=0.0,
    g_max_S=float("inf"),
    sigma_S=(0.0,),
    source="definition: a device holds what it is asked to hold",
)
