"""A trained network's adjoint problems, for the study of noisy Jacobians."""

import tempfile
from pathlib import Path

import torch
from torch import nn

from analogdeq.build import build_data
from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError
from analogdeq.gradient.forward import ByRootFinding
from analogdeq.models.hybrid import HybridDEQ
from analogdeq.runs import workflow
from analogdeq.runs.directory import RunDirectory
from analogdeq.scenario import Scenario
from analogdeq.studies.bench_adjoint import AdjointProblem, problem_at_rest


def trained_here(scenario: Scenario, progress: workflow.Progress) -> HybridDEQ:
    """The scenario's network, trained in a directory that is thrown away."""
    with tempfile.TemporaryDirectory() as folder, RunDirectory.create(scenario, Path(folder, "run")) as run:
        workflow.train_run(run, resume=False, progress=progress)
        return workflow.trained_model(run, scenario)


def trained_problem(name: str, model: HybridDEQ, scenario: Scenario, samples: int) -> AdjointProblem:
    """The adjoint systems of the first test images: J at their rests, g of the cross-entropy there."""
    if not isinstance(model.core, RCCore):
        raise InputError(f"the adjoint benchmark takes a dense RC core, not {type(model.core).__name__}")
    core, data, model = model.core, build_data(scenario), model.double()
    x, y = data.test_x[:samples].double(), data.test_y[:samples]
    with torch.no_grad():
        u = model.encoder(x)
        z = ByRootFinding(tol=1e-12).solve(model.core, u).z
    z.requires_grad_(True)
    (g,) = torch.autograd.grad(nn.functional.cross_entropy(model.readout(z), y, reduction="sum"), z)
    return problem_at_rest(name, core, u, g)
