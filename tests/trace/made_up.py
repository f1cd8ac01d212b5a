"""Settled batches with made-up numbers: a trace file must give back whatever it was given."""

from typing import Any

import numpy as np
import torch

from analogdeq.circuits.ledger import Ledger
from analogdeq.solve.error_bound import Bound, ErrorBounds
from analogdeq.solve.settled import Settled
from analogdeq.solve.trace import Steps, Trace
from analogdeq.solve.verdict import Verdict
from analogdeq.trace import TraceHeader

POWER_TERMS = ("crossbar", "feedback", "output stages")
SUPPLY_TERMS = ("output stages",)
ENERGY_TERMS = ("crossbar", "feedback", "node", "stored", "output stages", "amplifier bias", "DAC", "ADC")
SCENARIO = 'title = "demo – Ω"\n[circuit]\ntau_s = 1e-8\n'
PROVENANCE = {"created": "2026-01-02T03:04:05+00:00", "seed_chip": "7", "analogdeq": "0.1.0", "git_commit": "abc"}


def make_settled(
    *,
    sample: tuple[int, ...] = (0, 3),
    n_times: int = 150,
    n_nodes: int = 5,
    batch: int = 6,
    terms: tuple[str, ...] = POWER_TERMS,
    seed: int = 0,
) -> Settled:
    """A batch in which every verdict occurs, some samples recorded; no ledger where there are no power terms."""
    rng = np.random.default_rng(seed)

    def per_sample() -> torch.Tensor:
        return torch.from_numpy(rng.lognormal(-18, 1, batch))

    code = torch.arange(batch).remainder(len(Verdict)).to(torch.uint8)
    t_settle = torch.where(code == Verdict.SETTLED, per_sample(), torch.nan)
    period = torch.where(code == Verdict.OSCILLATING, per_sample(), torch.nan)
    names = ("crossbar_J", "feedback_J", "node_J", "stored_J", "drivers_J", "bias_J", "dac_J", "adc_J")
    ledger = Ledger(**{name: per_sample() for name in names}) if terms else None
    return Settled(
        z=torch.from_numpy(rng.normal(size=(batch, n_nodes)).astype(np.float32)),
        t_settle_s=t_settle,
        t_end_s=per_sample(),
        energy_J=ledger.total_J if ledger else torch.full((batch,), torch.nan, dtype=torch.float64),
        ledger=ledger,
        verdict_code=code,
        residual=per_sample(),
        error_bounds=ErrorBounds.given(per_sample(), torch.full((batch,), int(Bound.GLOBAL), dtype=torch.uint8)),
        period_s=period,
        evaluations=torch.arange(batch) * 7,
        steps=torch.arange(batch) + 1,
        rejected=torch.arange(batch) % 2,
        trace=make_trace(rng, sample, n_times, n_nodes, terms),
    )


def make_trace(
    rng: np.random.Generator, sample: tuple[int, ...], n_times: int, n_nodes: int, terms: tuple[str, ...]
) -> Trace:
    """Waveforms of noise; the last sample ends early."""
    state = rng.normal(size=(n_times, len(sample), n_nodes)).astype(np.float32)
    state[n_times // 2 :, -1] = np.nan
    row_size = rng.integers(0, 9, len(sample))
    attempts = int(row_size.sum())
    return Trace(
        time_s=np.arange(n_times) * 1e-10,
        sample=np.array(sample, dtype=np.int64),
        state=state,
        power_W=rng.lognormal(-9, 1, (n_times, len(sample), len(terms))).astype(np.float32),
        terms=terms,
        residual=rng.lognormal(-3, 1, (n_times, len(sample))).astype(np.float32),
        steps=Steps(
            row_size=row_size,
            time_s=rng.random(attempts),
            dt_s=rng.random(attempts),
            error_norm=rng.random(attempts),
            accepted=rng.random(attempts) < 0.8,
        ),
    )


def make_header(settled: Settled, **changes: Any) -> TraceHeader:
    """What belongs to `make_settled`, or something else on purpose."""
    trace = settled.trace
    assert trace is not None
    fields: dict[str, Any] = {
        "title": "demo",
        "scenario_toml": SCENARIO,
        "provenance": PROVENANCE,
        "sample": trace.sample,
        "n_nodes": trace.state.shape[-1],
        "terms": trace.terms,
        "supply_terms": SUPPLY_TERMS if trace.terms else (),
        "energy_terms": tuple(settled.ledger.terms_J()) if settled.ledger else (),
        "band": 1e-3,
        "unit_voltage_V": 0.2,
    }
    return TraceHeader(**{**fields, **changes})
