"""The waveforms as data for the page's interactive plot."""

import base64
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analogdeq.report.data import Waveforms
from analogdeq.report.pictures import typical_sample
from analogdeq.report.scale import AxisScale

MOST_NUMBERS: Final = 500_000
"""Of the state in one page: about 2.7 MB of text."""
SHOWN_AT_FIRST: Final = 8
"""More lines than a legend can name are chosen by the reader."""


def interactive_waveforms(waveforms: Waveforms) -> dict[str, Any]:
    """What waveforms.js draws, ready for JSON; arrays are little-endian float32 in base64.

    Returns:
        time axis and unit, band, which sample and nodes to show first, and per sample its name, settling time,
        equilibrium, state (time after time) and power. `stride` is n where only every n-th recorded point is there.
    """
    trace = waveforms.trace
    stride = -(-trace.state.size // MOST_NUMBERS) if trace.state.size else 1
    time = AxisScale(trace.time_s, "s")
    power_W = trace.power_W[..., [name in waveforms.supply_terms for name in trace.terms]].sum(axis=-1)
    power = AxisScale(power_W, "W")
    return {
        "time": _pack(trace.time_s[::stride] * time.factor),
        "time_unit": time.unit,
        "power_unit": power.unit if trace.terms else None,
        "band": waveforms.band,
        "stride": stride * waveforms.every,
        "nodes": trace.state.shape[-1],
        "first_sample": typical_sample(waveforms),
        "samples": [
            {
                "name": waveforms.names[position],
                "settle": _finite(waveforms.t_settle_s[position] * time.factor),
                "equilibrium": _pack(waveforms.equilibrium[position]),
                "state": _pack(trace.state[::stride, position]),
                "power": _pack(power_W[::stride, position] * power.factor),
                "shown": _widest(trace.state[:, position]),
            }
            for position in range(len(waveforms.names))
        ],
    }


def _widest(state: npt.NDArray) -> list[int]:
    """The nodes that move most, in order of their number."""
    if not state.size:
        return []
    swing = np.ptp(np.nan_to_num(state), axis=0)
    return sorted(np.argsort(swing)[::-1][:SHOWN_AT_FIRST].tolist())


def _pack(values: npt.NDArray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


def _finite(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if np.isfinite(value) else None
