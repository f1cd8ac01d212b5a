"""Which training a point of a study needs, and the networks that a study keeps."""

import hashlib
import json
from pathlib import Path
from typing import Any

from analogdeq.build import build_circuit
from analogdeq.errors import RunError
from analogdeq.runs import workflow
from analogdeq.runs.directory import RunDirectory, write_whole
from analogdeq.runs.trained import epochs_trained
from analogdeq.scenario import Scenario, dump_scenario
from analogdeq.train.checkpoint import load_checkpoint

NETWORKS = "networks"
"""Folder of a study's trained networks, one run directory each, by fingerprint."""
GIVEN = "given"
"""Stands for the fingerprint where the study was begun with a trained run."""

_NEVER = ("name", "title", "description", "output", "trace")
_PLACEMENT = ("circuit", "device", "ageing")


def sees_the_chip(scenario: Scenario) -> bool:
    """Whether training itself computes on the chip or settles the circuit, so that what they are like is learnt."""
    is_aware = scenario.train.hardware.draws != "none" or scenario.train.converters != "ideal"
    return is_aware or scenario.gradient.method == "physical-adjoint" or scenario.train.forward == "settle"


def fingerprint(scenario: Scenario) -> str:
    """The same for two scenarios that train the same network.

    Everything counts but what a trained network meets only when it is placed: [circuit] (of which the gain counts),
    [device], [ageing], [settle] (of which the dtype counts), the chip seed, the number of test images, and what is
    drawn and where it is written. A key that is not known here counts: a needless training costs time, a missing one
    would be a wrong figure.
    """
    told: dict[str, Any] = {key: value for key, value in scenario.model_dump().items() if key not in _NEVER}
    told["seeds"].pop("chip")
    told["task"].pop("test_limit")
    if not sees_the_chip(scenario):
        told = {key: value for key, value in told.items() if key not in _PLACEMENT}
        told["settle"] = scenario.settle.dtype
        told["gain"] = build_circuit(scenario).gain
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def network_of(folder: Path, scenario: Scenario) -> RunDirectory:
    """Where a study in `folder` keeps the network of the scenario: the given one, if it was begun with a run."""
    given = RunDirectory(folder / NETWORKS / GIVEN)
    return given if given.checkpoint.is_file() else RunDirectory(folder / NETWORKS / fingerprint(scenario))


def keep_network(folder: Path, run: RunDirectory) -> None:
    """Copy a trained network into a study, which then needs its run no more.

    Raises:
        RunError: if the copy cannot be written.
    """
    kept = RunDirectory(folder / NETWORKS / GIVEN)
    try:
        kept.path.mkdir(parents=True, exist_ok=True)
        content = run.checkpoint.read_bytes()
    except OSError as error:
        raise RunError(f"{kept.path}: the network of {run.path} cannot be copied there: {error}") from None
    write_whole(kept.scenario_file, dump_scenario(run.scenario()).encode())
    write_whole(kept.checkpoint, content)


def network_digest(run: RunDirectory) -> str:
    """SHA-256 of the run's checkpoint.

    Raises:
        CheckpointError: if it has none, or a damaged one.
    """
    load_checkpoint(run.checkpoint)
    return hashlib.sha256(run.checkpoint.read_bytes()).hexdigest()


def is_trained(folder: Path, scenario: Scenario) -> bool:
    """Whether the study has this network: given, or trained to its last epoch."""
    kept = network_of(folder, scenario)
    return kept.path.name == GIVEN or (kept.checkpoint.is_file() and epochs_trained(kept) >= scenario.train.epochs)


def train_network(folder: Path, scenario: Scenario, progress: workflow.Progress) -> None:
    """Train the network of the scenario, or go on with it where an earlier study stopped.

    Raises:
        RunError: if the network cannot be written, or is being trained by another command.
    """
    kept = network_of(folder, scenario)
    is_there = kept.scenario_file.is_file()
    with RunDirectory.open(kept.path) if is_there else RunDirectory.create(scenario, kept.path) as run:
        workflow.train_run(run, resume=True, progress=progress)
