"""Shot noise of barrier devices on a chip, against 2 q I coth(q V / 2 k T) device by device."""

import math

import pytest
import torch

from analogdeq.chip import Chip
from analogdeq.circuits.wires import Wires
from analogdeq.errors import InputError
from analogdeq.library import device_preset
from analogdeq.noise.barrier import barrier_factor, lines_at
from analogdeq.noise.intensity import white_noise
from analogdeq.noise.spectra import barrier_current
from helpers import circuit, random_core, tensor

SONOS = device_preset("sonos")
Q, K_B = 1.602176634e-19, 1.380649e-23


def placed(**changes: object) -> Chip:
    return Chip(random_core(3, seed=0, inputs=2), circuit(g_max_S=8e-6, **changes), SONOS, seed=1)


def test_the_factor_over_thermal_noise_is_the_published_one() -> None:
    """At 0.2 V and 300 K it is 3.9; without voltage, 1."""
    factor = barrier_factor(tensor([0.0, 1e-9, 1e-5, 0.2, -0.2, 2.0]), 300.0)
    x = Q * 0.2 / (2 * K_B * 300)
    assert float(factor[3]) == pytest.approx(3.9, abs=0.05)
    assert factor.tolist() == pytest.approx(
        [1, 1, 1 + (x * 5e-5) ** 2 / 3, x / math.tanh(x), x / math.tanh(x), 10 * x], rel=1e-9
    )


@pytest.mark.parametrize("volts", [1e-7, 5e-5, 0.05, 0.4])
def test_it_is_the_spectrum_of_a_barrier_over_that_of_a_resistor(volts: float) -> None:
    G = 3e-6
    spectrum = barrier_current(G * volts, volts, 330.0)
    assert float(barrier_factor(tensor([volts]), 330.0)) == pytest.approx(spectrum / (4 * K_B * 330.0 * G), rel=1e-6)


def test_a_chip_of_barrier_devices_makes_the_shot_noise_of_every_one_of_them() -> None:
    chip, z, u = placed(unit_voltage_V=0.2), tensor([0.5, -0.9, 0.0]), tensor([0.3, -1.0])
    noise = white_noise(chip, lines=lines_at(chip, z, u))
    V = 0.2 * torch.cat((z, chip.circuit.dac.quantise(u.unsqueeze(0))[0], tensor([1.0])))
    kT, R_f, tau = K_B * 300.0, chip.pairs.feedback_ohm, chip.tau_s
    for i in range(3):
        S_I = 0.0
        for j in range(6):
            for G in (float(chip.pairs.plus_S[i, j]), float(chip.pairs.minus_S[i, j])):
                v = abs(float(V[j]))
                S_I += 2 * Q * G * v / math.tanh(Q * v / (2 * kT)) if v else 4 * kT * G
        expected = (1 / tau) ** 2 * R_f**2 * S_I / 2 * tau / 0.2**2
        assert float(noise.terms["devices"][i]) == pytest.approx(expected, rel=1e-9, abs=0)
    resistors = Chip(random_core(3, seed=0, inputs=2), chip.circuit, seed=1)
    assert bool((noise.terms["devices"] > white_noise(resistors).terms["devices"]).all())
    assert float(noise.terms["feedback"][0]) == pytest.approx((1 / tau) ** 2 * 2 * kT * R_f * tau / 0.2**2, rel=1e-6)


def test_without_voltages_there_is_no_shot_noise_to_tell() -> None:
    with pytest.raises(InputError, match=r"device 'sonos' makes shot noise.*6 lines in all"):
        white_noise(placed())
    with pytest.raises(InputError, match="6 lines in all"):
        white_noise(placed(), lines=tensor([0.1]))
    with pytest.raises(InputError, match="in one crossbar with ideal wires only"):
        white_noise(placed(wires=Wires(line_ohm=1.0)), lines=torch.zeros(6))


def test_no_other_shipped_preset_is_said_to_be_a_barrier() -> None:
    assert SONOS.is_barrier
    assert not device_preset("pcm-generic").is_barrier
