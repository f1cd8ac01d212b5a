"""Devices that err more: the spread grows by the factor, and nothing else changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from analogdeq import library
from analogdeq.chip import Chip
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.converters import Converter
from analogdeq.cores.rc import RCCore
from analogdeq.devices.amplified import amplified

FREE = Converter(bits=8, energy_J=0.0)
CIRCUIT = CrossbarCircuit(g_min_S=0.25e-6, g_max_S=25e-6, dac=FREE, adc=FREE)


@pytest.mark.parametrize("name", ["pcm-generic", "pcm-hermes-1", "reram-neurram", "weight-mismatch", "gaussian-2pct"])
@pytest.mark.parametrize("factor", [0.0, 0.5, 3.0])
def test_the_programming_error_grows_by_the_factor(name: str, factor: float) -> None:
    preset = library.device_preset(name)
    target, partner = torch.linspace(1e-6, 10e-6, 7, dtype=torch.float64), torch.zeros(7, dtype=torch.float64)
    plain, more = (
        one.programming_sigma_S(target, 25e-6, partner_S=partner, feedback_ohm=1e5)
        for one in (preset, amplified(preset, programming=factor))
    )
    torch.testing.assert_close(more, factor * plain, rtol=1e-12, atol=0)
    assert float(plain.min()) > 0


def test_a_read_errs_more_by_the_factor_and_drift_is_as_measured() -> None:
    preset = library.device_preset("pcm-generic")
    more = amplified(preset, programming=3.0, read=3.0)
    G = torch.linspace(1e-6, 25e-6, 5, dtype=torch.float64)
    torch.testing.assert_close(
        more.read_noise.sigma_S(G, G, 100.0), 3 * preset.read_noise.sigma_S(G, G, 100.0), rtol=1e-12, atol=0
    )
    assert more.drift == preset.drift


def test_spread_that_is_given_by_time_grows_at_every_time() -> None:
    preset = library.device_preset("reram-neurram")
    G = torch.linspace(1e-6, 40e-6, 5, dtype=torch.float64)
    for t_s in (1.0, 4e3, 86400.0, 172800.0):
        torch.testing.assert_close(
            amplified(preset, programming=2.0).deviation.sigma_S(G, t_s),
            2 * preset.deviation.sigma_S(G, t_s),
            rtol=1e-12,
            atol=0,
        )


def test_chips_of_amplified_devices_scatter_by_the_factor() -> None:
    # W_held - W = R_f (E+ - E-), E ~ N(0, (3 sigma(G))^2), far from the clip at zero.
    W = torch.full((40, 40), 0.02, dtype=torch.float64)
    circuit = replace(CIRCUIT, g_min_S=20e-6)
    chip = Chip(
        RCCore(W, W[:, :1], W[0]), circuit, amplified(library.device_preset("pcm-generic"), programming=3.0), seed=0
    )
    x = np.array([1.0, 0.8])
    sigma_S = 3e-6 * (0.26348 + 1.9650 * x - 1.1731 * x**2)
    expected = 0.02 / 5e-6 * np.hypot(*sigma_S)
    assert float((chip.core.W - W).std()) == pytest.approx(expected, rel=4 / np.sqrt(2 * 1600))
