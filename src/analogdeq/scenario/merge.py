"""Lays the layers of a scenario over each other and remembers which one each value came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from analogdeq.scenario import tree
from analogdeq.scenario.files import BASE, SUFFIX, Layer


@final
@dataclass(frozen=True, slots=True)
class Merged:
    """The tables of all layers together.

    Attributes:
        main_file: label of the file that the user named.
        layers: lowest first.
        data: what results.
        origin: for each key and table that a layer gave, the number of the last layer to do so.
    """

    main_file: str
    layers: list[Layer]
    data: dict[str, Any]
    origin: dict[tree.KeyPath, int]

    def source(self, path: tree.KeyPath) -> str:
        """Label of the layer that gave the value at `path`; the main file where none did."""
        return self.layers[self.origin[path]].label if path in self.origin else self.main_file

    def value(self, path: tree.KeyPath) -> Any:
        """What the layers gave at `path`, which must be in `origin`."""
        value = self.data
        for key in path:
            value = value[key]
        return value


def merge(files: Sequence[Layer], changes: Sequence[Layer] = ()) -> Merged:
    """Lay `changes` over `files`, table by table; the last to say a key wins.

    Args:
        files: a file after the files it is based on.
        changes: what the command line adds.
    """
    merged = Merged(files[-1].label, [*files, *changes], {}, {})
    for number, layer in enumerate(merged.layers):
        data = {key: value for key, value in layer.data.items() if key != BASE}
        _lay(merged, number, merged.data, _anchored(data, layer), ())
    return merged


def _lay(merged: Merged, number: int, below: dict[str, Any], above: dict[str, Any], path: tree.KeyPath) -> None:
    for key, value in above.items():
        here = (*path, key)
        if tree.table_at(here) is None or not isinstance(value, dict):
            below[key] = value
            merged.origin[here] = number
        elif isinstance(below.setdefault(key, {}), dict):
            merged.origin[here] = number
            _lay(merged, number, below[key], value, here)
        # else a lower layer has a value where a table belongs: it stays, so that validation names it.


def _anchored(data: dict[str, Any], layer: Layer) -> dict[str, Any]:
    """`data` with the path of a device file made absolute: it starts at the layer that says it."""
    device = data.get("device")
    preset = device.get("preset") if isinstance(device, dict) else None
    if not isinstance(device, dict) or not isinstance(preset, str) or not preset.endswith(SUFFIX):
        return data
    return data | {"device": device | {"preset": str((layer.folder / preset).absolute())}}
