"""Shot noise of barrier devices, as the conductance that would make as much thermal noise."""

import torch
from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.circuits.mapping import ConductancePairs
from analogdeq.errors import InputError
from analogdeq.units import BOLTZMANN_J_PER_K, ELEMENTARY_CHARGE_C


def lines_at(chip: Chip, z: Tensor, u: Tensor) -> Tensor:
    """(line,) [1]. What stands on a chip's lines, over the unit voltage: state, inputs after the DAC, and the bias."""
    level = chip.circuit.dac.quantise(u.reshape(1, -1))[0]
    return torch.cat((z.reshape(-1), level, torch.ones_like(level[:1]))).double()


def barrier_factor(V: Tensor, temperature_K: float) -> Tensor:
    """[1]. 2 q I coth(q V / 2 k T) over 4 k T G: x coth x with x = q V / 2 k T; 1 at 0, growing as |x| far from it.

    Source: shot noise of both directions of current over a barrier, textbook; docs/noise.md.
    """
    x = (ELEMENTARY_CHARGE_C / (2 * BOLTZMANN_J_PER_K * temperature_K)) * V.abs()
    near = 1 + x.square() / 3  # the series, where the quotient is 0 / 0; its next term is x^4 / 45
    return torch.where(x < 1e-3, near, x / torch.tanh(x.clamp_min(1e-3)))


def barrier_sum_S(chip: Chip, lines: Tensor | None) -> Tensor:
    """(row,) [S]. sum_j (G+ + G-)_ij x_j coth x_j: what takes the place of G_tot in thermal noise.

    Raises:
        InputError: without `lines`, or where the devices are not in one crossbar with ideal wires.
    """
    name = chip.device_preset.name
    if not isinstance(chip.pairs, ConductancePairs):
        raise InputError(f"shot noise of {name!r} is known in one crossbar with ideal wires only")
    if lines is None or lines.shape != chip.pairs.plus_S.shape[1:]:
        raise InputError(
            f"device {name!r} makes shot noise, which depends on its voltage: give white_noise(chip, "
            f"lines=lines_at(chip, z, u)) with z the rest and u the input, {chip.pairs.plus_S.shape[1]} lines in all"
        )
    factor = barrier_factor(chip.circuit.unit_voltage_V * lines.double(), chip.temperature_K)
    return (chip.pairs.plus_S + chip.pairs.minus_S) @ factor
