"""What an owner does against drift, and what it costs."""

import math
from dataclasses import dataclass
from typing import final

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.pairs import DevicePairs
from analogdeq.devices.preset import DevicePreset
from analogdeq.devices.pulses import Written
from analogdeq.errors import InputError, RangeError


@final
@dataclass(frozen=True, kw_only=True)
class GlobalCompensation:
    """Every so often, read the sum of all conductances and scale the feedback resistors by what has been lost.

    R_f -> R_f S(first read) / S(now), S = sum G+ + G-. A loss that all devices share is removed exactly; its spread is
    not.

    Attributes:
        every_s: [s]. Interval.
        read_s: [s]. How long the calibration read lasts.

    Source: global drift compensation of Joshi et al., Nat. Commun. 11:2473 (2020).
    """

    every_s: float
    read_s: float = 1e-6

    def __post_init__(self) -> None:
        """Refuse an interval or a read that is not positive.

        Raises:
            RangeError: naming the value.
        """
        if not (0 < self.every_s < math.inf and 0 < self.read_s < math.inf):
            raise RangeError(f"compensation needs positive finite every_s and read_s, got {self}")

    @staticmethod
    def gain(first: DevicePairs, now: DevicePairs) -> float:
        """[1]. By how much the feedback resistors must grow.

        Raises:
            InputError: if nothing conducts any more.
        """
        left_S = float(now.row_sum_S().sum())
        if left_S <= 0:
            raise InputError("nothing conducts any more; drift compensation cannot bring that back")
        return float(first.row_sum_S().sum()) / left_S

    def energy_J(self, now: DevicePairs, circuit: CrossbarCircuit) -> float:
        """[J]. Of one calibration: every line at the unit voltage for `read_s`, one conversion per summing line."""
        row_S = now.row_sum_S()
        drawn_W = circuit.supply_V * circuit.unit_voltage_V * float(row_S.sum())
        return drawn_W * self.read_s + row_S.numel() * circuit.adc.energy_J


@final
@dataclass(frozen=True, kw_only=True)
class PeriodicRefresh:
    """Programme the whole chip anew, every so often.

    Attributes:
        every_s: [s]. Interval.
        device_energy_J: [J]. Of programming one device once; None takes what write-verify counted.
    """

    every_s: float
    device_energy_J: float | None = None

    def __post_init__(self) -> None:
        """Refuse an interval that is not positive, and a negative energy.

        Raises:
            RangeError: naming the value.
        """
        if not (0 < self.every_s < math.inf):
            raise RangeError(f"refresh every_s = {self.every_s} s must be positive and finite")
        if self.device_energy_J is not None and not (0 <= self.device_energy_J < math.inf):
            raise RangeError(f"refresh device_energy_J = {self.device_energy_J} J must be finite and not negative")

    def energy_J(self, written: tuple[Written, ...], device: DevicePreset, n_devices: int) -> float:
        """[J]. Of one refresh.

        Raises:
            InputError: if neither the policy nor the device says what programming costs.
        """
        if self.device_energy_J is not None:
            return n_devices * self.device_energy_J
        counted = sum(part.energy_J for part in written)
        if not written or math.isnan(counted):
            raise InputError(
                f"device {device.name!r} does not say what programming costs; give PeriodicRefresh a device_energy_J"
            )
        return counted


Policy = GlobalCompensation | PeriodicRefresh


@final
@dataclass(frozen=True, kw_only=True)
class Maintenance:
    """What was done while a chip aged.

    Attributes:
        what: "refresh" or "compensation".
        times: how often.
        last_s: [s]. When last, on the chip's clock.
        energy_J: [J]. Of all times together.
    """

    what: str
    times: int
    last_s: float
    energy_J: float


def occasions(policy: Policy | None, start_s: float, until_s: float) -> tuple[int, float]:
    """How often a policy acts in (start, until], and when last; its clock starts at `start_s`."""
    if policy is None:
        return 0, start_s
    times = math.floor((until_s - start_s) / policy.every_s * (1 + 1e-12))
    return times, min(start_s + times * policy.every_s, until_s)
