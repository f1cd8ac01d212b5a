"""A small tanh RC network integrated by scipy: realistic numbers for a report, without the package's own physics."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from analogdeq.report.data import Assumption, ReportData, Waveforms
from analogdeq.solve.trace import Steps, Trace
from analogdeq.solve.verdict import Verdict

TAU_S, BAND, UNIT_V, R_OHM, SUPPLY_V = 1e-8, 1e-2, 0.2, 2e5, 0.9
RECORDED = 6
TERMS = ("crossbar", "feedback", "node", "drivers")
SCENARIO = """\
title = "Digits on a crossbar"

[circuit]
node_C_F = 1e-13          # 100 fF
node_R_ohm = 100e3
unit_voltage_V = 0.2
supply_V = 0.9

[device]
g_min_S = 1e-7
g_max_S = 25e-6

[settle]
band = 0.01
max_time_tau = 200
"""


def simulate(batch: int = 240, nodes: int = 32, seed: int = 3) -> ReportData:
    """Settle `batch` random drives of one random network, and dress the result as a finished run."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(nodes, nodes))
    W *= 0.85 / np.abs(np.linalg.eigvals(W)).max()
    drive = rng.normal(size=(batch, nodes)) * rng.uniform(0.05, 0.9, (batch, 1))
    time = np.linspace(0, 40, 401)

    def field(_: float, flat: np.ndarray) -> np.ndarray:
        z = flat.reshape(batch, nodes)
        return (-z + np.tanh(z @ W.T + drive)).ravel()

    path = solve_ivp(field, (0, 40), np.zeros(batch * nodes), t_eval=time, rtol=1e-6, atol=1e-9).y
    z = path.T.reshape(len(time), batch, nodes)
    rest = z[-1]
    outside = np.abs(z - rest).max(axis=2) > BAND
    t_settle = TAU_S * time[len(time) - 1 - outside[::-1].argmax(axis=0)]
    verdict = np.full(batch, int(Verdict.SETTLED), dtype=np.uint8)
    verdict[[17, 101]] = Verdict.TIMED_OUT
    t_settle[verdict != Verdict.SETTLED] = np.nan

    slope = 1 - rest**2
    power = powers(z[:, :RECORDED], W, drive[:RECORDED])
    energy = {
        "crossbar": 0.4e-12 * rng.lognormal(0, 0.2, batch),
        "feedback": 0.21e-12 * rng.lognormal(0, 0.2, batch),
        "node": 0.006e-12 * rng.lognormal(0, 0.2, batch),
        "stored": 0.02e-12 * rng.lognormal(0, 0.2, batch),
        "output stages": 2.9e-12 * rng.lognormal(0, 0.15, batch),
        "amplifier bias": 9.5e-12 * np.nan_to_num(t_settle, nan=3e-7) / 1e-7,
        "DAC": np.full(batch, 1.3e-12),
        "ADC": np.full(batch, 2.6e-12),
    }
    return ReportData(
        title="Digits on a crossbar",
        scenario_name="digits-crossbar",
        scenario_toml=SCENARIO,
        created="2026-11-23T16:05:13+00:00",
        provenance={
            "analogdeq": "0.1.0",
            "argv": "analogdeq run digits-crossbar",
            "git_commit": "fd4dad9572dc390940ce59938f32108cab243671",
            "git_dirty": "false",
            "seed_chip": "0",
            "seed_noise": "1",
            "torch": "2.13.0",
        },
        accuracy_ideal=0.9833,
        accuracy_chip=0.9750,
        t_settle_s=t_settle,
        verdict_code=verdict,
        evaluations=rng.integers(90, 240, batch),
        energy_total_J=np.sum(list(energy.values()), axis=0),
        energy_terms_J=energy,
        tau_s=TAU_S,
        assumptions=ASSUMPTIONS,
        waveforms=Waveforms(
            trace=Trace(
                time_s=TAU_S * time,
                sample=np.arange(RECORDED),
                state=z[:, :RECORDED].astype(np.float32),
                power_W=power.astype(np.float32),
                terms=TERMS,
                residual=np.abs(z[:, :RECORDED] - rest[:RECORDED]).max(axis=2).astype(np.float32),
                steps=Steps(
                    row_size=np.zeros(RECORDED, dtype=np.int64),
                    time_s=np.zeros(0),
                    dt_s=np.zeros(0),
                    error_norm=np.zeros(0),
                    accepted=np.zeros(0, dtype=np.bool_),
                ),
            ),
            names=tuple(f"test image {i}, a {(7 * i) % 10}" for i in range(RECORDED)),
            equilibrium=rest[:RECORDED],
            t_settle_s=t_settle[:RECORDED],
            band=BAND,
            supply_terms=("drivers",),
        ),
        eigenvalues=np.linalg.eigvals(slope[:RECORDED, :, None] * W),
        metrics=[
            {
                "epoch": float(e),
                "train_loss": 2.2 * np.exp(-e / 5) + 0.03,
                "test_loss": 2.2 * np.exp(-e / 5) + 0.09,
                "test_accuracy": 0.983 - 0.9 * np.exp(-e / 3),
            }
            for e in range(25)
        ],
    )


def powers(z: np.ndarray, W: np.ndarray, drive: np.ndarray) -> np.ndarray:
    """(time, sample, term) [W]: plausible, and the drivers draw more than the heat they contain."""
    G = np.abs(W).sum(axis=0) / R_OHM
    p = z @ W.T + drive
    crossbar = UNIT_V**2 * (z**2 @ G + (drive**2).sum(-1) / R_OHM)
    feedback = UNIT_V**2 * (p**2).sum(-1) / R_OHM
    node = UNIT_V**2 * ((np.tanh(p) - z) ** 2).sum(-1) / R_OHM
    current = UNIT_V * (np.abs(z) @ G + (np.abs(p) + np.abs(np.tanh(p) - z) + np.abs(drive)).sum(-1) / R_OHM)
    return np.stack([crossbar, feedback, node, SUPPLY_V * current], axis=-1)


ASSUMPTIONS = (
    Assumption("node capacitance", "100 fF", "sets tau = RC and the kT/C noise of a node", "scenario"),
    Assumption("time constant", "10 ns", "the same for every node", "tau = R C"),
    Assumption("amplifiers", "ideal", "no bandwidth limit in the dynamics; bias power tied to 5 GHz", "level 0"),
    Assumption("ADC", "81 fJ per conversion", "8 bit, one per node and inference", "Murmann, ADC survey"),
)


@pytest.fixture(scope="session")
def data() -> ReportData:
    return simulate()


@pytest.fixture(scope="session")
def changed(data: ReportData) -> Callable[..., ReportData]:
    """The run with some fields replaced."""

    def change(**fields: Any) -> ReportData:
        return replace(data, **fields)

    return change
