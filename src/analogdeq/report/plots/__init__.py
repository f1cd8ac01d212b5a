"""The pictures of a report: each takes plain arrays and gives back a matplotlib figure."""

from analogdeq.report.plots.eigenvalues import plot_eigenvalues
from analogdeq.report.plots.energy import plot_energy_terms
from analogdeq.report.plots.histogram import plot_histogram
from analogdeq.report.plots.png import png_bytes
from analogdeq.report.plots.training import plot_training
from analogdeq.report.plots.waveforms import plot_waveforms

__all__ = [
    "plot_eigenvalues",
    "plot_energy_terms",
    "plot_histogram",
    "plot_training",
    "plot_waveforms",
    "png_bytes",
]
