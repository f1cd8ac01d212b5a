import tempfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analogdeq.trace import open_trace, write_trace
from analogdeq.trace.result import result_of

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
terms = st.lists(st.sampled_from(["crossbar", "output stages", "DAC", "r/w", "Ω"]), unique=True, max_size=4)
any_float32 = st.floats(width=32)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), title=text, scenario=text, provenance=st.dictionaries(text.filter(bool), text), terms=terms)
def test_what_is_written_is_read_back_bit_by_bit(settled_of, data, title, scenario, provenance, terms):
    draw = data.draw
    sample = tuple(draw(st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True), label="sample"))
    n_times, n_nodes = draw(st.integers(0, 70), label="n_times"), draw(st.integers(1, 6), label="n_nodes")
    settled = settled_of(sample=sample, n_times=n_times, n_nodes=n_nodes, batch=10, terms=tuple(terms))
    state = draw(arrays(np.float32, (n_times, len(sample), n_nodes), elements=any_float32), label="state")
    settled = replace(settled, trace=replace(settled.trace, state=state))
    provenance.pop("NX_class", None)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.h5"
        write_trace(
            path,
            settled,
            title=title,
            scenario_toml=scenario,
            provenance=provenance,
            band=1e-3,
            supply_terms=terms[:1],
            unit_voltage_V=0.2 if terms else None,
        )
        with open_trace(path) as file:
            assert file.is_finished
            assert (file.title, file.scenario_toml, file.provenance) == (title, scenario, provenance)
            assert (file.band, file.unit_voltage_V) == (1e-3, 0.2 if terms else None)
            assert (file.terms, file.supply_terms) == (tuple(terms), tuple(terms[:1]))
            assert_same(file.to_trace(), settled.trace)
            assert_same(file.to_trace().steps, settled.trace.steps)
            assert_same(file.result, result_of(settled, sample))
            if terms:
                np.testing.assert_array_equal(file.power_W, settled.trace.power_W[..., 0])


def assert_same(read, written):
    """Every field equal in type and bits."""
    for field in fields(written):
        a, b = getattr(read, field.name), getattr(written, field.name)
        if isinstance(b, np.ndarray):
            assert (a.dtype, a.shape) == (b.dtype, b.shape), field.name
            np.testing.assert_array_equal(a, b, err_msg=field.name)
        elif isinstance(b, dict):
            assert list(a) == list(b)
            for name in b:
                np.testing.assert_array_equal(a[name], b[name], err_msg=name)
        elif isinstance(b, tuple):
            assert a == b
