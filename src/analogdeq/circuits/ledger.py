"""The joules of a settle, term by term."""

from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

from torch import Tensor

from analogdeq.circuits.oscillator_ledger import OscillatorLedger


@final
@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Where each sample's energy went until readout, in joules.

    `drivers` is what the output stages draw from the supply (class B). It already contains the heat of the crossbar,
    its wires, the feedback resistors and the nodes and the energy stored on the capacitors; the rest is lost in the
    output stages. So `total_J` is drivers + bias + DAC + ADC, and never adds the heat a second time.

    Attributes:
        crossbar_J: (batch,) heat in the crossbar devices.
        feedback_J: (batch,) heat in the feedback resistors.
        node_J: (batch,) heat in the node resistors and leaks.
        stored_J: (batch,) change of the energy on the node capacitors.
        drivers_J: (batch,) drawn from the supply by line drivers and amplifier outputs.
        bias_J: (batch,) amplifier quiescent power times the time until readout ends.
        dac_J: (batch,) input conversions.
        adc_J: (batch,) output conversions.
        wires_J: (batch,) heat in the wires of the crossbar; None where they have no resistance.
    """

    crossbar_J: Tensor
    feedback_J: Tensor
    node_J: Tensor
    stored_J: Tensor
    drivers_J: Tensor
    bias_J: Tensor
    dac_J: Tensor
    adc_J: Tensor
    wires_J: Tensor | None = None

    @property
    def output_stages_J(self) -> Tensor:
        """(batch,) lost in the output stages: supply draw minus heat minus stored."""
        lost = self.drivers_J - self.crossbar_J - self.feedback_J - self.node_J - self.stored_J
        return lost if self.wires_J is None else lost - self.wires_J

    @property
    def total_J(self) -> Tensor:
        """(batch,) drawn from the supply in all, conversions included."""
        return self.drivers_J + self.bias_J + self.dac_J + self.adc_J

    def terms_J(self) -> dict[str, Tensor]:
        """The terms that add up to `total_J`, by name, in the order a report shows them."""
        return {
            "crossbar": self.crossbar_J,
            **({} if self.wires_J is None else {"wires": self.wires_J}),
            "feedback": self.feedback_J,
            "node": self.node_J,
            "stored": self.stored_J,
            "output stages": self.output_stages_J,
            "amplifier bias": self.bias_J,
            "DAC": self.dac_J,
            "ADC": self.adc_J,
        }


@runtime_checkable
class Accounted(Protocol):
    """A core on a circuit, which can close its books."""

    def ledger(
        self, energy_J: Tensor, rest_power_W: Tensor, t_s: Tensor, z_start: Tensor, z_end: Tensor
    ) -> Ledger | OscillatorLedger:
        """The joules of a settle that is read out at `t_s`; see `Chip.ledger`."""
        ...
