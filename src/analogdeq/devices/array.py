"""Devices from programming on: where they landed, what became of them, what a read of them shows."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.devices.clock import Age
from analogdeq.devices.preset import DevicePreset
from analogdeq.devices.pulses import WriteVerify, Written, written_by
from analogdeq.devices.read_noise import noisy_read
from analogdeq.devices.streams import Streams, normals
from analogdeq.devices.validity import check_inside


@final
@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What devices see of the circuit around them.

    Attributes:
        g_min_S: [S]. Lowest conductance the circuit asks for.
        g_max_S: [S]. Highest.
        feedback_ohm: [ohm]. R_f; weight = R_f (G+ - G-).
        read_V: [V]. Largest voltage across a device while it is read.
    """

    g_min_S: float
    g_max_S: float
    feedback_ohm: float
    read_V: float


@final
class DeviceArray:
    """One polarity of a chip's devices, as programmed once.

    Draws are frozen: the same chip seed gives the same devices at every age, and age itself draws nothing. What
    differs from device to device (drift exponent, pulse step, faults) survives programming anew; the programming error
    does not.

    Args:
        preset: their statistics.
        target_S: (..., row, column) [S]. What is asked for.
        partner_S: [S]. What is asked of the other device of each pair.
        around: the circuit.
        streams: of the chip seed.
        array: "plus" or "minus".
        cycle: how often the chip was programmed before.
        generator: draws the programming error.
        write: programme by simulated pulses; needs a preset with a pulse response.
        allow: quantities whose validity range may be left.

    Raises:
        RangeError: if a target lies outside the preset's range, and that is not allowed.
    """

    def __init__(
        self,
        preset: DevicePreset,
        target_S: Tensor,
        partner_S: Tensor,
        around: Surroundings,
        *,
        streams: Streams,
        array: str,
        cycle: int,
        generator: torch.Generator,
        write: WriteVerify | None = None,
        allow: Collection[str] = (),
    ) -> None:
        self._preset, self._around, self._streams, self._array = preset, around, streams, array
        self._target_S, self._partner_S, self._cycle, self._allow = target_S, partner_S, cycle, frozenset(allow)
        preset.check_targets(target_S, allow)
        check_inside(preset.name, "voltage", around.read_V, around.read_V, preset.validity.voltage, allow)
        self.written: Written | None = None
        self._normal: Tensor | None = None
        if preset.pulses is not None:
            low_S, high_S = preset.window_S(around.g_max_S)
            self.written = written_by(
                target_S, low_S, high_S, preset.pulses, write or WriteVerify(), streams, array, cycle
            )
        elif not preset.is_exact:
            self._normal = normals(target_S, generator)

    def conductance_S(self, age: Age) -> Tensor:
        """(..., row, column) [S]. What the devices hold, and conduct at the temperature of `age`.

        Raises:
            RangeError: if the age or the temperature lies outside the preset's range, and that is not allowed.
        """
        self._check(age)
        preset, t_s = self._preset, self._clock_s(age)
        G_S = self._landed_S(t_s)
        if preset.drift is not None and t_s > preset.drift.t0_s:  # the factor is 1 before
            x = self._target_S / preset.reference_S(self._around.g_max_S)
            G_S = G_S * preset.drift.factor(x, t_s, self._frozen("drift"))
        if preset.relaxation is not None:
            relaxation, normal = preset.relaxation, self._drawn("relaxation")
            G_S = (G_S + relaxation.shift_S(t_s) + relaxation.sigma_S(t_s) * normal).clamp_min(0)
        if preset.retention is not None:
            law = preset.retention
            G_S = law.apply(G_S, age.equivalent_s(law.activation_eV, law.reference_K))
        if preset.leak is not None and t_s > 0:
            low_S, high_S = preset.window_S(self._around.g_max_S)
            G_S = preset.leak.apply(G_S, low_S, high_S, t_s, self._frozen("leak"))
        if preset.read_disturb is not None:
            G_S = preset.read_disturb.apply(G_S, self._around.read_V, age.read_s)
        if preset.temperature is not None:
            G_S = G_S * preset.temperature.factor(age.temperature_K)
        if preset.faults is not None:
            around = self._around
            G_S = preset.faults.apply(G_S, around.g_min_S, around.g_max_S, self._streams, self._array)
        return G_S

    def read_S(self, G_S: Tensor, age: Age, noise: Streams) -> Tensor:
        """(..., row, column) [S]. One read of the conductances `G_S`; `noise` is the stream of this inference."""
        if self._preset.read_noise is None:
            return G_S
        t_s = self._clock_s(age)
        normal = normals(G_S, noise.named("read", self._array))
        return noisy_read(self._preset.read_noise, G_S, self._target_S, t_s, normal)

    def _clock_s(self, age: Age) -> float:
        """[s]. What drift and relaxation see: the time since programming, no earlier than the first read."""
        equivalent = age.equivalent_s(self._preset.activation_eV) if self._preset.activation_eV else age.elapsed_s
        return max(equivalent, self._preset.first_read_s)

    def _check(self, age: Age) -> None:
        limits, t_s = self._preset.validity, age.elapsed_s
        kelvins = [age.temperature_K, *(kelvin for _, kelvin in age.stays)]
        check_inside(self._preset.name, "temperature", min(kelvins), max(kelvins), limits.temperature, self._allow)
        if t_s > 0:  # age 0 is the first read, whenever that was
            check_inside(self._preset.name, "time", t_s, t_s, limits.time, self._allow)

    def _landed_S(self, t_s: float) -> Tensor:
        """[S]. After programming; with a `deviation`, after as much relaxation as belongs to time t."""
        if self.written is not None:
            return self.written.G_S
        if self._normal is None:
            return self._target_S
        preset = self._preset
        if preset.deviation is not None:
            inside_S = self._target_S.clamp(preset.g_min_S, preset.g_max_S)
            shift_S = preset.deviation.shift_S(inside_S, t_s)
            sigma_S = preset.deviation.sigma_S((inside_S + shift_S).clamp_min(0), t_s)
            return (self._target_S + shift_S + sigma_S * self._normal).clamp_min(0)
        sigma_S = preset.programming_sigma_S(
            self._target_S,
            self._around.g_max_S,
            partner_S=self._partner_S,
            feedback_ohm=self._around.feedback_ohm,
            allow=self._allow,
        )
        return (self._target_S + sigma_S * self._normal).clamp_min(0)

    def _frozen(self, what: str) -> Tensor:
        """Standard normals that belong to the devices for ever."""
        return normals(self._target_S, self._streams.named(what, self._array))

    def _drawn(self, what: str) -> Tensor:
        """Standard normals that belong to this programming."""
        return normals(self._target_S, self._streams.named(what, self._array, self._cycle))
