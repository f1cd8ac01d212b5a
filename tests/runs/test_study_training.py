"""Which keys make a sweep train again: all but those that only say where a trained network is placed."""

import pytest
from small_runs import small_scenario

from analogdeq.runs.study.training import fingerprint

PLACED = (
    "circuit.node_C_F=50 fF", "circuit.adc.bits=6", "circuit.g_max_S=20 uS", "device.preset=ideal", "ageing.age_s=3600",
    "settle.band=1e-2", "seeds.chip=5", "task.test_limit=10", "trace.samples=1", "title=another", "output.directory=x",
)  # fmt: skip
LEARNT = (
    "model.nodes=9", "model.spectral_bound=0.8", "train.epochs=2", "train.input_noise=0.1", "seeds.train=1",
    "task.train_limit=100", "settle.dtype=float64", "gradient.method=phantom", "circuit.node_leak_S=1 uS",
)  # fmt: skip


@pytest.mark.parametrize("change", PLACED)
def test_what_a_trained_network_is_placed_on_does_not_train_again(change: str) -> None:
    assert fingerprint(small_scenario(change)) == fingerprint(small_scenario())


@pytest.mark.parametrize("change", LEARNT)
def test_what_is_learnt_with_trains_again(change: str) -> None:
    assert fingerprint(small_scenario(change)) != fingerprint(small_scenario())


@pytest.mark.parametrize(
    "how",
    [
        "train.forward=settle",
        "gradient.method=physical-adjoint",
        "train.hardware.draws=minibatch",
        "train.converters=straight-through",
    ],
)
@pytest.mark.parametrize("change", ["circuit.node_C_F=50 fF", "device.preset=ideal", "settle.band=1e-2"])
def test_a_training_that_sees_the_chip_is_of_that_chip(how: str, change: str) -> None:
    assert fingerprint(small_scenario(how, change)) != fingerprint(small_scenario(how))


def test_the_leak_counts_by_the_gain_it_leaves() -> None:
    # gain = 1/(1 + R G_L): as much leak through half the resistance is the same network.
    one = small_scenario("circuit.node_leak_S=1 uS", "circuit.node_R_ohm=100 kohm")
    same = small_scenario("circuit.node_leak_S=2 uS", "circuit.node_R_ohm=50 kohm")
    assert fingerprint(one) == fingerprint(same)
    assert fingerprint(small_scenario("circuit.node_R_ohm=50 kohm")) == fingerprint(small_scenario())
