"""The last part of a settle, where the circuit is as good as linear: the exponential of its Jacobian replaces steps.

Near its rest z* the circuit obeys de/ds = A e for e = z - z*, A = r (J - I), and in a Krylov space V of e,

    e(s) = ||e|| V exp(s H) e_1,   A V = V H + h v e_m^T,

which costs one product per dimension, however long the decay takes and however stiff or lightly damped it is.

Source: Y. Saad, SIAM J. Numer. Anal. 29:209 (1992).
"""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import pad

from analogdeq.cores.core import Core, Drive
from analogdeq.linalg.short_arnoldi import ShortSpace, short_arnoldi
from analogdeq.solve.romberg import romberg_weights

SIZES = (16, 40)
"""Krylov spaces tried in turn."""
DEFECT = 5e-3
"""How much of the state a Krylov space may have missed by the time of the exit; a settling time errs by some 0.03 of
that."""
FIRST = 0.25
"""First time looked at, over the largest row sum of H; each further one is twice as long."""
DOUBLINGS = 48
EXPLODES = 1e6
"""A space in which anything grows by so much is followed no further."""
POINTS_LOG2 = 6
"""The decay is looked at in 2^6 equal parts, and what may hold the exit in as many again, until they are short."""
LEVELS = 6
TURN = 0.3
"""How far, in radians or e-folds, the state may go from one point to the next where an exit is looked for."""
QUADRATURE_LOG2 = 4
"""Energies are integrated over 2^4 intervals."""


@final
@dataclass(frozen=True, kw_only=True)
class LinearFinish:
    """What becomes of states near a rest.

    Attributes:
        is_certain: (lane,) bool. The state decays for good, and when it is last outside the band is known.
        exit_after: (lane,) float64 [tau]. From now until it is last outside the band; 0 where it never is.
        exit_offset: (lane, node). Its distance from rest then.
        energy: (lane, term) float64 [W tau]. Until then.
        evaluations: (lane,) int64. Evaluations of F and products with its Jacobian.
    """

    is_certain: Tensor
    exit_after: Tensor
    exit_offset: Tensor
    energy: Tensor
    evaluations: Tensor


@final
class FlowJacobian:
    """v -> r (J - I) v at one state per lane."""

    def __init__(self, core: Core, drive: Drive, z: Tensor) -> None:
        self._jacobian, self._rate = core.linearise(z, drive), core.rate

    def __call__(self, v: Tensor) -> Tensor:
        """(lane, node) -> (lane, node)."""
        w = self._jacobian.matvec(v) - v
        return w if self._rate is None else w.mul_(self._rate)


def nonlinearity(core: Core, drive: Drive, rest: Tensor, offset: Tensor, dz: Tensor) -> Tensor:
    """(lane,) float64: max |dz/ds - A e| over max |dz/ds|, at the cost of one product.

    Args:
        core: the network.
        drive: its constant drive, one row per lane.
        rest: (lane, node). Fixed points of F.
        offset: (lane, node). e, the states relative to those.
        dz: (lane, node). dz/ds at the states.
    """
    gap = FlowJacobian(core, drive, rest)(offset).sub_(dz).abs_().amax(1)
    return (gap / dz.abs().amax(1)).to(torch.float64)


def finish_linearly(core: Core, drive: Drive, rest: Tensor, offset: Tensor, band: float) -> LinearFinish:
    """Follow de/ds = A e until nothing is left that could leave the band.

    Args:
        core: the network.
        drive: its constant drive, one row per lane.
        rest: (lane, node). Fixed points of F.
        offset: (lane, node). The states, relative to those.
        band: half width of the band, in the maximum norm.
    """
    lanes, n_terms = offset.shape[0], len(core.power_terms)
    result = LinearFinish(
        is_certain=torch.zeros(lanes, dtype=torch.bool, device=offset.device),
        exit_after=torch.zeros(lanes, dtype=torch.float64, device=offset.device),
        exit_offset=torch.empty_like(offset),
        energy=torch.zeros(lanes, n_terms, dtype=torch.float64, device=offset.device),
        evaluations=torch.zeros(lanes, dtype=torch.int64, device=offset.device),
    )
    rows = torch.arange(lanes, device=offset.device)
    for size in sorted({min(size, core.n_nodes) for size in SIZES}):
        space = short_arnoldi(FlowJacobian(core, drive.rows(rows), rest[rows]), offset[rows], size)
        result.evaluations[rows] += size
        decay = _Decay.of(space, band)
        exits = _Exits.of(space, decay, band)
        is_certain = decay.is_over & exits.is_resolved & (_missed(space, decay, exits.after) <= DEFECT)
        at, known = rows[is_certain], torch.nonzero(is_certain).squeeze(1)
        result.is_certain[at], result.exit_after[at] = True, exits.after[known]
        result.exit_offset[at] = exits.offset[known]
        if n_terms and at.numel():
            result.energy[at] = _energy(core, drive.rows(at), rest[at], space.rows(known), exits.after[known])
            result.evaluations[at] += 2**QUADRATURE_LOG2 + 1
        # A space that sees growth would only see more of it, were it larger.
        rows = rows[~is_certain & decay.is_over]
        if rows.numel() == 0:
            break
    return result


@final
@dataclass(frozen=True, kw_only=True)
class _Decay:
    """How the weights w(s) = ||e|| exp(s H) e_1 die away.

    Attributes:
        is_over: (lane,) bool. Whether they do, with all that the space can hold.
        step: (lane,) float64 [tau]. Spacing of `points`.
        points: (lane, m, point) float64. The weights at equally spaced times, from 0 until nothing is left.
    """

    is_over: Tensor
    step: Tensor
    points: Tensor

    @classmethod
    def of(cls, space: ShortSpace, band: float) -> "_Decay":
        """Twice as far ahead each time, until what is left can grow out of the band no more."""
        time = FIRST / space.H.abs().sum(2).amax(1).clamp_min(1e-9)
        power = _exponential(space.H, time)
        recent = [power] * (POINTS_LOG2 + 1)
        step_map, end = power, time.clone()
        is_over, growth = torch.zeros_like(time, dtype=torch.bool), torch.ones_like(time)
        widest = space.H.shape[1] ** 0.5  # of V: its rows have length 1
        for k in range(DOUBLINGS):
            power, time = power @ power, 2 * time
            recent = [*recent[1:], power]
            size = torch.linalg.matrix_norm(power)
            growth = torch.maximum(growth, size)
            left = space.length * torch.linalg.vector_norm(power[:, :, 0], dim=1)
            ends = (widest * left * growth <= band).logical_and_(size <= 1).logical_and_(~is_over)
            if k + 1 < POINTS_LOG2:  # the map over a part of so short a time is not among the recent ones
                continue
            step_map = torch.where(ends.view(-1, 1, 1), recent[0], step_map)
            end, is_over = torch.where(ends, time, end), is_over | ends
            if bool((is_over | ~(growth <= EXPLODES)).all()):
                break
        points = _orbit(step_map, _first(space), POINTS_LOG2)
        return cls(is_over=is_over, step=end / 2**POINTS_LOG2, points=points)


@final
@dataclass(frozen=True, kw_only=True)
class _Exits:
    """When decaying states are last outside the band.

    Attributes:
        after: (lane,) float64 [tau]. 0 where they never are.
        offset: (lane, node). Where they are then, relative to rest.
        is_resolved: (lane,) bool. Whether the points were close enough to see every excursion.
    """

    after: Tensor
    offset: Tensor
    is_resolved: Tensor

    @classmethod
    def of(cls, space: ShortSpace, decay: _Decay, band: float) -> "_Exits":
        """Look at equally spaced points, and again at what may hold the exit, until the state hardly turns in between.

        The norm of a state bounds its largest entry, and decays more evenly, so it says where no exit can be any more.
        """
        lanes = decay.step.shape[0]
        after, offset = torch.zeros_like(decay.step), space.basis.new_empty(lanes, space.basis.shape[2])
        is_resolved = torch.zeros(lanes, dtype=torch.bool, device=after.device)
        rows, begin, step, points = torch.arange(lanes, device=after.device), after.clone(), decay.step, decay.points
        for _ in range(LEVELS):
            norm = _norm(space, points)
            until = _last(norm > 0.99 * band) + 1
            surely = int(_last(norm > band * space.basis.shape[2] ** 0.5).min())
            far = _largest(space.basis, points[:, :, surely : int(until.max()) + 1])
            far = pad(far, (surely, points.shape[2] - surely - far.shape[1]), value=0.0)
            last = _last(far > band)
            bracket = _Bracket.of(space, points, step, last)
            is_fine = bracket.turn <= TURN
            share, at_exit = bracket.exit(space.basis, far, band)
            done, at = torch.nonzero(is_fine).squeeze(1), rows[is_fine]
            after[at], offset[at] = (begin + (last + share) * step)[done], at_exit[done]
            is_resolved[at] = True
            again = torch.nonzero(~is_fine & decay.is_over[rows]).squeeze(1)
            if again.numel() == 0:
                break
            rows, space = rows[again], space.rows(again)
            start = points[again].gather(2, last[again].view(-1, 1, 1).expand(-1, points.shape[1], 1)).squeeze(2)
            begin = (begin + last * step)[again]
            step = ((until - last).clamp_min(1) * step)[again] / 2**POINTS_LOG2
            points = _orbit(torch.linalg.matrix_exp(step.view(-1, 1, 1) * space.H), start, POINTS_LOG2)
        return cls(after=after, offset=offset, is_resolved=is_resolved)


@final
@dataclass(frozen=True, kw_only=True)
class _Bracket:
    """The interval that holds the exit, and Hermite's cubic through its ends.

    Attributes:
        ends: (lane, m, 2). Weights at its ends.
        slopes: (lane, m, 2). Their changes over its length, by their derivatives there.
        index: (lane,) int64. Of its first point.
    """

    ends: Tensor
    slopes: Tensor
    index: Tensor

    @classmethod
    def of(cls, space: ShortSpace, points: Tensor, step: Tensor, last: Tensor) -> "_Bracket":
        index = last.clamp_max(points.shape[2] - 2)
        at = torch.stack((index, index + 1), 1).unsqueeze(1).expand(-1, points.shape[1], 2)
        ends = points.gather(2, at)
        return cls(ends=ends, slopes=space.H @ ends * step.view(-1, 1, 1), index=index)

    @property
    def turn(self) -> Tensor:
        """(lane,) how far the state goes, in radians or e-folds."""
        size = torch.linalg.vector_norm(self.ends[:, :, 0], dim=1)
        return torch.linalg.vector_norm(self.slopes[:, :, 0], dim=1) / size.clamp_min(1e-300)

    def weights(self, share: Tensor) -> Tensor:
        """(lane, m) at fractions of the interval."""
        s = share.unsqueeze(1)
        begin, end = self.ends.unbind(2)
        leave, arrive = self.slopes.unbind(2)
        change = end - begin
        return begin + s * (leave + s * (3 * change - 2 * leave - arrive + s * (leave + arrive - 2 * change)))

    def exit(self, basis: Tensor, far: Tensor, band: float) -> tuple[Tensor, Tensor]:
        """(lane,) fraction at which the state leaves, 0 if it was always inside, and (lane, node) the state there."""
        at = torch.stack((self.index, self.index + 1), 1)
        high, low = (far.gather(1, at) / band).clamp_min(1e-6).log().unbind(1)
        is_outside = high > 0
        left, right = torch.zeros_like(high), torch.ones_like(high)
        share = left
        for _ in range(4):  # false position on the logarithm of the distance, which is nearly straight
            share = torch.where(is_outside, left + (right - left) * (high / (high - low)).clamp(0, 1), 0.0)
            weights = self.weights(share).to(basis.dtype).unsqueeze(1)
            state = torch.bmm(weights, basis).squeeze(1)
            now = (state.abs().amax(1).to(torch.float64) / band).clamp_min(1e-6).log()
            is_left = now > 0
            left, high = torch.where(is_left, share, left), torch.where(is_left, now, high)
            right, low = torch.where(is_left, right, share), torch.where(is_left, low, now)
        return share, state


def _missed(space: ShortSpace, decay: _Decay, after: Tensor) -> Tensor:
    """(lane,) float64: what the space misses at the exit, relative to the state, if it decays as the state does.

    Integral of |h w_m| / ||V w||: what A leads out of the space, over what is there.
    """
    leak = space.coupling.unsqueeze(1) * decay.points[:, -1].abs() / _norm(space, decay.points).clamp_min_(1e-300)
    index = torch.arange(leak.shape[1], device=leak.device)
    counts = index <= (after / decay.step).ceil().unsqueeze(1)
    return (leak * counts).sum(1) * decay.step


def _energy(core: Core, drive: Drive, rest: Tensor, space: ShortSpace, until: Tensor) -> Tensor:
    """(lane, term) float64 [W tau]: power integrated by Romberg's rule over equal intervals."""
    step = until / 2**QUADRATURE_LOG2
    orbit = _orbit(torch.linalg.matrix_exp(step.view(-1, 1, 1) * space.H), _first(space), QUADRATURE_LOG2)
    dz, work = torch.empty_like(rest), rest.new_empty(core.work_buffers, *rest.shape)
    power = rest.new_empty(rest.shape[0], len(core.power_terms))
    total = torch.zeros_like(power, dtype=torch.float64)
    for k, weight in enumerate(romberg_weights(QUADRATURE_LOG2)):
        offset = torch.bmm(orbit[:, :, k].to(rest.dtype).unsqueeze(1), space.basis).squeeze(1)
        core.evaluate(offset.add_(rest), drive, dz, power, work)
        total += weight * power
    return total * step.unsqueeze(1)


def _norm(space: ShortSpace, weights: Tensor) -> Tensor:
    """(lane, point) float64: the Euclidean norm of each state."""
    return (space.gram @ weights).mul_(weights).sum(1).clamp_min_(0).sqrt_()


def _first(space: ShortSpace) -> Tensor:
    """(lane, m): the weights of the state itself."""
    return pad(space.length.unsqueeze(1), (0, space.H.shape[1] - 1))


def _exponential(H: Tensor, time: Tensor) -> Tensor:
    """exp(time H) for time ||H|| <= FIRST, by ten terms of its series."""
    unit = torch.eye(H.shape[1], dtype=H.dtype, device=H.device).expand_as(H)
    scaled, total = time.view(-1, 1, 1) * H, unit
    for k in range(10, 0, -1):
        total = torch.baddbmm(unit, scaled, total, alpha=1 / k)
    return total


def _orbit(step: Tensor, start: Tensor, doublings: int) -> Tensor:
    """(lane, m, 2^doublings + 1): start, E start, E^2 start, ..."""
    block, power = start.unsqueeze(2), step
    for _ in range(doublings):
        block = torch.cat((block, power @ block), 2)
        power = power @ power
    return torch.cat((block, power @ block[:, :, :1]), 2)


def _largest(basis: Tensor, weights: Tensor) -> Tensor:
    """(lane, point) float64: the largest entry of each state."""
    states = torch.bmm(weights.to(basis.dtype).transpose(1, 2), basis)
    return states.abs_().amax(2).to(torch.float64)


def _last(is_so: Tensor) -> Tensor:
    """(lane,) int64: the last point at which it is so; 0 where it never is."""
    index = torch.arange(is_so.shape[1], device=is_so.device)
    return torch.where(is_so, index, 0).amax(1)
