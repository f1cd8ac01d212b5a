"""The samples of a batch that compiled code can settle."""

from _thread import LockType, allocate_lock, start_new_thread
from itertools import pairwise
from math import isfinite

import numpy as np
import torch
from torch import Tensor

from analogdeq.cores.core import Core
from analogdeq.solve.compiled.arrival import ROWS as ROWS_OF_ARRIVALS
from analogdeq.solve.compiled.chunk import settle_chunk
from analogdeq.solve.compiled.control import Control, control_of
from analogdeq.solve.compiled.lanes import LANE, LEFT, SETTLED, Lanes, Slots, room_for
from analogdeq.solve.compiled.network import Network, network_of
from analogdeq.solve.compiled.outlook import EXTRA, LARGE
from analogdeq.solve.compiled.product import TOGETHER
from analogdeq.solve.compiled.series import ROWS as ROWS_OF_SERIES
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.outcome import Outcome
from analogdeq.solve.rest import rounding
from analogdeq.solve.slabs import Batch
from analogdeq.solve.verdict import Verdict

FASTEST = 300.0
"""A rate beyond which a network with watts is the loop's, which may take implicit steps."""
PART, MOST_PARTS = 32, 32
"""Samples of a part, and parts of a batch at the most; of a larger batch the parts are larger."""
ROWS = max(ROWS_OF_ARRIVALS, ROWS_OF_SERIES, LARGE + EXTRA)
"""That what a sample is worked on with needs."""
ROUGHEST = 32.0
"""A band must be so many times what F may be wrong by, or rounding decides what is seen of it."""


def sprint(core: Core, batch: Batch, index: Tensor, options: SettleOptions, threads: int, unseen: float) -> Tensor:
    """Settle those of the samples `index` (row,) that compiled code can, and return the others.

    Args:
        core: the network; where there is no compiled code for it, all samples are returned.
        batch: its drive and start; the outcomes of settled samples are written.
        index: (row,) int64, ascending.
        options: of the settle.
        threads: of the processor.
        unseen: errors of an energy below this part of the largest power do not count.
    """
    if index.numel() == 0 or core.device.type != "cpu" or core.dtype not in (torch.float32, torch.float64):
        return index
    if options.band * core.full_scale < ROUGHEST * rounding(core):
        return index
    network = network_of(core)
    if network is None or (float(network.rate.max()) > FASTEST and not network.is_stiff):
        return index
    lanes = _lanes(network, batch, index)
    _run(network, control_of(core, options, unseen=unseen, is_stiff=network.is_stiff), lanes, threads)
    return _write(batch.outcome, lanes, index)


def _run(network: Network, control: Control, lanes: Lanes, threads: int) -> None:
    """Settle part after part, on as many threads as there are; compiled code does not hold the interpreter's lock.

    The parts depend on the number of samples alone, so that the number of threads changes not one bit. What a
    thread that fails has not decided stays underway, and goes to the loop like everything undecided.
    """
    bounds = _bounds(lanes.z.shape[0])
    parts = pairwise(bounds)  # its next one is taken under the interpreter's lock

    def work(room: Slots) -> None:
        for first, last in parts:
            settle_chunk(network, control, lanes, room, first, last)

    def work_beside(room: Slots, done: LockType) -> None:
        try:
            work(room)
        finally:
            done.release()

    rooms = [room_for(network, ROWS) for _ in range(min(threads, len(bounds) - 1))]
    others = [allocate_lock() for _ in rooms[1:]]
    for room, done in zip(rooms[1:], others, strict=True):
        done.acquire()
        start_new_thread(work_beside, (room, done))  # `threading` would wait until it runs, a few samples' time
    try:
        work(rooms[0])
    finally:
        for _ in parts:  # after an interrupt nobody begins another one
            pass
        for done in others:
            done.acquire()


def _bounds(count: int) -> list[int]:
    """Where the parts of so many samples begin and end: two at least where there are two products' worth of them."""
    parts = min(-(-count // TOGETHER), max(2, -(-count // PART)), MOST_PARTS)
    return [count * k // parts for k in range(parts + 1)]


def _lanes(network: Network, batch: Batch, index: Tensor) -> Lanes:
    """Samples at power-on. All samples of a batch have their rests and exits written where these are wanted."""
    is_whole = index.numel() == batch.start.shape[0]
    drive, out = batch.drive if is_whole else batch.drive.rows(index), batch.outcome
    current = drive.current.detach().contiguous()
    z = batch.start.clone() if is_whole else batch.start[index]
    of = np.zeros(z.shape[0], LANE)
    of["h"], of["at_most"], of["distance"] = 0.25 / float(network.rate.max()), np.inf, np.inf
    of["standing"][:, : drive.standing_power_W.shape[1]] = drive.standing_power_W.numpy()
    if not (isfinite(float(z.sum())) and isfinite(float(current.sum()))):
        of["fate"][(~(z.isfinite().all(1) & current.isfinite().all(1))).numpy()] = LEFT
    return Lanes(
        of=of,
        current=current.numpy(),
        z=z.numpy(),
        pre=torch.empty_like(z).numpy(),
        rest=(out.z if is_whole else torch.empty_like(z)).numpy(),
        pre_rest=torch.empty_like(z).numpy(),
        exit_state=(out.z_readout if is_whole else torch.empty_like(z)).numpy(),
    )


def _write(out: Outcome, lanes: Lanes, index: Tensor) -> Tensor:
    """The outcomes of settled samples; the others (row,)."""
    of = lanes.of
    is_settled = of["fate"] == SETTLED
    states = ((out.z, lanes.rest), (out.z_readout, lanes.exit_state))
    numbers = (
        (out.energy, of["exit_energy"][:, : out.energy.shape[1]]),
        (out.time_settle, of["exit_time"]),
        (out.residual, of["residual"]),
        (out.time_end, np.maximum(of["time"], of["exit_time"])),
        (out.evaluations, of["evaluations"]),
        (out.rejected, of["rejected"]),
        (out.steps, of["attempts"] - of["rejected"]),
    )
    is_whole = len(of) == out.z.shape[0]  # then the states are in their place
    if is_whole and is_settled.all():
        for target, values in numbers:
            target.numpy()[:] = values
        out.verdict.fill_(int(Verdict.SETTLED))
        return index[:0]
    at = index.numpy()[is_settled]
    for target, values in numbers if is_whole else (*states, *numbers):
        target.numpy()[at] = values[is_settled]
    out.verdict.numpy()[at] = int(Verdict.SETTLED)
    return index[torch.from_numpy(~is_settled)]
