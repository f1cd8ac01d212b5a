"""A trained model of convolutional cores as circuits: each settles on what the one before it came to rest at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from analogdeq.build import build_data, build_model, build_settle_options
from analogdeq.runs.directory import RunDirectory
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled
from analogdeq.tasks.dataset import pixels
from analogdeq.train.accuracy import accuracy
from analogdeq.train.checkpoint import load_checkpoint
from analogdeq.train.fit import load_weights


@final
@dataclass(frozen=True, kw_only=True)
class SettledChain:
    """What a batch of images did.

    Attributes:
        logits: (image, class).
        settled: of each core in turn; an image that a core does not settle goes on from its last state.
    """

    logits: Tensor
    settled: list[Settled]


@torch.no_grad()
def settle_chain(model: Any, x: Tensor, options: SettleOptions | None = None) -> SettledChain:
    """Settle every core of a model from power-on, each on what the one before it came to rest at.

    Args:
        model: a `Model` with cores, in evaluation mode.
        x: (image, channel, height, width) from 0 to 1.
        options: how to integrate.
    """
    o = options or SettleOptions()
    *encoders, readout = model.digital_layers()
    found = []
    for encoder, core in zip(encoders, model.cores, strict=True):
        with parametrize.cached():
            core.contraction_gap()  # here and not in the settle, which would compute W and its norm at every look
            out = settle(
                core, encoder(x), method=o.method, rtol=o.rtol, atol=o.atol, band=o.band, dwell_tau=o.dwell_tau,
                max_time_tau=o.max_time_tau, max_steps=o.max_steps,
            )  # fmt: skip
        found.append(out)
        x = out.z
    return SettledChain(logits=readout(x), settled=found)


def measure_run(folder: Path, *, tol: float, images: int) -> dict[str, Any]:
    """A trained run at converged equilibria, and the first of its test images settled besides.

    Args:
        folder: the run directory.
        tol: residual of the converged equilibria, in units of full scale.
        images: how many to settle.

    Returns:
        `accuracy` on all test images; of the images settled: `accuracy_solved` and `accuracy_settled`, how many
        classes agree, the fraction that settled in every core, and per core the settling times in tau, median, 95 % and
        largest.
    """
    run = RunDirectory(folder)
    scenario = run.scenario([f"train.forward_tol={tol}"])
    data, model = build_data(scenario), build_model(scenario)
    load_weights(model, load_checkpoint(run.checkpoint), run.checkpoint)
    model.eval()
    x, y = pixels(data.test_x[:images], model.dtype), data.test_y[:images]
    whole = accuracy(model, data.test_x, data.test_y)
    with torch.no_grad():
        solved = model(x).argmax(1)
    chain = settle_chain(model, x, build_settle_options(scenario))
    said = chain.logits.argmax(1)
    is_settled = torch.stack([out.is_settled for out in chain.settled]).all(0)
    times = [out.t_settle_s[out.is_settled] / core.tau_s for out, core in zip(chain.settled, model.cores, strict=True)]
    return {
        "accuracy": whole,
        "images": len(y),
        "accuracy_solved": float((solved == y).double().mean()),
        "accuracy_settled": float((said == y).double().mean()),
        "classes_that_agree": int((solved == said).sum()),
        "settled_fraction": float(is_settled.double().mean()),
        "settling_tau": [
            {"median": float(t.median()), "95 %": float(t.quantile(0.95)), "largest": float(t.max())} for t in times
        ],
    }
