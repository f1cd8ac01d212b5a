"""How equilibria are differentiated in training."""

from typing import Literal, final

from pydantic import Field

from analogdeq.scenario.quantity import Ratio, TimeConstants
from analogdeq.scenario.section import Count, Section


@final
class Gradient(Section):
    """How an equilibrium is differentiated; the linear solver of "implicit" is chosen under [train]."""

    method: Literal[
        "implicit",
        "phantom",
        "jacobian-free",
        "shine",
        "unrolled",
        "transient",
        "physical-adjoint",
        "equilibrium-propagation",
    ] = "implicit"
    """"implicit" solves (I - J^T) v = g. "phantom" takes a few damped terms of its series, "jacobian-free" one. "shine"
    finds the equilibrium by Broyden's method and uses its inverse again. "unrolled" backpropagates through noisy
    fixed-point steps, "transient" through the integrated transient; both find z* in their own way. "physical-adjoint"
    settles the transposed array. "equilibrium-propagation" nudges a network whose W is kept symmetric."""

    warm_start: Literal["off", "on"] = "off"
    """"on" begins the linear solve of "implicit" at the last solution: for batches that repeat or drift."""

    read_noise: Literal["fresh", "frozen", "additive"] | None = None
    """Noise on the products J^T v of "implicit": drawn for each product in proportion to the operand, one error of the
    array for good, or of a fixed size; "none" for exact products. Use gradient_solver = "auto" with it."""

    read_noise_level: Ratio = Field(default=0.1, ge=0, le=10)
    """Size of that noise: of J in the Frobenius norm, or of g for "additive"."""

    phantom_steps: Count = Field(default=5, ge=1, le=10_000)
    """Terms k of the "phantom" gradient."""

    phantom_damping: Ratio = Field(default=0.5, gt=0, le=1)
    """Step of the "phantom" gradient; 1 truncates the Neumann series."""

    phantom_residual: Literal["measured", "skipped"] = "measured"
    """Whether the log gets the residual of the "phantom" gradient, which takes one more product."""

    shine_refine: Count = Field(default=0, ge=0, le=10_000)
    """Products that "shine" spends on improving what the forward pass has left."""

    unroll_steps: Count = Field(default=30, ge=1, le=100_000)
    """Steps T of the "unrolled" proxy."""

    unroll_weight_noise: Ratio = Field(default=0.0, ge=0, le=10)
    """alpha of the "unrolled" proxy: per batch every weight moves by N(0, alpha^2 |w|)."""

    unroll_state_noise: Ratio = Field(default=0.0, ge=0, le=10)
    """sigma of the "unrolled" proxy: every step adds N(0, sigma^2) to each state."""

    unroll_checkpoint_every: Count | None = Field(default=None, ge=1, le=100_000)
    """Keep only every k-th state of the "unrolled" proxy and compute the others again; "none" keeps all."""

    transient_horizon_tau: TimeConstants = Field(default=30.0, gt=0, le=1e6)
    """Where the transient of "transient" ends."""

    adjoint_array: Literal["same", "second"] = "same"
    """The array of "physical-adjoint": the forward one read transposed, or a second one with devices of its own."""

    adjoint_noise: Ratio = Field(default=0.0, ge=0, le=10)
    """Fluctuation of an uncoupled node of "physical-adjoint", as a fraction of full scale."""

    adjoint_seed: Count = Field(default=1, ge=0, le=2**63 - 1)
    """Chip seed of the second array, and seed of the adjoint's noise."""

    nudge: Literal["one-sided", "centred", "holomorphic"] = "centred"
    """Where "equilibrium-propagation" takes its difference: from rest, from both sides, or around a complex circle
    (not of phases)."""

    nudge_beta: Ratio = Field(default=0.02, gt=0, le=10)
    """Largest nudging current of "equilibrium-propagation", in units of the pre-activation; of oscillators the
    largest injection [rad per tau]."""
