"""Converters as manufactured: INL, DNL and noise against their closed forms, frozen by the right seed."""

import math

import numpy as np
import pytest
import torch

from analogdeq.circuits.converters import Converter
from analogdeq.circuits.manufacture import MadeConverter, another_inference, manufactured
from analogdeq.errors import RangeError
from helpers import circuit, tensor

LINES = 4000


def made(kind: str, lines: int = LINES, *, seed: int = 1, noise_seed: int = 0, **errors: float) -> MadeConverter:
    design = Converter(**{"bits": 6, "energy_J": 0.0, **errors})
    parts = manufactured(circuit(**{kind: design}), inputs=lines, outputs=lines, seed=seed, noise_seed=noise_seed)
    converter = getattr(parts, kind)
    assert isinstance(converter, MadeConverter)
    return converter


def dac_errors(converter: MadeConverter) -> np.ndarray:
    """(line, code) [LSB]: measured levels minus those of the straight line, by putting every code in."""
    design = converter.design
    ideal = torch.linspace(-design.full_scale, design.full_scale, 2**design.bits, dtype=torch.float64)
    levels = converter.quantise(ideal.unsqueeze(1).expand(-1, LINES))
    return ((levels - ideal.unsqueeze(1)) / design.lsb).T.numpy()


def test_the_inl_of_a_dac_is_its_bow_and_a_bridge_of_its_steps() -> None:
    """Variance inl^2 (4 k (N - k) / N^2)^2 + dnl^2 k (N - k) / N, and nothing at the trimmed ends."""
    error = dac_errors(made("dac", inl_lsb=0.7, dnl_lsb=0.2))
    N, k = 63, np.array([8, 16, 31, 50])
    variance = 0.49 * (4 * k * (N - k) / N**2) ** 2 + 0.04 * k * (N - k) / N
    np.testing.assert_allclose(error[:, [0, -1]], 0.0, atol=1e-9)
    # The variance of LINES normal draws has a relative standard error of sqrt(2 / LINES) = 2.2 %.
    np.testing.assert_allclose(error[:, k].var(0), variance, rtol=5 * math.sqrt(2 / LINES))
    assert np.abs(error[:, k].mean(0)).max() < 5 * math.sqrt(variance.max() / LINES)


def test_the_dnl_of_a_dac_is_independent_from_step_to_step() -> None:
    """Widths of one bridge have variance dnl^2 (1 - 1/N) and correlation -1/(N - 1)."""
    steps = np.diff(dac_errors(made("dac", dnl_lsb=0.2)), axis=1)
    N = 63
    assert steps.var() == pytest.approx(0.04 * (1 - 1 / N), rel=5 * math.sqrt(2 / steps.size))
    correlation = (steps[:, :-1] * steps[:, 1:]).mean() / steps.var()
    assert correlation == pytest.approx(-1 / (N - 1), abs=5 / math.sqrt(steps.size))


def test_an_adc_switches_where_its_thresholds_are_found_by_bisection() -> None:
    """Every threshold is where the output steps up; their errors have the variance of a bridge."""
    lines, converter = 800, made("adc", 800, dnl_lsb=0.15, inl_lsb=0.3)
    lsb, N = converter.design.lsb, 62
    for k in (0, 20, 31, 62):
        low, high = (torch.full((1, lines), x, dtype=torch.float64) for x in (-1.0, 1.0))
        for _ in range(40):
            middle = (low + high) / 2
            above = converter.quantise(middle) > -1 + lsb * (k + 0.5)
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        error = ((low[0] + 1) / lsb - (k + 0.5)).numpy()
        variance = 0.09 * (4 * k * (N - k) / N**2) ** 2 + 0.0225 * k * (N - k) / N
        if variance == 0:
            np.testing.assert_allclose(error, 0, atol=1e-9)
        else:
            assert error.var() == pytest.approx(variance, rel=5 * math.sqrt(2 / lines))


def test_an_adc_answers_in_its_designed_levels_and_rises_with_its_input() -> None:
    converter = made("adc", 50, dnl_lsb=2.0)  # steps so uneven that thresholds would change places
    x = torch.linspace(-1.2, 1.2, 4001, dtype=torch.float64).unsqueeze(1).expand(-1, 50)
    out = converter.quantise(x)
    assert bool((out.diff(dim=0) >= 0).all())
    codes = (out + 1) / converter.design.lsb
    torch.testing.assert_close(codes, codes.round(), rtol=0, atol=1e-9)
    assert float(out.min()) == -1.0
    assert float(out.max()) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["dac", "adc"])
def test_steps_belong_to_the_chip_seed_and_noise_to_the_noise_seed(kind: str) -> None:
    x = torch.rand(30, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    errors = {"bits": 10, "dnl_lsb": 0.5, "inl_lsb": 1.0}
    first = made(kind, 20, **errors).quantise(x)
    assert torch.equal(first, made(kind, 20, noise_seed=9, **errors).quantise(x)), "no noise, no noise seed"
    assert not torch.equal(first, made(kind, 20, seed=2, **errors).quantise(x))
    noisy = {"bits": 10, "noise_lsb": 3.0}
    again = made(kind, 20, **noisy).quantise(x)
    assert torch.equal(again, made(kind, 20, seed=2, **noisy).quantise(x)), "noise is not of the chip"
    assert not torch.equal(again, made(kind, 20, noise_seed=1, **noisy).quantise(x))
    torch.testing.assert_close(made(kind, 20, **noisy).quantise(x[7:8])[0], again[7], rtol=0, atol=0)


def test_dac_and_adc_of_one_chip_err_independently() -> None:
    design = Converter(bits=8, energy_J=0.0, inl_lsb=1.0)
    parts = manufactured(circuit(dac=design, adc=design), inputs=LINES, outputs=LINES, seed=3)
    assert isinstance(parts.dac, MadeConverter)
    assert isinstance(parts.adc, MadeConverter)
    assert parts.dac.shift is not None
    assert parts.adc.shift is not None
    middles = np.stack((parts.dac.shift[:, 128].numpy(), parts.adc.shift[:, 127].numpy()))
    assert abs(np.corrcoef(middles)[0, 1]) < 5 / math.sqrt(LINES)


def test_the_noise_of_a_dac_is_normal_of_the_stated_size() -> None:
    converter = made("dac", 50, noise_lsb=0.4)
    x = torch.rand(2000, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    noise = ((converter.quantise(x) - converter.design.quantise(x)) / converter.design.lsb).numpy()
    assert noise.std() == pytest.approx(0.4, rel=5 / math.sqrt(2 * noise.size))
    assert abs(noise.mean()) < 5 * 0.4 / math.sqrt(noise.size)
    assert (noise**4).mean() / noise.var() ** 2 == pytest.approx(3.0, abs=5 * math.sqrt(24 / noise.size))


def test_input_referred_noise_makes_an_adc_choose_by_the_normal_distribution() -> None:
    """A constant a quarter of a step below a threshold is read above it with probability Phi(-0.25 / 0.5)."""
    converter = made("adc", 20_000, noise_lsb=0.5)
    lsb = converter.design.lsb
    threshold = -1 + 40.5 * lsb
    x = torch.full((1, 20_000), threshold - 0.25 * lsb, dtype=torch.float64)
    share = float((converter.quantise(x) > threshold).double().mean())
    expected = 0.5 * math.erfc(0.5 / math.sqrt(2))
    assert share == pytest.approx(expected, abs=5 * math.sqrt(expected * (1 - expected) / 20_000))


@pytest.mark.parametrize("full_scale", [0.5, 1.0, 3.0])
def test_levels_span_the_range_and_what_lies_beyond_is_clipped(full_scale: float) -> None:
    converter = Converter(bits=3, energy_J=0.0, full_scale=full_scale)
    x = torch.linspace(-4, 4, 8001, dtype=torch.float64)
    levels = np.linspace(-full_scale, full_scale, 8)
    nearest = levels[np.abs(x.numpy()[:, None] - levels).argmin(1)]
    off_ties = np.abs(np.abs(x.numpy()[:, None] - (levels[1:] + levels[:-1]) / 2).min(1)) > 1e-9
    np.testing.assert_allclose(converter.quantise(x).numpy()[off_ties], nearest[off_ties], atol=1e-12)


@pytest.mark.parametrize("errors", [{}, {"dnl_lsb": 0.1}, {"noise_lsb": 0.1}])
@pytest.mark.parametrize("kind", ["dac", "adc"])
def test_what_is_no_finite_number_is_not_converted(kind: str, errors: dict[str, float]) -> None:
    parts = manufactured(circuit(**{kind: Converter(bits=4, energy_J=0.0, **errors)}), inputs=4, outputs=4, seed=0)
    out = getattr(parts, kind).quantise(tensor([[math.inf, -math.inf, math.nan, 0.2], [0.1, 5.0, -5.0, 0.2]]))
    assert out[0].isnan().tolist() == [True, True, True, False]
    assert bool(out[1].isfinite().all())


def test_ideal_converters_are_left_as_they_are() -> None:
    plain = circuit()
    assert manufactured(plain, inputs=3, outputs=4, seed=1) is plain
    assert another_inference(plain, 5) is plain


def test_a_converter_of_one_bit_has_one_threshold_and_no_room_for_errors() -> None:
    converter = made("adc", 5, bits=1, dnl_lsb=1.0, inl_lsb=1.0)
    out = converter.quantise(tensor([[-0.5, -0.01, 0.01, 0.5, 0.9]]))
    assert out.tolist() == [[-1.0, -1.0, 1.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"inl_lsb": -1.0}, "converter inl_lsb = -1.0"),
        ({"dnl_lsb": math.nan}, "converter dnl_lsb = nan"),
        ({"noise_lsb": math.inf}, "converter noise_lsb = inf"),
        ({"full_scale": 0.0}, "converter full_scale = 0.0 must be positive"),
        ({"bits": 20, "dnl_lsb": 0.1}, "bits = 20: steps are kept one by one, up to 16 bits"),
    ],
)
def test_impossible_errors_are_refused(changes: dict[str, float], complaint: str) -> None:
    with pytest.raises(RangeError, match=complaint):
        Converter(**{"bits": 8, "energy_J": 0.0, **changes})


def test_more_steps_than_memory_are_refused() -> None:
    with pytest.raises(RangeError, match="100000 converters of 16 bits have"):
        made("adc", 100_000, bits=16, dnl_lsb=0.1)
