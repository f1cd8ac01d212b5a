"""The four kinds of study on made-up figures: what they ask for, and what they make of it."""

import math
from typing import Any

import pytest
from small_runs import small_scenario

from analogdeq.errors import InputError, RunError
from analogdeq.report.plots.png import png_bytes
from analogdeq.runs.study.chip_yield import ChipYield
from analogdeq.runs.study.kinds import KINDS, study_of
from analogdeq.runs.study.measure import FIGURES
from analogdeq.runs.study.noise_margin import NoiseMargin
from analogdeq.runs.study.point import Content, Figures, contents_of
from analogdeq.runs.study.robustness import Robustness
from analogdeq.runs.study.study import Study
from analogdeq.runs.study.sweep import Sweep


def made_up(content: Content, accuracy: float, **changes: Any) -> Figures:
    """Chips that differ: every other one is 0.4 points better than the next."""
    shift = 0.002 if content.chip % 2 else -0.002
    figures = dict.fromkeys(FIGURES) | {
        "images": 100, "accuracy": accuracy + shift, "accuracy_ideal": 0.98, "settled": 1.0, "t_settle_p50_s": 1e-7,
        "t_settle_p95_s": 2e-7, "t_settle_max_s": 3e-7, "energy_mean_J": (5 + content.chip) * 1e-9, "noise_rms": 0.0,
        "energy_p95_J": 7e-9, "maintenance_J": 0.0, "extrapolated": "", "refused": None,
    }  # fmt: skip
    return figures | changes


def measured(study: Study, figures: Any) -> list:
    return [(point, figures(point)) for point in study.points(small_scenario())]


def drawn(study: Study, summary: dict) -> None:
    for figure in study.pictures(summary).values():
        assert png_bytes(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_study_comes_back_from_its_manifest(kind: str) -> None:
    extra = {"axes": (("a.b", ("1", "2")),)} if kind == "sweep" else {}
    study = KINDS[kind](chips=7, **extra)
    assert study_of(kind, study.options()) == study
    with pytest.raises(RunError, match="of no study of this program"):
        study_of(kind, {"chips": 1, "unknown": 2})


def test_a_sweep_takes_every_combination_of_values_and_chips() -> None:
    study = Sweep(chips=2, axes=(("circuit.adc.bits", ("6", "8")), ("circuit.node_C_F", ("50 fF", "0.1 pF"))))
    points = study.points(small_scenario("seeds.chip=5"))
    assert len(points) == len(contents_of(points)) == 8
    assert points[3].content == Content(overrides=("circuit.adc.bits=6", "circuit.node_C_F=0.1 pF"), chip=6)
    found = study.summary([(p, made_up(p.content, 0.97 if p["circuit.adc.bits"] == "8" else 0.9)) for p in points])
    assert [one["accuracy"]["middle"] for one in found["settings"]] == pytest.approx([0.9, 0.9, 0.97, 0.97])
    assert "from 90.00 % at circuit.adc.bits = 6, circuit.node_C_F = 50 fF to 97.00 %" in found["verdict"]
    assert "every image settled" in found["verdict"]
    drawn(study, found)


def test_a_sweep_of_chip_seeds_takes_those_and_no_others() -> None:
    points = Sweep(chips=30, axes=(("seeds.chip", ("3", "9")),)).points(small_scenario())
    assert [point.content for point in points] == [Content(overrides=(), chip=3), Content(overrides=(), chip=9)]


def test_robustness_measures_each_value_once_where_axes_meet() -> None:
    study = Robustness(chips=2, noise=(0.0, 1.0), programming=(1.0, 2.0), age=(0.0, 60.0), temperature=(300.0, 310.0))
    points = study.points(small_scenario())
    assert len(points) == 2 * (2 + 2 + 2 * 2 + 2 * 2)
    # Nominal noise and nominal programming are one content.
    assert len(contents_of(points)) == len(points) - 2
    aged = next(p for p in points if (p["axis"], p["care"], p["value"]) == ("age", "compensation", 60.0))
    assert aged.content.overrides == ("ageing.compensation_s=60.0", "ageing.refresh_s=none", "ageing.age_s=60.0")
    assert aged.content.noise == 1.0


def test_robustness_says_how_far_the_accuracy_holds() -> None:
    study = Robustness(chips=4, noise=(0.0, 1.0, 5.0, 10.0), age=(1.0, 1e3, 1e6), axes=("noise", "age"))

    def figures(point):  # one point is lost at noise 5 and two at 10; a year without care is refused
        loss = {5.0: 0.01, 10.0: 0.02}.get(point["value"], 0.0) if point["axis"] == "noise" else 0.0
        refused = "outside" if (point["care"], point["value"]) == ("none", 1e6) else None
        return made_up(point.content, 0.98 - loss, refused=refused)

    found = study.summary(measured(study, figures))
    assert found["verdict"] == (
        "noise: within 1 points up to 5 times; age, no compensation: within 1 points up to 1000 s; "
        "age, compensated: within 1 points up to 1e+06 s, the last value measured"
    )
    refused = next(one for one in found["settings"] if (one["care"], one["value"]) == ("none", 1e6))
    assert (refused["chips"], refused["accuracy"]["middle"], refused["refused"]) == (0, None, "outside")
    drawn(study, found)


def test_the_interval_over_chips_is_students() -> None:
    study = Robustness(chips=4, noise=(1.0,), axes=("noise",))
    (setting,) = study.summary(measured(study, lambda point: made_up(point.content, 0.97)))["settings"]
    spread = 0.002 * math.sqrt(4 / 3)  # of -0.002, 0.002, -0.002, 0.002
    assert setting["accuracy"]["high"] - setting["accuracy"]["middle"] == pytest.approx(3.182 * spread / 2, rel=1e-3)
    assert setting["energy_J"]["middle"] == pytest.approx(6.5e-9, rel=1e-6, abs=0)


def test_the_noise_margin_is_the_last_value_before_too_much_is_lost() -> None:
    study = NoiseMargin(chips=4, noise=(1.0, 10.0, 100.0), bits=(2, 4, 6))

    def figures(point):
        value = point["value"]
        lost = {"reference": 0.0, "noise": 1e-4 * value, "adc": 0.1 if value < 4 else 0.0, "dac": 0.0, "weights": 0.5}
        return made_up(point.content, 0.97 - lost[point["axis"]])

    found = study.summary(measured(study, figures))
    margins = {one["axis"]: one for one in found["margins"]}
    assert {axis: one["value"] for axis, one in margins.items()} == {
        "noise": 100.0, "adc": 4, "dac": 2, "weights": None
    }  # fmt: skip
    assert margins["noise"]["is_last"]
    assert not margins["adc"]["is_last"]
    assert "readout resolution: 4 bits cost at most 1 points" in found["verdict"]
    assert "weight resolution: every value costs more than 1 points" in found["verdict"]
    drawn(study, found)


def test_the_margin_that_is_sure_is_the_narrower_one() -> None:
    study = NoiseMargin(chips=4, noise=(1.0, 10.0), axes=("noise",))

    def figures(point):  # at 10 the mean loss is 0.9 points, give or take as much
        lost = {0.0: 0.0, 1.0: 0.0, 10.0: 0.018 * (point["chip"] % 2)}[point["value"]]
        return made_up(point.content, 0.97 - lost)

    (margin,) = study.summary(measured(study, figures))["margins"]
    assert (margin["value"], margin["surely"]) == (10.0, 1.0)


def test_a_yield_counts_the_chips_that_are_good_in_every_respect() -> None:
    def good(**options: Any) -> list[int]:
        study = ChipYield(chips=6, ages=(0.0, 60.0), cares=("none",), **options)
        settled = {4: 0.99}
        figures = [
            (point, made_up(point.content, 0.972, settled=settled.get(point.content.chip, 1.0)))
            for point in study.points(small_scenario())
        ]
        found = study.summary(figures)
        drawn(study, found)
        return [one["yield"]["good"] for one in found["settings"]]

    assert good() == [5, 5]  # 0.6 and 1.0 points lost; chip 4 does not settle every image
    assert good(points_lost=0.7) == [3, 3]
    assert good(energy_max_J=7.5e-9) == [3, 3]
    assert good(t_settle_max_s=2e-7) == [0, 0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Robustness(chips=1, axes=("humidity",)), "no axis 'humidity'"),
        (lambda: Robustness(chips=1, cares=("love",)), "no care 'love'"),
        (lambda: Robustness(chips=1, noise=(2.0, 1.0)), "noise must ascend"),
        (lambda: NoiseMargin(chips=1, axes=()), "no axis"),
        (lambda: NoiseMargin(chips=1, bits=(0, 1)), "bits must ascend from above 0"),
        (lambda: ChipYield(chips=1, ages=(-1.0,)), "ages must ascend"),
    ],
)
def test_options_that_mean_nothing_are_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
