"""The joules of an oscillator network's settle, term by term."""

from dataclasses import dataclass
from typing import final

from torch import Tensor


@final
@dataclass(frozen=True, kw_only=True)
class OscillatorLedger:
    """Where each sample's energy went until readout, in joules, all of it drawn from the supply.

    Attributes:
        oscillators_J: (batch,) running oscillators, whatever they do.
        coupling_J: (batch,) drivers of the lines that couple them.
        injection_J: (batch,) drivers of the lines that carry inputs and reference.
        dac_J: (batch,) input conversions.
        adc_J: (batch,) phase readouts.
    """

    oscillators_J: Tensor
    coupling_J: Tensor
    injection_J: Tensor
    dac_J: Tensor
    adc_J: Tensor

    @property
    def total_J(self) -> Tensor:
        """(batch,) drawn from the supply in all, conversions included."""
        return self.oscillators_J + self.coupling_J + self.injection_J + self.dac_J + self.adc_J

    def terms_J(self) -> dict[str, Tensor]:
        """The terms that add up to `total_J`, by name, in the order a report shows them."""
        return {
            "oscillators": self.oscillators_J,
            "coupling": self.coupling_J,
            "injection": self.injection_J,
            "DAC": self.dac_J,
            "ADC": self.adc_J,
        }
