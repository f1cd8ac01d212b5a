"""Finds scenario files by path or shipped name, and follows the chain of `base` files beneath one."""

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from analogdeq.errors import ScenarioError
from analogdeq.resources import resource_path
from analogdeq.scenario.toml import read_toml
from analogdeq.scenario.words import shown

SUFFIX = ".toml"
BASE = "base"
"""The one key that belongs to files and not to the schema: the file whose values this one starts from."""


@final
@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says: a file or the command line.

    Attributes:
        label: how messages name the source.
        folder: where its relative paths start.
        data: its tables, as TOML gives them.
    """

    label: str
    folder: Path
    data: dict[str, Any]


def read_chain(source: str | os.PathLike[str]) -> list[Layer]:
    """The layers of a scenario, deepest base first.

    Raises:
        ScenarioError: if a file cannot be found or read, or the chain is a circle.
    """
    name = os.fspath(source)
    said = shown(name)
    path = _find(name, Path(), said)
    layers, visited = [_read(path, said)], [os.path.realpath(path)]
    while BASE in layers[0].data:
        said, path = _base_of(layers[0])
        if os.path.realpath(path) in visited:
            raise ScenarioError([f"{said}: leads back to {_label(path)}{_way_out(path)}"])
        layers.insert(0, _read(path, said))
        visited.append(os.path.realpath(path))
    return layers


def shipped_names() -> list[str]:
    """The names of the scenarios that travel with the package."""
    return sorted(path.stem for path in resource_path("scenarios").glob(f"*{SUFFIX}"))


def _base_of(layer: Layer) -> tuple[str, Path]:
    """What the layer says of its base, for messages, and the file it means."""
    name = layer.data[BASE]
    said = f"{layer.label}: {BASE} = {shown(name)}"
    if not isinstance(name, str):
        raise ScenarioError([f"{said}: is not text; allowed: one file, or one shipped name"])
    return said, _find(name, layer.folder, said)


def _find(name: str, folder: Path, said: str) -> Path:
    """The file meant by `name`: a bare name is a shipped scenario first, anything else a path first."""
    is_bare = bool(name) and os.path.basename(name) == name
    shipped = [resource_path("scenarios") / (name.removesuffix(SUFFIX) + SUFFIX)] if is_bare else []
    path = folder / name
    for candidate in [path, *shipped] if name.endswith(SUFFIX) else [*shipped, path]:
        if os.path.exists(candidate):  # unlike Path.exists, false for a name that no file can have
            return candidate
    raise ScenarioError([f"{said}: there is no such file, nor a shipped scenario of that name{_guess(name, folder)}"])


def _guess(name: str, folder: Path) -> str:
    shipped = shipped_names()
    if os.path.exists(folder / f"{name}{SUFFIX}"):
        close = [f"{name}{SUFFIX}"]
    else:
        close = difflib.get_close_matches(os.path.basename(name).removesuffix(SUFFIX), shipped, n=1)
    question = f". Did you mean {close[0]!r}?" if close else "."
    return f"{question} Shipped: {', '.join(shipped) or 'none'}"


def _way_out(path: Path) -> str:
    """Advice for a file that has the name of the shipped one it wants to start from."""
    if path.stem not in shipped_names():
        return ""
    return f"; for the shipped scenario of that name write {BASE} = {path.stem!r}"


def _read(path: Path, said: str) -> Layer:
    return Layer(_label(path), path.parent, read_toml(path, _label(path), said))


def _label(path: Path) -> str:
    is_shipped = path.parent == resource_path("scenarios")
    return f"scenarios/{path.name}" if is_shipped else os.path.normpath(path)
