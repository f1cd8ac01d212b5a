"""`import analogdeq as adq`: every public name is there, and costs nothing until it is used."""

import json
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import pytest

import analogdeq

LOOK = """
import json, sys
import analogdeq
first = "torch" in sys.modules, "numpy" in sys.modules
analogdeq.__version__, dir(analogdeq), analogdeq.AnalogdeqError
second = "torch" in sys.modules
analogdeq.load_scenario("digits-crossbar")
third = "torch" in sys.modules
analogdeq.settle
print(json.dumps([*first, second, third, "torch" in sys.modules]))
"""


def test_torch_is_imported_with_the_first_name_that_needs_it() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [False, False, False, False, True]


def test_all_is_the_table_of_homes_in_order() -> None:
    assert analogdeq.__all__ == sorted(analogdeq._HOME)


@pytest.mark.parametrize("name", analogdeq.__all__)
def test_every_name_is_what_its_home_says(name: str) -> None:
    home = import_module(f"analogdeq.{analogdeq._HOME[name]}")
    assert getattr(analogdeq, name) is getattr(home, name)
    assert getattr(analogdeq, name).__doc__


def test_type_checkers_see_the_same_names() -> None:
    text = Path(analogdeq.__file__).read_text()
    block = text.split("if TYPE_CHECKING:")[1].split("_HOME")[0]
    imported = [line.split(" import ")[1].split(",") for line in block.splitlines() if " import " in line]
    named = {name.strip() for names in imported for name in names}
    assert named == set(analogdeq.__all__)


def test_dir_lists_the_public_names() -> None:
    assert dir(analogdeq) == sorted([*analogdeq.__all__, "__version__"])


def test_a_star_import_brings_them_all() -> None:
    names: dict[str, object] = {}
    exec("from analogdeq import *", names)
    assert set(analogdeq.__all__) <= set(names)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'analogdeq' has no attribute 'setle'"):
        _ = analogdeq.setle
    assert not hasattr(analogdeq, "torch")
    with pytest.raises(ImportError, match="setle"):
        exec("from analogdeq import setle")


def test_the_version_is_that_of_the_installed_package() -> None:
    assert analogdeq.__version__ == metadata.version("analogdeq")


def test_the_package_says_that_it_is_typed() -> None:
    assert Path(analogdeq.__file__).with_name("py.typed").exists()
