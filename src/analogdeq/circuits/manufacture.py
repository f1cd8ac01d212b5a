"""Converters as manufactured: steps that are off by a draw of the chip seed, noise of the noise seed."""

import zlib
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.converters import Converter, refuse_infinite
from analogdeq.devices.streams import Streams
from analogdeq.errors import RangeError

MOST_STEPS = 2**27
"""Of all converters of a chip together: a gigabyte."""


@final
@dataclass(frozen=True, kw_only=True)
class MadeConverter:
    """The converters of one chip, one per line.

    Of N steps, 2^bits - 1 between the levels of a DAC or 2^bits - 2 between the thresholds of an ADC, both ends are
    trimmed, and what lies k steps from the lower one is off its place by inl(k) LSB:

        inl(k) = bow 4 k (N - k) / N^2 + sum_{j <= k} d_j - (k/N) sum_{j <= N} d_j
        bow ~ N(0, inl_lsb^2) per converter,   d_j ~ N(0, dnl_lsb^2) per step

    so its variance is inl_lsb^2 (4 k (N-k) / N^2)^2 + dnl_lsb^2 k (N-k) / N. A DAC puts out the level that is off; an
    ADC counts how many of its thresholds are exceeded.

    Noise is drawn per sample from the noise seed and the sample's own content: the same inference gives the same bits
    alone and in a batch, another noise seed gives others.

    Attributes:
        design: what was asked for.
        is_dac: digital to analog, or analog to digital.
        shift: (line, step) float64 [LSB]. inl(k) of k = 0 .. N for a DAC, of the N thresholds for an ADC; None: none.
        noise: the noise seed's streams.

    Source: INL and DNL as in IEEE Std 1241 (end-point fit); independent steps are the textbook model of a resistor
    string.
    """

    design: Converter
    is_dac: bool
    shift: Tensor | None
    noise: Streams

    @property
    def bits(self) -> int:
        """Resolution."""
        return self.design.bits

    @property
    def full_scale(self) -> float:
        """[1]. The largest |value| it knows."""
        return self.design.full_scale

    @property
    def noise_lsb(self) -> float:
        """[LSB]. Standard deviation of the noise, referred to its analog side."""
        return self.design.noise_lsb

    @property
    def energy_J(self) -> float:
        """[J]. Per conversion."""
        return self.design.energy_J

    @property
    def conversion_s(self) -> float:
        """[s]. Of one conversion."""
        return self.design.conversion_s

    @property
    def source(self) -> str:
        """Where `energy_J` comes from."""
        return self.design.source

    def quantise(self, x: Tensor) -> Tensor:
        """(batch, line) or (line,) -> the same: what these converters make of x."""
        rows = x.reshape(-1, x.shape[-1])
        made = self._to_analog(rows) if self.is_dac else self._to_digital(rows + self._noise(rows))
        return refuse_infinite(x, made.reshape(x.shape))

    def _to_analog(self, x: Tensor) -> Tensor:
        code = self.design.code(x)
        out = self.design.level(code)
        if self.shift is not None:
            k = torch.nan_to_num(code).long()
            out = out + self.design.lsb * self.shift.to(x.device).gather(1, k.T).T.to(x)
        return out + self._noise(x)

    def _to_digital(self, x: Tensor) -> Tensor:
        if self.shift is None:
            return self.design.level(self.design.code(x))
        place = torch.arange(self.shift.shape[1], dtype=self.shift.dtype) + 0.5 + self.shift
        thresholds = (place.sort(1).values * self.design.lsb - self.full_scale).to(x)
        code = torch.searchsorted(thresholds, x.T.contiguous()).T
        return self.design.level(code.to(x))

    def _noise(self, x: Tensor) -> Tensor:
        """(batch, line) [1]. One draw per sample, named by its content."""
        if self.noise_lsb == 0:
            return torch.zeros_like(x)
        kind = "dac" if self.is_dac else "adc"
        contents = [zlib.crc32(row.tobytes()) for row in x.detach().cpu().contiguous().numpy()]
        normal = [torch.randn(x.shape[1], dtype=x.dtype, generator=self.noise.named(kind, c)) for c in contents]
        return (self.noise_lsb * self.design.lsb) * torch.stack(normal).to(x.device)


def manufactured(
    circuit: CrossbarCircuit, *, inputs: int, outputs: int, seed: int, noise_seed: int = 0
) -> CrossbarCircuit:
    """The circuit with the converters that this chip seed made; the circuit itself where converters are ideal.

    Args:
        circuit: as designed.
        inputs: lines with a DAC.
        outputs: nodes with an ADC.
        seed: the chip seed.
        noise_seed: of the conversions' noise.
    """
    chip, noise = Streams(seed), Streams(noise_seed)
    dac, adc = circuit.dac, circuit.adc
    if isinstance(dac, Converter) and not dac.is_ideal:
        dac = MadeConverter(design=dac, is_dac=True, shift=_shift(dac, chip, "dac", inputs, False), noise=noise)
    if isinstance(adc, Converter) and not adc.is_ideal:
        adc = MadeConverter(design=adc, is_dac=False, shift=_shift(adc, chip, "adc", outputs, True), noise=noise)
    return circuit if dac is circuit.dac and adc is circuit.adc else replace(circuit, dac=dac, adc=adc)


def another_inference(circuit: CrossbarCircuit, noise_seed: int) -> CrossbarCircuit:
    """The same converters, whose noise is drawn from another seed."""
    dac, adc = (
        replace(converter, noise=Streams(noise_seed)) if isinstance(converter, MadeConverter) else converter
        for converter in (circuit.dac, circuit.adc)
    )
    return circuit if dac is circuit.dac and adc is circuit.adc else replace(circuit, dac=dac, adc=adc)


def _shift(design: Converter, chip: Streams, kind: str, lines: int, between: bool) -> Tensor | None:
    """(line, step) float64 [LSB]: inl(k) of all levels, or of the thresholds between them."""
    if not design.has_steps:
        return None
    # N steps lead from the first to the last of N + 1 levels; N thresholds have N - 1 steps between them.
    n = 2**design.bits - (2 if between else 1)
    if lines * (n + 1) > MOST_STEPS:
        raise RangeError(
            f"{lines} converters of {design.bits} bits have {lines * (n + 1)} steps to draw, more than {MOST_STEPS}; "
            "take fewer bits, or set inl_lsb and dnl_lsb to 0"
        )
    bow = design.inl_lsb * torch.randn(lines, 1, dtype=torch.float64, generator=chip.named("inl", kind))
    if n == 0:  # one bit, one threshold: trimming leaves nothing to be off
        return torch.zeros(lines, 1, dtype=torch.float64)
    steps = design.dnl_lsb * torch.randn(lines, n, dtype=torch.float64, generator=chip.named("dnl", kind))
    share = torch.arange(n + 1, dtype=torch.float64) / n
    walk = torch.cat((torch.zeros(lines, 1, dtype=torch.float64), steps.cumsum(1)), 1)
    return bow * 4 * share * (1 - share) + walk - share * walk[:, -1:]
