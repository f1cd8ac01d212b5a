"""A stepper that begins explicitly and moves each sample to an implicit method where that pays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.stepper import Segment, Stepper
from analogdeq.solve.stiffness import (
    POWER_ITERATIONS,
    Progress,
    implicit_pays,
    is_worth_a_look,
    spectral_radius,
    time_to_go,
)

CHECK = 16
"""Attempts between two forecasts."""


@final
@dataclass
class Part:
    """Some lanes and the stepper that has them.

    Attributes:
        stepper: numbers them from 0.
        rows: (part lane,) int64. Their lanes, ascending.
    """

    stepper: Stepper
    rows: Tensor


@final
class Switching:
    """Lanes begin with an explicit stepper; every `CHECK` attempts, those for which (13) says so go on implicitly.

    A forecast looks at one lane's own past, so batching changes no result. No lane goes back: what made it stiff is its
    circuit, not its state. Lanes that switch at the same time share a stepper.

    Args:
        explicit: what lanes begin with.
        implicit: makes an implicit stepper.
        options: of the settle; the forecast needs band, dwell and time budget.
    """

    def __init__(self, explicit: Stepper, implicit: Callable[[], Stepper], options: SettleOptions) -> None:
        self._explicit, self._implicit, self._options = explicit, implicit, options

    def begin(self, core: Core, drive: Drive, z: Tensor) -> None:
        """Take a batch on, explicitly."""
        self._core, self._drive = core, drive
        self._goal = 0.5 * self._options.band * core.full_scale
        self._explicit.begin(core, drive, z)
        self._parts = [Part(self._explicit, torch.arange(z.shape[0], device=z.device))]
        self._attempts = 0
        self._time = torch.zeros(z.shape[0], dtype=torch.float64, device=z.device)
        self._elapsed, self._motion_before = torch.zeros_like(self._time), self._motion()
        self._spent = torch.zeros(z.shape[0], dtype=torch.int64, device=z.device)
        self._number_lanes()

    @property
    def z(self) -> Tensor:
        """(lane, node). State at the start of the step."""
        return self._merged([part.stepper.z for part in self._parts])

    @property
    def z_new(self) -> Tensor:
        """(lane, node). State at its end."""
        return self._merged([part.stepper.z_new for part in self._parts])

    @property
    def dz(self) -> Tensor:
        """(lane, node). dz/ds at `z`."""
        return self._merged([part.stepper.dz for part in self._parts])

    @property
    def dz_new(self) -> Tensor:
        """(lane, node). dz/ds at `z_new`."""
        return self._merged([part.stepper.dz_new for part in self._parts])

    @property
    def evaluations(self) -> Tensor:
        """(lane,) int64. Of each lane's steppers, and of the forecasts."""
        return self._spent + self._merged([part.stepper.evaluations for part in self._parts])

    def attempt(self, h: Tensor) -> Tensor:
        """Try one step per lane, after a forecast where one is due."""
        if self._attempts % CHECK == 0 and self._attempts > 0 and self._parts[0].stepper is self._explicit:
            self._switch()
        self._attempts += 1
        self._h = h
        return self._merged([part.stepper.attempt(h[part.rows]) for part in self._parts])

    def accept(self, accepted: Tensor | None = None) -> None:
        """Advance the accepted lanes."""
        for part in self._parts:
            part.stepper.accept(None if accepted is None else accepted[part.rows])
        step = self._h if accepted is None else torch.where(accepted, self._h, 0.0)
        self._time, self._elapsed = self._time + step, self._elapsed + step

    def next_step(self, h: Tensor, ratio: Tensor, before: Tensor) -> Tensor:
        """By each lane's stepper."""
        arguments = (h, ratio, before)
        return self._merged([part.stepper.next_step(*(x[part.rows] for x in arguments)) for part in self._parts])

    def energy_of_step(self, h: Tensor) -> Tensor:
        """(lane, term) float64 [W tau]."""
        return self._merged([part.stepper.energy_of_step(h[part.rows]) for part in self._parts])

    def energy_error(self, h: Tensor) -> Tensor:
        """(lane, term) float64 [W tau]."""
        return self._merged([part.stepper.energy_error(h[part.rows]) for part in self._parts])

    def segment(self, rows: Tensor, h: Tensor) -> Segment:
        """The dense output of each lane's stepper."""
        pieces: list[tuple[Tensor, Segment]] = []
        for k, part in enumerate(self._parts):
            at = torch.nonzero(self._part_of[rows] == k).squeeze(1)
            if at.numel() == rows.numel():
                return part.stepper.segment(self._row_of[rows], h[part.rows])
            if at.numel():
                pieces.append((at, part.stepper.segment(self._row_of[rows[at]], h[part.rows])))
        return MixedSegment(pieces=pieces)

    def restart(self, rows: Tensor, z: Tensor) -> None:
        """Put some lanes back; each keeps its stepper."""
        for k, part in enumerate(self._parts):
            at = torch.nonzero(self._part_of[rows] == k).squeeze(1)
            if at.numel():
                part.stepper.restart(self._row_of[rows[at]], z[at])
        self._time[rows], self._elapsed[rows] = 0.0, 0.0
        self._motion_before[rows] = self._motion()[rows]

    def keep(self, rows: Tensor) -> None:
        """Drop the other lanes, and parts that have none left."""
        new_lane = torch.full_like(self._part_of, -1)
        new_lane[rows] = torch.arange(rows.shape[0], device=rows.device)
        for part in self._parts:
            lanes = new_lane[part.rows]
            stays = torch.nonzero(lanes >= 0).squeeze(1)
            part.rows = lanes[stays]
            if 0 < stays.numel() < lanes.numel():
                part.stepper.keep(stays)
        self._parts = [part for part in self._parts if part.rows.numel()]
        self._drive, self._time = self._drive.rows(rows), self._time[rows]
        self._elapsed, self._motion_before = self._elapsed[rows], self._motion_before[rows]
        self._spent = self._spent[rows]
        self._number_lanes()

    def _switch(self) -> None:
        """Move lanes to an implicit stepper, and begin to watch the others anew."""
        part = self._parts[0]
        motion = self._motion()
        progress = Progress(
            attempts=CHECK,
            elapsed=self._elapsed[part.rows],
            motion_before=self._motion_before[part.rows],
            motion=motion[part.rows],
            remaining=self._options.max_time_tau - self._time[part.rows],
        )
        self._elapsed, self._motion_before = torch.zeros_like(self._elapsed), motion
        n_nodes = self._core.n_nodes
        to_go = time_to_go(progress, self._goal, self._options.dwell_tau)
        if not bool(is_worth_a_look(progress, to_go, n_nodes).any()):
            return
        self._spent[part.rows] += POWER_ITERATIONS + 1
        radius = spectral_radius(self._core, self._drive.rows(part.rows), part.stepper.z, part.stepper.dz)
        pays = implicit_pays(progress, to_go, radius, n_nodes)
        moved, stay = part.rows[pays], torch.nonzero(~pays).squeeze(1)
        if moved.numel() == 0:
            return
        self._spent[moved] += part.stepper.evaluations[pays] + 1
        fresh = Part(self._implicit(), moved)
        fresh.stepper.begin(self._core, self._drive.rows(moved), part.stepper.z[pays])
        self._parts.append(fresh)
        if stay.numel():
            part.stepper.keep(stay)
            part.rows = part.rows[stay]
        else:
            self._parts.pop(0)
        self._number_lanes()

    def _number_lanes(self) -> None:
        """Which part each lane is in, and which row of it."""
        lanes = sum(part.rows.numel() for part in self._parts)
        self._part_of = self._parts[0].rows.new_empty(lanes)
        self._row_of = torch.empty_like(self._part_of)
        for k, part in enumerate(self._parts):
            self._part_of[part.rows] = k
            self._row_of[part.rows] = torch.arange(part.rows.numel(), device=part.rows.device)

    def _motion(self) -> Tensor:
        """(lane,) float64: max |F(z) - z|."""
        dz, rate = self.dz, self._core.rate
        return (dz.abs() if rate is None else (dz / rate).abs_()).amax(1).to(torch.float64)

    def _merged(self, pieces: list[Tensor]) -> Tensor:
        """(lane, ...) from each part's rows."""
        if len(pieces) == 1:
            return pieces[0]
        whole = pieces[0].new_empty(self._part_of.shape[0], *pieces[0].shape[1:])
        for part, piece in zip(self._parts, pieces, strict=True):
            whole[part.rows] = piece
        return whole


@final
@dataclass(frozen=True, kw_only=True)
class MixedSegment:
    """Steps of lanes that have different steppers.

    Attributes:
        pieces: rows of this segment, and their dense output.
    """

    pieces: list[tuple[Tensor, Segment]]

    def states(self, theta: Tensor) -> Tensor:
        """(row, point, node)."""
        return self._merged(theta, [segment.states(theta[at]) for at, segment in self.pieces])

    def energies(self, theta: Tensor) -> Tensor:
        """(row, point, term)."""
        return self._merged(theta, [segment.energies(theta[at]) for at, segment in self.pieces])

    def _merged(self, theta: Tensor, values: list[Tensor]) -> Tensor:
        whole = values[0].new_empty(theta.shape[0], *values[0].shape[1:])
        for (at, _), value in zip(self.pieces, values, strict=True):
            whole[at] = value
        return whole
