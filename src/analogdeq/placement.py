"""How a core's weights lie in crossbars, and which core the devices then are."""

from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.mapping import ConductancePairs, map_weights
from analogdeq.circuits.pairs import DevicePairs
from analogdeq.circuits.replicas import ReplicatedPairs
from analogdeq.circuits.tiling import Tiling, Window
from analogdeq.cores.conv import ConvCore
from analogdeq.cores.cubic import CubicCore
from analogdeq.cores.kernels import sides
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.cores.rc import RCCore
from analogdeq.devices.conduction import CubicConduction
from analogdeq.errors import InputError


class Placement(Protocol):
    """One way to store a core."""

    def targets(self, circuit: CrossbarCircuit) -> DevicePairs:
        """The conductances to ask for."""
        ...

    def realised(
        self, pairs: DevicePairs, circuit: CrossbarCircuit, conduction: CubicConduction | None = None
    ) -> SaturatingNetwork:
        """The core that programmed devices are, with the circuit's time constant and gain.

        Raises:
            InputError: if this kind of core is not known in devices that are no resistors.
        """
        ...


def placement_of(core: SaturatingNetwork) -> Placement:
    """How this kind of core is stored.

    Raises:
        InputError: if there is no way to.
    """
    if isinstance(core, RCCore):
        return OneCrossbar(core)
    if isinstance(core, ConvCore):
        return CrossbarPerPosition(core)
    raise InputError(f"no chip is known for a {type(core).__name__}; want an RCCore or a ConvCore")


@final
@dataclass(frozen=True)
class OneCrossbar:
    """W, U and b side by side in one crossbar: a row per node, a column per node, per input and for the bias."""

    source: RCCore

    def targets(self, circuit: CrossbarCircuit) -> ConductancePairs:
        """The conductances to ask for, (node, node + input + 1)."""
        W, U, b = (p.detach() for p in self.source.trainable())
        return map_weights(torch.cat((W, U, b.unsqueeze(1)), 1).cpu(), circuit)

    def realised(
        self, pairs: DevicePairs, circuit: CrossbarCircuit, conduction: CubicConduction | None = None
    ) -> RCCore | CubicCore:
        """The core that programmed devices are."""
        core = self.source
        if conduction is not None:
            return cubic_core(core, pairs, circuit, conduction)
        W, U, b = pairs.weights().to(core.W).split((core.n_nodes, core.n_inputs, 1), 1)
        return RCCore(
            W.contiguous(),
            U.contiguous(),
            b.squeeze(1).contiguous(),
            activation=core.activation.name,
            tau_s=circuit.tau_s + pairs.delay_s,
            gain=circuit.gain,
        )


def cubic_core(core: RCCore, pairs: DevicePairs, circuit: CrossbarCircuit, conduction: CubicConduction) -> CubicCore:
    """W, U, b and their square and cubic parts, from devices that conduct I(V) = G V + S V^2 + C V^3.

    A pair passes I+(v) + I-(-v) = (G+ - G-) v + (S+ + S-) v^2 + (C+ - C-) v^3 into its summing node; over V_u and
    times R_f that is the pre-activation.
    """
    (square_p, cube_p), (square_m, cube_m) = (conduction.coefficients(G) for G in (pairs.plus_S, pairs.minus_S))
    V_u = circuit.unit_voltage_V
    square = pairs.feedback_ohm * V_u * (square_p + square_m)
    cube = pairs.feedback_ohm * V_u**2 * (cube_p - cube_m)
    columns = (core.n_nodes, core.n_inputs, 1)
    weights = [stored.to(core.W).split(columns, 1) for stored in (pairs.weights(), square, cube)]
    W, U, _ = zip(*weights, strict=True)
    b = sum(part[2].squeeze(1) for part in weights)  # the bias line stands at V_u: 1 + 1^2 + 1^3
    return CubicCore(
        tuple(part.contiguous() for part in W),
        tuple(part.contiguous() for part in U),
        b,
        activation=core.activation.name,
        tau_s=circuit.tau_s,
        gain=circuit.gain,
    )


@final
@dataclass(frozen=True)
class CrossbarPerPosition:
    """One crossbar per output position, with W's kernels, U's kernels and b side by side: a row per channel."""

    source: ConvCore

    def targets(self, circuit: CrossbarCircuit) -> ReplicatedPairs:
        """The conductances to ask for: once for all crossbars, unless the core has weights per position."""
        tiling = self._tiling()
        weights = self._side_by_side().cpu()
        if weights.ndim == 3:  # what is not built must not decide on the feedback resistor
            weights = weights * tiling.built().unsqueeze(1)
        pairs = map_weights(weights, circuit)
        return ReplicatedPairs(pairs.plus_S, pairs.minus_S, pairs.feedback_ohm, tiling)

    def realised(
        self, pairs: DevicePairs, circuit: CrossbarCircuit, conduction: CubicConduction | None = None
    ) -> ConvCore:
        """The core that programmed devices are: shared kernels where all crossbars are equal, else one per position."""
        if conduction is not None:
            raise InputError(
                "devices whose current bends with voltage are known for an RCCore only, not for a ConvCore"
            )
        core, tiling = self.source, self._tiling()
        stored = pairs.weights().to(core.W)
        W, U, b = stored.split(tiling.column_groups, -1)
        image = () if stored.ndim == 2 else (tiling.height, tiling.width)
        return ConvCore(
            W.reshape(*image, *core.W.shape[-4:]).contiguous(),
            U.reshape(*image, *core.U.shape[-4:]).contiguous(),
            b.reshape(*image, -1).contiguous(),
            height=tiling.height,
            width=tiling.width,
            activation=core.activation.name,
            tau_s=circuit.tau_s,
            gain=circuit.gain,
        )

    def _tiling(self) -> Tiling:
        (channels, height, width), W, U = self.source.state_shape, self.source.W, self.source.U
        return Tiling(height, width, Window(channels, sides(W)), Window(U.shape[-3], sides(U)))

    def _side_by_side(self) -> Tensor:
        """(row, column), or (crossbar, row, column) if the core has weights per position."""
        W, U, b = (p.detach() for p in self.source.trainable())
        weights = torch.cat((W.flatten(-3), U.flatten(-3), b.unsqueeze(-1)), -1)
        return weights if weights.ndim == 2 else weights.flatten(0, 1)
