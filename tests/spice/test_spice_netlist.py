"""The netlist, read back line by line: every component is there once, with the number it should have."""

import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch

from analogdeq.chip import Chip
from analogdeq.circuits.converters import Converter
from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError
from analogdeq.library import device_preset
from analogdeq.spice.activation import activation_expression
from analogdeq.spice.netlist import OPEN_OHM, netlist_of
from helpers import PHI, chip, random_core, random_inputs, tensor
from unrolling import conv_chip, conv_core, device_matrices

NODES, INPUTS = 4, 3


def small_chip(**changes: object) -> Chip:
    core = random_core(NODES, seed=1, inputs=INPUTS)
    return chip(core, device=device_preset("pcm-generic"), seed=7, **changes)


def elements(text: str) -> dict[str, list[str]]:
    """Name -> what follows, of every line that is an element."""
    lines = [line for line in text.splitlines()[1:] if line and line[0] not in "*."]
    table = {line.split()[0]: line.split()[1:] for line in lines}
    assert len(table) == len(lines), "a name occurs twice"
    return table


def device_table(text: str) -> dict[tuple[str, str], float]:
    """(line, summing node) -> ohms, of every device."""
    found = elements(text).items()
    return {(w[0], w[1]): float(w[2]) for name, w in found if re.fullmatch(r"R(z\d+|u\d+|b)[pm]_\d+", name)}


def test_every_device_of_the_crossbar_is_one_resistor_of_exactly_its_resistance() -> None:
    made = small_chip()
    devices = device_table(netlist_of(made, random_inputs(1, INPUTS, seed=2)[0]))
    columns = [f"z{j}" for j in range(NODES)] + [f"u{k}" for k in range(INPUTS)] + ["b"]
    assert len(devices) == 2 * NODES * (NODES + INPUTS + 1)
    for sign, conductances in (("p", made.pairs.plus_S), ("m", made.pairs.minus_S)):
        for row in range(NODES):
            for column, name in enumerate(columns):
                siemens = float(conductances[row, column])
                assert devices[name + sign, f"s{row}"] == (1 / siemens if siemens else OPEN_OHM)


@pytest.mark.parametrize("device", ["ideal", "pcm-generic"])
@pytest.mark.parametrize("options", [{}, {"inputs": 2, "input_kernel": (3, 3)}, {"kernel": (1, 3), "image": (2, 5)}])
def test_every_device_of_a_convolution_is_where_its_indices_say(options: dict[str, Any], device: str) -> None:
    made = conv_chip(conv_core(**options), device=device_preset(device), seed=1)
    devices = device_table(netlist_of(made, torch.zeros(made.n_inputs, dtype=torch.float64)))
    columns = [f"z{j}" for j in range(made.n_nodes)] + [f"u{k}" for k in range(made.n_inputs)] + ["b"]
    assert len(devices) == made.n_devices
    built = device_matrices(conv_chip(made.core))[0] > 0  # type: ignore[arg-type]
    for sign, matrix in zip("pm", device_matrices(made), strict=True):
        for row, column in np.argwhere(built):
            siemens = float(matrix[row, column])
            expected = 1 / siemens if siemens else OPEN_OHM
            assert devices.pop((columns[column] + sign, f"s{row}")) == expected
    assert not devices


def test_crossbars_of_an_unknown_kind_are_refused() -> None:
    made = small_chip()
    made._pairs = object()  # type: ignore[assignment]
    with pytest.raises(InputError, match="object cannot be exported to SPICE; dense and convolutional chips can"):
        netlist_of(made, random_inputs(1, INPUTS, seed=2)[0])


def test_the_weights_can_be_read_back_from_the_resistors() -> None:
    made = small_chip(mapping="balanced")
    text = netlist_of(made, random_inputs(1, INPUTS, seed=2)[0])
    devices = device_table(text)
    feedback = float(elements(text)["Rf0"][2])
    weights = [
        [feedback * (1 / devices[f"z{j}p", f"s{i}"] - 1 / devices[f"z{j}m", f"s{i}"]) for j in range(NODES)]
        for i in range(NODES)
    ]
    np.testing.assert_allclose(weights, made.core.W.numpy(), rtol=1e-12, atol=1e-14)


def test_every_neuron_has_its_amplifiers_its_resistor_and_its_capacitor() -> None:
    made = small_chip(node_R_ohm=123456.789, node_C_F=1.7e-13)
    found = elements(netlist_of(made, random_inputs(1, INPUTS, seed=2)[0]))
    for i in range(NODES):
        assert found[f"Rf{i}"] == [f"t{i}", f"s{i}", repr(made.pairs.feedback_ohm)]
        assert found[f"Rn{i}"] == [f"f{i}", f"z{i}", "123456.789"]
        assert found[f"Cn{i}"] == [f"z{i}", "0", "1.7e-13", "IC=0.0"]
        assert found[f"Et{i}"][:4] == [f"t{i}", "0", "0", f"s{i}"]
        assert found[f"Ez{i}p"] == [f"z{i}p", "0", f"z{i}", "0", "1.0"]
        assert found[f"Ez{i}m"] == [f"z{i}m", "0", f"z{i}", "0", "-1.0"]
        assert f"Rl{i}" not in found


def test_a_leak_is_a_resistor_at_every_node() -> None:
    found = elements(netlist_of(small_chip(node_leak_S=4e-6), random_inputs(1, INPUTS, seed=2)[0]))
    assert [found[f"Rl{i}"] for i in range(NODES)] == [[f"z{i}", "0", "250000.0"] for i in range(NODES)]


def test_the_sources_put_out_what_the_converter_rounds_the_input_to() -> None:
    made = small_chip(dac=Converter(bits=3, energy_J=0.0), unit_voltage_V=0.25)
    u = tensor([0.4, -2.0, 1 / 7])
    found = elements(netlist_of(made, u))
    levels = np.linspace(-1, 1, 8)  # of 3 bits
    for k, value in enumerate(u.tolist()):
        nearest = levels[np.abs(levels - value).argmin()]
        assert float(found[f"Vu{k}p"][2]) == pytest.approx(0.25 * nearest, rel=1e-15)
        assert float(found[f"Vu{k}m"][2]) == -float(found[f"Vu{k}p"][2])
    assert (float(found["Vbp"][2]), float(found["Vbm"][2])) == (0.25, -0.25)


def test_single_precision_chips_export_the_level_they_computed() -> None:
    core = random_core(NODES, seed=1, inputs=INPUTS, dtype=torch.float32)
    made = chip(core, dac=Converter(bits=8, energy_J=0.0))
    u = random_inputs(1, INPUTS, seed=2, dtype=torch.float32)[0]
    found = elements(netlist_of(made, u))
    for k, level in enumerate(made.circuit.dac.quantise(u).double().tolist()):
        assert float(found[f"Vu{k}p"][2]) == 0.1 * level


def test_every_number_is_plain_text_that_reads_back_to_the_same_float() -> None:
    text = netlist_of(small_chip(node_leak_S=1 / 3e6), random_inputs(1, INPUTS, seed=2)[0])
    assert "float64" not in text
    assert "tensor" not in text
    for name, words in elements(text).items():
        if name[0] in "RV":
            assert repr(float(words[2])) == words[2], name


def test_a_device_that_landed_at_zero_is_open() -> None:
    made = chip(RCCore(tensor([[0.5, 0.0], [0.0, 0.5]]), tensor([[1.0], [1.0]]), tensor([0.0, 0.0])), g_min_S=0.0)
    devices = device_table(netlist_of(made, tensor([0.3])))
    assert devices["z0m", "s0"] == OPEN_OHM
    assert devices["z1p", "s0"] == OPEN_OHM
    assert devices["z0p", "s0"] < 1e6


def test_the_analysis_starts_discharged_and_takes_at_least_a_hundred_steps_per_time_constant() -> None:
    made = small_chip()
    text = netlist_of(made, random_inputs(1, INPUTS, seed=2)[0], stop_s=2.5e-7)
    (tran,) = (line.split() for line in text.splitlines() if line.startswith(".tran"))
    step, stop, start, longest = (float(word) for word in tran[1:5])
    assert (stop, start, tran[5]) == (2.5e-7, 0.0, "UIC")
    assert max(step, longest) <= made.tau_s / 100 * (1 + 1e-12)
    assert ".options reltol=1e-6 vntol=1e-12 abstol=1e-18 chgtol=1e-22" in text
    assert text.endswith(".end\n")


def test_the_header_says_which_chip_it_is() -> None:
    made = small_chip()
    text = netlist_of(made, random_inputs(1, INPUTS, seed=2)[0], about={"scenario": "digits-crossbar"})
    head = text.split("line drivers")[0]
    assert "* scenario: digits-crossbar\n" in head
    assert "* chip seed: 7\n" in head
    assert "* device: pcm-generic\n" in head
    assert f"* tau: {made.tau_s!r} s" in head
    assert "* unit voltage: 0.1 V" in head


def test_no_name_can_smuggle_an_element_into_the_netlist() -> None:
    plain = elements(netlist_of(small_chip(), random_inputs(1, INPUTS, seed=2)[0]))
    text = netlist_of(small_chip(), random_inputs(1, INPUTS, seed=2)[0], about={"scenario": "x\nRevil z0 0 1\r\n.end"})
    assert elements(text) == plain
    assert text.count("\n.end") == 1


def test_the_same_chip_and_input_give_the_same_text() -> None:
    u = random_inputs(1, INPUTS, seed=2)[0]
    assert netlist_of(small_chip(), u) == netlist_of(small_chip(), u)


@pytest.mark.parametrize("name", sorted(PHI))
def test_an_activation_expression_computes_the_activation(name: str) -> None:
    points = [-800.0, -3.0, -1.0, -0.4, 0.0, 0.4, 1.0, 3.0, 800.0]
    expression = activation_expression(name, "-v/0.1")
    words = {"tanh": math.tanh, "max": max, "min": min}
    values = [eval(expression, {"__builtins__": {}}, {**words, "v": -0.1 * p}) for p in points]
    np.testing.assert_allclose(values, PHI[name](np.array(points)), rtol=1e-13, atol=1e-15)


def test_an_activation_without_an_expression_is_refused() -> None:
    with pytest.raises(InputError, match="'swish' cannot be exported to SPICE; exportable: tanh"):
        activation_expression("swish", "p")


@pytest.mark.parametrize(
    ("u", "complaint"),
    [
        (tensor([0.1, 0.2]), r"shape \(3,\), got \(2,\)"),
        (tensor([[0.1, 0.2, 0.3]]), r"got \(1, 3\)"),
        (tensor([0.1, float("nan"), 0.3]), "NaN"),
        ([0.1, 0.2, 0.3], "got list"),
    ],
)
def test_an_input_no_source_can_put_out_is_refused(u: torch.Tensor, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        netlist_of(small_chip(), u)


@pytest.mark.parametrize("stop_s", [0.0, -1e-9, math.inf, math.nan])
def test_an_analysis_must_end(stop_s: float) -> None:
    with pytest.raises(InputError, match="stop_s"):
        netlist_of(small_chip(), random_inputs(1, INPUTS, seed=2)[0], stop_s=stop_s)


def test_unequal_time_constants_are_refused_rather_than_ignored() -> None:
    made = small_chip()
    made._realised = random_core(NODES, seed=1, inputs=INPUTS, tau_s=tensor([1e-8, 2e-8, 1e-8, 1e-8]))
    with pytest.raises(InputError, match="unequal time constants"):
        netlist_of(made, random_inputs(1, INPUTS, seed=2)[0])


def meters_on(text: str, term: str) -> Iterable[str]:
    return [" ".join(words) for name, words in elements(text).items() if words[:2] == ["0", f"e_{term}"]]


def test_every_line_and_amplifier_is_metered_once() -> None:
    text = netlist_of(small_chip(), random_inputs(1, INPUTS, seed=2)[0])
    n_lines = 2 * (NODES + INPUTS + 1)
    assert len(list(meters_on(text, "crossbar"))) == n_lines
    assert len(list(meters_on(text, "feedback"))) == NODES
    assert len(list(meters_on(text, "node"))) == NODES
    for term in ("drivers", "delivered"):
        metered = {re.search(r"i\((\w+)\)", line).group(1) for line in meters_on(text, term)}  # type: ignore[union-attr]
        sources = {name for name in elements(text) if re.match(r"E[zt]\d|V[ub]|Bf\d", name)}
        assert metered == sources
