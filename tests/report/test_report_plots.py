import io
import subprocess
import sys
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analogdeq.report.pictures import draw_pictures, typical_sample
from analogdeq.report.plots import (
    plot_eigenvalues,
    plot_energy_terms,
    plot_histogram,
    plot_training,
    plot_waveforms,
    png_bytes,
)

RNG = np.random.default_rng(0)


def waveform_figure(data, position: int = 0, *, power: bool = True, **changes) -> Figure:
    w = data.waveforms
    arguments = {
        "time_s": w.trace.time_s,
        "state": w.trace.state[:, position],
        "equilibrium": w.equilibrium[position],
        "band": w.band,
        "t_settle_s": float(w.t_settle_s[position]),
        "title": w.names[position],
        "power_terms_W": {n: w.trace.power_W[:, position, k] for k, n in enumerate(w.trace.terms)} if power else {},
        "supply_terms": w.supply_terms if power else (),
    }
    return plot_waveforms(**{**arguments, **changes})


FIGURES = {
    "waveforms": lambda d: waveform_figure(d),
    "waveforms of a bare core": lambda d: waveform_figure(d, power=False),
    "waveforms that did not settle": lambda d: waveform_figure(d, t_settle_s=np.nan),
    "waveforms with a long name": lambda d: waveform_figure(d, title="cost $5, $x^{ 数字 " + "and so on " * 20),
    "waveforms that ended at once": lambda d: waveform_figure(
        d, state=np.full_like(d.waveforms.trace.state[:, 0], np.nan)
    ),
    "settling times": lambda d: plot_histogram(d.t_settle_s, "s", "settling time", "How long"),
    "equal times": lambda d: plot_histogram(np.full(9, 1e-8), "s", "settling time", "How long"),
    "one time": lambda d: plot_histogram(np.array([np.nan, 3e-9]), "s", "settling time", "How long"),
    "no times": lambda d: plot_histogram(np.full(9, np.nan), "s", "settling time", "How long"),
    "zero energies": lambda d: plot_histogram(np.zeros(9), "J", "energy", "How much"),
    "many bins": lambda d: plot_histogram(RNG.standard_cauchy(3000), "J", "energy", "How much"),
    "energy terms": lambda d: plot_energy_terms({n: float(v.mean()) for n, v in d.energy_terms_J.items()}),
    "energy terms of both signs": lambda d: plot_energy_terms({"stored": -2e-13, "crossbar": 1e-12}),
    "no energy": lambda d: plot_energy_terms({"crossbar": 0.0, "node": 0.0}),
    "eigenvalues": lambda d: plot_eigenvalues(d.eigenvalues, d.tau_s),
    "unstable eigenvalues": lambda d: plot_eigenvalues(np.array([1.2 + 2j, 1.2 - 2j]), 1e-8),
    "training": lambda d: plot_training(d.metrics),
    "training without accuracy": lambda d: plot_training([{"epoch": 0, "loss": 1.0}, {"epoch": 1, "loss": 0.5}]),
    "no training": lambda d: plot_training([{"wall_s": 3.0}]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_picture_shows_something_and_clips_no_label(data, name):
    figure = FIGURES[name](data)
    image = matplotlib.image.imread(io.BytesIO(png_bytes(figure)))
    assert min(image.shape[:2]) > 300
    assert np.mean(image[..., :3].min(axis=2) < 0.9) > 0.005, "the picture is all but blank"
    edge = np.concatenate([image[:2].ravel(), image[-2:].ravel(), image[:, :2].ravel(), image[:, -2:].ravel()])
    assert edge.min() > 0.95, "something runs over the edge"


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("waveforms", {"state z", "distance from\nequilibrium", "power (µW)", "time since power-on (ns)"}),
        ("settling times", {"settling time (ns)", "samples"}),
        ("energy terms", {"mean energy per inference (pJ)"}),
        ("eigenvalues", {"real part", "imaginary part"}),
        ("training", {"loss", "accuracy (%)", "epoch"}),
    ],
)
def test_axes_say_what_they_show_and_in_what_unit(data, name, labels):
    figure = FIGURES[name](data)
    found = {text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel())}
    assert labels <= found


def texts(figure: Figure) -> str:
    FigureCanvasAgg(figure).draw()
    return "\n".join(t.get_text() for axes in figure.axes for t in axes.findobj(match=lambda a: hasattr(a, "get_text")))


def test_the_histogram_marks_median_95th_percentile_and_maximum(data):
    values = np.arange(1.0, 102.0) * 1e-9
    assert "p50  51 ns" in texts(plot_histogram(values, "s", "t", ""))
    assert "p95  96 ns" in texts(plot_histogram(values, "s", "t", ""))
    assert "max  101 ns" in texts(plot_histogram(values, "s", "t", ""))


def test_the_spectrum_names_the_settling_rate_and_the_slowest_mode():
    words = texts(plot_eigenvalues(np.array([0.75 + 0j, -0.5 + 0.2j]), 1e-8))
    assert "1 − max Re λ = 0.25 per τ" in words
    assert "decays in 40 ns" in words
    assert "grows" in texts(plot_eigenvalues(np.array([1.2 + 0j]), 1e-8))


def test_energy_bars_carry_value_and_share():
    words = texts(plot_energy_terms({"crossbar": 3e-12, "ADC": 1e-12, "node": 1e-16}))
    assert "3 pJ  (75.0 %)" in words
    assert "1 pJ  (25.0 %)" in words
    assert "(< 0.1 %)" in words


def test_the_settling_instant_is_written_in_the_picture(data):
    t = data.waveforms.t_settle_s[0]
    assert f"settled at {t * 1e9:.3g} ns" in texts(waveform_figure(data))
    assert "did not settle" in texts(waveform_figure(data, t_settle_s=np.nan))


def test_the_same_data_give_the_same_bytes(data):
    assert png_bytes(FIGURES["settling times"](data)) == png_bytes(FIGURES["settling times"](data))


def test_drawing_leaves_pyplot_alone():
    program = "import sys, analogdeq.report; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_only_pictures_with_data_are_drawn(data, changed):
    assert [p.name for p in draw_pictures(data)] == [
        "waveforms",
        "settling_time",
        "energy",
        "energy_terms",
        "eigenvalues",
        "training",
    ]
    bare = changed(
        t_settle_s=np.full_like(data.t_settle_s, np.nan),
        energy_total_J=np.full_like(data.t_settle_s, np.nan),
        energy_terms_J={},
        waveforms=None,
        eigenvalues=None,
        metrics=[],
    )
    assert list(draw_pictures(bare)) == []


def test_the_sample_with_the_median_settling_time_is_shown(data):
    times = np.array([np.nan, 5.0, 1.0, 3.0, np.nan, 2.0])
    assert typical_sample(replace(data.waveforms, t_settle_s=times)) == 5
    assert typical_sample(replace(data.waveforms, t_settle_s=np.full(6, np.nan))) == 0
