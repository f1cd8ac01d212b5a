"""Many chips from one fab: how far each is from its ideal, and how many are good enough."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.ageing.life import Care
from analogdeq.chip import Chip
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.devices.preset import DevicePreset
from analogdeq.errors import InputError
from analogdeq.solve.settle import settle
from analogdeq.studies.interval import wilson


@final
@dataclass(frozen=True)
class Population:
    """What a batch of inputs does on every chip, at every age.

    Attributes:
        seeds: of the chips.
        ages_s: (age,) [s].
        error: (chip, age) [1]. Root mean square of z against that of exact devices, over inputs and nodes; infinite
            where a sample did not settle.
        t_settle_s: (chip, age) [s]. The slowest sample's; infinite where one did not settle.
        energy_J: (chip, age) [J]. Mean over the inputs.
        maintenance_J: (chip, age) [J]. Spent on maintenance until then.
    """

    seeds: tuple[int, ...]
    ages_s: tuple[float, ...]
    error: Tensor
    t_settle_s: Tensor
    energy_J: Tensor
    maintenance_J: Tensor


def make_population(
    core: SaturatingNetwork,
    circuit: CrossbarCircuit,
    device: DevicePreset,
    u: Tensor,
    *,
    seeds: Sequence[int],
    ages_s: Sequence[float] = (0.0,),
    temperature_K: float = 300.0,
    care: Care | None = None,
) -> Population:
    """Make one chip per seed, let each grow old, and settle the same inputs at every age.

    Args:
        core: the ideal core.
        circuit: of every chip.
        device: of every chip.
        u: (batch, input) [1].
        seeds: chip seeds.
        ages_s: [s]. Ascending.
        temperature_K: [K]. At which they age and work.
        care: how they are looked after.

    Raises:
        InputError: if there is no chip or no age, or the ages do not ascend.
        RangeError: outside the preset's range.
    """
    if not seeds or not ages_s or list(ages_s) != sorted(ages_s):
        raise InputError(f"want at least one chip seed and ascending ages, got {len(seeds)} seeds, ages {ages_s}")
    ideal = settle(Chip(core, circuit), u, throw=True).z
    shape = (len(seeds), len(ages_s))
    errors, times, energies = (torch.full(shape, math.inf, dtype=torch.float64) for _ in range(3))
    kept = torch.zeros(shape, dtype=torch.float64)
    for row, seed in enumerate(seeds):
        chip = Chip(core, circuit, device, seed=seed, care=care)
        for column, age_s in enumerate(ages_s):
            out = settle(chip.age(age_s, temperature_K), u)
            if bool(out.is_settled.all()):
                errors[row, column] = (out.z - ideal).double().square().mean().sqrt()
                times[row, column] = out.t_settle_s.max()
                energies[row, column] = out.energy_J.mean()
            kept[row, column] = chip.maintenance_J
    return Population(tuple(seeds), tuple(ages_s), errors, times, energies, kept)


@final
@dataclass(frozen=True)
class Yield:
    """How many chips are good enough, against how good that is.

    Attributes:
        limits: (limit,) what a chip's figure must not exceed.
        share: (limit,) [1]. Of the chips.
        low: (limit,) [1]. Lower end of the 95 % interval.
        high: (limit,) [1]. Upper end.
    """

    limits: Tensor
    share: Tensor
    low: Tensor
    high: Tensor


def yield_curve(figure: Tensor, limits: Tensor) -> Yield:
    """The share of chips whose figure is at or below each limit, with its interval by `wilson`.

    Args:
        figure: (chip,) of a population, one number per chip; the smaller the better.
        limits: (limit,).

    Raises:
        InputError: if there is no chip.
    """
    n = figure.numel()
    if n == 0 or figure.ndim != 1:
        raise InputError(f"a yield needs one figure per chip, (chip,), got shape {tuple(figure.shape)}")
    shares = (figure.unsqueeze(0) <= limits.unsqueeze(1)).double().mean(1)
    low, high = torch.tensor([wilson(share, n) for share in shares.tolist()], dtype=torch.float64).view(-1, 2).T
    return Yield(limits, shares, low, high)
