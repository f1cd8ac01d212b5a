"""The published formulas, typed anew from the papers' figures: conductance in uS, time in seconds, log natural."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

DAY = 86400.0


@dataclass(frozen=True)
class Published:
    """Mean and standard deviation of the conductance asked to be `target_uS`, at time t."""

    preset: str
    target_uS: float
    t_s: float
    mean_uS: float
    sigma_uS: float


def clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def drifted(G: float, sigma: float, nu: float, sd: float, ratio: float) -> tuple[float, float]:
    """Moments of G0 r^-nu, G0 ~ N(G, sigma), nu ~ |N(nu, sd)|: independent factors, nu by quadrature."""
    x, w = np.polynomial.hermite_e.hermegauss(200)
    w = w / w.sum()
    factor = ratio ** -np.abs(nu + sd * x)
    first, second = float((w * factor).sum()), float((w * factor**2).sum())
    return G * first, math.sqrt((G**2 + sigma**2) * second - (G * first) ** 2)


def pcm_generic(G: float, t: float) -> tuple[float, float]:
    x = G / 25
    sigma = 0.26348 + 1.9650 * x - 1.1731 * x * x
    nu = clamp(-0.0155 * math.log(x) + 0.0244, 0.049, 0.1)
    sd = clamp(-0.0125 * math.log(x) - 0.0059, 0.008, 0.045)
    return drifted(G, sigma, nu, sd, t / 20)


def hermes_nu(x: float) -> float:
    if x < 0.0945:
        return clamp(-0.0387 * math.log(x) - 0.0182, 0.072, 0.13)
    return -0.0436 * x * x - 0.0126 * x + 0.0736


def hermes_2(G: float, t: float) -> tuple[float, float]:
    x = G / 20.7
    sigma = 0.16603222 + 4.71806468 * x - 8.48101252 * x**2 + 4.68961419 * x**3
    sd = clamp(-0.0117 * math.log(x) - 0.0057, 0.0091, 0.04) if x < 0.3055 else -0.0118 * x * x + 0.0093 * x + 0.0073
    return drifted(G, sigma, hermes_nu(x), sd, t / 300)


def hermes_1(G: float, t: float) -> tuple[float, float]:
    x = G / 10.35
    sigma = 0.15781817 + 2.32443916 * x - 2.16310839 * x**2 + 0.68841818 * x**3
    sd = clamp(-0.0120 * math.log(x) - 0.0023, 0.0124, 0.04) if x < 0.3039 else -0.0165 * x * x + 0.0116 * x + 0.0104
    return drifted(G, sigma, hermes_nu(x), sd, t / 200)


NEURRAM = {
    1.0: (0.348, 16.030, -43.853, 45.393, -16.815),
    DAY: (0.701, 22.086, -50.773, 47.095, -16.458),
    2 * DAY: (0.782, 20.274, -43.507, 37.062, -11.934),
}


def neurram(G: float, t: float) -> tuple[float, float]:
    return G, sum(c * (G / 40) ** k for k, c in enumerate(NEURRAM[t]))


def milo(G: float, t: float) -> tuple[float, float]:
    return G, -0.009107 * G + 4.782321


def cmo(c0: float, c1: float) -> Callable[[float, float], tuple[float, float]]:
    def moments(G: float, t: float) -> tuple[float, float]:
        relaxed = 0.04201137 * math.log(t) + 0.41183342
        return G - 0.08900206 * math.log(t), math.hypot(c0 + c1 * G, relaxed)

    return moments


SONOS = {
    0: (19.88665, 176.3115), 1: (25.59102, 186.85544), 2: (28.72753, 193.56834),
    3: (31.04318, 198.90332), 4: (33.76214, 204.77023), 5: (34.57909, 207.34309),
}  # fmt: skip


SONOS_SHIFT = {
    0: (0.0,),
    1: (6.83650e-01, 6.51250e-03, -4.03163e-04, 3.37944e-06, -1.87435e-08, 5.88902e-11, -1.07685e-13, 1.17751e-16,
        -7.60016e-20, 2.67255e-23, -3.94954e-27),
    2: (6.60925e-01, 8.60627e-03, -1.72936e-04, 7.44096e-07, -5.94866e-09, 2.36734e-11, -4.83740e-14, 5.56072e-17,
        -3.65397e-20, 1.28405e-23, -1.87450e-27),
    5: (1.15294e00, 1.03149e-02, -6.05199e-05, 1.76086e-08, -6.46690e-09, 3.39044e-11, -7.53872e-14, 8.98185e-17,
        -6.00346e-20, 2.12615e-23, -3.11099e-27),
}  # fmt: skip


def sonos(G: float, t: float) -> tuple[float, float]:
    day = round(t / DAY)
    A, B = SONOS[day]
    current_nA = 200 * G  # at 0.2 V
    moved_nA = current_nA + sum(c * current_nA**k for k, c in enumerate(SONOS_SHIFT[day]))
    return moved_nA / 200, A * (1 - math.exp(-moved_nA / B)) / 200


LAWS: dict[str, tuple[Callable[[float, float], tuple[float, float]], tuple[float, ...], tuple[float, ...]]] = {
    "pcm-generic": (pcm_generic, (6.25, 12.5, 25.0), (20.0, 3600.0, DAY)),
    "pcm-hermes-2": (hermes_2, (5.0, 10.0, 20.7), (300.0, 3600.0, DAY)),
    "pcm-hermes-1": (hermes_1, (3.0, 5.0, 10.35), (200.0, 3600.0, DAY)),
    "reram-neurram": (neurram, (22.0, 30.0, 40.0), (1.0, DAY, 2 * DAY)),
    "reram-milo": (milo, (50.0, 110.0, 225.0), (0.0,)),
    "reram-cmo-02": (cmo(8.1107e-4, 1.06879e-3), (9.0, 50.0, 88.2), (1.0, DAY, 3.156e8)),
    "reram-cmo-2": (cmo(1.12185391e-2, 1.129027418e-2), (9.0, 50.0, 88.2), (1.0, DAY, 3.156e8)),
    "sonos": (sonos, (1.0, 4.0, 8.0), (0.0, DAY, 2 * DAY, 5 * DAY)),
}
"""Preset: formula, targets [uS], times [s]; targets high enough that clipping at 0 changes no moment."""

CASES = [
    Published(name, G, t, *law(G, t)) for name, (law, targets, times) in LAWS.items() for G in targets for t in times
]
