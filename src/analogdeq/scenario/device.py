"""What a weight is stored in, and what time does to it."""

from typing import final

from pydantic import Field

from analogdeq.scenario.quantity import Joule, Kelvin, Ratio, Second
from analogdeq.scenario.section import Count, Section
from analogdeq.scenario.text import Allowances, PresetName


@final
class Device(Section):
    """The device technology, by the name of its measured statistics."""

    preset: PresetName = "ideal"
    """A name under `data/devices/` ("ideal": exact and noiseless), or the path of a preset file. A relative path
    starts at the scenario file that says it."""

    levels: Count | None = Field(default=None, ge=2, le=1_000_000)
    """Number of conductances that can be asked for, from `circuit.g_min_S` to `circuit.g_max_S`; "none": the
    preset's."""

    write_tolerance: Ratio | None = Field(default=None, gt=0, lt=1)
    """Band of write-verify as a fraction of the conductance range, for presets with a pulse response; "none": 0.02."""

    step_s: Second | None = Field(default=None, gt=0, le=1e6)
    """How long a mini-batch lasts, for devices whose leak is counted in those ("capacitor"); "none": such a device
    cannot age."""

    allow: Allowances = ""
    """Validity ranges of the preset that may be left, by name. Conductances then err as the nearest measured one does;
    laws of time and temperature are extrapolated."""


@final
class Ageing(Section):
    """How old the chip is when it settles, and how it is looked after."""

    age_s: Second = Field(default=0.0, ge=0, le=1e12)
    """Time since programming; 0 is the first read, as the preset's source took it."""

    temperature_K: Kelvin = Field(default=300.0, gt=0, le=1000)
    """Temperature of storage and of operation. A preset refuses what its source did not measure, unless `device.allow`
    says "temperature"."""

    compensation_s: Second | None = Field(default=None, gt=0, le=1e12)
    """Interval of global drift compensation (Joshi et al., Nat. Commun. 11:2473, 2020); "none": never."""

    refresh_s: Second | None = Field(default=None, gt=0, le=1e12)
    """Interval at which the chip is programmed anew; "none": never."""

    refresh_device_J: Joule | None = Field(default=None, ge=0, le=1)
    """Energy of programming one device; "none": as write-verify counts it, where the preset knows a pulse's."""
