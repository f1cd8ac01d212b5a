"""Where a scenario is trained."""

import os

import torch

from analogdeq.errors import InputError
from analogdeq.scenario import Scenario


def training_device(scenario: Scenario) -> torch.device:
    """The CPU, or this process's GPU.

    Raises:
        InputError: if a GPU is asked for and there is none.
    """
    wanted, is_there = scenario.train.device, torch.cuda.is_available()
    if wanted == "cuda" and not is_there:
        raise InputError("device = 'cuda', but torch sees no GPU here; take 'auto' or 'cpu'")
    if wanted == "cpu" or not is_there:
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
