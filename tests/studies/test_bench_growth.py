"""The growth benchmark: work with the gap and spread it claims, a fit that finds known exponents, a complete CSV."""

import csv
import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from analogdeq.report.plots.growth import plot_growth
from analogdeq.report.plots.png import png_bytes
from analogdeq.solve.settle import settle
from analogdeq.studies import bench_growth as module
from analogdeq.studies.bench_growth import (
    Growth,
    GrowthPoint,
    GrowthSpec,
    bench_growth,
    expected_seconds,
    fit_power_law,
)
from analogdeq.studies.growth_table import growth_csv, growth_table
from analogdeq.studies.growth_work import AXES, GrowthWork, growth_core

CPU = torch.device("cpu")
TINY = GrowthSpec(
    base=GrowthWork(nodes=12, batch=3, gap=0.3), max_nodes=80, max_batch=4, max_spread=4, min_gap=0.2, points=3,
    repeat=1, threads=1,
)  # fmt: skip
ABOUT = {"date": "2026", "machine": "m", "torch": "t"}


@pytest.fixture(scope="module")
def tiny() -> Growth:
    return bench_growth(TINY)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("gap", [0.5, 0.1, 0.01])
def test_the_slowest_mode_at_rest_has_the_gap_asked_for(gap: float, seed: int) -> None:
    core, u, z0 = growth_core(GrowthWork(nodes=60, batch=4, gap=gap), seed, CPU)
    W = core.W.double().numpy()
    eigenvalues = np.linalg.eigvalsh(W)
    np.testing.assert_array_equal(W, W.T)
    assert eigenvalues[-1] == pytest.approx(1 - gap, rel=1e-5)
    assert core.contraction_gap() == pytest.approx(gap, rel=1e-2)
    assert (core.U == 0).all()
    assert (core.b == 0).all()
    assert u.shape == (4, 1)
    assert z0.abs().max() <= 1
    assert z0.std() == pytest.approx(1 / math.sqrt(3), rel=0.2)


@pytest.mark.parametrize("spread", [1.0, 100.0, 1e4])
def test_time_constants_span_the_spread_evenly_in_their_logarithm(spread: float) -> None:
    core, _, _ = growth_core(GrowthWork(nodes=51, batch=1, tau_spread=spread), 0, CPU)
    rate = np.ones(51) if core.rate is None else np.sort(core.rate.numpy())
    np.testing.assert_allclose(rate, spread ** np.linspace(0, 1, 51), rtol=1e-5)


def test_a_settle_decays_at_the_gap() -> None:
    """The last approach is the slowest mode's: a tenth of the band takes ln 10 / gap longer."""
    core, u, z0 = growth_core(GrowthWork(nodes=24, batch=3, gap=0.05), 0, CPU)
    times = [settle(core, u, z0=z0, band=band, rtol=1e-4, max_time_tau=1000).t_settle_s for band in (1e-3, 1e-4)]
    tau = (times[1] - times[0]) / core.tau_s
    np.testing.assert_allclose(tau, math.log(10) / 0.05, rtol=0.02)


def test_the_fit_finds_an_exact_exponent_without_error() -> None:
    values = [64.0, 128, 256, 512]
    law = fit_power_law(values, [3e-4 * x**1.7 for x in values])
    assert law is not None
    assert law.exponent == pytest.approx(1.7, rel=1e-12)
    assert law.factor == pytest.approx(3e-4, rel=1e-9, abs=0)
    assert law.standard_error < 1e-9
    assert (law.first, law.last) == (64, 512)


def test_the_standard_error_is_that_of_the_normal_equations() -> None:
    rng = np.random.default_rng(0)
    values = np.geomspace(1, 1000, 9)
    noisy = values**-0.8 * np.exp(rng.normal(scale=0.1, size=9))
    law = fit_power_law(values.tolist(), noisy.tolist())
    assert law is not None
    design = np.stack((np.ones(9), np.log(values)), 1)
    solution, (squares,), *_ = np.linalg.lstsq(design, np.log(noisy), rcond=None)
    covariance = squares / (9 - 2) * np.linalg.inv(design.T @ design)
    assert law.exponent == pytest.approx(solution[1], rel=1e-9)
    assert law.standard_error == pytest.approx(math.sqrt(covariance[1, 1]), rel=1e-9)
    assert abs(law.exponent + 0.8) < 3 * law.standard_error


def test_too_few_points_make_no_law_and_two_make_one_without_an_error() -> None:
    assert fit_power_law([], []) is None
    assert fit_power_law([4.0], [1.0]) is None
    law = fit_power_law([1.0, 10.0], [1.0, 100.0])
    assert law is not None
    assert law.exponent == pytest.approx(2)
    assert math.isnan(law.standard_error)


def points_of(axis: str, spec: GrowthSpec, cost) -> list[GrowthPoint]:
    return [
        GrowthPoint(
            axis=axis,
            value=v,
            time_s=cost(v),
            time_min_s=cost(v),
            cpu_s=cost(v),
            runs=1,
            evaluations=9,
            certificate_s=0,
        )
        for v in spec.ladder(axis)
    ]


def test_the_upper_half_of_a_ladder_is_fitted_where_overhead_no_longer_rules() -> None:
    spec = GrowthSpec()
    points = points_of("nodes", spec, lambda n: max(1.0, (n / 512) ** 2))
    growth = Growth(spec=spec, points=tuple(points), circumstances=ABOUT)
    law = growth.fit("nodes", "time_s")
    assert law is not None
    assert (law.first, law.last) == (512, 4096)
    assert law.exponent == pytest.approx(2)
    assert growth.fit("nodes", "evaluations").exponent == pytest.approx(0)
    assert growth.fit("gap", "time_s") is None


def test_ladders_are_geometric_from_cheap_to_dear_and_end_at_their_caps() -> None:
    spec = GrowthSpec(max_batch=4096)
    assert spec.ladder("nodes") == [64, 128, 256, 512, 1024, 2048, 4096]
    assert spec.ladder("batch") == [1, 4, 16, 64, 256, 1024, 4096]
    assert spec.ladder("gap")[0] == pytest.approx(0.5)
    assert spec.ladder("gap")[-1] == pytest.approx(0.01)
    assert spec.ladder("tau_spread")[-1] == pytest.approx(1e4)
    assert replace(spec, max_batch=2).ladder("batch") == [1, 2], "no rung twice"
    assert replace(spec, max_nodes=32).ladder("nodes") == [32]


@pytest.mark.parametrize(("axis", "cost", "value", "expected"), [
    ("nodes", lambda n: n**3, 4096, 4096.0**3),
    ("nodes", lambda n: 5.0, 4096, 10.0),
    ("gap", lambda g: g**-2, 0.01, 1e4),
])  # fmt: skip
def test_what_a_rung_will_take_is_foreseen_from_the_last_two(axis: str, cost, value: float, expected: float) -> None:
    points = points_of(axis, GrowthSpec(), cost)[:-1]
    assert expected_seconds(points, value) == pytest.approx(expected)
    assert expected_seconds([], value) == 0


def test_a_rung_that_would_take_too_long_is_skipped_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, float]] = []

    def slow(axis: str, value: float, *_: object) -> GrowthPoint:
        asked.append((axis, value))
        cost = value if axis != "gap" else 1 / value
        return GrowthPoint(
            axis=axis, value=value, time_s=cost, time_min_s=cost, cpu_s=cost, runs=1, evaluations=1, certificate_s=0
        )

    monkeypatch.setattr(module, "_measure", slow)
    growth = bench_growth(replace(TINY, max_batch=64, points=7, seconds_per_point=9))
    batch = [point for point in growth.points if point.axis == "batch"]
    assert [value for axis, value in asked if axis == "batch"] == [1, 2, 4, 8]
    assert [point.value for point in batch] == [1, 2, 4, 8, 16, 32, 64]
    assert batch[4].note == "skipped: about 16 s expected, more than 9 s"
    assert batch[6].note == "skipped: about 64 s expected, more than 9 s"
    assert "skipped: about 64 s" in growth_table(growth)
    assert "skipped: about 64 s" in growth_csv(growth)
    assert growth.as_dict()["points"][-1]["time_s"] is None or growth.points[-1].runs


def test_the_csv_has_every_rung_with_all_it_was_measured_at(tiny: Growth) -> None:
    rows = list(csv.DictReader(io.StringIO(growth_csv(tiny))))
    assert [(row["axis"], float(row["value"])) for row in rows] == [
        (axis, pytest.approx(value, rel=1e-12)) for axis in AXES for value in TINY.ladder(axis)
    ]
    for row in rows:
        fixed = {"nodes": 12, "batch": 3, "tau_spread": 1.0, "gap": 0.3} | {row["axis"]: float(row["value"])}
        assert {axis: float(row[axis]) for axis in AXES} == pytest.approx(fixed)
        assert float(row["time_s"]) >= float(row["time_min_s"]) > 0
        assert float(row["cpu_s"]) > 0
        assert float(row["evaluations"]) > float(row["steps"]) > 0
        assert (float(row["settled"]), row["note"], row["method"], row["device"]) == (1.0, "", "auto", "cpu")
    costs = {axis: [float(row["evaluations"]) for row in rows if row["axis"] == axis] for axis in AXES}
    assert costs["gap"][-1] > costs["gap"][0], "a closing gap costs evaluations"
    assert costs["tau_spread"][-1] > costs["tau_spread"][0]


def test_the_table_tells_exponents_base_and_machine(tiny: Growth) -> None:
    table = growth_table(tiny)
    assert "Base: N = 12, B = 3, tau spread 1, gap 0.3" in table
    assert tiny.circumstances["torch"] in table
    law = tiny.fit("gap", "evaluations")
    assert law is not None
    assert f"gap^({law.exponent:.2f} ± {law.standard_error:.2f})" in table
    assert table.count("\n| nodes | ") == 3


def test_every_panel_has_labelled_axes_and_its_slope(tiny: Growth) -> None:
    figure = plot_growth(tiny)
    panels = [axes for axes in figure.axes if axes.get_legend() is not None]
    assert len(panels) == 4
    for axes, axis in zip(panels, AXES, strict=True):
        assert axes.get_xlabel().endswith("(1)")
        assert axes.get_ylabel() == "time of the batch (s)"
        law = tiny.fit(axis, "time_s")
        assert law is not None
        texts = [text.get_text() for text in axes.get_legend().get_texts()]
        assert f"its slope: {law.exponent:.2f} ± {law.standard_error:.2f}" in texts
        assert [text.split(",")[0] for text in texts[2:]] == ["processor time", "evaluations"]
    assert png_bytes(figure).startswith(b"\x89PNG")


def test_a_panel_without_points_says_so(tiny: Growth) -> None:
    skipped = [replace(p, runs=0, note="skipped") if p.axis == "gap" else p for p in tiny.points]
    figure = plot_growth(replace(tiny, points=tuple(skipped)))
    assert "every point was skipped" in [text.get_text() for axes in figure.axes for text in axes.texts]
