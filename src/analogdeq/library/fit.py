"""A preset fitted to measured conductances, with what the fit leaves over."""

import csv
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from analogdeq.errors import DataError

COLUMNS = ("G_target_S", "G_read_S", "t_s")
"""Of the CSV file: asked for, read back [S], time since programming [s]."""
_BINS = 8
_LEAST_PER_BIN = 8
Array = npt.NDArray[np.float64]


@final
@dataclass(frozen=True)
class Measured:
    """Measured devices, one row per read.

    Attributes:
        target_S: [S].
        read_S: [S].
        t_s: [s].
    """

    target_S: Array
    read_S: Array
    t_s: Array


@final
@dataclass(frozen=True)
class Residual:
    """Measurement against fit, of the devices of one bin at one time.

    Attributes:
        t_s: [s].
        target_S: [S]. Mean target of the bin.
        devices: how many.
        mean_S: [S]. Mean of read minus fitted mean.
        sigma_ratio: [1]. Measured standard deviation over the fitted one.
    """

    t_s: float
    target_S: float
    devices: int
    mean_S: float
    sigma_ratio: float


@final
@dataclass(frozen=True)
class Fitted:
    """A preset's figures.

    Attributes:
        g_min_S: [S]. Lowest target measured.
        g_max_S: [S]. Highest.
        sigma_S: [S]. c_0 .. c_d of sigma = sum c_k (G / g_max)^k at the first time.
        t0_s: [s]. First time.
        end_s: [s]. Last time.
        nu_mean: [1]. Drift exponent; None where there is one time only.
        nu_std: [1]. Its spread over devices.
        residuals: what is left over.
    """

    g_min_S: float
    g_max_S: float
    sigma_S: tuple[float, ...]
    t0_s: float
    end_s: float
    nu_mean: float | None
    nu_std: float | None
    residuals: tuple[Residual, ...]


def read_measurement(path: Path) -> Measured:
    """Read a CSV file with the columns `COLUMNS`, in any order, others ignored.

    Raises:
        DataError: naming the line.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or [])]
            if missing:
                raise DataError(f"{path}: no column {missing[0]!r}; the first line must name {', '.join(COLUMNS)}")
            content = [[_number(path, rows.line_num, name, row[name]) for name in COLUMNS] for row in rows]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if len(content) < _LEAST_PER_BIN:
        raise DataError(f"{path}: {len(content)} rows are too few for a fit; want at least {_LEAST_PER_BIN}")
    return Measured(*np.array(content).T)


def fit_preset(measured: Measured, degree: int = 2) -> Fitted:
    """Maximum-likelihood polynomial of the programming error, and a power law of the drift where there are more times.

    At the first time  G_read ~ N(G_target, sigma(G_target)^2).  With G(t) = G(t0) (t/t0)^-nu, nu ~ N(m, s^2) and
    independent of G(t0), for devices of one target and L = ln(t/t0):

        mean(t)/mean(t0) = exp(-m L + s^2 L^2/2),      (1 + CV(t)^2)/(1 + CV(t0)^2) = exp(s^2 L^2)

    from which m and s follow, averaged over targets and times with their counts as weights. They are taken to be the
    same at every conductance.

    Raises:
        DataError: if there are too few devices or no times to fit.
    """
    times = np.unique(measured.t_s)
    g_max_S, t0_s = float(measured.target_S.max()), float(times[0])
    at_first = measured.t_s == t0_s
    sigma_S = _fit_sigma(measured.target_S[at_first] / g_max_S, (measured.read_S - measured.target_S)[at_first], degree)
    nu = _fit_drift(measured, times) if len(times) > 1 else None
    fit = Fitted(
        g_min_S=float(measured.target_S.min()),
        g_max_S=g_max_S,
        sigma_S=sigma_S,
        t0_s=t0_s,
        end_s=float(times[-1]),
        nu_mean=None if nu is None else nu[0],
        nu_std=None if nu is None else nu[1],
        residuals=(),
    )
    residuals = tuple(row for t in times for row in _residuals(measured, float(t), fit))
    return Fitted(**{**vars(fit), "residuals": residuals})


def preset_text(fit: Fitted, title: str, source: str) -> str:
    """The preset file."""
    lines = [
        f"# Fitted by analogdeq. Residuals: {len(fit.residuals)} groups of devices, worst mean "
        f"{max((abs(r.mean_S) for r in fit.residuals), default=0.0):.3g} S, sigma ratio "
        f"{min((r.sigma_ratio for r in fit.residuals), default=math.nan):.3g} to "
        f"{max((r.sigma_ratio for r in fit.residuals), default=math.nan):.3g} (measured over fitted).",
        f"title = {_quoted(title)}",
        f"source = {_quoted(source)}",
        'not_modelled = "whatever was not measured: temperature, read noise, faults"',
        "",
        "[valid]",
        f"conductance = {{low = {fit.g_min_S!r}, high = {fit.g_max_S!r}}}",
        f"time = {{low = {fit.t0_s!r}, high = {fit.end_s!r}}}",
        "",
        "[programming]",
        'law = "polynomial"',
        f"variable_S = {fit.g_max_S!r}",
        "unit_S = 1.0",
        f"coefficients = {list(fit.sigma_S)!r}",
        'distribution = "normal, one draw per device and programming, clipped at 0"',
        f"source = {_quoted(source)}",
        'status = "fit"',
    ]
    if fit.nu_mean is not None and fit.nu_std is not None:
        lines += [
            "",
            "[drift]",
            f"t0_s = {fit.t0_s!r}",
            f'mean = {{law = "polynomial", coefficients = [{fit.nu_mean!r}]}}',
            f'std = {{law = "polynomial", coefficients = [{fit.nu_std!r}]}}',
            'distribution = "nu = |mean + std N(0,1)|, one draw per device, frozen in silicon"',
            f"source = {_quoted(source)}",
            'status = "fit"',
        ]
    return "\n".join(lines) + "\n"


def residual_table(fit: Fitted) -> list[dict[str, Any]]:
    """The residuals as rows."""
    return [vars(row) for row in fit.residuals]


def _fit_sigma(x: Array, error_S: Array, degree: int) -> tuple[float, ...]:
    if len(x) < 4 * (degree + 1):
        raise DataError(f"{len(x)} devices at the first time are too few for a polynomial of degree {degree}")
    scale = float(error_S.std())
    if scale == 0:
        return (0.0,) * (degree + 1)
    r, floor = error_S / scale, 1e-3

    def minus_log_likelihood(c: Array) -> float:
        sigma = np.maximum(np.polynomial.polynomial.polyval(x, c), floor)
        return float(np.sum(np.log(sigma) + 0.5 * (r / sigma) ** 2))

    start = np.zeros(degree + 1)
    start[0] = 1.0
    answer = minimize(minus_log_likelihood, start, method="Nelder-Mead", options={
        "maxiter": 20_000, "maxfev": 20_000, "xatol": 1e-7, "fatol": 1e-9, "adaptive": True})  # fmt: skip
    grid = np.linspace(float(x.min()), 1.0, 201)
    if not answer.success or np.polynomial.polynomial.polyval(grid, answer.x).min() < 0:
        raise DataError(f"no polynomial of degree {degree} describes the programming error; try a lower degree")
    return tuple(float(c * scale) for c in answer.x)


def _fit_drift(measured: Measured, times: Array) -> tuple[float, float]:
    means, variances, weights = [], [], []
    for bin_ in _bins(measured.target_S):
        first = measured.read_S[bin_ & (measured.t_s == times[0])]
        if len(first) < _LEAST_PER_BIN or first.mean() <= 0:
            continue
        for t in times[1:]:
            later = measured.read_S[bin_ & (measured.t_s == t)]
            if len(later) < _LEAST_PER_BIN or later.mean() <= 0:
                continue
            L = math.log(t / times[0])
            spread = [1 + (g.std(ddof=1) / g.mean()) ** 2 for g in (first, later)]
            s2 = math.log(spread[1] / spread[0]) / L**2
            means.append(-math.log(later.mean() / first.mean()) / L + s2 * L / 2)
            variances.append(s2)
            weights.append(min(len(first), len(later)) * L**2)
    if not weights or times[0] <= 0:
        raise DataError("no group of devices was read twice often enough to fit a drift; times must be above 0")
    mean, variance = (float(np.average(found, weights=weights)) for found in (means, variances))
    if not (math.isfinite(mean) and math.isfinite(variance)):  # max(0, NaN) is 0, which would look like a good fit
        raise DataError("the reads are too large or too small to fit a drift to; are they in siemens?")
    return mean, math.sqrt(max(0.0, variance))


def _residuals(measured: Measured, t: float, fit: Fitted) -> list[Residual]:
    rows = []
    for bin_ in _bins(measured.target_S):
        here = bin_ & (measured.t_s == t)
        if here.sum() < _LEAST_PER_BIN:
            continue
        mean_S, sigma_S = _moments(measured.target_S[here], t, fit)
        difference_S = measured.read_S[here] - mean_S
        rows.append(
            Residual(
                t_s=t,
                target_S=float(measured.target_S[here].mean()),
                devices=int(here.sum()),
                mean_S=float(difference_S.mean()),
                sigma_ratio=float(np.sqrt(np.mean((difference_S / sigma_S) ** 2))),
            )
        )
    return rows


def _moments(target_S: Array, t: float, fit: Fitted) -> tuple[Array, Array]:
    """Fitted mean and standard deviation of each device at time t."""
    sigma = np.polynomial.polynomial.polyval(target_S / fit.g_max_S, np.array(fit.sigma_S))
    sigma = np.maximum(sigma, 1e-12 * fit.g_max_S)
    if fit.nu_mean is None or fit.nu_std is None or t <= fit.t0_s:
        return target_S, sigma
    L = math.log(t / fit.t0_s)
    first = math.exp(-fit.nu_mean * L + (fit.nu_std * L) ** 2 / 2)
    second = math.exp(-2 * fit.nu_mean * L + 2 * (fit.nu_std * L) ** 2)
    return target_S * first, np.sqrt((target_S**2 + sigma**2) * second - (target_S * first) ** 2)


def _bins(target_S: Array) -> list[Any]:
    """One group per target where few were asked for, else groups of equal width."""
    values = np.unique(target_S)
    if len(values) <= 4 * _BINS:
        return [target_S == value for value in values]
    edges = np.linspace(values[0], values[-1], _BINS + 1)
    edges[-1] = np.inf
    return [(target_S >= low) & (target_S < high) for low, high in pairwise(edges)]


def _number(path: Path, line: int, name: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (name != "G_read_S" and value < 0):
        raise DataError(f"{path}, line {line}: {name} = {text!r} must be a finite number, not negative")
    return value


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'
