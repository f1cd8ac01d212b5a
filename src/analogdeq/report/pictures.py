"""Which pictures the data of a run allow, each with the words that go under it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from analogdeq.report.data import ReportData, Waveforms
from analogdeq.report.plots import (
    plot_eigenvalues,
    plot_energy_terms,
    plot_histogram,
    plot_training,
    plot_waveforms,
    png_bytes,
)
from analogdeq.report.plots.style import GREEN
from analogdeq.report.plots.training import training_names
from analogdeq.report.summary import mean_terms_J


@final
@dataclass(frozen=True)
class Picture:
    """A drawn picture.

    Attributes:
        name: of its file, without ".png".
        png: the file's bytes.
        caption: what it shows and how to read it.
        is_wide: does it need the whole width of a page.
    """

    name: str
    png: bytes
    caption: str
    is_wide: bool


def draw_pictures(data: ReportData) -> Iterator[Picture]:
    """Draw what there is data for, in the order of the report."""
    if data.waveforms is not None and data.waveforms.names:
        yield _waveforms(data.waveforms)
    if np.isfinite(data.t_settle_s).any():
        figure = plot_histogram(data.t_settle_s, "s", "settling time", "How long it takes to settle")
        yield Picture("settling_time", png_bytes(figure), SETTLING_CAPTION, is_wide=False)
    if np.isfinite(data.energy_total_J).any():
        figure = plot_histogram(data.energy_total_J, "J", "energy per inference", "How much energy it takes", GREEN)
        yield Picture("energy", png_bytes(figure), ENERGY_CAPTION, is_wide=False)
    if terms := mean_terms_J(data):
        yield Picture("energy_terms", png_bytes(plot_energy_terms(terms)), TERMS_CAPTION, is_wide=False)
    if data.eigenvalues is not None and data.eigenvalues.size:
        figure = plot_eigenvalues(data.eigenvalues, data.tau_s)
        yield Picture("eigenvalues", png_bytes(figure), EIGENVALUE_CAPTION, is_wide=False)
    if training_names(data.metrics, "loss") or training_names(data.metrics, "accuracy"):
        yield Picture("training", png_bytes(plot_training(data.metrics)), TRAINING_CAPTION, is_wide=True)


def typical_sample(waveforms: Waveforms) -> int:
    """Position of the recorded sample with the median settling time; the first if none settled."""
    times = waveforms.t_settle_s
    settled = np.flatnonzero(np.isfinite(times))
    if not settled.size:
        return 0
    return int(settled[np.argsort(times[settled])[(settled.size - 1) // 2]])


def _waveforms(waveforms: Waveforms) -> Picture:
    position, trace = typical_sample(waveforms), waveforms.trace
    figure = plot_waveforms(
        trace.time_s,
        trace.state[:, position],
        waveforms.equilibrium[position],
        band=waveforms.band,
        t_settle_s=float(waveforms.t_settle_s[position]),
        title=waveforms.names[position],
        power_terms_W={name: trace.power_W[:, position, term] for term, name in enumerate(trace.terms)},
        supply_terms=waveforms.supply_terms,
    )
    return Picture("waveforms", png_bytes(figure), WAVEFORM_CAPTION, is_wide=True)


WAVEFORM_CAPTION = (
    "One recorded sample, the one with the median settling time. Top: the nodes, each with the band around its "
    "equilibrium. Middle: the distance of the farthest node; it has settled when it enters the band for the last time. "
    "Bottom: the power drawn from the supply, and the heat within it."
)
SETTLING_CAPTION = "Settling time of every sample that settled, with the median, the 95th percentile and the maximum."
ENERGY_CAPTION = "Energy drawn from the supply per inference, conversions included."
TERMS_CAPTION = "Mean over the samples. The terms add up to the total; none is counted twice."
EIGENVALUE_CAPTION = (
    "Eigenvalues of the Jacobian D W at equilibria. The circuit settles if all lie left of the line Re = 1, and the "
    "faster the wider the gap. Digital Picard iteration needs all of them inside the unit circle, which is more."
)
TRAINING_CAPTION = "Loss and accuracy per epoch of training."
