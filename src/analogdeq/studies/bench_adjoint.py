"""How well (I - J^T) v = g is solved with noisy products: error against method, noise and product budget."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Linearisation
from analogdeq.cores.rc import RCCore
from analogdeq.gradient.forward import ByRootFinding
from analogdeq.linalg.anderson import solve_anderson
from analogdeq.linalg.broyden import solve_broyden
from analogdeq.linalg.fixed_point import solve_fixed_point
from analogdeq.linalg.frobenius import frobenius_norm
from analogdeq.linalg.gmres import solve_gmres
from analogdeq.linalg.noise import ReadNoise
from analogdeq.linalg.one_thread import one_thread
from analogdeq.linalg.range import in_full_range
from analogdeq.linalg.richardson import solve_richardson
from analogdeq.linalg.system import MatVec

DEFAULT_METHOD = "richardson, averaged"
"""What `ImplicitGradient(solver="auto")` does with noisy products."""
TOL = 1e-9
"""Asked of every solver, so that none stops early: what ends it is its budget, or what it knows of noise."""


@final
@dataclass(frozen=True, kw_only=True)
class AdjointSpec:
    """What to try.

    Attributes:
        kinds: of noise; "none" for exact products.
        levels: of noise.
        budgets: products with J^T.
        draws: noise draws per sample.
        seed: of the noise.
    """

    kinds: tuple[str, ...] = ("none", "fresh", "frozen", "additive")
    levels: tuple[float, ...] = (0.01, 0.1)
    budgets: tuple[int, ...] = (15, 30, 60, 120)
    draws: int = 8
    seed: int = 0


@final
@dataclass(frozen=True)
class AdjointProblem:
    """Linear systems of one core at its rests, with their exact solutions.

    Attributes:
        name: of the core.
        linearisation: J of each sample, float64.
        g: (batch, node) float64, of peak 1.
        v: (batch, node) float64, by LU.
    """

    name: str
    linearisation: Linearisation
    g: Tensor
    v: Tensor

    def describe(self) -> str:
        """Size, spectral radius of J and condition of I - J, the medians over the samples."""
        J = self.linearisation.dense().detach()
        radius = torch.linalg.eigvals(J).abs().amax(1).median()
        condition = torch.linalg.cond(torch.eye(J.shape[1], dtype=J.dtype) - J).median()
        return (
            f"{self.name}: {J.shape[1]} nodes, {J.shape[0]} samples, spectral radius of J {float(radius):.2f}, "
            f"condition of I - J {float(condition):.1f}"
        )


@final
@dataclass(frozen=True, kw_only=True)
class AdjointRow:
    """One method under one noise with one budget; medians over samples and draws.

    Attributes:
        core: name of the problem.
        noise: kind.
        level: of the noise.
        method: of the solve.
        budget: products allowed.
        products: mean of those spent.
        error: median of ||v - v*|| / ||v*||.
        error_p90: its 90th percentile.
        cosine: median of the cosine of v and v*.
    """

    core: str
    noise: str
    level: float
    method: str
    budget: int
    products: float
    error: float
    error_p90: float
    cosine: float


Method = Callable[[MatVec, Tensor, int], tuple[Tensor, Tensor]]
"""(product, g, budget) -> v and the products spent on each sample."""


def problem_at_rest(name: str, core: RCCore, u: Tensor, g: Tensor) -> AdjointProblem:
    """The systems of a float64 core at the rests of inputs u (batch, input), for gradients g (batch, node)."""
    with torch.no_grad():
        z = ByRootFinding(tol=1e-12).solve(core, u).z
        linearisation = core.linearise(z, core.drive(u))
        g = g / g.abs().amax(1, keepdim=True).clamp_min(1e-300)
        system = torch.eye(core.n_nodes, dtype=g.dtype) - linearisation.dense().mT
        with one_thread(system):
            v = torch.linalg.solve(system, g.unsqueeze(2)).squeeze(2)
    return AdjointProblem(name, linearisation, g, v)


def random_problem(nodes: int = 100, radius: float = 0.8, samples: int = 8, seed: int = 0) -> AdjointProblem:
    """A random linear core, whose J is W itself with the spectral radius asked for, and random g."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    W = normal(nodes, nodes)
    W *= radius / torch.linalg.eigvals(W).abs().max()
    core = RCCore(W, normal(nodes, 4), normal(nodes), activation="identity")
    return problem_at_rest("random", core, normal(samples, 4), normal(samples, nodes))


def bench_adjoint(
    spec: AdjointSpec, problems: Sequence[AdjointProblem], on_row: Callable[[int, int], None] = lambda done, total: None
) -> list[AdjointRow]:
    """Every method under every noise with every budget."""
    cases = [
        (problem, kind, level, name, budget)
        for problem in problems
        for kind in spec.kinds
        for level in (spec.levels if kind != "none" else (0.0,))
        for name in METHODS
        for budget in spec.budgets
    ]
    rows = []
    for k, (problem, kind, level, name, budget) in enumerate(cases):
        rows.append(_row(spec, problem, kind, level, name, budget))
        on_row(k + 1, len(cases))
    return rows


@torch.no_grad()
def _row(spec: AdjointSpec, problem: AdjointProblem, kind: str, level: float, name: str, budget: int) -> AdjointRow:
    errors, cosines, products = [], [], []
    for draw in range(spec.draws if kind != "none" else 1):
        product: MatVec = problem.linearisation.rmatvec
        if kind != "none":
            noise = ReadNoise(kind=kind, level=level, seed=spec.seed * 1_000_003 + draw)
            product = noise.spoil(product, problem.g, lambda: frobenius_norm(problem.linearisation, problem.g))
        v, spent = METHODS[name](product, problem.g, budget)
        v = torch.nan_to_num(v, nan=1e300, posinf=1e300, neginf=-1e300).clamp(-1e150, 1e150)
        errors.append((v - problem.v).norm(dim=1) / problem.v.norm(dim=1))
        cosines.append(torch.cosine_similarity(v, problem.v, dim=1))
        products.append(spent.double())
    error = torch.cat(errors)
    return AdjointRow(
        core=problem.name,
        noise=kind,
        level=level,
        method=name,
        budget=budget,
        products=float(torch.cat(products).mean()),
        error=float(error.median()),
        error_p90=float(error.quantile(0.9)),
        cosine=float(torch.cat(cosines).median()),
    )


def _gmres(product: MatVec, g: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    found = solve_gmres(product, g, tol=TOL, max_iter=budget, restart=budget)
    return found.x, found.iterations


def _gmres_full_range(product: MatVec, g: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    return _gmres(in_full_range(product), g, budget)


def _neumann(product: MatVec, g: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    found = solve_fixed_point(product, g, tol=TOL, max_iter=budget)
    return found.x, found.iterations


def _damped(product: MatVec, g: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    v = g
    for _ in range(budget):
        v = v + 0.5 * (g + product(v) - v)
    return v, torch.full((g.shape[0],), budget)


def _averaged(product: MatVec, g: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    found = solve_richardson(product, g, tol=TOL, max_iter=budget)
    return found.x, found.iterations


def _anderson(product: MatVec, g: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    found = solve_anderson(product, g, tol=TOL, max_iter=budget)
    return found.x, found.iterations


def _broyden(product: MatVec, g: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    found = solve_broyden(product, g, tol=TOL, max_iter=budget, memory=budget)
    return found.x, found.iterations


def _phantom(product: MatVec, g: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    v = 0.5 * g
    for _ in range(4):
        v = v + 0.5 * (g + product(v) - v)
    return v, torch.full((g.shape[0],), 4)


def _jacobian_free(product: MatVec, g: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    return g, torch.zeros(g.shape[0])


METHODS: dict[str, Method] = {
    DEFAULT_METHOD: _averaged,
    "richardson, last": _damped,
    "neumann": _neumann,
    "gmres": _gmres,
    "gmres, full range": _gmres_full_range,
    "anderson": _anderson,
    "broyden": _broyden,
    "phantom 5": _phantom,
    "jacobian-free": _jacobian_free,
}
"""By name. Anderson and Broyden return the iterate of least residual, as they do where products are exact."""


def as_csv(rows: Sequence[AdjointRow]) -> str:
    """One line per row, with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(AdjointRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def as_table(rows: Sequence[AdjointRow], problems: Sequence[AdjointProblem], budget: int) -> str:
    """Median error and cosine at one budget: a part per core, in it a line per method and a column per noise."""
    lines = []
    for problem in problems:
        chosen = [row for row in rows if row.budget == budget and row.core == problem.name]
        columns = list(dict.fromkeys((row.noise, row.level) for row in chosen))
        head = ["exact" if noise == "none" else f"{noise} {level:g}" for noise, level in columns]
        lines += [problem.describe(), f"{budget} products; median relative error / cosine"]
        lines.append(f"{'method':22s}" + "".join(f"{text:>17s}" for text in head))
        for name in METHODS:
            found = {(row.noise, row.level): row for row in chosen if row.method == name}
            lines.append(f"{name:22s}" + "".join(f"{_cell(found[column]):>17s}" for column in columns))
        lines.append("")
    return "\n".join(lines)


def _cell(row: AdjointRow) -> str:
    return "diverges" if row.error > 1e3 else f"{row.error:.1e} / {row.cosine:.3f}"
