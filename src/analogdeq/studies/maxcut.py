"""Maximum cut by oscillators: neighbours push each other out of phase, and a second harmonic makes phases binary."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from analogdeq.circuits.oscillator import OscillatorKind
from analogdeq.cores.oscillators.noise import diffuse
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.errors import InputError
from analogdeq.solve.settle import settle
from analogdeq.studies.maxcut_graphs import Graph
from analogdeq.units import format_quantity

BAND = 1e-2
"""[rad]. A phase a hundredth of a radian from its rest is long past any doubt of its side."""


@final
@dataclass(frozen=True, kw_only=True)
class Anneal:
    """How the network is led to a good cut.

    Attributes:
        coupling: [rad per tau]. Root mean square pull of a node's neighbours at random phases.
        shil: [rad per tau]. Sub-harmonic injection at the end; it rises from 0.
        diffusion: [rad^2 per tau]. Phase noise at the start; it falls to 0.
        until_tau: how long both take.
        step_tau: integration step of the noisy part.
        stages: in how many equal parts they are changed.
        trials: independent starts, settled together.
        seed: of the starts and the noise.
    """

    coupling: float = 1.0
    shil: float = 1.0
    diffusion: float = 0.2
    until_tau: float = 100.0
    step_tau: float = 0.2
    stages: int = 20
    trials: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what anneals nothing.

        Raises:
            InputError: naming the value.
        """
        for name in ("coupling", "shil", "until_tau", "step_tau", "stages", "trials"):
            if not getattr(self, name) > 0:
                raise InputError(f"anneal {name} = {getattr(self, name)} must be positive")
        if not self.diffusion >= 0:
            raise InputError(f"anneal diffusion = {self.diffusion} must not be negative")


@final
@dataclass(frozen=True, kw_only=True)
class Cuts:
    """One entry per trial.

    Attributes:
        side: (trial, node) int8, -1 or +1.
        cut: (trial,).
        is_settled: (trial,) bool. Whether the phases came to rest in the end.
        time_s: (trial,) [s]. Anneal and settling; NaN unless settled.
        energy_J: (trial,) [J]. Drawn by the oscillators until then.
        cycles: (trial,). `time_s` in periods.
        edge_weight: sum of all positive weights, which no cut exceeds.
    """

    side: npt.NDArray[np.int8]
    cut: npt.NDArray[np.float64]
    is_settled: npt.NDArray[np.bool_]
    time_s: npt.NDArray[np.float64]
    energy_J: npt.NDArray[np.float64]
    cycles: npt.NDArray[np.float64]
    edge_weight: float

    def success_rate(self, wanted: float) -> float:
        """Share of the trials that settled at a cut of at least `wanted`."""
        return float((self.is_settled & (self.cut >= wanted - 1e-6)).mean())


def solve_maxcut(graph: Graph, kind: OscillatorKind, anneal: Anneal | None = None) -> Cuts:
    """Find large cuts with a network of phase oscillators, W = -K times the adjacency matrix.

    The energy sum_ij W_ij cos(phi_i - phi_j) of binary phases is the cut up to a constant, so where the phases lie
    on 0 and pi a lower energy is a larger cut. Noise and a rising second harmonic lead them there; then the network
    settles, and its settling time on e^{i phi}, power and cycles are counted from the start of the anneal.

    Args:
        graph: what to cut.
        kind: the oscillators; sets seconds and joules, and no more.
        anneal: how; `Anneal()` if None.

    Source: T. Wang, J. Roychowdhury, UCNC 2019 (arXiv:1903.07163).
    """
    a = anneal or Anneal()
    strength = a.coupling / max(graph.mean_square_pull(), 1e-30) ** 0.5
    core = PhaseCore(-strength * graph.adjacency(), shil=a.shil, tau_s=kind.tau_s)
    drive = core.drive(torch.zeros(a.trials, 0))
    noise = torch.Generator().manual_seed(a.seed)
    z = 2 * torch.pi * torch.rand(a.trials, graph.n, generator=noise)
    for stage in range(a.stages):
        done = (stage + 0.5) / a.stages
        core.shil = a.shil * done
        z = diffuse(
            core, drive, z, diffusion=a.diffusion * (1 - done), until_tau=a.until_tau / a.stages,
            step_tau=a.step_tau, generator=noise,
        )  # fmt: skip
    core.shil = a.shil
    out = settle(core, torch.zeros(a.trials, 0), z0=z, band=BAND, rtol=1e-2, atol=1e-3)
    return _judged(graph, kind, a, out.z, out.t_settle_s)


def _judged(graph: Graph, kind: OscillatorKind, anneal: Anneal, phases: Tensor, t_settle_s: Tensor) -> Cuts:
    side = torch.where(torch.cos(phases) >= 0, 1, -1).to(torch.int8)
    time_s = (anneal.until_tau * kind.tau_s + t_settle_s).numpy()
    return Cuts(
        side=side.numpy(),
        cut=graph.cut(side).numpy(),
        is_settled=np.isfinite(time_s),
        time_s=time_s,
        energy_J=graph.n * kind.power_W * time_s,
        cycles=time_s * kind.frequency_Hz,
        edge_weight=float(graph.weights.clamp_min(0).double().sum()),
    )


def maxcut_summary(graph: Graph, kind: OscillatorKind, cuts: Cuts, wanted: float | None = None) -> dict[str, Any]:
    """Figures for people and scripts; times in s, energies in J.

    Args:
        graph: what was cut.
        kind: the oscillators.
        cuts: what came out.
        wanted: the cut that counts as a success; the best found if None.
    """
    settled = cuts.is_settled
    best = float(cuts.cut[settled].max()) if settled.any() else None
    goal = best if wanted is None else wanted
    rate = None if goal is None else cuts.success_rate(goal)
    mean_time_s = float(cuts.time_s[settled].mean()) if settled.any() else None
    mean_energy_J = float(cuts.energy_J[settled].mean()) if settled.any() else None

    def per_solution(each: float | None) -> float | None:
        return each / rate if each is not None and rate else None

    return {
        "nodes": graph.n,
        "edges": graph.weights.numel(),
        "oscillators": kind.title,
        "trials": int(cuts.cut.size),
        "settled": int(settled.sum()),
        "best cut": best,
        "mean cut": float(cuts.cut.mean()),
        "wanted cut": goal,
        "success rate": rate,
        "time per trial s": mean_time_s,
        "cycles per trial": float(cuts.cycles[settled].mean()) if settled.any() else None,
        "energy per trial J": mean_energy_J,
        "time per solution s": per_solution(mean_time_s),
        "energy per solution J": per_solution(mean_energy_J),
    }


def format_maxcut(summary: dict[str, Any]) -> str:
    """The figures as lines of text."""
    lines = []
    for name, value in summary.items():
        unit = name[-1] if name.endswith((" s", " J")) else ""
        label = name[:-2] if unit else name
        if value is None:
            text = "-"
        elif unit:
            text = format_quantity(value, unit)
        else:
            text = f"{value:.6g}" if isinstance(value, float) else str(value)
        lines.append(f"{label:<22}{text}")
    return "\n".join(lines)
