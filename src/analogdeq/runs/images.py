"""All images of a test set settled on a chip and read, with the chip's noise."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.noise.barrier import lines_at
from analogdeq.noise.intensity import NodeNoise, white_noise
from analogdeq.oscillator_chip import AnyChip
from analogdeq.runs.evaluation import CHUNK, quantile, settle_with
from analogdeq.solve.options import SettleOptions
from analogdeq.studies.noisy_readout import noisy_readout
from analogdeq.tasks.dataset import Dataset, pixels

STRIDE = 1_000_003
"""Between the noise seeds of successive parts of the images."""


@final
@dataclass(frozen=True, kw_only=True)
class ImagesRead:
    """What came of the images, on one chip with one noise seed.

    Attributes:
        accuracy: [1].
        settled: [1]. The fraction that did.
        t_settle_s: (image,) [s]. Of those that settled, along the mean, which the devices' slow noise moves.
        energy_J: (image,) [J].
        noise_rms: [1]. Root mean square that white noise adds to z at the readout.
    """

    accuracy: float
    settled: float
    t_settle_s: np.ndarray
    energy_J: np.ndarray
    noise_rms: float

    def figures(self) -> dict[str, float | None]:
        """As numbers by name; None where there is none."""
        return {
            "accuracy": self.accuracy,
            "settled": self.settled,
            "t_settle_p50_s": quantile(self.t_settle_s, 0.5),
            "t_settle_p95_s": quantile(self.t_settle_s, 0.95),
            "t_settle_max_s": quantile(self.t_settle_s, 1.0),
            "energy_mean_J": _finite(float(self.energy_J.mean())),
            "energy_p95_J": _finite(float(np.quantile(self.energy_J, 0.95))),
            "noise_rms": self.noise_rms,
        }


@torch.no_grad()
def read_images(
    model: Any, chip: AnyChip, data: Dataset, options: SettleOptions, *, factor: float, seed: int
) -> ImagesRead:
    """Settle every test image, let white noise act on the state, and read it.

    Args:
        model: the trained network.
        chip: with the slow read noise of its inference already drawn.
        data: whose test images.
        options: of the settles.
        factor: [1]. On the amplitude of the chip's white noise; 0: none.
        seed: of the white noise, which differs from image to image.
    """
    hits, times, energies, squares = [], [], [], []
    for k, rows in enumerate(torch.arange(len(data.test_y)).split(CHUNK)):
        u = model.encoder(pixels(data.test_x[rows], chip.dtype))
        settled = settle_with(chip, u, options)
        z = _with_noise(chip, u, settled.z, factor, seed + STRIDE * k)
        squares.append((z - settled.z).double().square().mean(1))
        hits.append(model.readout(chip.read(z)).argmax(1) == data.test_y[rows])
        times.append(settled.t_settle_s)
        energies.append(settled.energy_J)
    t_settle_s, energy_J = torch.cat(times).numpy(), torch.cat(energies).numpy()
    reached_s = t_settle_s[~np.isnan(t_settle_s)]
    return ImagesRead(
        accuracy=float(torch.cat(hits).double().mean()),
        settled=reached_s.size / t_settle_s.size,
        t_settle_s=reached_s,
        energy_J=energy_J,
        noise_rms=float(torch.cat(squares).mean().sqrt()),
    )


def _with_noise(chip: AnyChip, u: Tensor, rest: Tensor, factor: float, seed: int) -> Tensor:
    """The state at the readout."""
    if factor == 0 or not isinstance(chip, Chip):
        return rest
    return noisy_readout(chip, u, rest, _white_at(chip, u, rest), factor=factor, seed=seed)


def _white_at(chip: Chip, u: Tensor, rest: Tensor) -> NodeNoise:
    """Of every image (image, node) where the voltages on the lines matter, else of the chip (node,)."""
    if not chip.device_preset.is_barrier:
        return white_noise(chip)
    each = [white_noise(chip, lines=lines_at(chip, z, x)) for z, x in zip(rest, u, strict=True)]
    return NodeNoise(torch.stack([one.before for one in each]), torch.stack([one.after for one in each]), terms={})


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
