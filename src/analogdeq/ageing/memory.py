"""The device pairs of one chip, from programming on."""

from collections.abc import Collection
from typing import final

import torch

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.pairs import DevicePairs
from analogdeq.devices.array import DeviceArray, Surroundings
from analogdeq.devices.clock import Age
from analogdeq.devices.preset import DevicePreset
from analogdeq.devices.pulses import WriteVerify, Written
from analogdeq.devices.streams import Streams


@final
class PairMemory:
    """Both polarities of a chip's devices, programmed once towards `target`.

    Args:
        target: what is asked for.
        circuit: the window, the unit voltage.
        device: their statistics.
        seed: the chip seed.
        cycle: how often the chip was programmed before.
        write: programme by simulated pulses.
        allow: quantities whose validity range may be left.

    Raises:
        RangeError: if the circuit asks for something outside the preset's range.
    """

    def __init__(
        self,
        target: DevicePairs,
        circuit: CrossbarCircuit,
        device: DevicePreset,
        *,
        seed: int,
        cycle: int = 0,
        write: WriteVerify | None = None,
        allow: Collection[str] = (),
    ) -> None:
        streams = Streams(seed)
        # The first programming takes the seed as it is, plus devices first; later ones have streams of their own.
        generator = torch.Generator().manual_seed(seed) if cycle == 0 else streams.named("programming", cycle)
        self._target = target.individually(device)
        around = Surroundings(
            g_min_S=circuit.g_min_S,
            g_max_S=circuit.g_max_S,
            feedback_ohm=target.feedback_ohm,
            read_V=circuit.unit_voltage_V,
        )
        plus_S, minus_S = self._target.plus_S, self._target.minus_S
        self._arrays = tuple(
            DeviceArray(
                device, mine, other, around, streams=streams, array=name, cycle=cycle, generator=generator, write=write,
                allow=allow,
            )
            for name, mine, other in (("plus", plus_S, minus_S), ("minus", minus_S, plus_S))
        )  # fmt: skip

    @property
    def written(self) -> tuple[Written, ...]:
        """What write-verify did to the plus and the minus devices; () where nothing was pulsed."""
        return tuple(array.written for array in self._arrays if array.written is not None)

    def at(self, age: Age, feedback_ohm: float | None = None) -> DevicePairs:
        """What the devices conduct at that age, read through `feedback_ohm` or the resistor they were mapped for."""
        plus_S, minus_S = (array.conductance_S(age) for array in self._arrays)
        return self._target.holding(plus_S, minus_S, feedback_ohm or self._target.feedback_ohm)

    def read(self, pairs: DevicePairs, age: Age, noise: Streams) -> DevicePairs:
        """What one inference sees of `pairs`: read noise that is frozen while it lasts."""
        held = (pairs.plus_S, pairs.minus_S)
        plus_S, minus_S = (array.read_S(G, age, noise) for array, G in zip(self._arrays, held, strict=True))
        return pairs.holding(plus_S, minus_S, pairs.feedback_ohm)
