"""A core of oscillators in place of the RC nodes."""

from typing import Literal, final

from pydantic import Field

from analogdeq.scenario.quantity import Hertz, Kelvin, Ratio
from analogdeq.scenario.section import Section
from analogdeq.scenario.text import Slug


@final
class Oscillator(Section):
    """Oscillators whose locked state is the equilibrium, in place of RC nodes.

    They are coupled by the crossbar of `[circuit]`, which also gives supply, converters and, as `unit_voltage_V`, the
    peak voltage of an oscillator; its node and amplifiers and `model.activation` are not used then.
    """

    core: Literal["none", "phase", "stuart-landau"] = "none"
    """The equations: "none" keeps the RC core, "phase" has one phase per oscillator, "stuart-landau" an amplitude too.
    `model.nodes` then counts oscillators."""

    preset: Slug = "ring-65nm"
    """A kind of oscillator under `data/oscillators/`: frequency, power, lock ratio, with their sources."""

    frequency_Hz: Hertz | None = Field(default=None, ge=1e-3, le=1e13)
    """Free-running frequency. "none" takes the preset's."""

    lock_ratio: Ratio | None = Field(default=None, gt=0, le=0.5)
    """Half the locking range of a unit injection over the frequency; the time constant is 1/(2 pi f lock_ratio). "none"
    takes the preset's."""

    frequency_sd: Ratio = Field(default=0.0, ge=0, le=0.5)
    """Relative spread of the free-running frequencies on one chip, drawn from the chip seed."""

    linewidth_Hz: Hertz = Field(default=0.0, ge=0, le=1e12)
    """Full width at half maximum of a free oscillator's line: phase diffusion over pi. It acts where noise is asked
    for, and not in the settle itself."""

    temperature_K: Kelvin = Field(default=300.0, ge=1, le=600)
    """Temperature; frequencies shift from 300 K by the preset's coefficient, and the reference does not."""

    injection: Ratio = Field(default=2.0, gt=0, le=100)
    """Size of the standing injection at the start of training, in units of the coupling. Above the couplings'
    norm it holds every oscillator in lock whatever the input."""

    shear: Ratio = Field(default=0.0, ge=-100, le=100)
    """Dependence alpha of the frequency on the amplitude, of "stuart-landau"; 0 is isochronous."""
