"""The study of noisy Jacobians: its rows are what the table and the picture show, its claims are checked."""

import csv
import io
import math

import pytest
import torch

from analogdeq.report.plots.adjoint import plot_adjoint
from analogdeq.studies.bench_adjoint import (
    DEFAULT_METHOD,
    METHODS,
    AdjointRow,
    AdjointSpec,
    as_csv,
    as_table,
    bench_adjoint,
    random_problem,
)

SPEC = AdjointSpec(levels=(0.1,), budgets=(60,), draws=3)


@pytest.fixture(scope="module")
def rows() -> list[AdjointRow]:
    return bench_adjoint(SPEC, [random_problem()])


def row_of(rows: list[AdjointRow], method: str, noise: str) -> AdjointRow:
    (row,) = [row for row in rows if row.method == method and row.noise == noise]
    return row


def test_every_method_is_tried_under_every_noise(rows: list[AdjointRow]) -> None:
    assert len(rows) == len(METHODS) * 4
    assert all(math.isfinite(value) for row in rows for value in (row.error, row.error_p90, row.cosine))
    assert all(row.products <= 60.5 for row in rows)
    assert all(row.error <= row.error_p90 for row in rows)


def test_the_default_reaches_three_percent_under_ten_percent_additive_noise_and_gmres_does_not(
    rows: list[AdjointRow],
) -> None:
    default = row_of(rows, DEFAULT_METHOD, "additive")
    assert default.error < 0.03
    assert default.cosine > 0.999
    assert row_of(rows, "gmres", "additive").error > 0.2
    assert row_of(rows, "gmres, full range", "additive").error < 0.6 * row_of(rows, "gmres", "additive").error


def test_frozen_noise_puts_the_same_floor_under_every_converged_method(rows: list[AdjointRow]) -> None:
    floors = [row_of(rows, name, "frozen").error for name in (DEFAULT_METHOD, "gmres", "broyden", "neumann")]
    assert max(floors) < 1.05 * min(floors)
    assert min(floors) > 0.05


def test_exact_products_show_what_truncation_alone_costs(rows: list[AdjointRow]) -> None:
    assert row_of(rows, "gmres", "none").error < 1e-6
    assert row_of(rows, "jacobian-free", "none").error > 0.5
    assert 0.2 < row_of(rows, "phantom 5", "none").error < 0.6


def test_the_random_problem_is_the_linear_system_it_says() -> None:
    problem = random_problem(nodes=30, radius=0.7, samples=3, seed=5)
    J = problem.linearisation.dense()
    assert torch.linalg.eigvals(J).abs().amax(1).tolist() == pytest.approx([0.7] * 3)
    torch.testing.assert_close(problem.v - torch.einsum("bji,bj->bi", J, problem.v), problem.g, rtol=0, atol=1e-12)
    assert problem.g.abs().amax(1).tolist() == pytest.approx([1.0] * 3)
    assert "30 nodes, 3 samples, spectral radius of J 0.70" in problem.describe()


def test_the_csv_has_every_row_and_the_table_a_line_per_method(rows: list[AdjointRow]) -> None:
    read = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert len(read) == len(rows)
    assert float(read[0]["error"]) == rows[0].error
    table = as_table(rows, [random_problem()], 60)
    for name in METHODS:
        (line,) = [line for line in table.splitlines() if line.startswith(f"{name}  ")]
        assert f"{row_of(rows, name, 'additive').error:.1e}" in line
    diverged = AdjointRow(
        core="random", noise="fresh", level=0.1, method="neumann", budget=60, products=60, error=1e30, error_p90=1e30,
        cosine=0.1,
    )  # fmt: skip
    others = [row for row in rows if (row.method, row.noise) != ("neumann", "fresh")]
    assert "diverges" in as_table([*others, diverged], [random_problem()], 60)


def test_the_picture_has_a_panel_per_noise_and_a_line_per_method(rows: list[AdjointRow]) -> None:
    figure = plot_adjoint([vars(row) for row in rows])
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 4
    assert all(len(axes.lines) == len(METHODS) for axes in panels)
