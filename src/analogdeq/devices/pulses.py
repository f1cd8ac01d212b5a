"""Programming by pulses: how far one pulse moves a device, and write-verify with its pulses and its energy."""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.devices.streams import Streams, normals
from analogdeq.errors import InputError, RangeError


@final
@dataclass(frozen=True, kw_only=True)
class PulseResponse:
    """One pulse up moves a normalised device state w by step (1 - slope_up w / w_max) (1 + c2c N), one down likewise.

    w_min is G_min and w_max is G_max. The step differs from device to device and is frozen in silicon; the spread c2c
    is drawn anew at every pulse. What a device shows after a train of pulses is w + write_noise step N.

    Attributes:
        step: [1]. Mean step at w = 0.
        cycle_to_cycle: [1]. Standard deviation of one pulse over its mean.
        device_to_device: [1]. Standard deviation of a device's step over the mean step.
        is_log_normal: whether the steps of devices are log-normal rather than normal.
        slope_up: [1]. How much smaller a pulse up is at w_max than at 0; 1 is a soft bound.
        slope_down: [1]. How much smaller a pulse down is at w_min.
        w_max: [1]. The highest state, G_max.
        w_min: [1]. The lowest state, G_min.
        write_noise: [1]. Noise of a written state, in steps.
        pulse_V: [V]. None where the source does not say.
        pulse_s: [s]. None where the source does not say.

    Source: linear-step and soft-bound update laws of the parameter sets in Gong et al., IEDM 2022; Tang et al., IEDM
    2018; Kim et al., IEDM 2019; Li et al., VLSI 2018, as published in aihwkit.
    """

    step: float
    cycle_to_cycle: float
    device_to_device: float
    is_log_normal: bool = False
    slope_up: float = 0.0
    slope_down: float = 0.0
    w_max: float = 1.0
    w_min: float = -1.0
    write_noise: float = 0.0
    pulse_V: float | None = None
    pulse_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no device does.

        Raises:
            RangeError: naming the value.
        """
        if not (0 < self.step < math.inf) or not (self.w_min < 0 < self.w_max):
            raise RangeError(f"pulses need step > 0 and w_min < 0 < w_max, got {self.step}, {self.w_min}, {self.w_max}")
        for name in ("cycle_to_cycle", "device_to_device", "write_noise", "slope_up", "slope_down"):
            if not (0 <= getattr(self, name) < math.inf):
                raise RangeError(f"pulses {name} = {getattr(self, name)} must be finite and not negative")

    def device_steps(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """[1]. The mean step of each device at w = 0."""
        normal = normals(like, generator)
        if self.is_log_normal:
            # exp(s N - s^2/2) has mean 1; its standard deviation over the mean is device_to_device.
            s = math.sqrt(math.log1p(self.device_to_device**2))
            return self.step * torch.exp(s * normal - s * s / 2)
        return self.step * (1 + self.device_to_device * normal).clamp_min(0.01)

    def mean_move(self, w: Tensor, is_up: Tensor, steps: Tensor) -> Tensor:
        """[1]. What one pulse does on average: positive up, negative down."""
        up = steps * (1 - self.slope_up * w / self.w_max)
        down = -steps * (1 - self.slope_down * w / self.w_min)
        return torch.where(is_up, up, down)

    def pulse_energy_J(self, G_S: Tensor) -> Tensor:
        """[J]. V^2 G t of one pulse on each device, taken as a resistor.

        Raises:
            InputError: if the source does not say how high and how long its pulses are.
        """
        if self.pulse_V is None or self.pulse_s is None:
            raise InputError(
                "the preset's source gives no pulse voltage and duration, so its programming energy is unknown; "
                "give WriteVerify a pulse_energy_J"
            )
        return self.pulse_V**2 * self.pulse_s * G_S


@final
@dataclass(frozen=True, kw_only=True)
class WriteVerify:
    """Pulse and read in turns until every device is within a band of its target.

    After each read a device still outside the band gets a train of pulses: as many as would go half of the way, at
    least one. Energies are counted where they are known.

    Attributes:
        tolerance: [1]. Half width of the band, as a fraction of G_max - G_min.
        max_reads: verify reads after which a device is left where it is.
        pulse_energy_J: [J]. Per pulse; None takes V^2 G t from the preset, NaN where the preset does not know.
        read_energy_J: [J]. Per verify read of one device.
    """

    tolerance: float = 0.02
    max_reads: int = 200
    pulse_energy_J: float | None = None
    read_energy_J: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a band or a budget that is empty.

        Raises:
            RangeError: naming the value.
        """
        if not (0 < self.tolerance < 1) or self.max_reads < 1:
            raise RangeError(f"write-verify needs 0 < tolerance < 1 and max_reads >= 1, got {self}")
        for name in ("pulse_energy_J", "read_energy_J"):
            value = getattr(self, name)
            if value is not None and not (0 <= value < math.inf):
                raise RangeError(f"write-verify {name} = {value} must be finite and not negative")


@final
@dataclass(frozen=True)
class Written:
    """Where write-verify left an array.

    Attributes:
        G_S: [S]. What each device holds.
        pulses: int64. Pulses spent on each.
        reads: int64. Verify reads spent on each.
        is_in_band: bool. Whether its last read was within the band.
        energy_J: [J]. Of all pulses and reads; NaN where the energy of a pulse is unknown.
    """

    G_S: Tensor
    pulses: Tensor
    reads: Tensor
    is_in_band: Tensor
    energy_J: float


def write_and_verify(
    target_S: Tensor,
    g_min_S: float,
    g_max_S: float,
    response: PulseResponse,
    how: WriteVerify,
    devices: torch.Generator,
    cycles: torch.Generator,
) -> Written:
    """Programme an array from G_min.

    Args:
        target_S: [S]. What is asked for, from `g_min_S` to `g_max_S`.
        g_min_S: [S]. Of the lowest state.
        g_max_S: [S]. Of the highest.
        response: what a pulse does.
        how: the band and the budget.
        devices: draws what is frozen in each device.
        cycles: draws what differs from pulse to pulse.
    """
    low, high = response.w_min, response.w_max
    per_siemens = (high - low) / (g_max_S - g_min_S)
    goal = low + (target_S - g_min_S) * per_siemens
    band = how.tolerance * (high - low)
    steps = response.device_steps(target_S, devices)
    held = torch.full_like(target_S, low)
    seen = held.clone()
    pulses = torch.zeros(target_S.shape, dtype=torch.int64)
    reads = torch.zeros_like(pulses)
    sum_G_S = torch.zeros_like(target_S)  # of the conductance under every pulse
    is_new = torch.ones(target_S.shape, dtype=torch.bool)
    for _ in range(how.max_reads):
        reads += is_new
        is_new = outside = (seen - goal).abs() > band
        if not bool(outside.any()):
            break
        away = goal - seen
        move = response.mean_move(held, away > 0, steps)
        train = (0.5 * away.abs() / move.abs().clamp_min(1e-12)).floor().clamp(1, 1000) * outside
        # Of n pulses the spreads add in quadrature; within a train the state is taken where the train began.
        spread = response.cycle_to_cycle * train.sqrt() * move.abs() * normals(held, cycles)
        held = (held + train * move + spread).clamp(low, high)
        shown = (held + response.write_noise * response.step * normals(held, cycles)).clamp(low, high)
        seen = torch.where(outside, shown, seen)
        pulses += train.long()
        sum_G_S += train * (g_min_S + (seen - low) / per_siemens)
    G_S = g_min_S + (seen - low) / per_siemens
    energy_J = _energy_J(response, how, pulses, reads, sum_G_S)
    return Written(G_S, pulses, reads, (seen - goal).abs() <= band, energy_J)


def written_by(
    target_S: Tensor, g_min_S: float, g_max_S: float, response: PulseResponse, how: WriteVerify, streams: Streams,
    array: str, cycle: int,
) -> Written:  # fmt: skip
    """`write_and_verify` with the draws of a chip: `cycle` counts how often it has been programmed."""
    devices, cycles = streams.named("pulse step", array), streams.named("pulses", array, cycle)
    return write_and_verify(target_S, g_min_S, g_max_S, response, how, devices, cycles)


def _energy_J(response: PulseResponse, how: WriteVerify, pulses: Tensor, reads: Tensor, sum_G_S: Tensor) -> float:
    read_J = how.read_energy_J * float(reads.sum())
    if how.pulse_energy_J is not None:
        return how.pulse_energy_J * float(pulses.sum()) + read_J
    if response.pulse_V is None or response.pulse_s is None:
        return math.nan
    return float(response.pulse_energy_J(sum_G_S).sum()) + read_J
