"""The one clock of a chip: programmed, aged, read."""

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import final

from analogdeq.ageing.amplifier import AmplifierAgeing
from analogdeq.ageing.maintenance import GlobalCompensation, Maintenance, PeriodicRefresh, occasions
from analogdeq.ageing.memory import PairMemory
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.pairs import DevicePairs
from analogdeq.devices.clock import Age
from analogdeq.devices.preset import DevicePreset
from analogdeq.devices.pulses import WriteVerify
from analogdeq.devices.validity import check_allowed
from analogdeq.errors import InputError


@final
@dataclass(frozen=True, kw_only=True)
class Care:
    """How a chip is written and looked after; the default is as it comes.

    Attributes:
        write: programme by simulated write-verify pulses, where the device has a pulse response.
        compensation: scale the feedback resistors against drift.
        refresh: programme anew.
        amplifiers: how the amplifiers age; None: not at all.
        allow: "conductance", "voltage", "temperature", "time": whose validity range may be left.
    """

    write: WriteVerify | None = None
    compensation: GlobalCompensation | None = None
    refresh: PeriodicRefresh | None = None
    amplifiers: AmplifierAgeing | None = None
    allow: Collection[str] = field(default=())

    def __post_init__(self) -> None:
        """Refuse names that nothing can be allowed by.

        Raises:
            InputError: naming the known ones.
        """
        object.__setattr__(self, "allow", check_allowed(self.allow))


@final
class Life:
    """What has happened to one chip, and what its devices conduct now.

    Args:
        target: what is asked for.
        circuit: around the devices.
        device: their statistics.
        seed: the chip seed.
        care: how it is looked after.
    """

    def __init__(
        self, target: DevicePairs, circuit: CrossbarCircuit, device: DevicePreset, seed: int, care: Care
    ) -> None:
        if care.write is not None and device.pulses is None:
            raise InputError(
                f"device {device.name!r} has no pulse response to write with; its statistics are those after its "
                f"source's own write-verify"
            )
        self._target, self._circuit, self._device, self._seed, self._care = target, circuit, device, seed, care
        self._memory: PairMemory | None = None
        self._pairs: DevicePairs | None = None
        self._gain = 1.0
        self._cycle = 0
        self._programmed_s = 0.0
        self.now_s = 0.0
        self.age = Age()
        self.in_service = Age()
        self.maintenance: list[Maintenance] = []

    @property
    def is_programmed(self) -> bool:
        """Whether its devices hold anything."""
        return self._memory is not None

    @property
    def memory(self) -> PairMemory:
        """The devices, as last programmed.

        Raises:
            InputError: before that.
        """
        if self._memory is None:
            raise InputError("this chip has not been programmed; call chip.program() first")
        return self._memory

    @property
    def pairs(self) -> DevicePairs:
        """What the devices conduct now, and the feedback resistor they are read through."""
        if self._pairs is None:
            self._pairs = self.memory.at(self.age, self._target.feedback_ohm * self._gain)
        return self._pairs

    def program(self, at_s: float) -> None:
        """Write the target into the devices.

        Raises:
            InputError: if the clock would run backwards.
            RangeError: outside the preset's range.
        """
        self._refuse_the_past(at_s)
        if self.is_programmed:  # the amplifiers have aged meanwhile; what the devices held is overwritten
            self.in_service = self.in_service.longer(at_s - self.now_s, self.age.temperature_K)
        self.now_s = at_s
        self._write(at_s, self.age.temperature_K)

    def grow_old(self, until_s: float, temperature_K: float, read_s: float) -> None:
        """Let the clock run, with maintenance on the way.

        Raises:
            InputError: if the chip is not programmed, or the clock would run backwards.
            RangeError: outside the preset's range.
        """
        _ = self.memory
        self._refuse_the_past(until_s)
        in_service = self.in_service.longer(until_s - self.now_s, temperature_K, read_s)
        per_second = read_s / (until_s - self.now_s) if until_s > self.now_s else 0.0
        self._refresh(until_s, temperature_K)
        self._compensate(until_s, temperature_K, per_second)
        self._stay(until_s, temperature_K, per_second)
        self.in_service = in_service
        _ = self.pairs  # an age outside the preset's range is refused here, not at the next read

    def _stay(self, until_s: float, temperature_K: float, read_per_second: float) -> None:
        """Nothing is done to the chip until then; for a share of the time a read voltage stands on it."""
        duration_s = until_s - self.now_s
        self.age = self.age.longer(duration_s, temperature_K, read_per_second * duration_s)
        self.now_s = until_s
        self._pairs = None

    def _write(self, at_s: float, temperature_K: float) -> None:
        """Programme; the devices are at age 0 again, at the temperature they are at."""
        self._memory = PairMemory(
            self._target, self._circuit, self._device, seed=self._seed, cycle=self._cycle, write=self._care.write,
            allow=self._care.allow,
        )  # fmt: skip
        self._cycle += 1
        self._programmed_s = at_s
        self._gain = 1.0
        self.age = Age(temperature_K=temperature_K)
        self._pairs = None

    def _refresh(self, until_s: float, temperature_K: float) -> None:
        """Only the last refresh of a long time is carried out; all are counted and paid for."""
        policy = self._care.refresh
        times, last_s = occasions(policy, self._programmed_s, until_s)
        if policy is None or times == 0:
            return
        energy_J = policy.energy_J(self.memory.written, self._device, self._target.n_devices)
        self._pay_for_compensation_between_refreshes(times)
        self._cycle += times - 1
        self.now_s = last_s
        self._write(last_s, temperature_K)
        self._log("refresh", times, last_s, energy_J * times)

    def _pay_for_compensation_between_refreshes(self, refreshes: int) -> None:
        """Their gains are gone with the refresh that followed; at the price of a fresh chip, the highest there is."""
        policy, refresh = self._care.compensation, self._care.refresh
        if policy is None or refresh is None:
            return
        done, _ = occasions(policy, self._programmed_s, self.now_s)
        each, _ = occasions(policy, 0.0, refresh.every_s)
        times = each * refreshes - done
        if times > 0:
            price_J = policy.energy_J(self.memory.at(Age()), self._circuit)
            self._log("compensation", times, self.now_s, price_J * times)

    def _compensate(self, until_s: float, temperature_K: float, read_per_second: float) -> None:
        """Only the last calibration counts for the gain; all are paid for, at its price."""
        policy = self._care.compensation
        before, _ = occasions(policy, self._programmed_s, self.now_s)
        after, last_s = occasions(policy, self._programmed_s, until_s)
        if policy is None or after == before:
            return
        self._stay(last_s, temperature_K, read_per_second)
        now = self.memory.at(self.age)
        self._gain = policy.gain(self.memory.at(Age()), now)
        self._log("compensation", after - before, last_s, policy.energy_J(now, self._circuit) * (after - before))

    def _log(self, what: str, times: int, last_s: float, energy_J: float) -> None:
        self.maintenance.append(Maintenance(what=what, times=times, last_s=last_s, energy_J=energy_J))

    def _refuse_the_past(self, at_s: float) -> None:
        if not (self.now_s <= at_s < math.inf):
            raise InputError(
                f"the chip's clock stands at {self.now_s:g} s and only runs forward; {at_s} s is not after that"
            )
