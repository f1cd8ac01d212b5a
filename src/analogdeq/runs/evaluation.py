"""How a trained network does on the ideal core and on its chip, sample by sample."""

import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from analogdeq.amplified_chip import AmplifiedChip
from analogdeq.errors import DataError
from analogdeq.models.hybrid import HybridDEQ
from analogdeq.oscillator_chip import AnyChip
from analogdeq.runs.directory import write_whole
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.rest import flow_eigenvalues
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled
from analogdeq.solve.verdict import Verdict
from analogdeq.tasks.dataset import Dataset, pixels

Float64 = npt.NDArray[np.float64]
CHUNK = 128
"""Samples settled at once: enough to fill two cores, few enough for a progress bar to move."""
SPECTRUM_SAMPLES = 8
SLOW_MODES = -2.0
"""Of a chip with its amplifiers, only eigenvalues to the right of this are kept: decay rates below 3 per tau."""


@final
@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Arrays over the test images.

    Attributes:
        label: (image,) int64. The true class.
        ideal_class: (image,) int64. What the ideal core's network says.
        chip_class: (image,) int64. What the chip's says.
        t_settle_s: (image,) [s]. NaN unless settled.
        verdict_code: (image,) uint8.
        evaluations: (image,) int64.
        residual: (image,) [1].
        energy_J: (image,) [J]. Until its own readout.
        clocked_energy_J: (image,) [J]. If a clock holds every image until the slowest one has settled.
        energy_terms_J: (image, term) [J].
        terms: (term,) names of the columns of `energy_terms_J`.
        eigenvalues: (any,) complex. Of the Jacobian at the equilibria of the first images.
        tau_s: [s].
    """

    label: npt.NDArray[np.int64]
    ideal_class: npt.NDArray[np.int64]
    chip_class: npt.NDArray[np.int64]
    t_settle_s: Float64
    verdict_code: npt.NDArray[np.uint8]
    evaluations: npt.NDArray[np.int64]
    residual: Float64
    energy_J: Float64
    clocked_energy_J: Float64
    energy_terms_J: Float64
    terms: npt.NDArray[np.str_]
    eigenvalues: npt.NDArray[np.complex128]
    tau_s: Float64

    @property
    def accuracy_ideal(self) -> float:
        """Fraction right on the ideal core."""
        return float((self.ideal_class == self.label).mean())

    @property
    def accuracy_chip(self) -> float:
        """Fraction right on the chip; an image that did not settle counts by what was read anyway."""
        return float((self.chip_class == self.label).mean())

    @property
    def n_unsettled(self) -> int:
        """Images whose verdict is not "settled"."""
        return int((self.verdict_code != int(Verdict.SETTLED)).sum())

    def summary(self) -> dict[str, Any]:
        """The figures a person or a script asks for first; times in s, energies in J, None where nothing settled."""
        settled = self.t_settle_s[~np.isnan(self.t_settle_s)]
        n = self.label.size
        return {
            "images": n,
            "accuracy_ideal": self.accuracy_ideal,
            "accuracy_chip": self.accuracy_chip,
            "fraction_not_settled": self.n_unsettled / n,
            "verdicts": {v.text: int((self.verdict_code == int(v)).sum()) for v in Verdict},
            "t_settle_s": {
                "p50": quantile(settled, 0.5),
                "p95": quantile(settled, 0.95),
                "max": quantile(settled, 1.0),
            },
            "energy_J": {"mean": float(self.energy_J.mean()), "p95": quantile(self.energy_J, 0.95)},
            "energy_clocked_J": {"mean": float(self.clocked_energy_J.mean())},
            "energy_terms_mean_J": dict(zip(self.terms.tolist(), self.energy_terms_J.mean(0).tolist(), strict=True)),
            "evaluations_mean": float(self.evaluations.mean()),
            "residual_max": float(self.residual.max()),
        }

    def save(self, path: Path) -> None:
        """Write the arrays as .npz, whole or not at all."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{item.name: getattr(self, item.name) for item in fields(self)})
        write_whole(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> "Evaluation":
        """Read what `save` wrote.

        Raises:
            DataError: if it is missing or damaged.
        """
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                return cls(**{item.name: arrays[item.name] for item in fields(cls)})
        except FileNotFoundError:
            raise DataError(f"{path}: not evaluated yet; run 'analogdeq evaluate {path.parent}' first") from None
        except (
            OSError, KeyError, TypeError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error
        ) as error:  # fmt: skip
            raise DataError(f"{path}: damaged: {error}; evaluate the run again") from None


@torch.no_grad()
def evaluate(
    model: HybridDEQ, chip: AnyChip, data: Dataset, options: SettleOptions, progress: Callable[[int, int], None]
) -> Evaluation:
    """Settle every test image on the chip, and classify it on the ideal core too.

    Args:
        model: the trained network.
        chip: a chip that holds its core.
        data: whose test images are taken.
        options: how to settle.
        progress: called with images done and images in all.
    """
    model.eval()
    x, label = data.test_x, data.test_y
    ideal, on_chip, parts = [], [], []
    for rows in torch.arange(x.shape[0]).split(CHUNK):
        image = pixels(x[rows], chip.dtype)
        u = model.encoder(image)
        settled = settle_with(chip, u, options)
        on_chip.append(model.readout(chip.read(settled.z)).argmax(1))
        ideal.append(model(image).argmax(1))
        parts.append(settled)
        progress(int(rows[-1]) + 1, x.shape[0])
    first = model.encoder(pixels(x[:SPECTRUM_SAMPLES], chip.dtype))
    eigenvalues = flow_eigenvalues(chip, chip.drive(first), parts[0].z[:SPECTRUM_SAMPLES]) + 1
    if isinstance(chip, AmplifiedChip):  # the amplifiers' own, far to the left, say nothing of settling
        eigenvalues = eigenvalues[eigenvalues.real > SLOW_MODES]
    return _joined(parts, label, torch.cat(ideal), torch.cat(on_chip), eigenvalues, chip)


def settle_with(chip: AnyChip, u: Tensor, options: SettleOptions) -> Settled:
    """`settle` with its options as one object."""
    return settle(
        chip, u, method=options.method, rtol=options.rtol, atol=options.atol, band=options.band,
        dwell_tau=options.dwell_tau, max_time_tau=options.max_time_tau, max_steps=options.max_steps,
    )  # fmt: skip


def _joined(
    parts: list[Settled], label: Tensor, ideal: Tensor, on_chip: Tensor, eigenvalues: Tensor, chip: AnyChip
) -> Evaluation:
    def column(name: str) -> npt.NDArray[Any]:
        return torch.cat([getattr(part, name) for part in parts]).cpu().numpy()

    terms = [part.ledger.terms_J() for part in parts if part.ledger is not None]
    names = list(terms[0])
    stacked = np.concatenate([torch.stack([table[name] for name in names], 1).cpu().numpy() for table in terms])
    t_settle, energy = column("t_settle_s"), column("energy_J")
    supply_W = column("power_end_W")[:, [chip.power_terms.index(name) for name in chip.supply_terms]].sum(1)
    slowest = np.nanmax(np.append(t_settle, column("t_end_s")[np.isnan(t_settle)].max(initial=0.0)))
    wait_s = np.where(np.isnan(t_settle), 0.0, slowest - np.nan_to_num(t_settle))
    return Evaluation(
        label=label.cpu().numpy(),
        ideal_class=ideal.cpu().numpy(),
        chip_class=on_chip.cpu().numpy(),
        t_settle_s=t_settle,
        verdict_code=column("verdict_code"),
        evaluations=column("evaluations"),
        residual=column("residual"),
        energy_J=energy,
        clocked_energy_J=energy + (supply_W + chip.bias_W()) * wait_s,
        energy_terms_J=stacked,
        terms=np.array(names),
        eigenvalues=eigenvalues.flatten().to(torch.complex128).cpu().numpy(),
        tau_s=np.array(chip.tau_s),
    )


def quantile(values: Float64, q: float) -> float | None:
    """The q quantile, or None of nothing."""
    return float(np.quantile(values, q)) if values.size else None
