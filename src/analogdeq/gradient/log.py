"""What the solves behind an equilibrium cost and how well they ended, for metrics."""

from dataclasses import dataclass
from typing import final


@final
@dataclass
class SolveLog:
    """Filled in by `equilibrium`: the forward part when it returns, the backward part when gradients are taken.

    Attributes:
        forward_residual: largest max |F(z) - z| over the batch.
        forward_evaluations: mean evaluations of F, products with its Jacobian included.
        unsettled: samples whose forward solve did not end at an equilibrium.
        backward_residual: largest relative residual of (I - J^T) v = g; NaN for methods that solve no such system.
        backward_iterations: mean products with J^T, or evaluations of whatever the gradient's method evaluates.
        backward_time_s: mean time a physical adjoint takes per sample [s]; NaN for other methods.
        backward_energy_J: mean energy it draws [J]; NaN for other methods, or without a circuit.
    """

    forward_residual: float = float("nan")
    forward_evaluations: float = float("nan")
    unsettled: int = 0
    backward_residual: float = float("nan")
    backward_iterations: float = float("nan")
    backward_time_s: float = float("nan")
    backward_energy_J: float = float("nan")
