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
from torch.nn.functional import softshrink

from analogdeq.cores.core import Core, Drive
from analogdeq.linalg.exponential import exponential
from analogdeq.linalg.short_arnoldi import ShortSpace, short_arnoldi
from analogdeq.solve.decay import Decay, first_weights, norms, orbit
from analogdeq.solve.exits import Exits
from analogdeq.solve.jacobian import FlowJacobian
from analogdeq.solve.rest import rounding
from analogdeq.solve.romberg import romberg_weights

SIZES = (12, 40)
"""Krylov spaces tried in turn; of larger ones fewer lanes are held at a time."""
DEFECT = 5e-3
"""How much of the state a Krylov space may have missed by the time of the exit; a settling time errs by some 0.03 of
that."""
QUADRATURE_LOG2 = range(3, 11)
"""Energies are integrated over 2^3 intervals, and over twice as many until half of them give the same."""
TURN = 1.0
"""How far, in radians or e-folds, the state may go in one of them."""


@final
@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What becomes of states near a rest.

    Attributes:
        is_certain: (lane,) bool. The state decays for good, and when it is last outside the band is known.
        exit_after: (lane,) float64 [tau]. From now until it is last outside the band; 0 where it never is.
        exit_offset: (lane, node). Its distance from rest then.
        energy: (lane, term) float64 [W tau]. Until then.
        evaluations: (lane,) int64. Evaluations of F and products with its Jacobian.
        way: (lane, point, node). Offsets on the way there, about equally spaced in time.
    """

    is_certain: Tensor
    exit_after: Tensor
    exit_offset: Tensor
    energy: Tensor
    evaluations: Tensor
    way: Tensor


def bend(core: Core, drive: Drive, rest: Tensor, offset: Tensor, dz: Tensor) -> Tensor:
    """(lane, node): dz/ds - A e, what the linearised circuit does not tell of the motion, at the cost of one product.

    Entries that may be rounding are 0.

    Args:
        core: the network.
        drive: its constant drive, one row per lane.
        rest: (lane, node). Fixed points of F.
        offset: (lane, node). e, the states relative to those.
        dz: (lane, node). dz/ds at the states.
    """
    fastest = 1.0 if core.rate is None else float(core.rate.max())
    return softshrink(FlowJacobian(core, drive, rest)(offset).neg_().add_(dz), fastest * rounding(core))


def decay_rate(offset: Tensor, dz: Tensor) -> Tensor:
    """(lane,) float64 [1/tau]: -<e, de/ds> / <e, e>, at which the norm of e falls; negative where it grows."""
    return -((offset * dz).sum(1) / offset.square().sum(1)).to(torch.float64)


def straightened(offset: Tensor, gap: Tensor, decay: Tensor) -> Tensor:
    """(lane, node): the state from which the linearised circuit ends up where this one does.

    The bend q of a motion that decays at lambda decays at n lambda, where F bends as the n-th power of e, so all of it
    together moves a mode by

        integral of exp(lambda s) q exp(-n lambda s) ds = q / ((n - 1) lambda),

    where n is 2, or 3 for an odd F. What is taken lies between: a quarter of q / lambda stays at the most.

    Args:
        offset: (lane, node). e.
        gap: (lane, node). q, by `bend`.
        decay: (lane,) [1/tau]. lambda > 0, by `decay_rate`.
    """
    return offset + 0.75 * gap / decay.unsqueeze(1).to(gap.dtype)


def finish_linearly(
    core: Core,
    drive: Drive,
    rest: Tensor,
    offset: Tensor,
    margin: Tensor,
    band: float,
    energy_tol: float,
    way: int = 0,
) -> Arrival:
    """Follow de/ds = A e until nothing is left that could leave the band.

    Args:
        core: the network.
        drive: its constant drive, one row per lane.
        rest: (lane, node). Fixed points of F.
        offset: (lane, node). The states, relative to those.
        margin: (lane,) by what fraction they may be off.
        band: half width of the band, in the maximum norm.
        energy_tol: relative change of the energy at which twice as many intervals are enough.
        way: how many points on the way to write down.
    """
    lanes, n_terms = offset.shape[0], len(core.power_terms)
    result = Arrival(
        is_certain=torch.zeros(lanes, dtype=torch.bool, device=offset.device),
        exit_after=torch.zeros(lanes, dtype=torch.float64, device=offset.device),
        exit_offset=torch.empty_like(offset),
        energy=torch.zeros(lanes, n_terms, dtype=torch.float64, device=offset.device),
        evaluations=torch.zeros(lanes, dtype=torch.int64, device=offset.device),
        way=offset.new_zeros(lanes, way, offset.shape[1]),
    )
    rows = torch.arange(lanes, device=offset.device)
    for size in sorted({min(size, core.n_nodes) for size in SIZES}):
        if rows.numel() == 0:
            break
        parts = rows.split(max(1, lanes * SIZES[0] // size))
        rows = torch.cat(
            [_try_space(core, drive, rest, offset, margin, band, energy_tol, size, part, result) for part in parts]
        )
    return result


def _try_space(
    core: Core,
    drive: Drive,
    rest: Tensor,
    offset: Tensor,
    margin: Tensor,
    band: float,
    energy_tol: float,
    size: int,
    rows: Tensor,
    result: Arrival,
) -> Tensor:
    """Write down what a Krylov space of that size tells of some lanes; those for which a larger one may tell more."""
    space = short_arnoldi(FlowJacobian(core, drive.rows(rows), rest[rows]), offset[rows], size)
    decay = Decay.of(space, band)
    exits = Exits.of(space, decay, band, margin[rows])
    is_certain = decay.is_over & exits.is_resolved & (decay.missed(space, exits.after) <= DEFECT)
    at, known = rows[is_certain], torch.nonzero(is_certain).squeeze(1)
    result.evaluations[rows] += size
    result.is_certain[at], result.exit_after[at], result.exit_offset[at] = True, exits.after[known], exits.offset[known]
    if result.way.shape[1] and at.numel():
        result.way[at] = _way(space.rows(known), decay.points[known], (exits.after / decay.step)[known], result.way)
    if core.power_terms and at.numel():
        energy, evaluations = _energy(core, drive.rows(at), rest[at], space.rows(known), exits.after[known], energy_tol)
        result.energy[at] = energy
        result.evaluations[at] += evaluations
    # A space that sees growth would only see more of it, were it larger.
    return rows[~is_certain & decay.is_over]


def _way(space: ShortSpace, points: Tensor, until: Tensor, like: Tensor) -> Tensor:
    """(lane, point, node): of the weights (lane, m, point), up to the point `until` (lane,), so many as `like` has."""
    share = torch.linspace(0, 1, like.shape[1], dtype=torch.float64, device=points.device)
    index = (until.unsqueeze(1) * share).round().to(torch.int64).clamp_max(points.shape[2] - 1)
    weights = points.gather(2, index.unsqueeze(1).expand(-1, points.shape[1], -1))
    return torch.bmm(weights.transpose(1, 2).to(like.dtype), space.basis)


def _energy(
    core: Core, drive: Drive, rest: Tensor, space: ShortSpace, until: Tensor, tol: float
) -> tuple[Tensor, Tensor]:
    """(lane, term) float64 [W tau]: power integrated by Romberg's rule; and (lane,) int64, the evaluations it took.

    A lane that rings on its way has its intervals halved until the rule without every second point agrees.
    """
    energy = torch.zeros(rest.shape[0], len(core.power_terms), dtype=torch.float64, device=rest.device)
    evaluations, rows = torch.zeros_like(until, dtype=torch.int64), torch.arange(rest.shape[0], device=rest.device)
    for doublings in QUADRATURE_LOG2:
        part, length = space.rows(rows), until[rows].unsqueeze(1)
        step = length / 2**doublings
        one = exponential(part.H, step)
        weights = orbit(one, first_weights(part), doublings)
        power = _power(core, drive.rows(rows), rest[rows], part.basis, weights)
        evaluations[rows] += power.shape[1]
        fine, coarse = (length * _mean(power[:, :: 2**k], doublings - k) for k in (0, 1))
        energy[rows] = fine
        last = weights[:, :, -1:]
        # Points too far apart agree on the wrong energy of what rings.
        is_turning = step * norms(part, part.H @ last) > TURN * norms(part, last)
        is_rough = (fine - coarse).abs().sum(1) > tol * fine.abs().sum(1)
        rows = rows[is_rough | is_turning.squeeze(1)]
        if rows.numel() == 0:
            break
    return energy, evaluations


def _mean(power: Tensor, doublings: int) -> Tensor:
    """(lane, term): Romberg's mean over 2^doublings intervals."""
    weights = torch.tensor(romberg_weights(doublings), dtype=torch.float64, device=power.device)
    return torch.einsum("lpt,p->lt", power, weights) / 2**doublings


def _power(core: Core, drive: Drive, rest: Tensor, basis: Tensor, weights: Tensor) -> Tensor:
    """(lane, point, term) float64 [W]: where the weights (lane, m, point) of a basis (lane, m, node) say."""
    dz, work = torch.empty_like(rest), rest.new_empty(core.work_buffers, *rest.shape)
    power = rest.new_empty(rest.shape[0], len(core.power_terms))
    points = []
    for weight in weights.unbind(2):
        offset = torch.bmm(weight.to(rest.dtype).unsqueeze(1), basis).squeeze(1)
        core.evaluate(offset.add_(rest), drive, dz, power, work)
        points.append(power.to(torch.float64, copy=True))
    return torch.stack(points, 1)
