"""A core of oscillators in place of the RC nodes."""

from typing import Literal, final

from pydantic import Field

from analogdeq.scenario.quantity import Hertz, Ratio, Second
from analogdeq.scenario.section import Section
from analogdeq.scenario.text import Slug


@final
class Oscillator(Section):
    """Oscillators whose locked state is the equilibrium, in place of RC nodes.

    They are coupled by the crossbar of `[circuit]`, which also gives supply, converters and, as `unit_voltage_V`, the
    peak voltage of an oscillator; its node and amplifiers and `model.activation` are not used then. `[ageing]` gives
    the chip its age and temperature: couplings age as their devices do, and frequencies drift.
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
    """Full width at half maximum of a free oscillator's line: phase diffusion over pi. The settle and its figures are
    without noise; a width above 0 has every test image settled with noise as well, at one, ten and a hundred times
    this width."""

    drift_per_decade: Ratio | None = Field(default=None, ge=-0.1, le=0.1)
    """Relative drift of every frequency per decade of time in service; it acts where `[ageing]` gives the chip an age.
    "none" takes the preset's, which is 0 where no source gives one."""

    drift_sd_per_decade: Ratio | None = Field(default=None, ge=0, le=0.1)
    """How far the oscillators of one chip differ in their drift per decade, drawn from the chip seed. "none" takes the
    preset's."""

    drift_from_s: Second | None = Field(default=None, gt=0, le=1e9)
    """Time from which decades are counted: drift is log10(1 + t/drift_from_s) decades. "none" takes the preset's."""

    drift_activation_eV: Ratio | None = Field(default=None, ge=0, le=3)
    """Activation energy of the drift in eV; heat then ages the frequencies faster. "none" takes the preset's."""

    injection: Ratio = Field(default=2.0, gt=0, le=100)
    """Size of the standing injection at the start of training, in units of the coupling. Above the couplings'
    norm it holds every oscillator in lock whatever the input."""

    shear: Ratio = Field(default=0.0, ge=-100, le=100)
    """Dependence alpha of the frequency on the amplitude, of "stuart-landau"; 0 is isochronous."""
