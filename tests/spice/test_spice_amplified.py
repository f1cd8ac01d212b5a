"""Level 1 against ngspice: every device a resistor, every amplifier an integrator with limits, every line a pole."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline

from analogdeq.amplified_chip import AmplifiedChip
from analogdeq.circuits.amplifier import Amplifier
from analogdeq.circuits.opamp import OpAmp
from analogdeq.solve.record import Record
from analogdeq.solve.settle import settle
from analogdeq.spice.ngspice import run_ngspice
from helpers import chip as level_0_chip
from helpers import last_exit, random_core, random_inputs

GBW_HZ, STOP_S = 0.4e9, 1.2e-7


def netlist(chip: AmplifiedChip, u: list[float]) -> str:
    return "\n".join(["level 1", *_lines(chip, u), *_rows(chip), *_analysis(chip), ".end", ""])


def _lines(chip: AmplifiedChip, u: list[float]) -> Iterator[str]:
    unit, n, opamp = chip.chip.circuit.unit_voltage_V, chip.chip.n_nodes, chip.opamp
    lag_s = 2 / (2 * math.pi * GBW_HZ) + opamp.driver_R_ohm * n * opamp.cell_C_F
    for j in range(n):
        yield f"Ed{j} e{j} 0 z{j} 0 1.0"
        yield f"Rd{j} e{j} d{j} 1000.0"
        yield f"Cd{j} d{j} 0 {lag_s / 1000!r} IC=0.0"
        yield f"Ep{j} p{j} 0 d{j} 0 1.0"
        yield f"Em{j} m{j} 0 d{j} 0 -1.0"
    for k, level in enumerate([*u, 1.0], start=n):
        yield f"Vp{k} p{k} 0 {unit * level!r}"
        yield f"Vm{k} m{k} 0 {-unit * level!r}"


def _rows(chip: AmplifiedChip) -> Iterator[str]:
    inner, c, opamp, w_u = chip.chip, chip.chip.circuit, chip.opamp, 2 * math.pi * GBW_HZ
    offsets, clip = chip.offset_V().tolist(), f"{opamp.slew_V_per_s!r}"
    for i in range(inner.n_nodes):
        for sign, G in (("p", inner.pairs.plus_S), ("m", inner.pairs.minus_S)):
            for j, conductance in enumerate(G[i].tolist()):
                yield f"R{sign}{i}_{j} {sign}{j} s{i} {1 / conductance!r}"
        yield f"Cs{i} s{i} 0 {opamp.summing_C_F!r} IC=0.0"
        yield f"Rf{i} o{i} s{i} {inner.pairs.feedback_ohm!r}"
        pull = f"{-w_u!r}*(v(s{i})+({offsets[i]!r})+v(o{i})/{opamp.dc_gain!r}+v(t{i})-v(o{i}))"
        yield f"Bt{i} 0 t{i} I=1e-12*min(max({pull},-{clip}),{clip})"
        yield f"Ct{i} t{i} 0 1e-12 IC=0.0"
        yield f"Bo{i} o{i} 0 V=min(max(v(t{i}),-{opamp.swing_V!r}),{opamp.swing_V!r})"
        yield f"Bf{i} f{i} 0 V={c.unit_voltage_V!r}*tanh(-v(o{i})/{c.unit_voltage_V!r})"
        yield f"Rn{i} f{i} z{i} {c.node_R_ohm!r}"
        yield f"Cn{i} z{i} 0 {c.node_C_F!r} IC=0.0"


def _analysis(chip: AmplifiedChip) -> Iterator[str]:
    step_s = 2e-11
    yield ".save " + " ".join(f"v(z{i})" for i in range(chip.chip.n_nodes))
    yield ".options reltol=1e-6 vntol=1e-12 abstol=1e-18 chgtol=1e-22 method=trap"
    yield f".tran {step_s!r} {STOP_S!r} 0.0 {step_s!r} UIC"


@pytest.mark.usefixtures("ngspice")
def test_waveforms_and_settling_time_are_those_of_ngspice() -> None:
    core = random_core(2, seed=3, radius=0.8, inputs=1)
    opamp = OpAmp(dc_gain=300.0, slew_V_per_s=5e7, swing_V=0.08, offset_sigma_V=2e-3)
    chip = AmplifiedChip(level_0_chip(core, amplifier=Amplifier(gbw_Hz=GBW_HZ)), opamp)
    u = random_inputs(1, 1, seed=5)
    record = Record(samples=(0,), interval_tau=0.05, until_tau=STOP_S / chip.tau_s - 1)
    out = settle(chip, u, record=record, method="rodas5p", rtol=1e-5, atol=1e-8)
    assert out.trace is not None
    (plot,) = run_ngspice(netlist(chip, u[0].tolist()))
    time_s = plot.column("time")
    z = np.stack([plot.column(f"v(z{i})") for i in range(2)]) / chip.chip.circuit.unit_voltage_V
    keep = np.flatnonzero(np.diff(time_s, prepend=-1.0) > 0)
    spline = CubicSpline(time_s[keep], z[:, keep], axis=1)
    ours = chip.nodes(torch.as_tensor(out.trace.state[:, 0])).numpy().T
    grid = out.trace.time_s[: ours.shape[1]]
    np.testing.assert_allclose(spline(grid), ours, atol=1e-4)
    rest = chip.nodes(out.z)[0].numpy()
    assert float(out.t_settle_s) == pytest.approx(last_exit(spline, rest, 1e-3, STOP_S), rel=1e-3)
    quick = settle(chip.chip, u)
    assert float((chip.nodes(out.z) - quick.z).abs().max()) > 0.05, "this case would prove nothing of level 1"
