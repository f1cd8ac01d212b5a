"""The samples still being integrated: one lane each, with its own clock, step, energy and goal."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass
class Lanes:
    """Bookkeeping of the active samples; row k of every tensor belongs to lane k. Times are in units of tau.

    Attributes:
        index: (lane,) int64. Row of the batch.
        time: (lane,) float64.
        h: (lane,) float64. Next step to try.
        ratio_before: (lane,) float64. Error over tolerance of the last accepted step.
        motion: (lane,) float64. max |F(z) - z| now.
        motion_start: (lane,) float64. The same at time 0.
        energy: (lane, term) float64 [W tau]. Integrated since power-on.
        rest: (lane, node). The equilibrium ahead, where one is known.
        is_aimed: (lane,) bool. Whether `rest` is known.
        search_below: (lane,) float64. Look for the equilibrium once the motion is below this.
        linear_below: (lane,) float64. Ask whether the circuit is linear enough to finish once the motion is below this.
        distance: (lane,) float64. max |z - rest| now.
        inside_since: (lane,) float64. Since when the lane is within half the band; infinite while it is not.
        exit_time: (lane,) float64. When it was last outside the band.
        exit_energy: (lane, term) float64. Its energy then.
        exit_state: (lane, node). Its state then.
        until: (lane,) float64. Where its integration ends.
        motion_limit: (lane,) float64. Motion beyond which it has diverged.
        evaluations: (lane,) int64. Besides those of attempted steps.
        rejected: (lane,) int64. Attempted steps that were not accurate enough.
        is_decided: (lane,) bool. Whether the verdict is in; such a lane only waits to be dropped or recorded.
        attempts: steps attempted, the same number for every lane.
    """

    index: Tensor
    time: Tensor
    h: Tensor
    ratio_before: Tensor
    motion: Tensor
    motion_start: Tensor
    energy: Tensor
    rest: Tensor
    is_aimed: Tensor
    search_below: Tensor
    linear_below: Tensor
    distance: Tensor
    inside_since: Tensor
    exit_time: Tensor
    exit_energy: Tensor
    exit_state: Tensor
    until: Tensor
    motion_limit: Tensor
    evaluations: Tensor
    rejected: Tensor
    is_decided: Tensor
    attempts: int = 0

    @classmethod
    def begin(
        cls,
        z: Tensor,
        *,
        index: Tensor,
        motion: Tensor,
        n_terms: int,
        h: float,
        search_below: float,
        until: float,
        motion_limit: Tensor,
    ) -> "Lanes":
        """One lane per row of z (lane, node), which are the rows `index` (lane,) of the batch."""
        batch, device = z.shape[0], z.device

        def real(value: float) -> Tensor:
            return torch.full((batch,), value, dtype=torch.float64, device=device)

        def count() -> Tensor:
            return torch.zeros(batch, dtype=torch.int64, device=device)

        return cls(
            index=index,
            time=real(0.0),
            h=real(h),
            ratio_before=real(1.0),
            motion=motion,
            motion_start=motion,
            energy=torch.zeros(batch, n_terms, dtype=torch.float64, device=device),
            rest=torch.zeros_like(z),
            is_aimed=torch.zeros(batch, dtype=torch.bool, device=device),
            search_below=real(search_below),
            linear_below=real(torch.inf),
            distance=real(torch.inf),
            inside_since=real(torch.inf),
            exit_time=real(0.0),
            exit_energy=torch.zeros(batch, n_terms, dtype=torch.float64, device=device),
            exit_state=z.clone(),
            until=real(until),
            motion_limit=motion_limit,
            evaluations=count() + 1,
            rejected=count(),
            is_decided=torch.zeros(batch, dtype=torch.bool, device=device),
        )

    def __len__(self) -> int:
        return self.index.shape[0]

    def advance(self, accepted: Tensor | None, h: Tensor, motion: Tensor, ratio: Tensor, gained: Tensor) -> None:
        """Take note of a step; lanes that are not `accepted` (lane,) bool try again from where they are. None: all are.

        Args:
            accepted: whose step is accurate enough.
            h: (lane,) [tau].
            motion: (lane,) [1]. max |F(z) - z| at the end of the step.
            ratio: (lane,) its error over its tolerance.
            gained: (lane, term) [W tau]. Its energy.
        """
        if accepted is None:
            self.time, self.motion, self.ratio_before = self.time + h, motion, ratio
            self.energy = self.energy + gained
            return
        self.rejected += ~accepted
        self.time = torch.where(accepted, self.time + h, self.time)
        self.motion = torch.where(accepted, motion, self.motion)
        self.ratio_before = torch.where(accepted, ratio, self.ratio_before)
        self.energy = torch.where(accepted.unsqueeze(1), self.energy + gained, self.energy)

    def keep(self, rows: Tensor) -> None:
        """Drop every other lane."""
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Tensor):
                setattr(self, item.name, value[rows])
