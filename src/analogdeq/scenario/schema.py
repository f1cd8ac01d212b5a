"""The whole scenario: what is learnt, on which circuit and device, how it is settled, what is kept."""

from typing import final

from analogdeq.scenario.circuit import Circuit
from analogdeq.scenario.device import Ageing, Device
from analogdeq.scenario.experiment import Model, Output, Seeds, Task, Trace
from analogdeq.scenario.gradient import Gradient
from analogdeq.scenario.oscillator import Oscillator
from analogdeq.scenario.section import Section
from analogdeq.scenario.settle import Settle
from analogdeq.scenario.text import Line, Prose, Slug
from analogdeq.scenario.train import Train


@final
class Scenario(Section):
    """One experiment, complete and immutable; `load_scenario` reads it from a file."""

    name: Slug
    """Names the scenario and its run directories."""

    title: Line = ""
    """Heading of the report."""

    description: Prose = ""
    """What the scenario is for, in a few sentences."""

    seeds: Seeds = Seeds()
    task: Task
    model: Model = Model()
    circuit: Circuit
    device: Device = Device()
    ageing: Ageing = Ageing()
    oscillator: Oscillator = Oscillator()
    settle: Settle = Settle()
    train: Train = Train()
    gradient: Gradient = Gradient()
    trace: Trace = Trace()
    output: Output = Output()
