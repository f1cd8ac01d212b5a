"""How the parameters are learnt."""

from typing import Literal, final

from pydantic import Field

from analogdeq.scenario.quantity import Ratio
from analogdeq.scenario.section import Count, Section


@final
class Train(Section):
    """The training loop (AdamW) and the implicit gradient."""

    epochs: Count = Field(default=60, ge=0, le=1_000_000)
    """Passes through the training images; 0 keeps the random initial parameters."""

    batch_size: Count = Field(default=64, ge=1, le=1_000_000)
    """Images per parameter update."""

    lr_digital: Ratio = Field(default=3e-3, ge=0, le=10)
    """Learning rate of encoder and readout; 0 freezes them."""

    lr_analog: Ratio = Field(default=1e-3, ge=0, le=10)
    """Learning rate of the core's W, U and b; 0 freezes them."""

    weight_decay: Ratio = Field(default=1e-4, ge=0, le=10)
    """Decoupled weight decay of AdamW."""

    schedule: Literal["cosine", "constant"] = "cosine"
    """Course of the learning rates: "cosine" lets them fall to zero over the epochs."""

    grad_clip: Ratio | None = Field(default=1.0, gt=0, le=1e6)
    """Longest gradient, by its 2-norm over all parameters; longer ones are shortened to it; "none" leaves them."""

    input_noise: Ratio = Field(default=0.0, ge=0, le=10)
    """Standard deviation of the Gaussian noise added to each training image, whose pixels span 0 to 1: it makes the
    network tolerant of small changes, of the input and of the chip."""

    forward: Literal["settle", "root"] = "root"
    """Where the equilibrium comes from in training: "root" finds the fixed point directly, "settle" integrates the
    circuit, which is slower and sees what the circuit does."""

    gradient_solver: Literal["auto", "gmres", "fixed-point", "richardson", "anderson", "broyden", "cg", "dense"] = (
        "auto"
    )
    """Linear solver of the implicit gradient. "auto" iterates plainly where that contracts well and goes on with GMRES,
    and averages a damped iteration where products are noisy. "fixed-point" needs a contraction, "dense" is exact and
    costs nodes^3, "cg" keeps W symmetric."""

    gradient_tol: Ratio = Field(default=1e-5, ge=1e-14, lt=1)
    """Relative residual at which the linear solve stops."""

    gradient_max_iter: Count = Field(default=100, ge=1, le=1_000_000)
    """Iterations after which the linear solve counts as failed, which is an error and not a wrong gradient."""
