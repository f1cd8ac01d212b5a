"""A fab full of chips."""

import dataclasses

import pytest
import torch
from scipy.stats import binomtest

from analogdeq.ageing.life import Care
from analogdeq.ageing.maintenance import GlobalCompensation
from analogdeq.chip import Chip
from analogdeq.devices.preset import IDEAL
from analogdeq.errors import InputError
from analogdeq.library import device_preset
from analogdeq.solve.settle import settle
from analogdeq.studies.population import make_population, yield_curve
from helpers import circuit, random_core, random_inputs

PCM = device_preset("pcm-generic")


def test_every_chip_of_a_population_is_the_chip_of_its_seed() -> None:
    core, u = random_core(6, seed=0), random_inputs(4, 3, seed=1)
    made = make_population(core, circuit(), PCM, u, seeds=(5, 6), ages_s=(0.0, 86400.0))
    exact = settle(Chip(core, circuit()), u).z
    for row, seed in enumerate((5, 6)):
        chip = Chip(core, circuit(), PCM, seed=seed)
        for column, age_s in enumerate((0.0, 86400.0)):
            out = settle(chip.age(age_s), u)
            assert float(made.error[row, column]) == pytest.approx(float((out.z - exact).square().mean().sqrt()))
            assert float(made.t_settle_s[row, column]) == float(out.t_settle_s.max())
            assert float(made.energy_J[row, column]) == pytest.approx(float(out.energy_J.mean()), rel=1e-6, abs=0)
    assert bool((made.error[:, 1] > made.error[:, 0]).all()), "a day of drift"


def test_compensation_helps_the_population_and_is_charged() -> None:
    core, u = random_core(6, seed=0), random_inputs(4, 3, seed=1)
    care = Care(compensation=GlobalCompensation(every_s=3600.0))
    plain, kept = (
        make_population(core, circuit(), PCM, u, seeds=range(6), ages_s=(86400.0,), care=c) for c in (None, care)
    )
    assert float(kept.error.mean()) < float(plain.error.mean())
    assert bool((kept.maintenance_J > 0).all())
    assert float(plain.maintenance_J.sum()) == 0.0


def test_a_perfect_fab_has_no_error_and_full_yield() -> None:
    made = make_population(random_core(5, seed=0), circuit(), IDEAL, random_inputs(2, 3, seed=1), seeds=range(3))
    assert float(made.error.max()) == 0.0
    curve = yield_curve(made.error[:, 0], torch.tensor([0.0, 0.1], dtype=torch.float64))
    assert curve.share.tolist() == [1.0, 1.0]


def test_a_yield_is_the_share_below_each_limit_with_wilsons_interval() -> None:
    figure = torch.arange(1.0, 41.0, dtype=torch.float64)
    figure[-3:] = torch.inf
    curve = yield_curve(figure, torch.tensor([0.0, 10.0, 37.0, 1e9], dtype=torch.float64))
    assert curve.share.tolist() == [0.0, 0.25, 0.925, 0.925]
    for k, count in enumerate((0, 10, 37, 37)):
        by_scipy = binomtest(count, 40).proportion_ci(0.95, method="wilson")
        assert (float(curve.low[k]), float(curve.high[k])) == pytest.approx((by_scipy.low, by_scipy.high), abs=1e-9)


def test_populations_and_yields_without_chips_are_refused() -> None:
    core, u = random_core(4, seed=0), random_inputs(1, 3, seed=1)
    for changes in ({"seeds": ()}, {"seeds": (1,), "ages_s": (2.0, 1.0)}):
        with pytest.raises(InputError, match="at least one chip seed and ascending ages"):
            make_population(core, circuit(), dataclasses.replace(PCM), u, **changes)
    with pytest.raises(InputError, match="one figure per chip"):
        yield_curve(torch.empty(0), torch.tensor([1.0]))
