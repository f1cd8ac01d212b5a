"""The measured statistics of one kind of device."""

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from analogdeq.devices.conduction import CubicConduction
from analogdeq.devices.curve import Polynomial
from analogdeq.devices.drift import LogRelaxation, PowerLawDrift, ReadDisturb, Retention, TimedDeviation
from analogdeq.devices.faults import Faults
from analogdeq.devices.leak import StepLeak
from analogdeq.devices.pulses import PulseResponse, WriteVerify, write_and_verify
from analogdeq.devices.read_noise import ReadNoise
from analogdeq.devices.streams import normals
from analogdeq.devices.temperature import TemperatureLaw
from analogdeq.devices.validity import Validity
from analogdeq.errors import RangeError


@final
@dataclass(frozen=True, kw_only=True)
class Fact:
    """Where one part of a preset comes from.

    Attributes:
        part: of the preset, "programming".
        text: the figures in words, with their unit.
        distribution: what is random, and when it is drawn.
        source: author, journal, number.
        status: "fit" (somebody's fit to a measurement), "measured", "model" (chosen, not measured) or "estimate".
    """

    part: str
    text: str
    distribution: str
    source: str
    status: str


@final
@dataclass(frozen=True, kw_only=True)
class DevicePreset:
    """Statistics of one device technology, with their source and the range they were measured in.

    A device asked for conductance G lands at G + sigma(G) N(0, 1), clipped at 0, with

        sigma(G) = sum_k c_k (G / G_max)^k                                          (one draw per device, from the chip
        seed)

    or what `deviation`, `mismatch_alpha` or `pulses` say in its place. What follows (drift, relaxation, retention,
    temperature, read disturb) acts on where it landed; `analogdeq.devices.array` composes them.

    Attributes:
        name: as scenarios spell it.
        title: what it is.
        g_max_S: [S]. Reference conductance of the polynomial and upper end of the measured range; infinite where
            nothing was measured (ideal and Gaussian devices), and then the circuit's g_max takes its place.
        g_min_S: [S]. Lower end of the measured range.
        sigma_S: [S]. c_0, c_1, ... ; for presets without a measured g_max, in units of the circuit's g_max.
        source: where the figures come from.
        not_modelled: what the source reports and this version leaves out.
        validity: voltages, temperatures and times at which the figures hold.
        levels: how many conductances can be asked for; None: any.
        deviation: spread from the target at several times; takes the place of `sigma_S`.
        mismatch_alpha: [1]. alpha of Delta W ~ N(0, alpha^2 |W|); takes the place of `sigma_S`.
        pulses: what a programming pulse does; takes the place of `sigma_S`.
        drift: power law.
        relaxation: logarithmic in time, besides the programming error.
        retention: thermally activated loss.
        leak: loss per step of training, towards a rest.
        read_disturb: what reading does; none of the shipped presets has one.
        activation_eV: [eV]. Of drift and relaxation: at another temperature their clock runs by Arrhenius' law.
        temperature: of the conductance while it is read.
        read_noise: slow noise, drawn per inference.
        faults: broken devices and lines.
        conduction: current against voltage, where it is no straight line.
        is_barrier: whether carriers cross a barrier one by one, so that white noise is shot noise.
        facts: the source of every part.
    """

    name: str
    title: str
    g_min_S: float
    g_max_S: float
    sigma_S: tuple[float, ...]
    source: str
    not_modelled: str = ""
    validity: Validity = field(default_factory=Validity)
    levels: int | None = None
    deviation: TimedDeviation | None = None
    mismatch_alpha: float = 0.0
    pulses: PulseResponse | None = None
    drift: PowerLawDrift | None = None
    relaxation: LogRelaxation | None = None
    retention: Retention | None = None
    leak: StepLeak | None = None
    read_disturb: ReadDisturb | None = None
    activation_eV: float = 0.0
    temperature: TemperatureLaw | None = None
    read_noise: ReadNoise | None = None
    faults: Faults | None = None
    conduction: CubicConduction | None = None
    is_barrier: bool = False
    facts: tuple[Fact, ...] = ()

    def __post_init__(self) -> None:
        """Refuse two answers to one question.

        Raises:
            RangeError: naming them.
        """
        said = [
            name
            for name, value in (
                ("sigma_S", any(self.sigma_S)),
                ("deviation", self.deviation is not None),
                ("mismatch_alpha", self.mismatch_alpha != 0),
                ("pulses", self.pulses is not None),
            )
            if value
        ]
        if len(said) > 1:
            raise RangeError(f"device {self.name!r} says its programming error twice: {' and '.join(said)}; keep one")
        if not (0 <= self.mismatch_alpha < math.inf):
            raise RangeError(f"device {self.name!r}: mismatch_alpha = {self.mismatch_alpha} must not be negative")
        if self.levels is not None and self.levels < 2:
            raise RangeError(f"device {self.name!r}: levels = {self.levels} must be at least 2")

    def programming_sigma_S(
        self,
        target_S: Tensor,
        circuit_g_max_S: float,
        *,
        partner_S: Tensor | None = None,
        feedback_ohm: float | None = None,
        allow: Collection[str] = (),
    ) -> Tensor:
        """[S]. Standard deviation of the programmed conductance, elementwise.

        Where `allow` lets a target leave the measured range, sigma is that of the nearest measured conductance.

        Args:
            target_S: [S].
            circuit_g_max_S: [S]. Scale of presets without a measured range.
            partner_S: [S]. The other device of each pair, for `mismatch_alpha`.
            feedback_ohm: [ohm]. R_f, for `mismatch_alpha`.
            allow: "conductance" to leave the measured range.

        Raises:
            RangeError: if a target lies outside the measured range, or there is no formula for the deviation.
        """
        self.check_targets(target_S, allow)
        if self.pulses is not None:
            raise RangeError(f"device {self.name!r} is programmed by pulses; its error is simulated, not a formula")
        if self.mismatch_alpha:
            return self._mismatch_sigma_S(target_S, partner_S, feedback_ohm)
        inside_S = target_S.clamp(self.g_min_S, self.g_max_S) if self.is_measured else target_S
        if self.deviation is not None:
            return self.deviation.sigma_S(inside_S, self.first_read_s)
        scale_S = 1.0 if self.is_measured else circuit_g_max_S
        return scale_S * Polynomial(self.sigma_S)(inside_S / self.reference_S(circuit_g_max_S))

    def program(
        self,
        target_S: Tensor,
        circuit_g_max_S: float,
        generator: torch.Generator,
        *,
        partner_S: Tensor | None = None,
        feedback_ohm: float | None = None,
        allow: Collection[str] = (),
    ) -> Tensor:
        """[S]. One draw of the programmed conductances; the same generator state gives the same chip."""
        if self.pulses is not None:
            self.check_targets(target_S, allow)
            low_S, high_S = self.window_S(circuit_g_max_S)
            how = WriteVerify()
            return write_and_verify(target_S, low_S, high_S, self.pulses, how, generator, generator).G_S
        sigma = self.programming_sigma_S(
            target_S, circuit_g_max_S, partner_S=partner_S, feedback_ohm=feedback_ohm, allow=allow
        )
        return (target_S + sigma * normals(target_S, generator)).clamp_min(0)

    def check_targets(self, target_S: Tensor, allow: Collection[str] = ()) -> None:
        """Refuse conductances outside the measured range.

        Raises:
            RangeError: unless "conductance" is allowed.
        """
        low, high = float(target_S.min()), float(target_S.max())
        slack = 1e-9 * self.g_max_S
        inside = self.g_min_S - slack <= low and high <= self.g_max_S + slack
        if self.is_measured and not inside and "conductance" not in allow:
            raise RangeError(
                f"device {self.name!r} was measured from {self.g_min_S:g} to {self.g_max_S:g} S, but the circuit asks "
                f"for {low:g} to {high:g} S; choose circuit g_min_S and g_max_S inside that range, or allow "
                f"'conductance' to extrapolate"
            )

    def reference_S(self, circuit_g_max_S: float) -> float:
        """[S]. What x = G / G_max is relative to."""
        return self.g_max_S if self.is_measured else circuit_g_max_S

    def window_S(self, circuit_g_max_S: float) -> tuple[float, float]:
        """[S]. The lowest and the highest conductance a device can take."""
        return (self.g_min_S, self.g_max_S) if self.is_measured else (0.0, circuit_g_max_S)

    @property
    def first_read_s(self) -> float:
        """[s]. When after programming the programming error was read."""
        return self.validity.time.low

    @property
    def is_exact(self) -> bool:
        """Whether every device holds for ever what it is asked to hold."""
        errs = any(self.sigma_S) or self.mismatch_alpha
        parts = (self.deviation, self.pulses, self.drift, self.relaxation, self.leak, self.faults)
        return not errs and all(part is None for part in parts)

    @property
    def is_measured(self) -> bool:
        """Whether the preset covers a measured range rather than any conductance."""
        return self.g_max_S != float("inf")

    def _mismatch_sigma_S(self, target_S: Tensor, partner_S: Tensor | None, feedback_ohm: float | None) -> Tensor:
        """sqrt(alpha^2 |w|) / R_f on the device that holds the weight w = R_f (G - G_partner), 0 on its partner."""
        if partner_S is None or feedback_ohm is None:
            raise RangeError(
                f"device {self.name!r} errs in proportion to sqrt|W|: it needs the other device of each pair and R_f"
            )
        weight = feedback_ohm * (target_S - partner_S).clamp_min(0)
        return self.mismatch_alpha * weight.sqrt() / feedback_ohm


IDEAL = DevicePreset(
    name="ideal",
    title="Ideal device",
    g_min_S=0.0,
    g_max_S=float("inf"),
    sigma_S=(0.0,),
    source="definition: a device holds what it is asked to hold",
)
