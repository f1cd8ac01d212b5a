"""Learning rates, step by step."""

from pathlib import Path
from typing import get_args

import pytest
from training import fit, trainer

from analogdeq.scenario.train import Train
from analogdeq.train.schedule import SCHEDULES, rate_factor


def factor(schedule: str, now: float, epochs: int = 10, warmup_epochs: int = 2) -> float:
    epoch = int(now)
    return rate_factor(schedule, epoch=epoch, of_epoch=now - epoch, epochs=epochs, warmup_epochs=warmup_epochs)


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing_in_straight_lines() -> None:
    assert [factor("one-cycle", now) for now in (0, 0.5, 1, 2, 4, 6, 9.5)] == pytest.approx(
        [0, 0.25, 0.5, 1, 0.75, 0.5, 0.0625]
    )


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_others_change_between_epochs_only(schedule: str) -> None:
    assert factor(schedule, 3.75) == factor(schedule, 3)


def test_one_cycle_without_a_rise_begins_at_its_peak_and_one_without_a_fall_never_falls() -> None:
    assert factor("one-cycle", 0, warmup_epochs=0) == 1
    assert factor("one-cycle", 9.5, warmup_epochs=10) == pytest.approx(0.95)


def test_every_step_of_one_cycle_has_a_rate_of_its_own(tmp_path: Path) -> None:
    training = trainer(epochs=2, warmup_epochs=1, schedule="one-cycle", lr_digital=1e-3, lr_analog=2e-3)
    rates: list[tuple[float, float]] = []
    training._optimizer.register_step_pre_hook(
        lambda optimizer, _args, _kwargs: rates.append(tuple(group["lr"] for group in optimizer.param_groups))
    )
    fit(training, tmp_path)
    assert len(rates) == 10  # five steps an epoch
    digital, analog = zip(*rates, strict=True)
    assert digital == pytest.approx([0, 2e-4, 4e-4, 6e-4, 8e-4, 1e-3, 8e-4, 6e-4, 4e-4, 2e-4])
    assert analog == pytest.approx([2 * rate for rate in digital])


def test_scenarios_offer_the_schedules_there_are() -> None:
    assert set(get_args(Train.model_fields["schedule"].annotation)) == set(SCHEDULES)
