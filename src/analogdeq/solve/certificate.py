"""What is known of each lane's rest: whether it attracts, and whether the lane is inside its band for good."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.solve.attraction import attraction
from analogdeq.solve.outlook import calm_after, look_ahead
from analogdeq.solve.rest import Rest

WELL_INSIDE = 0.02
"""In bands. Where no look-ahead can be trusted, a lane must be this near to its rest before it counts as settled."""
ASK_AGAIN = 0.5
"""A look-ahead that found no certainty is repeated once the distance has fallen by this factor."""


@final
@dataclass(frozen=True, kw_only=True)
class Answer:
    """(row,) bool each: certified to stay inside the band; repelled by its rest; and what asking cost, (row,) int64."""

    stays: Tensor
    repels: Tensor
    evaluations: Tensor


@final
class Certificates:
    """One row per lane.

    Of a contraction every rest attracts, and a weighted distance that only falls bounds all others. Otherwise Picard
    iterations that began beside the trajectory and converged show that the rest attracts, and
    bound the flow (`calm_after`). Where they do not converge, or the nodes differ in speed, which Picard iterations do
    not see, the linearised flow is followed ahead (`look_ahead`).
    """

    def __init__(self, core: Core, z: Tensor, band: float) -> None:
        """Nothing is known of lanes at z (lane, node)."""

        def full(value: float) -> Tensor:
            return torch.full((z.shape[0],), value, dtype=torch.float64, device=z.device)

        self._core, self._band = core, band
        self._is_contraction = core.contraction_gap() > 0
        self._calm_after, self._ask_after, self._ask_below = full(torch.inf), full(0.0), full(torch.inf)
        self._attracts = torch.zeros(z.shape[0], dtype=torch.bool, device=z.device)
        self.residual = full(0.0)

    def keep(self, rows: Tensor) -> None:
        """Drop every other lane."""
        self._calm_after, self._attracts, self.residual = (
            self._calm_after[rows],
            self._attracts[rows],
            self.residual[rows],
        )
        self._ask_after, self._ask_below = self._ask_after[rows], self._ask_below[rows]

    def aimed(self, rows: Tensor, time: Tensor, found: Rest, hit: Tensor, came_far: Tensor) -> None:
        """Take note of new rests.

        Args:
            rows: (row,) the lanes.
            time: (row,) [tau]. When they were aimed.
            found: what was found for these lanes and others.
            hit: (lane of `found`,) bool. These lanes.
            came_far: (row,) bool. Whether the trajectory is outside the band now, so that it has to show by itself that
                it is attracted.
        """
        after = time + calm_after(found.approach[hit], self._band)
        if self._core.rate is not None and not self._is_contraction:
            after = torch.where(came_far, after, torch.inf)
        self._calm_after[rows] = after
        self._ask_after[rows], self._ask_below[rows] = 0.0, torch.inf
        self._attracts[rows], self.residual[rows] = self._is_contraction, found.residual[hit]

    def restarted(self, rows: Tensor) -> None:
        """Lanes that go back to time 0 must be looked at again; what attracts still attracts."""
        self._ask_after[rows], self._ask_below[rows] = 0.0, torch.inf

    def ask(self, rows: Tensor, drive: Drive, rest: Tensor, offset: Tensor, approach: Tensor | None) -> Answer:
        """Whether rests repel, asked before anything is built on them.

        Args:
            rows: (row,) the lanes.
            drive: one row each.
            rest: (row, node).
            offset: (row, node). Their states relative to it.
            approach: (row, iterate). `Rest.approach`; None if the rests are those the lanes are aimed at.
        """
        answer = _Blank(rows)
        calm = self._calm_after[rows] if approach is None else approach[:, 0]
        unknown = torch.nonzero(~torch.isfinite(calm)).squeeze(1)
        if unknown.numel() and not self._is_contraction:
            known = attraction(self._core, drive.rows(unknown), rest[unknown], offset[unknown], self._band)
            answer.repels[unknown], answer.evaluations[unknown] = ~known.attracts, known.evaluations
            if approach is None:
                self._attracts[rows[unknown]] = known.attracts
        return answer.done()

    def is_known(self, rows: Tensor) -> Tensor:
        """(row,) bool: whether the rests that lanes are aimed at are known to attract."""
        return self._attracts[rows] | torch.isfinite(self._calm_after[rows])

    def attract(self, rows: Tensor, drive: Drive, rest: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        """(row,) bool and int64: whether the rests that lanes are aimed at attract, and what asking cost.

        What is known already costs nothing.

        Args:
            rows: (row,) the lanes.
            drive: one row each.
            rest: (row, node).
            offset: (row, node). Their states relative to it.
        """
        attracts, evaluations = self.is_known(rows), torch.zeros_like(rows)
        unknown = torch.nonzero(~attracts).squeeze(1)
        if unknown.numel():
            known = attraction(self._core, drive.rows(unknown), rest[unknown], offset[unknown], self._band)
            attracts[unknown], evaluations[unknown] = known.attracts, known.evaluations
            self._attracts[rows[unknown]] = known.attracts
        return attracts, evaluations

    def stay(self, rows: Tensor, drive: Drive, time: Tensor, rest: Tensor, offset: Tensor, has_dwelt: Tensor) -> Answer:
        """Whether lanes that are inside are certain to stay there.

        Args:
            rows: (row,) the lanes.
            drive: one row each.
            time: (row,) [tau].
            rest: (row, node).
            offset: (row, node). Their states relative to it.
            has_dwelt: (row,) bool. Inside for the dwell. Only for a contraction are others certified.
        """
        answer = _Blank(rows)
        answer.stays |= has_dwelt & (time >= self._calm_after[rows])
        if self._is_contraction:
            answer.stays |= self._is_trapped(offset)
        distance = offset.abs().amax(1).to(torch.float64)
        is_due = has_dwelt & (time >= self._ask_after[rows]) & (distance <= self._ask_below[rows])
        ask = torch.nonzero(~answer.stays & is_due & ~torch.isfinite(self._calm_after[rows])).squeeze(1)
        if ask.numel():
            outlook = look_ahead(self._core, drive.rows(ask), rest[ask], offset[ask], self._band)
            at = rows[ask]
            answer.stays[ask], answer.repels[ask] = outlook.stays, outlook.repels
            answer.evaluations[ask] = outlook.evaluations
            self._attracts[at] = outlook.attracts
            self._ask_after[at] = time[ask] + torch.where(torch.isfinite(outlook.back_after), outlook.back_after, 0.0)
            self._ask_below[at] = torch.where(torch.isfinite(outlook.back_after), torch.inf, ASK_AGAIN * distance[ask])
        # Where F has a kink at its rest no linearisation holds: being well inside has to do.
        answer.stays |= has_dwelt & self._attracts[rows] & (distance <= WELL_INSIDE * self._band)
        return answer.done()

    def _is_trapped(self, offset: Tensor) -> Tensor:
        """(row,) bool: whether sum_i (z_i - z*_i)^2 / rate_i, which in a contraction only falls, is small enough."""
        squared = offset.square()
        if self._core.rate is not None:
            squared.mul_(self._core.rate.max() / self._core.rate)
        return squared.sum(1).to(torch.float64) <= self._band**2


class _Blank:
    """An answer under construction."""

    def __init__(self, rows: Tensor) -> None:
        self.stays = torch.zeros_like(rows, dtype=torch.bool)
        self.repels, self.evaluations = torch.zeros_like(self.stays), torch.zeros_like(rows)

    def done(self) -> Answer:
        return Answer(stays=self.stays, repels=self.repels, evaluations=self.evaluations)
