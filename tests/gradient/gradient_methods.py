"""Every way to differentiate an equilibrium, at rounding accuracy in float64, on a symmetric core."""

from dataclasses import replace

import numpy as np
import torch
from gradient_oracles import gradients, inputs, trainable
from torch import Tensor

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.converters import Converter
from analogdeq.cores.rc import RCCore
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.forward import ByRootFinding, Forward
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.method import Gradient
from analogdeq.gradient.physical import PhysicalAdjoint
from analogdeq.gradient.propagation import EquilibriumPropagation
from analogdeq.gradient.shine import ByBroyden, ShineGradient
from analogdeq.gradient.trajectory import TransientGradient
from analogdeq.gradient.truncated import PhantomGradient
from analogdeq.gradient.unrolled import UnrolledGradient
from analogdeq.solve.options import SettleOptions

FINE = SettleOptions(band=1e-7, atol=1e-9)
ROOT = ByRootFinding(tol=1e-14)
CONVERTER = Converter(bits=24, energy_J=1e-12, conversion_s=1e-9)
CIRCUIT = CrossbarCircuit(g_min_S=2.5e-7, g_max_S=2.5e-5, dac=CONVERTER, adc=CONVERTER)
LEAKY = replace(CIRCUIT, node_leak_S=2e-6)

METHODS: dict[str, tuple[Gradient, Forward]] = {
    **{
        solver: (ImplicitGradient(solver=solver, tol=1e-9, max_iter=500), ROOT)
        for solver in ("auto", "gmres", "fixed-point", "richardson", "anderson", "broyden", "cg", "dense")
    },
    "shine, refined": (ShineGradient(refine=60, tol=1e-9), ByBroyden(tol=1e-13)),
    "phantom, 300 terms": (PhantomGradient(steps=300, damping=0.8), ROOT),
    "unrolled": (UnrolledGradient(steps=200), ROOT),
    "unrolled, checkpoints": (UnrolledGradient(steps=200, checkpoint_every=14), ROOT),
    "transient": (TransientGradient(horizon_tau=32), ROOT),
    "physical adjoint": (PhysicalAdjoint(options=FINE), ROOT),
    "physical adjoint, same devices": (PhysicalAdjoint(circuit=CIRCUIT, options=FINE), ROOT),
    "physical adjoint, ideal second array": (PhysicalAdjoint(array="second", circuit=CIRCUIT, options=FINE), ROOT),
    "one-sided propagation": (EquilibriumPropagation(variant="one-sided", beta=1e-6), ROOT),
    "centred propagation": (EquilibriumPropagation(variant="centred", beta=1e-3), ROOT),
    "holomorphic propagation": (EquilibriumPropagation(variant="holomorphic", beta=0.1), ROOT),
}
"""All of them exact but for rounding, tolerances and small nudges."""


def symmetric_core(
    n: int = 10, width: int = 3, *, norm: float = 0.65, seed: int = 0, activation: str = "tanh"
) -> RCCore:
    """W symmetric with that 2-norm, eigenvalues of both signs; gain 0.9."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(n, n))
    W = W + W.T
    W *= norm / np.abs(np.linalg.eigvalsh(W)).max()
    return trainable(W, 0.3 * rng.normal(size=n), rng.normal(size=(n, width)), activation=activation, gain=0.9)


def problem(batch: int = 4, *, activation: str = "tanh") -> tuple[RCCore, Tensor, Tensor]:
    """A symmetric core, inputs, and gradients whose sizes differ by six decades."""
    core, u = symmetric_core(activation=activation), inputs(batch, 3)
    g = torch.tensor(np.random.default_rng(1).normal(size=(batch, 10))) * 10.0 ** torch.linspace(-3, 3, batch)[:, None]
    return core, u, g


def symmetric_gradients(
    core: RCCore, u: Tensor, g: Tensor, gradient: Gradient, forward: Forward, log: SolveLog | None = None
) -> dict[str, Tensor]:
    """dL/d(W, U, b, u), of W the symmetric part: what a symmetric network can follow."""
    found = gradients(core, u, equilibrium(core, u, gradient=gradient, forward=forward, log=log), g)
    return {**found, "W": (found["W"] + found["W"].T) / 2}
