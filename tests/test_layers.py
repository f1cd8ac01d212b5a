"""Imports run one way, and the source keeps the promises of its style."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import analogdeq

SOURCE = Path(analogdeq.__file__).parent
LAYERS = (
    ("errors", "resources"),
    ("units",),
    ("scenario",),
    ("devices",),
    ("circuits",),
    ("ageing",),
    ("cores",),
    ("linalg",),
    ("placement", "oscillator_placement"),
    ("clocked_chip",),
    ("chip",),
    ("amplified_chip",),
    ("oscillator_chip",),
    ("library", "oscillator_presets"),
    ("solve",),
    ("noise",),
    ("gradient",),
    ("stability",),
    ("models",),
    ("trace",),
    ("spice",),
    ("hardware",),
    ("tasks",),
    ("train",),
    ("studies",),
    ("report",),
    ("build_gradient", "build_chips", "build_converters", "build_penalty"),
    ("build_hardware",),
    ("build",),
    ("runs",),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FILES = sorted(SOURCE.rglob("*.py"))
PHYSICS = (
    "devices", "circuits", "ageing", "cores", "linalg", "solve", "noise", "placement", "oscillator_placement",
    "clocked_chip", "chip", "amplified_chip", "oscillator_chip",
)  # fmt: skip
FILE_MODULES = {"h5py", "tomllib", "csv", "json", "pathlib", "os", "io", "shutil", "pydantic", "matplotlib", "plotly"}


def layer_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module a file imports, anywhere in it, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} is a relative import"
            assert node.module is not None
            if node.module == "analogdeq":
                yield from ((f"analogdeq.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno


@pytest.mark.parametrize(
    "path", [p for p in FILES if p != SOURCE / "__init__.py"], ids=lambda p: str(p.relative_to(SOURCE))
)
def test_imports_run_one_way(path: Path) -> None:
    here = layer_of(path)
    assert here in RANK, f"give {here!r} its place in LAYERS"
    for module, line in imports(path):
        parts = module.split(".")
        if parts[0] == "analogdeq" and len(parts) > 1:
            there = parts[1]
            assert there == here or RANK.get(there, len(LAYERS)) < RANK[here], (
                f"{path.name}:{line}: {here} (layer {RANK[here]}) imports {module}, which is not below it"
            )


@pytest.mark.parametrize("path", [p for p in FILES if layer_of(p) in PHYSICS], ids=lambda p: str(p.relative_to(SOURCE)))
def test_physics_reads_no_files(path: Path) -> None:
    used = {module.split(".")[0] for module, _ in imports(path)}
    assert not used & FILE_MODULES
    calls = {
        n.func.id
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    assert not calls & {"open", "print", "input"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_the_source_keeps_its_style(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.Assert), f"{where}: assert is not for users; raise one of our own errors"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{where}: a bare except hides everything"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            assert node.args.kwarg is None, f"{where}: **kwargs swallows misspelt options"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node) or _overrides(node), f"{where}: {node.name} says nothing about itself"


def _overrides(node: ast.AST) -> bool:
    """A method nested in a function needs no words."""
    return not isinstance(node, ast.ClassDef)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_file_is_longer_than_300_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def test_every_error_of_the_package_has_one_root() -> None:
    from analogdeq import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) > 8
    assert all(issubclass(kind, errors.AnalogdeqError) and kind.__doc__ for kind in kinds)
    for kind in (errors.InputError, errors.UnitError, errors.RangeError, errors.ScenarioError):
        assert issubclass(kind, ValueError)


def test_every_public_name_can_be_imported() -> None:
    for name in analogdeq.__all__:
        assert getattr(analogdeq, name) is not None
    assert analogdeq.__all__ == sorted(analogdeq.__all__)
    assert set(analogdeq.__all__) <= set(dir(analogdeq))


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'settel'"):
        _ = analogdeq.settel  # type: ignore[attr-defined]
