"""What a weight is stored in."""

from typing import final

from analogdeq.scenario.section import Section
from analogdeq.scenario.text import PresetName


@final
class Device(Section):
    """The device technology, by the name of its measured statistics."""

    preset: PresetName = "ideal"
    """A name under `data/devices/` ("ideal": exact and noiseless), or the path of a preset file. A relative path
    starts at the scenario file that says it."""
