"""From the lanes of a settle to the rows of its outcome."""

import torch
from torch import Tensor

from analogdeq.solve.lanes import Lanes
from analogdeq.solve.outcome import Outcome
from analogdeq.solve.stepper import Stepper
from analogdeq.solve.verdict import Verdict


def save(out: Outcome, lanes: Lanes, stepper: Stepper, rows: Tensor, code: Tensor, period: Tensor) -> None:
    """Write the outcome of lanes whose verdict is in.

    Args:
        out: of the batch.
        lanes: all of them.
        stepper: with their states.
        rows: (row,) those to write.
        code: (row,) a `Verdict` each.
        period: (row,) float64 [tau].
    """
    at, settled = lanes.index[rows], code == int(Verdict.SETTLED)
    column = settled.unsqueeze(1)
    out.z[at] = torch.where(column, lanes.rest[rows], stepper.z[rows])
    out.z_readout[at] = torch.where(column, lanes.exit_state[rows], stepper.z[rows])
    out.energy[at] = torch.where(column, lanes.exit_energy[rows], lanes.energy[rows])
    out.time_settle[at] = torch.where(settled, lanes.exit_time[rows], torch.nan)
    # The linearised circuit may have gone on where the steps stopped.
    out.time_end[at] = torch.where(settled, torch.maximum(lanes.time[rows], lanes.exit_time[rows]), lanes.time[rows])
    out.verdict[at] = code.to(torch.uint8)
    out.period[at] = torch.where(code == int(Verdict.OSCILLATING), period, torch.nan)
    rejected = lanes.rejected[rows]
    out.evaluations[at] = lanes.evaluations[rows] + stepper.evaluations[rows]
    out.steps[at], out.rejected[at] = lanes.attempts - rejected, rejected
