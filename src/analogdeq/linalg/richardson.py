"""(I - J) x = y by damped Richardson iteration, for products that may be noisy."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.linalg.range import in_full_range, peak
from analogdeq.linalg.system import LinearSolution, MatVec, Tolerance, relative, row_norm

NEAR_FLOOR = 1.5
"""A residual below this many noise floors holds more noise than information."""
WINDOW = 5
"""Residuals whose mean must fall from one window to the next, or the transient counts as over."""
GROWTH = 4.0
"""A residual this many times the smallest one seen means that the damping is too weak."""
_EXACT = 64.0
"""Two products at one point that differ by less than so many rounding units are taken for equal."""


def solve_richardson(
    j_matvec: MatVec,
    y: Tensor,
    *,
    tol: Tolerance,
    max_iter: int,
    damping: float = 0.5,
    noisy_tol: float = 0.003,
    start: Tensor | None = None,
) -> LinearSolution:
    """Solve (I - J) x = y by x <- x + a (y + J x - x), and average the tail where the products carry noise.

    Two products at one point tell the noise. Without any, a sample stops where its residual meets `tol`. With noise,
    its residual cannot fall below the noise of one product. Once it is near that floor, or its mean over `WINDOW`
    products stops falling, as many products again are let pass, so that the transient falls well below the floor; the
    iterates from there on are averaged (Polyak and Juditsky, SIAM J. Control Optim. 30:838, 1992), until the standard
    error of the average is below `noisy_tol` or the products are spent. No iterate is picked for its small residual:
    under noise that one is lucky, not good.

    Every operand is scaled to the range of the converter that applies it, so that a read noise of fixed size weighs as
    little as it can. Where a residual grows by `GROWTH`, a is halved and the sample goes back to its best iterate:
    any J whose eigenvalues have real parts below 1 is solved with a small enough.

    Args:
        j_matvec: x -> J x, exact or noisy; J x is linear in x but for the noise.
        y: (batch, n).
        tol: relative residual at which a sample stops where products are exact.
        max_iter: bound on the products with J; at least 2, both spent where it starts.
        damping: a, at first; above 0, at most 1.
        noisy_tol: relative standard error at which averaging stops.
        start: (batch, n). The first x; y if None.

    Returns:
        x; its relative residual, under noise an estimate of it; products spent; and the relative noise floor.
    """
    product = in_full_range(j_matvec)
    x = y if start is None else start
    first, second = product(x), product(x)
    floor = row_norm(first - second) / 2**0.5
    rounding = _EXACT * torch.finfo(y.dtype).eps * torch.maximum(row_norm(y), row_norm(first))
    floor = torch.where(floor <= rounding, 0.0, floor) / peak(x).squeeze(1).to(torch.float64).clamp_min(1e-300)
    run = _Run.begin(x, y + 0.5 * (first + second) - x, row_norm(y) > 0, floor, damping)
    run.observe(y, tol, noisy_tol, max_iter)
    for _ in range(max_iter - 2):
        if not bool(run.is_open.any()):
            break
        run.advance()
        run.residual_vector = torch.where(run.is_open.unsqueeze(1), y + product(run.x) - run.x, run.residual_vector)
        run.iterations += run.is_open
        run.observe(y, tol, noisy_tol, max_iter)
    return run.solution(y)


@final
@dataclass
class _Run:
    """The state of every sample's iteration; `floor` is the noise of a product whose operand has peak 1."""

    x: Tensor
    residual_vector: Tensor
    floor: Tensor
    damping: Tensor
    best_x: Tensor
    best_vector: Tensor
    best: Tensor
    window: Tensor
    window_before: Tensor
    count: Tensor
    is_open: Tensor
    begins: Tensor
    is_averaging: Tensor
    mean: Tensor
    mean_vector: Tensor
    averaged: Tensor
    iterations: Tensor

    @staticmethod
    def begin(x: Tensor, residual_vector: Tensor, is_open: Tensor, floor: Tensor, damping: float) -> "_Run":
        """At x, where the residual is known."""
        zero, no = torch.zeros_like(floor), torch.zeros_like(floor, dtype=torch.bool)
        return _Run(
            x=x, residual_vector=residual_vector, floor=floor, damping=torch.full_like(floor, damping), best_x=x,
            best_vector=residual_vector, best=torch.full_like(floor, torch.inf), window=zero.clone(),
            window_before=torch.full_like(floor, torch.inf), count=zero.clone(), is_open=is_open,
            is_averaging=no,
            begins=torch.full(floor.shape, -1, dtype=torch.int64, device=x.device), mean=torch.zeros_like(x),
            mean_vector=torch.zeros_like(x), averaged=zero.clone(), iterations=torch.full(floor.shape, 2,
            dtype=torch.int64, device=x.device),
        )  # fmt: skip

    def advance(self) -> None:
        """One damped step of the open samples."""
        step = (self.damping * self.is_open).unsqueeze(1).to(self.x.dtype)
        self.x = self.x + step * self.residual_vector

    def observe(self, y: Tensor, tol: Tolerance, noisy_tol: float, max_iter: int) -> None:
        """Look at the residual of x: average it, restrain a sample that grows, and close those that are done."""
        residual, scale = row_norm(self.residual_vector), row_norm(y)
        here = self._floor_here()
        self._restrain(residual, here)
        better = self.is_open & (residual < self.best)
        self.best = torch.where(better, residual, self.best)
        self.best_x = torch.where(better.unsqueeze(1), self.x, self.best_x)
        self.best_vector = torch.where(better.unsqueeze(1), self.residual_vector, self.best_vector)
        is_noisy = self.floor > 0
        is_near = is_noisy & ((residual <= NEAR_FLOOR * here) | self._has_stalled(residual))
        # As long again as it took, but never so long that half of the remaining products would be lost.
        until = torch.minimum(2 * self.iterations, (self.iterations + max_iter) // 2)
        self.begins = torch.where(is_near & (self.begins < 0), until, self.begins)
        self.is_averaging = (self.begins >= 0) & (self.iterations >= self.begins)
        self._average(self.is_averaging & self.is_open)
        enough = self.is_averaging & (self._mean_residual() <= noisy_tol * scale)
        self.is_open = self.is_open & ~torch.where(is_noisy, enough, residual <= tol * scale)

    def solution(self, y: Tensor) -> LinearSolution:
        """The average where there is one, else the last iterate."""
        scale = row_norm(y)
        used = self.averaged > 0
        x = torch.where(used.unsqueeze(1), self.mean, self.x)
        residual = torch.where(used, self._mean_residual(), row_norm(self.residual_vector))
        return LinearSolution(
            x=x,
            relative_residual=relative(residual, scale),
            iterations=torch.where(scale > 0, self.iterations, 0),
            noise_floor=relative(self._floor_here(), scale),
        )

    def _floor_here(self) -> Tensor:
        return self.floor * peak(self.x).squeeze(1).to(torch.float64)

    def _restrain(self, residual: Tensor, here: Tensor) -> None:
        """Halve the damping of samples that grow, and take them back; (residual, x) of the others stay."""
        grows = ~(residual <= GROWTH * self.best) & ~(residual <= 3 * here) & self.is_open & (self.begins < 0)
        grows &= torch.isfinite(self.best)
        column = grows.unsqueeze(1)
        self.damping = torch.where(grows, 0.5 * self.damping, self.damping)
        self.x = torch.where(column, self.best_x, self.x)
        self.residual_vector = torch.where(column, self.best_vector, self.residual_vector)

    def _has_stalled(self, residual: Tensor) -> Tensor:
        """(batch,) bool: whether the mean residual of this window is no longer below that of the one before."""
        self.count += self.is_open
        self.window = self.window + residual / WINDOW
        is_full = self.count >= WINDOW
        stalled = is_full & (self.window >= 0.98 * self.window_before)
        self.window_before = torch.where(is_full, self.window, self.window_before)
        self.window = torch.where(is_full, 0.0, self.window)
        self.count = torch.where(is_full, 0.0, self.count)
        return stalled

    def _average(self, rows: Tensor) -> None:
        self.averaged += rows
        weight = torch.where(rows, 1 / self.averaged.clamp_min(1), 0.0).unsqueeze(1).to(self.x.dtype)
        self.mean = self.mean + weight * (self.x - self.mean)
        self.mean_vector = self.mean_vector + weight * (self.residual_vector - self.mean_vector)

    def _mean_residual(self) -> Tensor:
        """(batch,) float64: of the average. Its noisy residual is the mean of theirs, and hides a mean of the noise."""
        return torch.hypot(row_norm(self.mean_vector), self._floor_here() / self.averaged.clamp_min(1).sqrt())
