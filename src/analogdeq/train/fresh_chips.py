"""Hardware-aware training: every minibatch settles on a chip of its own."""

import math
from dataclasses import dataclass, field
from typing import final

import torch

from analogdeq.ageing.life import Care
from analogdeq.ageing.maintenance import GlobalCompensation
from analogdeq.chip import Chip
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.cores.analog import AnalogCore
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.devices.amplified import amplified
from analogdeq.devices.clock import ROOM_K
from analogdeq.devices.preset import DevicePreset
from analogdeq.devices.streams import Streams
from analogdeq.devices.validity import check_inside
from analogdeq.errors import InputError
from analogdeq.gradient.straight_through import mirrored, straight_through

LARGEST_CHIP_SEED = 2**62


@final
@dataclass(frozen=True, kw_only=True)
class FreshChips:
    """A fab that makes a new chip for every minibatch, of the weights as they are then.

    The chip is that of `Chip`: weights to conductance pairs, levels, programming error, faults, drift to an age drawn
    anew, compensation, read noise. W, U and b of every core go through it; encoder and readout are digital and exact.
    Gradients pass `straight_through`.

    Attributes:
        circuit: around the devices; its time constant and gain are the chip's.
        device: their statistics.
        amplification: [1]. Factor on programming error and read noise, see `amplified`.
        youngest_s, oldest_s: [s]. The age of each chip is drawn log-uniformly between them; both None for chips at
            their first read.
        temperature_K: [K]. At which they age and work.
        is_compensated: whether global drift compensation acts right before the chip is read.
        is_read_noisy: whether every minibatch sees a read of its own, one for all its images.
        is_symmetric: whether W_ij and W_ji are one pair of devices, see `mirrored`.
        care: `write` and `allow` of the chips; their compensation is said above.
        seed: of all draws.

    Source: V. Joshi et al., Nat. Commun. 11:2473 (2020), for training with the devices' errors injected; Y. Bengio,
    N. Leonard, A. Courville, arXiv:1308.3432, for the straight-through estimator.
    """

    circuit: CrossbarCircuit
    device: DevicePreset
    amplification: float = 1.0
    youngest_s: float | None = None
    oldest_s: float | None = None
    temperature_K: float = ROOM_K
    is_compensated: bool = True
    is_read_noisy: bool = True
    is_symmetric: bool = False
    care: Care = field(default_factory=Care)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse chips that cannot be made, before an hour of training.

        Raises:
            InputError: for an age with one end, or ends the wrong way round; for maintenance that is said twice.
            RangeError: outside the preset's range, or for an amplification it cannot have.
        """
        amplified(self.device, programming=self.amplification, read=self.amplification)
        if self.care.compensation is not None or self.care.refresh is not None:
            raise InputError("fresh chips are compensated or not by is_compensated; they take no care that lasts")
        young, old = self.youngest_s, self.oldest_s
        if (young is None) != (old is None):
            raise InputError(f"ages are drawn from youngest_s to oldest_s: give both or neither, got {young} and {old}")
        if young is not None and old is not None:
            if not 0 < young <= old < math.inf:
                raise InputError(f"youngest_s = {young:g} must be above 0 and not above oldest_s = {old:g}")
            check_inside(self.device.name, "time", young, old, self.device.validity.time, self.care.allow)
        kelvin, limits = self.temperature_K, self.device.validity.temperature
        check_inside(self.device.name, "temperature", kelvin, kelvin, limits, self.care.allow)

    def draw(self, *names: int) -> "Draw":
        """The chip of one minibatch; the same names, such as epoch and step, give the same chip and the same age."""
        age_s = 0.0
        if self.youngest_s is not None and self.oldest_s is not None:
            share = float(torch.rand((), dtype=torch.float64, generator=self._stream("age", *names)))
            age_s = min(self.oldest_s, self.youngest_s * (self.oldest_s / self.youngest_s) ** share)
        return Draw(fab=self, names=names, age_s=age_s)

    def make(self, core: SaturatingNetwork, names: tuple[int, ...], age_s: float) -> Chip:
        """One chip, programmed, aged and read."""
        stream = self._stream("seeds", *names)
        chip_seed, noise_seed = (int(n) for n in torch.randint(LARGEST_CHIP_SEED, (2,), generator=stream))
        care = self.care
        if self.is_compensated and age_s > 0:
            # Once, at the very age: what an owner does who calibrates before use.
            care = Care(
                write=care.write,
                compensation=GlobalCompensation(every_s=age_s),
                amplifiers=care.amplifiers,
                allow=care.allow,
            )
        device = amplified(self.device, programming=self.amplification, read=self.amplification)
        chip = Chip(core, self.circuit, device, seed=chip_seed, care=care).age(age_s, self.temperature_K)
        return chip.begin_inference(noise_seed) if self.is_read_noisy else chip

    def _stream(self, *names: str | int) -> torch.Generator:
        return Streams(self.seed).named("fresh chip", *names)


@final
@dataclass(frozen=True, kw_only=True)
class Draw:
    """The chip of one minibatch, ready to be made; a model's `realise`.

    Attributes:
        fab: where it comes from.
        names: of the minibatch.
        age_s: [s]. Of all its cores; 0 is the first read.
    """

    fab: FreshChips
    names: tuple[int, ...]
    age_s: float

    def __call__(self, core: AnalogCore, index: int) -> AnalogCore:
        """What the chip makes of a model's core number `index`, differentiable in the core's parameters.

        Raises:
            InputError: if the core is no RC network, or its devices cannot be shared by both directions.
        """
        if not isinstance(core, SaturatingNetwork):
            raise InputError(
                f"hardware-aware training knows the crossbars of RC cores, not a {type(core).__name__}; train "
                "oscillators with train.hardware.draws = 'none'"
            )
        with torch.no_grad():
            held = self.fab.make(core, (*self.names, index), self.age_s).core
        return straight_through(core, mirrored(held) if self.fab.is_symmetric else held)
