"""What all chips share: devices with a life of their own, one clock, and a core that follows them."""

from abc import abstractmethod
from typing import Self, TypeVar

from analogdeq.ageing.life import Life
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.manufacture import another_inference
from analogdeq.circuits.pairs import DevicePairs
from analogdeq.cores.around import AroundCore
from analogdeq.cores.core import Core
from analogdeq.devices.clock import ROOM_K
from analogdeq.devices.streams import Streams
from analogdeq.errors import InputError

C_co = TypeVar("C_co", bound=Core, covariant=True)


class ClockedChip(AroundCore[C_co]):
    """A core in devices that are written, age, and are read.

    A chip of a kind sets `circuit` and `life`, and says in `_realise` what devices that conduct so much compute.
    """

    circuit: CrossbarCircuit
    life: Life
    _realised: C_co | None = None
    _pairs: DevicePairs | None = None

    @abstractmethod
    def _realise(self, pairs: DevicePairs) -> None:
        """Take on what the devices conduct: set `_realised`, `_pairs` and all that follows from them."""

    def program(self, at_s: float = 0.0) -> Self:
        """Write the weights into the devices when the chip's clock shows `at_s` [s]; once more if they were before.

        Raises:
            InputError: if the clock would run backwards.
            RangeError: if the preset does not cover what the circuit asks for.
        """
        self.life.program(at_s)
        self._realise(self.life.pairs)
        return self

    def age(self, until_s: float, temperature_K: float = ROOM_K, *, read_s: float = 0.0) -> Self:
        """Let the clock run until it shows `until_s` [s], at `temperature_K`; maintenance happens on the way.

        Args:
            until_s: [s]. On the chip's clock, so `program(0).age(60).age(3600)` is an hour old.
            temperature_K: [K]. Meanwhile, and of every settle after that.
            read_s: [s]. For how much of the time the lines are at their read voltage, for devices that mind.

        Raises:
            InputError: if the chip is not programmed, or the clock would run backwards.
            RangeError: outside the preset's range of time or temperature, unless `care` allows that.
        """
        self.life.grow_old(until_s, temperature_K, read_s)
        self._realise(self.life.pairs)
        return self

    def begin_inference(self, noise_seed: int) -> Self:
        """Draw the slow read noise of one inference; it stays until the next one, or until `age` or `program`.

        Conversions from now on draw their noise from this seed.
        """
        quiet = self.life.pairs
        self.circuit = another_inference(self.circuit, noise_seed)
        self._realise(self.life.memory.read(quiet, self.life.age, Streams(noise_seed)))
        return self

    @property
    def core(self) -> C_co:
        """What its devices compute now.

        Raises:
            InputError: if the chip has not been programmed.
        """
        if self._realised is None:
            _ = self.life.memory  # says what to do
            raise InputError("this chip has not been programmed; call chip.program() first")
        return self._realised

    @property
    def pairs(self) -> DevicePairs:
        """What its devices conduct now."""
        return self.life.pairs if self._pairs is None else self._pairs

    @property
    def now_s(self) -> float:
        """[s]. What its clock shows."""
        return self.life.now_s

    @property
    def temperature_K(self) -> float:
        """[K]. Now; noise is made of it."""
        return self.life.age.temperature_K

    @property
    def maintenance_J(self) -> float:
        """[J]. Spent on refreshes and compensation so far."""
        return sum(done.energy_J for done in self.life.maintenance)
