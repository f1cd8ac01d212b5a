import numpy as np

from analogdeq.report.summary import key_numbers, result_rows, spectrum_rows, term_rows, verdict_rows
from analogdeq.solve.verdict import Verdict


def test_key_numbers_are_few_and_qualified(data):
    numbers = {n.label: (n.value, n.note) for n in key_numbers(data)}
    assert numbers["accuracy on the chip"] == ("97.5 %", "ideal core 98.3 %")
    assert numbers["settled"] == ("99.2 %", "2 of 240 did not")
    assert numbers["settling time, median"][0].endswith(" ns")
    assert numbers["energy per inference, median"][0].endswith(" pJ")


def test_the_table_of_results_has_every_headline_number(data):
    rows = {row.quantity: row.value for row in result_rows(data)}
    p50, p95 = np.nanpercentile(data.t_settle_s, [50, 95]) * 1e9
    assert (
        rows["settling time, p50 / p95 / max"]
        == f"{p50:.3g} ns / {p95:.3g} ns / {np.nanmax(data.t_settle_s) * 1e9:.3g} ns"
    )
    assert rows["did not settle"] == "0.8 %"
    assert rows["accuracy, ideal core"] == "98.3 %"
    assert rows["evaluations per sample, median / max"].endswith(f" / {data.evaluations.max()}")


def test_energy_terms_add_up_to_their_total(data):
    *terms, total = term_rows(data)
    assert [t.name for t in terms] == list(data.energy_terms_J)
    assert total.name == "total"
    assert total.mean == f"{data.energy_total_J.mean() * 1e12:.3g} pJ"


def test_verdicts_come_with_advice(data):
    settled, timed_out = verdict_rows(data)
    assert (settled.count, settled.is_good, timed_out.count, timed_out.is_good) == (238, True, 2, False)
    assert timed_out.advice == Verdict.TIMED_OUT.advice


def test_the_spectrum_is_read_for_the_circuit_and_for_picard(changed):
    rows = {
        r.quantity: (r.value, r.meaning) for r in spectrum_rows(changed(eigenvalues=np.array([0.5 + 2j, 0.5 - 2j])))
    }
    assert rows["slowest mode"][0] == "20 ns"
    assert "does not converge" in rows["spectral radius, max |λ|"][1]
    assert spectrum_rows(changed(eigenvalues=np.array([1.5 + 0j])))[2].value == "grows"
    assert spectrum_rows(changed(eigenvalues=None)) == []


def test_nothing_settled_and_no_circuit_still_has_words(data, changed):
    nothing = np.full_like(data.t_settle_s, np.nan)
    bare = changed(
        t_settle_s=nothing,
        energy_total_J=nothing,
        energy_terms_J={},
        verdict_code=np.full(240, Verdict.OSCILLATING, dtype=np.uint8),
        accuracy_chip=None,
        accuracy_ideal=None,
    )
    assert [n.label for n in key_numbers(bare)] == ["settled"]
    assert {row.quantity: row.value for row in result_rows(bare)}["settling time"] == "–"
    assert term_rows(bare) == []
