"""What a sweep varies, as people type it."""

import os

import pytest

from analogdeq.errors import ScenarioError
from analogdeq.scenario.axes import read_axes


@pytest.mark.parametrize(
    ("change", "values"),
    [
        ("circuit.adc.bits=4,6,8", ("4", "6", "8")),
        ("circuit.node_C_F=50 fF, 100 fF", ("50 fF", "100 fF")),
        ('circuit.node_C_F="50 fF","100 fF"', ('"50 fF"', '"100 fF"')),
        ('model.stages="48@32, 64@16","32@8"', ('"48@32, 64@16"', '"32@8"')),
        ("circuit.adc={bits = 4, quantile = 'best'},{bits = 6}", ("{bits = 4, quantile = 'best'}", "{bits = 6}")),
        ("device.preset=ideal", ("ideal",)),
        ("ageing.compensation_s=none,3600", ("none", "3600")),
    ],
)
def test_values_are_separated_by_commas_that_no_quote_or_bracket_holds(change: str, values: tuple[str, ...]) -> None:
    (axis,) = read_axes([change])
    assert axis.values == values
    assert axis.changes() == tuple(f"{axis.key}={value}" for value in values)


def test_axes_know_their_unit() -> None:
    axes = read_axes(["circuit.node_C_F=1 pF,2 pF", "circuit.adc.bits=4,5", "ageing.temperature_K=300,310"])
    assert [axis.unit for axis in axes] == ["F", "", "K"]


def test_every_mistake_is_reported_at_once() -> None:
    with pytest.raises(ScenarioError) as caught:
        read_axes(["model.nodes", "circuit.adc.bits=4,,6", "device.levels=2,2", "seeds.chip=1,2", "seeds.chip=3,4"])
    lines = caught.value.problems
    assert len(lines) == 4
    for words, line in zip(
        ("table.key=value", "no value", "names a value twice", "varied already"), lines, strict=True
    ):
        assert words in line


def test_the_path_of_a_device_file_does_not_depend_on_where_the_sweep_is_resumed() -> None:
    (axis,) = read_axes(["device.preset=mine.toml,ideal"])
    assert axis.values == (os.path.abspath("mine.toml"), "ideal")
