"""The tables that say what is asked: seeds, task, model, trace and output."""

from typing import Literal, final

from pydantic import Field, ValidationInfo, field_validator

from analogdeq.scenario.quantity import Ratio, TimeConstants
from analogdeq.scenario.section import Count, Section, broken_rule
from analogdeq.scenario.text import FolderPath, Stages

LARGEST_SEED = 2**63 - 1
"""TOML and torch both count seeds in signed 64 bits."""


@final
class Seeds(Section):
    """The sources of chance; the same seeds give the same bits."""

    chip: Count = Field(default=0, ge=0, le=LARGEST_SEED)
    """Draws what is frozen in silicon: the device statistics of the simulated chip."""

    noise: Count = Field(default=0, ge=0, le=LARGEST_SEED)
    """Draws what differs from one inference to the next: the noise of D/A and A/D conversions."""

    train: Count = Field(default=0, ge=0, le=LARGEST_SEED)
    """Draws the initial parameters and the order of the training images."""


@final
class Task(Section):
    """What the model learns."""

    name: Literal["digits", "cifar10", "imagenet32"]
    """The data set. "digits" is the 1,797 handwritten 8x8 digits of the UCI collection, split once and for all;
    "cifar10" and "imagenet32" are 32x32 colour photographs in their official files, see docs/training.md."""

    checksums: Literal["official", "none"] = "official"
    """For "cifar10": "official" takes only the published files, by their MD5; "none" takes any in their format."""

    held_out: Count | None = Field(default=None, ge=1, le=10_000_000)
    """Test on the last so many training images and train on the others, to choose a recipe without the test images;
    "none" trains on all of them and tests on the test images."""

    train_limit: Count | None = Field(default=None, ge=1, le=10_000_000)
    """Train on only the first so many training images; "none" takes them all. Use it for a learning curve."""

    test_limit: Count | None = Field(default=None, ge=1, le=1_000_000)
    """Evaluate only the first so many test images; "none" takes them all. Use it for a quick look."""


@final
class Model(Section):
    """The equilibrium network: encoder, analog core of `nodes` voltages, readout."""

    kind: Literal["hybrid", "digital", "feedforward"] = "hybrid"
    """"hybrid" is the network a chip realises. The others are baselines of the same size, which no chip is made of:
    "digital" is the same network as an ordinary deep equilibrium model, its equilibria found by Anderson's method;
    "feedforward" has the same layers without feedback."""

    core: Literal["dense", "conv"] = "dense"
    """"dense" has one core of `nodes`; "conv" has convolutional cores of 3x3 kernels, as `stages` says."""

    stages: Stages = "32@8"
    """For `core = "conv"`: channels@side of each core in turn, such as "48@32, 64@16". A digital layer, strided where
    the side shrinks, stands before each; a chip is made of one core only."""

    nodes: Count = Field(default=64, ge=1, le=4096)
    """Number of nodes of the core, the length of its state z. Published crossbars have 60 (mem-HNN, Nature Electronics
    3:409, 2020) to 256 (NeuRRAM, Nature 608:504, 2022) lines."""

    inputs: Count = Field(default=32, ge=1, le=4096)
    """Number of values u that the encoder hands to the core, one line and one D/A converter each; for convolutional
    cores the number of input channels."""

    encoder: Literal["strided", "pooled"] = "strided"
    """Digital layers before the cores of `core = "conv"`: "strided" is one convolution each, into `inputs` channels,
    strided where the side shrinks; "pooled" one convolution of the whole image into `inputs` channels, and maxima over
    pixels where the side shrinks."""

    norm: Literal["group", "batch"] = "group"
    """Norms of the digital layers of `core = "conv"`: "group" looks at each image alone, "batch" at each channel over
    the batch, and in evaluation at running means."""

    dropout: Ratio = Field(default=0.0, ge=0, lt=1)
    """Probability of a number in the digital layers of `core = "conv"` to be left out in training, before each core and
    before the classes."""

    readout_side: Count = Field(default=2, ge=1, le=32)
    """Rows and columns of averages in which the readout of `core = "conv"` sees the last image, if it has as many."""

    activation: Literal["tanh", "sigmoid", "hardtanh", "relu-clipped"] = "tanh"
    """The saturating transfer curve phi of the node amplifiers."""

    analog_init_gain: Ratio = Field(default=0.5, gt=0, le=2)
    """Spectral radius that the random initial W is scaled to. Below 1 the untrained core settles; the nearer to 1,
    the slower, as 1/(1 - gain)."""

    spectral_bound: Ratio | None = Field(default=0.9, gt=0, le=100)
    """Training keeps the 2-norm of W at or below this; "none" leaves it free. Below 1 there is one equilibrium for
    every input, and it stays stable whatever the amplifier poles (small-gain theorem)."""

    spectral_bursts: Count = Field(default=100, ge=1, le=100_000)
    """For the `spectral_bound` of all `weights` but "free": bursts of power iteration at the most in each step of
    training. With few, which is cheaper, the norm may pass the bound while weights move; evaluation iterates until the
    norm stands."""

    weights: Literal["free", "spectral", "row", "monotone", "symmetric", "positive", "negative"] = "free"
    """What W is by construction. "free": anything, scaled back to `spectral_bound` after each step. All others are
    parametrisations, bounded by `spectral_bound` besides where it is not "none": "spectral" by nothing else; "row" has
    row sums of |W| up to `row_bound`; "monotone" is (1-m) I - A'A + B - B'; "symmetric", and "positive" or "negative"
    definite."""

    row_bound: Ratio = Field(default=0.9, gt=0, le=1000)
    """For `weights = "row"`: largest sum of |W| over a row, the summed conductance on one output wire."""

    monotone_margin: Ratio = Field(default=0.1, gt=0, lt=1)
    """For `weights = "monotone"`: m. The largest eigenvalue of (W + W')/2 is at most 1 - m."""

    @field_validator("weights")
    @classmethod
    def _has_its_bound(cls, weights: str, info: ValidationInfo) -> str:
        bound = info.data.get("spectral_bound")
        is_conv = info.data.get("core") == "conv" and info.data.get("kind") != "feedforward"
        if weights == "free" and bound is not None and is_conv:
            raise broken_rule(
                ("weights", "spectral_bound", "core"),
                "free convolutions cannot be scaled back after each step; take weights = 'spectral', or no bound",
            )
        if weights == "spectral" and info.data.get("spectral_bound", 1) is None:
            raise broken_rule(("weights", "spectral_bound"), "weights = 'spectral' needs a spectral_bound")
        return weights


@final
class Trace(Section):
    """The waveforms kept in `trace.h5`."""

    samples: Count = Field(default=8, ge=0, le=100_000)
    """Number of test images whose settling is recorded; 0 records none."""

    interval_tau: TimeConstants = Field(default=0.05, ge=1e-4, le=100)
    """Time between two recorded points. 0.05 draws a smooth exponential."""


@final
class Output(Section):
    """Where results go."""

    directory: FolderPath = "runs"
    """Folder in which each command makes its run directory; a relative path starts where the command runs."""
