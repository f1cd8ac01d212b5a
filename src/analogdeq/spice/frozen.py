"""Answers of ngspice kept in a file, so that the comparison runs where there is no ngspice."""

import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.converters import Converter
from analogdeq.cores.rc import RCCore
from analogdeq.errors import DataError, InputError
from analogdeq.resources import resource_path
from analogdeq.solve.options import SettleOptions
from analogdeq.spice.answer import SpiceAnswer
from analogdeq.spice.check import ask_ngspice, settle_recorded
from analogdeq.spice.comparison import SpiceComparison, compare
from analogdeq.spice.netlist import OPTIONS, STEPS_PER_TAU

GRID_TAU = 0.05
"""Spacing of the stored waveform; a cubic spline through it is within 1e-6 of ngspice's own steps."""
AFTER_TAU = 5.0
"""How long the stored waveform goes on after the settling time."""
_CIRCUIT = ("mapping", "g_min_S", "g_max_S", "unit_voltage_V", "node_R_ohm", "node_C_F", "node_leak_S", "supply_V")


@final
@dataclass(frozen=True, kw_only=True)
class Frozen:
    """A chip, an input, and what ngspice answered.

    Attributes:
        chip: ideal devices that hold the weights of the chip it was made from, programming errors included.
        u: (input,) float64 [1]. One sample, before the DAC.
        band: half width of the band that defines the settling time, in units of full scale.
        answer: ngspice's, with its version.
        options: what ngspice was run with.
    """

    chip: Chip
    u: Tensor
    band: float
    answer: SpiceAnswer
    options: str


def shipped_answer() -> Path:
    """The file that travels with this package: a trained network of 16 nodes that reads a digit."""
    return resource_path("data", "spice", "digit-16.npz")


def check_frozen(path: Path, options: SettleOptions | None = None) -> SpiceComparison:
    """Settle the chip of a file and hold the result against the answer stored there.

    Args:
        path: as `freeze` wrote it.
        options: how this package settles; its band is ignored, because the file's settling time belongs to the file's.

    Raises:
        DataError: if the file is missing or damaged.
        SettleError: if the sample does not settle.
    """
    frozen = load_frozen(path)
    same_band = replace(options or SettleOptions(), band=frozen.band)
    return compare(frozen.chip, settle_recorded(frozen.chip, frozen.u, same_band), frozen.answer)


def freeze(chip: Chip, u: Tensor, path: Path, *, band: float = 1e-3) -> Frozen:
    """Ask ngspice, and store chip, input and answer in one file.

    The chip's weights, with their programming errors, are stored as numbers and placed on ideal devices, so that the
    file means the same chip whatever a random generator or an encoder computes elsewhere.

    Args:
        chip: which to take the weights and the circuit from.
        u: (input,) [1]. One sample, before the DAC.
        path: the file to write.
        band: half width of the band that defines the settling time, in units of full scale.

    Raises:
        DependencyError: if ngspice is not on the PATH.
        InputError: if the chip is not of one crossbar.
        SettleError: if the sample does not settle.
    """
    if not isinstance(chip.core, RCCore):
        raise InputError(f"only a dense core can be stored, not a {type(chip.core).__name__}")
    arrays = {name: getattr(chip.core, name).double().numpy() for name in ("W", "U", "b")}
    arrays["u"] = u.double().numpy()
    about = {
        "activation": chip.core.activation.name,
        "circuit": {name: getattr(chip.circuit, name) for name in _CIRCUIT},
        "dac_bits": chip.circuit.dac.bits,
        "band": band,
    }
    ideal = _chip(arrays, about)
    settled = settle_recorded(ideal, u.double(), SettleOptions(band=band))
    answer = ask_ngspice(ideal, u.double(), settled, band)
    last = min(answer.t_settle_s / ideal.tau_s + AFTER_TAU, answer.time_s[-1] / ideal.tau_s)
    time_s = np.arange(int(last / GRID_TAU) + 1, dtype=np.float64) * (GRID_TAU * ideal.tau_s)
    about |= {
        "ngspice": answer.ngspice,
        "options": f"{OPTIONS}, {STEPS_PER_TAU} steps per tau, UIC",
        "t_settle_s": answer.t_settle_s,
        "energy_J": dict(answer.energy_J),
    }
    with path.open("wb") as file:
        np.savez_compressed(file, about=np.array(json.dumps(about)), time_s=time_s, z=answer.state(time_s), **arrays)
    return load_frozen(path)


def load_frozen(path: Path) -> Frozen:
    """Read what `freeze` wrote.

    Raises:
        DataError: if the file is missing or damaged.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop("about")))
        answer = SpiceAnswer(
            ngspice=about["ngspice"], time_s=arrays["time_s"], z=arrays["z"], t_settle_s=about["t_settle_s"],
            energy_J=about["energy_J"],
        )  # fmt: skip
        chip = _chip(arrays, about)
        return Frozen(
            chip=chip, u=torch.from_numpy(arrays["u"]), band=about["band"], answer=answer, options=about["options"]
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: is no stored answer of ngspice: {type(error).__name__}: {error}") from None


def _chip(arrays: dict[str, Any], about: dict[str, Any]) -> Chip:
    W, U, b = (torch.from_numpy(arrays[name]) for name in ("W", "U", "b"))
    circuit = CrossbarCircuit(
        **about["circuit"],
        dac=Converter(bits=about["dac_bits"], energy_J=0.0),
        adc=Converter(bits=24, energy_J=0.0),
    )
    return Chip(RCCore(W, U, b, activation=about["activation"]), circuit)
