"""How a chip is integrated until it rests."""

from typing import Literal, final

from pydantic import Field, ValidationInfo, field_validator

from analogdeq.scenario.quantity import Ratio, TimeConstants
from analogdeq.scenario.section import Count, Section, broken_rule

FLOAT32_BAND = 1e-6
"""Ten times the spacing of float32 near full scale, 1.2e-7: a narrower band would measure rounding."""


@final
class Settle(Section):
    """The time integration and what counts as settled."""

    method: Literal[
        "tsit5",
        "bosh3",
        "rodas5p",
        "auto",
        "torchdiffeq-dopri5",
        "scipy-radau",
        "scipy-bdf",
        "scipy-lsoda",
        "scipy-dop853",
    ] = "auto"
    """The stepper: "tsit5" and "bosh3", explicit, "rodas5p", implicit for stiff circuits, and "auto", which chooses,
    step every sample by its own clock; the others are reference back ends, of which Radau, BDF and LSODA take stiff
    circuits."""

    rtol: Ratio = Field(default=1e-3, ge=1e-14, lt=1)
    """Local error allowed per step, relative to the motion still to come."""

    atol: Ratio = Field(default=1e-6, ge=1e-15, lt=1)
    """Local error allowed per step however little motion is left, as a fraction of full scale."""

    dtype: Literal["float32", "float64"] = "float32"
    """Number format of the state; times and energies are always float64."""

    band: Ratio = Field(default=1e-3, gt=0, lt=1)
    """Half-width of the settling band around the equilibrium, as a fraction of full scale: the settling time is the
    last instant outside it. 1e-3 is a quarter of a step of 8 bits."""

    dwell_tau: TimeConstants = Field(default=2.0, ge=0, le=1e6)
    """How long a sample that the linearised circuit cannot decide must look settled before it is believed."""

    max_time_tau: TimeConstants = Field(default=500.0, gt=0, le=1e9)
    """Simulated time after which a sample counts as timed out. Settling takes about ln(1/band)/(1 - loop gain)."""

    max_steps: Count = Field(default=20_000, ge=1, le=1_000_000_000)
    """Number of steps per sample after which it counts as timed out."""

    @field_validator("band")
    @classmethod
    def _band_is_resolved(cls, band: float, info: ValidationInfo) -> float:
        if band <= info.data.get("atol", 0.0):
            raise broken_rule(
                ("atol", "band"), "atol must be below band: the error would be as wide as what it measures"
            )
        if band < FLOAT32_BAND and info.data.get("dtype") == "float32":
            raise broken_rule(
                ("dtype", "band"), f"float32 does not resolve a band below {FLOAT32_BAND:g}: set dtype = 'float64'"
            )
        return band

    @field_validator("max_time_tau")
    @classmethod
    def _dwell_fits_in_the_time(cls, max_time_tau: float, info: ValidationInfo) -> float:
        if max_time_tau <= info.data.get("dwell_tau", 0.0):
            raise broken_rule(
                ("dwell_tau", "max_time_tau"),
                "max_time_tau must be above dwell_tau, or no sample can ever count as settled",
            )
        return max_time_tau
