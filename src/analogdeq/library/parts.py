"""The parts of a device preset, each one table of its file."""

from collections.abc import Callable
from typing import Any

from analogdeq.devices.conduction import CubicConduction
from analogdeq.devices.curve import Polynomial, Scaled
from analogdeq.devices.drift import LogRelaxation, PowerLawDrift, ReadDisturb, Retention, TimedDeviation
from analogdeq.devices.faults import Faults
from analogdeq.devices.leak import StepLeak
from analogdeq.devices.pulses import PulseResponse
from analogdeq.devices.read_noise import CurveReadNoise, FlickerReadNoise, LogStateReadNoise
from analogdeq.devices.temperature import LinearInTemperature, ThermallyActivated
from analogdeq.library.curves import read_curve
from analogdeq.library.table import Table

PROGRAMMING_LAWS = ("exact", "polynomial", "deviation", "mismatch", "pulses")


def programming(table: Table, g_max_S: float | None) -> dict[str, Any]:
    """The fields of a `DevicePreset` that say where a device lands."""
    law = table.choice("law", PROGRAMMING_LAWS)
    if law == "exact":
        return {"sigma_S": (0.0,)}
    if law == "mismatch":
        return {"sigma_S": (0.0,), "mismatch_alpha": table.number("alpha")}
    if law == "pulses":
        return {"sigma_S": (0.0,), "pulses": _pulses(table)}
    if law == "deviation":
        return {"sigma_S": (0.0,), "deviation": _deviation(table)}
    coefficients = table.numbers("coefficients")
    if g_max_S is None:  # in units of the circuit's g_max
        return {"sigma_S": coefficients}
    ratio, unit_S = g_max_S / table.number("variable_S", g_max_S), table.number("unit_S")
    return {"sigma_S": tuple(unit_S * c * ratio**k for k, c in enumerate(coefficients))}


def _deviation(table: Table) -> TimedDeviation:
    variable_S, unit_S = table.number("variable_S"), table.number("unit_S")
    rows = table.tables("at")
    times_s = tuple(row.number("time_s") for row in rows)
    curves = tuple(Scaled(read_curve(row.table("sigma")), variable_S, unit_S) for row in rows)
    shifts = tuple(Scaled(read_curve(row.table("shift")), variable_S, unit_S) for row in rows if row.has("shift"))
    for row in rows:
        row.finish()
    is_logarithmic = table.choice("interpolation", ("log", "linear")) == "log"
    return TimedDeviation(times_s=times_s, sigmas_S=curves, is_logarithmic=is_logarithmic, shifts_S=shifts)


def _pulses(table: Table) -> PulseResponse:
    return PulseResponse(
        step=table.number("step"),
        cycle_to_cycle=table.number("cycle_to_cycle"),
        device_to_device=table.number("device_to_device"),
        is_log_normal=table.flag("is_log_normal", False),
        slope_up=table.number("slope_up"),
        slope_down=table.number("slope_down"),
        w_max=table.number("w_max"),
        w_min=table.number("w_min"),
        write_noise=table.number("write_noise", 0.0),
        pulse_V=table.number_or_none("pulse_V"),
        pulse_s=table.number_or_none("pulse_s"),
    )


def _drift(table: Table) -> PowerLawDrift:
    return PowerLawDrift(
        t0_s=table.number("t0_s"), mean=read_curve(table.table("mean")), std=read_curve(table.table("std"))
    )


def _relaxation(table: Table) -> LogRelaxation:
    return LogRelaxation(
        mean_S=table.number("mean_S"),
        std_slope_S=table.number("std_slope_S"),
        std_offset_S=table.number("std_offset_S"),
    )


def _retention(table: Table) -> Retention:
    return Retention(
        lifetime_s=table.number("lifetime_s"),
        reference_K=table.number("reference_K"),
        activation_eV=table.number("activation_eV"),
        rest_S=table.number("rest_S", 0.0),
    )


def _leak(table: Table) -> StepLeak:
    return StepLeak(
        lifetime_steps=table.number("lifetime_steps"), spread=table.number("spread"), rest=table.number("rest")
    )


def _barrier(table: Table) -> bool:
    return table.choice("law", ("barrier",)) == "barrier"


def _read_disturb(table: Table) -> ReadDisturb:
    return ReadDisturb(
        threshold_V=table.number("threshold_V"),
        rate_per_s=table.number("rate_per_s"),
        toward_S=table.number("toward_S"),
    )


def _temperature(table: Table) -> ThermallyActivated | LinearInTemperature:
    if table.choice("law", ("activated", "linear")) == "activated":
        return ThermallyActivated(table.number("activation_eV"))
    return LinearInTemperature(table.number("alpha_per_K"))


def _read_noise(table: Table) -> FlickerReadNoise | LogStateReadNoise | CurveReadNoise:
    law = table.choice("law", ("flicker", "log-state", "curve"))
    if law == "flicker":
        return FlickerReadNoise(
            amplitude=read_curve(table.table("amplitude")),
            g_max_S=table.number("g_max_S"),
            read_s=table.number("read_s"),
        )
    if law == "log-state":
        return LogStateReadNoise(scale_S=table.number("scale_S"), read_s=table.number("read_s"))
    return CurveReadNoise(Scaled(read_curve(table.table("sigma")), table.number("variable_S"), table.number("unit_S")))


def _faults(table: Table) -> Faults:
    return Faults(
        stuck_low=table.number("stuck_low", 0.0),
        stuck_high=table.number("stuck_high", 0.0),
        stuck_anywhere=table.number("stuck_anywhere", 0.0),
        low_S=table.number_or_none("low_S"),
        high_S=table.number_or_none("high_S"),
        dead_rows=table.number("dead_rows", 0.0),
        dead_columns=table.number("dead_columns", 0.0),
    )


def _conduction(table: Table) -> CubicConduction:
    return CubicConduction(square=Polynomial(table.numbers("square")), cube=Polynomial(table.numbers("cube")))


PARTS: dict[str, Callable[[Table], Any]] = {
    "drift": _drift,
    "relaxation": _relaxation,
    "retention": _retention,
    "leak": _leak,
    "read_disturb": _read_disturb,
    "temperature": _temperature,
    "read_noise": _read_noise,
    "faults": _faults,
    "conduction": _conduction,
    "is_barrier": _barrier,
}
"""The optional tables, each named like the field it fills."""
