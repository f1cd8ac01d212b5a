"""The physical adjoint: a second settle, on the crossbar read transposed, solves for the gradient."""

import math
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.mapping import ConductancePairs, map_weights
from analogdeq.cores.gap import contraction_gap
from analogdeq.cores.rc import RCCore
from analogdeq.devices.preset import IDEAL, DevicePreset
from analogdeq.errors import GradientError, InputError
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.method import AdjointGradient, RestPoint, unit_size
from analogdeq.gradient.transposed import TransposedCore
from analogdeq.linalg.noise import seeded
from analogdeq.linalg.system import LinearSolution, relative, row_norm
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled

ARRAYS = ("same", "second")
HEADROOM = 0.95
"""Of the range, that the largest |v| is brought to where it would leave it."""
NOISE_STEP_TAU = 0.05
"""Step of the noisy integration, in time constants of the fastest node."""
FORGET_TAU = 5.0
"""Noisy integration before averaging begins."""


@final
@dataclass(frozen=True, kw_only=True)
class PhysicalAdjoint(AdjointGradient):
    """tau dv/dt = -v + J^T v + g: a second settle whose rest is v of (I - J^T) v = g.

    J^T v = W^T S v with S = a phi'(p) at the equilibrium. The adjoint has the spectrum of the forward network at its
    rest, so it is stable where that is, and takes about as long.

    "same" reads the devices of the forward array from the other side: whatever they realise, J^T is that of the
    machine, and the gradient has no bias. "second" programs W^T into another array, with a chip seed of its own; its
    devices miss their targets by other amounts, and the gradient is biased by about that mismatch times the condition
    of I - J.

    g is scaled to the converter's range; where v would leave it, the settle is repeated with less, and both are paid
    for.

    Noise is white in the node equation, dv = (-v + J^T v + g) ds + sqrt(2) sigma dB, so that an uncoupled node would
    fluctuate by sigma of full scale. v is then the mean over `average_tau` by Euler and Maruyama's method.

    Cost: a simulated settle per backward pass; on a machine a settling time, plus `average_tau` with noise. The log
    gets the mean seconds and, with a circuit, joules per sample. Memory: none that grows with the settle.

    Wrong by the band of its settle, the resolution of the converters, the noise over sqrt(average_tau / 2) and the
    mismatch of a second array. The log's residual holds them all: it is measured with the forward array's own J^T.

    Attributes:
        array: "same" or "second".
        circuit: component values, for joules, converters and the second array; None for an ideal one without joules.
        device: what the second array's weights are stored in.
        seed: the chip seed of the second array; also seeds the noise.
        noise: sigma, in units of full scale.
        average_tau: readout window, in time constants, where there is noise.
        options: how the settle is integrated; v is taken at rest, not at the edge of the band.

    Source: the adjoint as a network of its own: L. B. Almeida, ICNN 1987, and F. J. Pineda, Phys. Rev. Lett. 59:2229
    (1987), recurrent backpropagation.
    """

    array: str = "same"
    circuit: CrossbarCircuit | None = None
    device: DevicePreset = IDEAL
    seed: int = 0
    noise: float = 0.0
    average_tau: float = 20.0
    options: SettleOptions = field(default_factory=SettleOptions)

    def __post_init__(self) -> None:
        """Refuse unknown choices.

        Raises:
            InputError: naming the choice.
        """
        if self.array not in ARRAYS:
            raise InputError(f"unknown array {self.array!r} of the physical adjoint; known: {', '.join(ARRAYS)}")
        if self.array == "second" and self.circuit is None:
            raise InputError("a second array stores its weights in devices of a circuit: give the circuit")
        if self.circuit is not None and not self.circuit.wires.are_ideal:
            raise InputError(
                "the physical adjoint's array is known with ideal wires only: set circuit.wires.line_ohm and row_ohm "
                "to 0, or train with gradient.method = 'implicit'"
            )
        if not 0 <= self.noise < math.inf or not 0 < self.average_tau < math.inf:
            raise InputError(
                f"physical adjoint noise = {self.noise} must be finite and not negative, average_tau = "
                f"{self.average_tau} positive and finite"
            )

    def adjoint(self, point: RestPoint, g: Tensor, log: SolveLog) -> LinearSolution:
        """(batch, node) -> v, with seconds and joules in the log.

        Raises:
            InputError: if the core is not dense.
            GradientError: if g is not finite, or a sample's adjoint does not settle.
        """
        source = point.core
        if not isinstance(source, RCCore):
            raise InputError(f"the physical adjoint reads one crossbar transposed; a {type(source).__name__} has none")
        unit, size = unit_size(g)
        core, slope = self._array(source), source.slope(point.z, point.drive())
        out, shrink = self._settle(core, unit, slope, log)
        v = out.z
        if self.noise:
            v = self._average(core, unit * shrink, slope, out, log)
        if self.circuit is not None:
            v = self.circuit.adc.quantise(v)
        v = v / shrink
        left = unit + (slope * v) @ source.W.detach() - v
        return LinearSolution(
            x=v * size, relative_residual=relative(row_norm(left), row_norm(unit)), iterations=out.evaluations
        )

    def _array(self, source: RCCore) -> TransposedCore:
        W, circuit = source.W.detach(), self.circuit
        if circuit is None:
            return TransposedCore(W, rate=source.rate, tau_s=source.tau_s, gap=source.contraction_gap())
        if self.array == "same":
            pairs = _devices_of(source, circuit)
        else:
            # Targets are those of W^T; the class wants the devices as W has them.
            targets = map_weights(W.T.cpu(), circuit)
            found = targets.programmed(self.device, circuit.g_max_S, torch.Generator().manual_seed(self.seed))
            pairs = ConductancePairs(found.plus_S.T, found.minus_S.T, found.feedback_ohm)
            W = pairs.weights().to(W)
        norm = source.gain * source.activation.max_slope
        start = torch.full((W.shape[0],), W.shape[0] ** -0.5, dtype=W.dtype, device=W.device)
        gap = contraction_gap(norm, W.T.__matmul__, W.__matmul__, start, lambda: float(torch.linalg.matrix_norm(W, 2)))
        return TransposedCore(W, rate=None, tau_s=circuit.tau_s, gap=gap, circuit=circuit, pairs=pairs)

    def _settle(self, core: TransposedCore, unit: Tensor, slope: Tensor, log: SolveLog) -> tuple[Settled, Tensor]:
        """The settle with v inside the converter's range, and the scale (batch, 1) that g had in it."""
        shrink = torch.ones_like(unit[:, :1])
        out = self._once(core, unit, slope, log, 0.0, 0.0)
        peak = out.z.abs().amax(1, keepdim=True)
        if self.circuit is None or not bool((peak > 1).any()):
            return out, shrink
        shrink = torch.where(peak > 1, HEADROOM / peak, shrink)
        return self._once(core, unit * shrink, slope, log, log.backward_time_s, log.backward_energy_J), shrink

    def _once(
        self, core: TransposedCore, g: Tensor, slope: Tensor, log: SolveLog, spent_s: float, spent_J: float
    ) -> Settled:
        o = self.options
        level = g if self.circuit is None else self.circuit.dac.quantise(g)
        out = settle(
            core, torch.cat((level, slope), 1), method=o.method, rtol=o.rtol, atol=o.atol, band=o.band,
            dwell_tau=o.dwell_tau, max_time_tau=o.max_time_tau, max_steps=o.max_steps,
        )  # fmt: skip
        if not bool(out.is_settled.all()):
            raise GradientError(
                f"the physical adjoint of {int((~out.is_settled).sum())} of {g.shape[0]} samples did not settle within "
                f"{o.max_time_tau:g} tau: their equilibrium is not stable, or the array realises other weights"
            )
        log.backward_time_s = spent_s + float(out.t_settle_s.mean())
        if self.circuit is not None:
            log.backward_energy_J = spent_J + float(out.energy_J.mean())
        return out

    def _average(self, core: TransposedCore, g: Tensor, slope: Tensor, out: Settled, log: SolveLog) -> Tensor:
        """(batch, node): the mean of noisy v over the readout window, from the rest on."""
        generator = seeded(self.seed, g)
        drive = core.drive(torch.cat((g, slope), 1))
        rate = torch.ones_like(g[0]) if core.rate is None else core.rate
        h = NOISE_STEP_TAU / float(rate.max())
        kick = self.noise * (2 * h * rate).sqrt()
        v, total = out.z, torch.zeros_like(out.z)
        n_forget, n_average = math.ceil(FORGET_TAU / h), math.ceil(self.average_tau / h)
        for k in range(n_forget + n_average):
            noise = torch.randn(v.shape, generator=generator, dtype=v.dtype).to(v.device)
            v = v + h * rate * (core.fixed_point_map(v, drive) - v) + kick * noise
            if k >= n_forget:
                total += v
        window_s = (FORGET_TAU + self.average_tau) * core.tau_s
        log.backward_time_s += window_s
        if self.circuit is not None and out.power_end_W is not None:
            drivers_W = float(out.power_end_W[:, core.power_terms.index("drivers")].mean())
            log.backward_energy_J += window_s * (drivers_W + core.bias_W())
        return total / n_average


def _devices_of(source: RCCore, circuit: CrossbarCircuit) -> ConductancePairs:
    """(node, node): the devices that realise W exactly, beside those of U and b in one crossbar."""
    W, U, b = (p.detach() for p in source.trainable())
    whole = map_weights(torch.cat((W, U, b.unsqueeze(1)), 1).cpu(), circuit)
    n = source.n_nodes
    return ConductancePairs(whole.plus_S[:, :n], whole.minus_S[:, :n], whole.feedback_ohm)
