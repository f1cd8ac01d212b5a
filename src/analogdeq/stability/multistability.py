"""Whether a network comes to rest in one place or in several, found by settling from many starts."""

import enum
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, turn_of
from analogdeq.cores.oscillators.base import OscillatorCore
from analogdeq.errors import InputError
from analogdeq.oscillator_chip import OscillatorChip
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.settle import settle

APART = 10.0
"""In bands: how far apart two states are that are different rests. A settled state is within one band of its own."""


class Stability(enum.IntEnum):
    """What the starts of one sample say together."""

    ONE_REST = 0
    MULTISTABLE = 1
    PARTLY_AT_REST = 2
    NO_REST = 3

    @property
    def text(self) -> str:
        """The verdict as people say it, "one rest"."""
        return self.name.lower().replace("_", " ")

    @property
    def advice(self) -> str:
        """What the verdict means and what to try."""
        return _ADVICE[self]


_ADVICE = {
    Stability.ONE_REST: "every start came to the same rest; another one is not ruled out by that, see certificates",
    Stability.MULTISTABLE: "starts rest in different places, so noise, mismatch or the state before decide the result; "
    "start from a fixed state, inject or drive more strongly, or lower the gain of W",
    Stability.PARTLY_AT_REST: "some starts settle and others do not; their own verdicts say how they end",
    Stability.NO_REST: "no start settles; their own verdicts say why",
}


@final
@dataclass(frozen=True, kw_only=True)
class Rests:
    """Where the samples of a batch rest, from each of their starts.

    Attributes:
        z: (batch, start, node) [1]. The rests; where there is none, the last states.
        verdict_code: (batch, start) uint8. The `Verdict` of each start.
        label: (batch, start) int64. Which rest a start came to, counted from 0 as they were found; -1 for none.
        t_settle_s: (batch, start) float64 [s]. NaN where none.
    """

    z: Tensor
    verdict_code: Tensor
    label: Tensor
    t_settle_s: Tensor

    @property
    def count(self) -> Tensor:
        """(batch,) int64: how many different rests were found; a lower bound of how many there are."""
        return self.label.amax(1) + 1

    @property
    def verdict(self) -> list[Stability]:
        """One `Stability` per sample."""
        is_settled = self.label >= 0
        some, every = is_settled.any(1), is_settled.all(1)
        code = torch.where(self.count > 1, int(Stability.MULTISTABLE), int(Stability.ONE_REST))
        code = torch.where(~every & (self.count < 2), int(Stability.PARTLY_AT_REST), code)
        return [Stability(c) for c in torch.where(some, code, int(Stability.NO_REST)).tolist()]

    def shares(self, sample: int) -> Tensor:
        """(rest,) float64: the share of a sample's starts that came to each of its rests, the size of its basin."""
        label = self.label[sample]
        return torch.bincount(label[label >= 0]).to(torch.float64) / label.numel()


def find_rests(
    core: Core,
    u: Tensor,
    *,
    starts: int = 16,
    seed: int = 0,
    z0: Tensor | None = None,
    options: SettleOptions | None = None,
) -> Rests:
    """Settle every sample from many starts, and tell different rests apart; on the circle where states are angles.

    Starts are uniform between minus and plus full scale, or around the circle, the same for every sample. Rests that
    none of them reaches are missed: the chance to miss one whose basin holds a share p of the starts' box is
    (1 - p)^starts.

    Args:
        core: an ideal core, or a chip.
        u: (batch, input) [1].
        starts: how many, if `z0` is None.
        seed: of the starts.
        z0: (start, node) [1]. Starts to take instead.
        options: how to settle.

    Raises:
        InputError: for unusable input, or oscillators without a reference, whose rests are a circle each.
    """
    network = core.core if isinstance(core, OscillatorChip) else core
    if isinstance(network, OscillatorCore) and not network.has_reference:
        raise InputError(
            "without a reference (an injection U, b or shil) every rest of these oscillators is a whole circle of "
            "them; hand over Corotating(core), which divides it out"
        )
    if z0 is None:
        z0 = _starts(core, u, starts, seed)
    if z0.ndim != 2 or z0.shape[0] == 0 or z0.shape[1] != core.n_nodes:
        raise InputError(f"starts must have shape (start, {core.n_nodes}), got {tuple(z0.shape)}")
    o, batch, many = options or SettleOptions(), u.shape[0], z0.shape[0]
    out = settle(
        core, u.repeat_interleave(many, 0), z0=z0.to(u).repeat(batch, 1), method=o.method, rtol=o.rtol, atol=o.atol,
        band=o.band, dwell_tau=o.dwell_tau, max_time_tau=o.max_time_tau, max_steps=o.max_steps,
    )  # fmt: skip
    z, is_settled = out.z.view(batch, many, -1), out.is_settled.view(batch, many)
    return Rests(
        z=z,
        verdict_code=out.verdict_code.view(batch, many),
        label=_labels(z, is_settled, APART * o.band * core.full_scale, turn_of(core)),
        t_settle_s=out.t_settle_s.view(batch, many),
    )


def _starts(core: Core, u: Tensor, starts: int, seed: int) -> Tensor:
    if not isinstance(starts, int) or starts < 2:
        raise InputError(f"starts = {starts!r} must be a whole number, at least 2")
    uniform = torch.rand(starts, core.n_nodes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    turn = turn_of(core)
    z0 = uniform * turn if turn is not None else (2 * uniform - 1) * core.full_scale
    return z0.to(u)


def _labels(z: Tensor, is_settled: Tensor, apart: float, turn: float | None) -> Tensor:
    """(batch, start) int64: the first start that rests where each one does, renumbered without gaps."""
    batch, many, _ = z.shape
    label = torch.full((batch, many), -1, dtype=torch.int64, device=z.device)
    count = torch.zeros(batch, dtype=torch.int64, device=z.device)
    for start in range(many):
        offset = z - z[:, start : start + 1]
        if turn is not None:
            offset = offset - turn * torch.round(offset / turn)
        is_new = is_settled[:, start] & (label[:, start] < 0)
        is_here = is_new.unsqueeze(1) & is_settled & (label < 0) & (offset.abs().amax(2) < apart)
        label = torch.where(is_here, count.unsqueeze(1), label)
        count += is_new
    return label
