"""Whether a rest attracts: the flow of the circuit linearised there, in the Krylov space of a state beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.linalg.arnoldi import KrylovSpace, arnoldi
from analogdeq.linalg.exponential import exponential
from analogdeq.solve.jacobian import FlowJacobian
from analogdeq.solve.rest import Rest

KICK_SEED = 20_481
KICK_BANDS = 0.3
"""Searches for a rest begin this far beside the trajectory, so that Picard iterations converge only to one that
attracts."""
KICK = 0.05
"""Size of the perturbation that a look-ahead adds, relative to the offset: a state on a saddle's stable manifold, by
symmetry or by chance, must not hide that the saddle repels."""
SMALLEST_OFFSET = 1e-3
"""In bands. A state nearer than this is looked at as if it were this far away."""
SIZES = (8, 16, 48, 256)
"""Krylov spaces tried in turn. Up to 256 nodes the last is the whole space, and the answer that of dense algebra."""
RESOLVED = 0.02
"""How much of the kick a Krylov space may miss: an unstable direction with no trace in it is smaller than that."""
POINTS_LOG2 = 5
"""A block of the look-ahead has 2^5 points, and each block is twice as long as the one before."""
BLOCKS = 40
FIRST_STEP = 0.25
"""First spacing of the points, over the largest row sum of the compressed map."""
OVER = 1e-3
"""In bands. A look-ahead ends once nothing larger is left."""


@final
@dataclass(frozen=True, kw_only=True)
class Attraction:
    """Whether rests attract, by the circuit linearised there.

    Attributes:
        attracts: (lane,) bool. No growing mode.
        repels: (lane,) bool. A growing mode was resolved. Neither: no Krylov space in `SIZES` was large enough.
        evaluations: (lane,) int64. Products with the Jacobian of F.
    """

    attracts: Tensor
    repels: Tensor
    evaluations: Tensor


def kick(z: Tensor) -> Tensor:
    """(1, node) a fixed draw from -1 to 1 per node, the same for every sample, so that batching changes nothing."""
    generator = torch.Generator().manual_seed(KICK_SEED)
    draw = torch.rand(1, z.shape[1], generator=generator, dtype=torch.float64)
    return (2 * draw - 1).to(z)


def beside(core: Core, z: Tensor, band: float, is_moving: Tensor) -> Tensor:
    """(lane, node): where to search for rests from, a fraction of a band off the states z where a rest may repel.

    A state that does not move is searched from as it is: it is a rest, and only the look-ahead can tell of which kind.
    """
    if core.contraction_gap() > 0:
        return z
    return torch.where(is_moving.unsqueeze(1), z + KICK_BANDS * band * kick(z), z)


def do_attract(core: Core, drive: Drive, rest: Rest, band: float) -> tuple[Tensor, Tensor]:
    """Whether rests searched for from `beside` attract, (lane,) bool, and the evaluations it took to tell."""
    is_known = torch.isfinite(rest.approach[:, 0])
    if core.contraction_gap() > 0:
        is_known = torch.ones_like(is_known)
    elif core.rate is not None:  # Picard iterations see no speeds
        is_known = torch.zeros_like(is_known)
    attracts, evaluations = is_known.clone(), torch.zeros_like(rest.evaluations)
    rows = torch.nonzero(~is_known & rest.is_found).squeeze(1)
    if rows.numel():
        z = rest.z[rows]
        known = attraction(core, drive.rows(rows), z, torch.zeros_like(z), band)
        attracts[rows], evaluations[rows] = known.attracts, known.evaluations
    return attracts, evaluations


def attraction(core: Core, drive: Drive, rest: Tensor, offset: Tensor, band: float) -> Attraction:
    """Whether rests attract, seen from the present offsets, slightly perturbed: `look_ahead` without its view ahead.

    Args:
        core: the network.
        drive: its constant drive, one row per lane.
        rest: (lane, node). Fixed points of F.
        offset: (lane, node). The states, relative to those.
        band: half width of the band, in the maximum norm.
    """
    start = perturbed(offset, band)
    attracts = torch.zeros(offset.shape[0], dtype=torch.bool, device=offset.device)
    repels, evaluations = attracts.clone(), torch.zeros_like(attracts, dtype=torch.int64)
    rows = torch.arange(offset.shape[0], device=offset.device)
    for size in sorted({min(size, core.n_nodes) for size in SIZES}):
        if rows.numel() == 0:
            break
        space = arnoldi(FlowJacobian(core, drive.rows(rows), rest[rows]), start[rows], size)
        evaluations[rows] += space.products
        attracts[rows], repels[rows] = do_decay(space, _defect(space, band))
        rows = rows[~(attracts[rows] | repels[rows])]
    return Attraction(attracts=attracts, repels=repels, evaluations=evaluations)


def perturbed(offset: Tensor, band: float) -> Tensor:
    """The offset with a kick in all directions; a kick alone where there is no offset to speak of."""
    direction = kick(offset)
    direction = direction / torch.linalg.vector_norm(direction)
    length = torch.linalg.vector_norm(offset, dim=1, keepdim=True)
    return offset + direction * (KICK * length).clamp_min(SMALLEST_OFFSET * band)


def do_decay(space: KrylovSpace, defect: Tensor) -> tuple[Tensor, Tensor]:
    """(lane,) bool each: whether all of a state decays in such a space, or something in it is known to grow."""
    growth, certainty = _rightmost(space)
    size, nodes = space.basis.shape[1:]
    kicked = KICK * space.length / nodes**0.5
    sees_all = (size == nodes) | (space.coupling == 0) | (defect <= RESOLVED * kicked)
    grows = growth - certainty > 0
    return (growth < 0) & (sees_all | (growth + certainty < 0)), grows


def _rightmost(space: KrylovSpace) -> tuple[Tensor, Tensor]:
    """(lane,) float64 each: the largest growth rate of the compressed flow, and how far A may be from having it."""
    values, vectors = torch.linalg.eig(space.H)
    lead = values.real.argmax(1)
    last = vectors[:, -1].gather(1, lead.unsqueeze(1)).squeeze(1).abs()
    return values.real.gather(1, lead.unsqueeze(1)).squeeze(1), space.coupling * last


def blocks(space: KrylovSpace) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """exp(s H) e_1 on blocks of points, each twice as long as the one before: spacing, map over it, weights.

    (lane,), (lane, m, m) and (lane, m, point).
    """
    lanes, size, _ = space.basis.shape
    delta = FIRST_STEP / space.H.abs().sum(2).amax(1).clamp_min(1e-9)
    powers = [exponential(space.H, delta)]
    for _ in range(POINTS_LOG2 - 1):
        powers.append(powers[-1] @ powers[-1])
    w = space.H.new_zeros(lanes, size, 1)
    w[:, 0, 0] = space.length
    for _ in range(BLOCKS):
        block = w
        for power in powers:
            block = torch.cat((block, power @ block), 2)
        yield delta, powers[0], block
        # The next block begins one step after this one ends, and has twice its spacing.
        w = powers[0] @ block[:, :, -1:]
        delta, powers = 2 * delta, [*powers[1:], powers[-1] @ powers[-1]]


def _defect(space: KrylovSpace, band: float) -> Tensor:
    """(lane,) float64: the integral of |h w_m|, which bounds what the space misses; infinite where it never ends."""
    defect, is_over = torch.zeros_like(space.length), space.coupling == 0
    for delta, _, block in blocks(space):
        left = torch.linalg.vector_norm(block[:, :, 0], dim=1)
        is_over = (space.coupling == 0) | (left < OVER * band)
        if bool((is_over | ~torch.isfinite(left)).all()):
            break
        defect += space.coupling * delta * block[:, -1].abs().sum(1)
    return torch.where(is_over, defect, torch.inf).nan_to_num(nan=torch.inf)
