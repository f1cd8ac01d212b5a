"""How the parameters are learnt."""

from typing import Literal, final

from pydantic import Field

from analogdeq.scenario.hardware import Hardware
from analogdeq.scenario.quantity import Ratio
from analogdeq.scenario.section import Count, Section


@final
class Penalty(Section):
    """Terms added to the cross-entropy, each a mean over the batch; all are off by default."""

    residual: Ratio = Field(default=0.0, ge=0, le=1e6)
    """Weight of the Lyapunov-inspired residual, E |z - F(z)|^2 at the state the forward pass ended at."""

    jacobian: Ratio = Field(default=0.0, ge=0, le=1e6)
    """Weight of the squared Frobenius norm of the Jacobian per node, by one random vector per image. Published values
    are 0.1 to 1.2 (Bai et al., ICML 2021)."""

    abscissa: Ratio = Field(default=0.0, ge=0, le=1e6)
    """Weight of how far the largest eigenvalue of (J + J')/2 exceeds `abscissa_above`."""

    abscissa_above: Ratio = Field(default=0.0, ge=-100, le=100)
    """Numerical abscissa up to which nothing is charged. The circuit's distances shrink by 1 minus it per tau."""

    settling_time: Ratio = Field(default=0.0, ge=0, le=1e6)
    """Weight of the mean settling time in time constants of the ideal core, by the adjoint through its transient."""

    energy: Ratio = Field(default=0.0, ge=0, le=1e6)
    """Weight of the mean natural logarithm of the energy until readout, on the scenario's circuit with exact devices;
    for hybrids with one dense RC core."""

    probability: Ratio = Field(default=1.0, gt=0, le=1)
    """Probability of a step to compute any term but `residual` at all; 0.05 costs almost nothing."""


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

    weight_decay_analog: Ratio | None = Field(default=None, ge=0, le=10)
    """Weight decay of the core's W, U and b; "none" is that of all others."""

    schedule: Literal["cosine", "constant", "one-cycle"] = "cosine"
    """Course of the learning rates: "cosine" lets them fall to zero over the epochs; "one-cycle" lets them rise from
    zero over `warmup_epochs` and fall to zero after, both in straight lines, step by step."""

    warmup_epochs: Count = Field(default=0, ge=0, le=1_000_000)
    """Epochs over which the learning rates rise in equal steps before they are what the schedule says."""

    label_smoothing: Ratio = Field(default=0.0, ge=0, lt=1)
    """Fraction of each label that is spread evenly over all classes in the loss."""

    grad_clip: Ratio | None = Field(default=1.0, gt=0, le=1e6)
    """Longest gradient, by its 2-norm over all parameters; longer ones are shortened to it; "none" leaves them."""

    input_noise: Ratio = Field(default=0.0, ge=0, le=10)
    """Standard deviation of the Gaussian noise added to each training image, whose pixels span 0 to 1: it makes the
    network tolerant of small changes, of the input and of the chip."""

    augmentation: Literal["none", "crop-flip"] = "none"
    """Random changes to training images: "crop-flip" pads by 4 pixels, crops, and flips left to right half the time."""

    converters: Literal["ideal", "straight-through"] = "ideal"
    """"straight-through" rounds inputs and readout in training as the chip's D/A and A/D converters will; gradients
    pass as if they did not round, and are zero where they clip. For one core (`model.kind = "hybrid"`)."""

    forward: Literal["settle", "root", "iterate"] = "root"
    """Where the equilibrium comes from in training: "root" finds the fixed point directly, "settle" integrates the
    circuit, which is slower and sees what the circuit does. "iterate" is z <- F(z) and nothing else, the cheapest where
    that is a contraction, as with `weights = "spectral"`; a sample it does not finish counts as unsettled."""

    forward_tol: Ratio = Field(default=1e-6, ge=1e-14, lt=1)
    """Residual max |F(z) - z| at which the search for the fixed point ends, in units of full scale: of `forward =
    "root"` and "iterate", and of Anderson's method for `model.kind = "digital"`. Published digital models train at
    1e-3."""

    device: Literal["cpu", "cuda", "auto"] = "cpu"
    """Where training computes: "auto" takes a GPU if there is one."""

    precision: Literal["full", "mixed"] = "full"
    """"mixed" computes encoder and readout in bfloat16; the equilibrium keeps the precision of `settle.dtype`."""

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

    penalty: Penalty = Penalty()
    hardware: Hardware = Hardware()
