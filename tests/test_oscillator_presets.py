"""Shipped kinds of oscillator: what they lock in, what it costs, and which of their numbers nobody published."""

import tomllib

import pytest
import torch

from analogdeq.build import build_chip, build_model, build_oscillators
from analogdeq.circuits.oscillator import OscillatorKind
from analogdeq.circuits.oscillator_ledger import OscillatorLedger
from analogdeq.errors import DataError, RangeError
from analogdeq.oscillator_chip import OscillatorChip
from analogdeq.oscillator_presets import oscillator_kind, oscillator_names, published_range
from analogdeq.resources import resource_path
from analogdeq.runs.oscillator_assumptions import oscillator_rows
from analogdeq.scenario import load_scenario
from analogdeq.solve.settle import settle

ARRAY = {"ring-65nm": 1968}
"""How many oscillators an energy is published for; one where it is a range of a class."""


def shipped_chip(name: str) -> tuple[OscillatorChip, torch.Tensor]:
    """The shipped scenario's network, untrained, on oscillators of that kind, and a few inputs."""
    chosen = load_scenario("digits-oscillator", [f"oscillator.preset={name}"])
    model = build_model(chosen)
    chip = build_chip(chosen, model.core)
    assert isinstance(chip, OscillatorChip)
    with torch.no_grad():
        return chip, model.encoder(torch.rand(16, 64, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("name", oscillator_names())
def test_a_locking_network_takes_the_cycles_and_joules_that_were_published(name: str) -> None:
    chip, u = shipped_chip(name)
    published, share = published_range(name), chip.core.n_oscillators / ARRAY.get(name, 1)
    out = settle(chip, u, throw=True)
    assert isinstance(out.ledger, OscillatorLedger)
    cycles = out.t_settle_s * chip.kind.frequency_Hz
    assert published.cycles[0] < float(cycles.min())
    assert float(cycles.max()) < published.cycles[1]
    energy_J = out.ledger.oscillators_J / share
    assert published.energy_J[0] < float(energy_J.min())
    assert float(energy_J.max()) < published.energy_J[1]


@pytest.mark.parametrize("name", oscillator_names())
def test_the_energy_of_a_class_is_its_power_for_its_cycles_at_its_frequency(name: str) -> None:
    """At the preset's own power and frequency, what the published cycles cost lies in the published joules."""
    kind, published = oscillator_kind(name), published_range(name)
    each = [ARRAY.get(name, 1) * kind.power_W * count / kind.frequency_Hz for count in published.cycles]
    assert published.energy_J[0] <= each[0]
    assert each[1] <= published.energy_J[1] * 1.002  # 21.3 uW is 0.042 W over 1,968, rounded


def test_what_is_assumed_of_the_ring_array_is_what_its_abstract_does_not_say() -> None:
    assert set(oscillator_kind("ring-65nm").assumed) == {"frequency_Hz", "lock_ratio", "temperature_per_K"}


@pytest.mark.parametrize("name", oscillator_names())
def test_every_number_of_a_preset_is_published_or_called_assumed(name: str) -> None:
    """Only the ring array has a measured number, its power; every other number given must be on the list."""
    table = tomllib.loads(resource_path("data", "oscillators", f"{name}.toml").read_text())
    numbers = {key for key in table if key.endswith(("_Hz", "_W", "_ratio", "_per_K", "_sd"))}
    measured = {"power_W"} if name == "ring-65nm" else set()
    assert numbers - measured == set(oscillator_kind(name).assumed)


def test_the_report_calls_assumed_what_is_and_what_the_scenario_chose() -> None:
    chip, _ = shipped_chip("ring-65nm")
    source = {row[0]: row[3] for row in oscillator_rows(chip)}
    assert source["frequency"] == source["lock ratio"] == "assumed"
    assert "Moy et al." in source["power per oscillator"]
    chosen = build_oscillators(load_scenario("digits-oscillator", ["oscillator.frequency_Hz=2 GHz"]))
    assert chosen.assumed.count("frequency_Hz") == 1


def test_a_preset_that_marks_or_drifts_what_it_has_not_is_refused(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RangeError, match="there is no 'colour'"):
        OscillatorKind(
            name="x", title="x", source="x", frequency_Hz=1e9, power_W=0.0, lock_ratio=0.1, assumed=("colour",)
        )
    folder = tmp_path_factory.mktemp("oscillators")
    good = resource_path("data", "oscillators", "lc-cmos.toml").read_text()
    for change, message in (
        (("assumed = [", "assumed_ = ["), "'assumed' is missing"),
        (('"power_W", ', '"power", '), "there is no 'power'"),
        (("title", "drift = 3\ntitle"), "oscillator preset 'one'"),
        (("title", "drift = {per_year = 1e-6}\ntitle"), "per_year"),
    ):
        file = folder / "one.toml"
        file.write_text(good.replace(*change, 1))
        monkeypatch.setattr("analogdeq.oscillator_presets.resource_path", lambda *_, file=file: file)
        with pytest.raises(DataError, match=message):
            oscillator_kind("one")
