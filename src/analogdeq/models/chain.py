"""Several equilibria in a row, each behind a digital layer."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from analogdeq.cores.analog import AnalogCore
from analogdeq.gradient.forward import Forward
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.method import Gradient
from analogdeq.models.network import Realise, reach
from analogdeq.stability.reached import Reached


@final
class ChainDEQ(nn.Module):
    """y = readout(z_n), z_k = F_k(z_k; encoder_k(z_{k-1})), z_0 = x.

    Every core settles on its own, with nothing fed back to the core before it.

    Args:
        encoders: one per core, from the image or the core before; the input it hands on is within -1 to +1.
        cores: the equilibria.
        readout: from the last core to the classes.
        forward: how equilibria are found in training.
        gradient: how they are differentiated.
    """

    def __init__(
        self,
        encoders: list[nn.Module],
        cores: Sequence[AnalogCore],
        readout: nn.Module,
        *,
        forward: Forward | None = None,
        gradient: Gradient | None = None,
    ) -> None:
        super().__init__()
        self.encoders, self.chain, self.readout = nn.ModuleList(encoders), nn.ModuleList(cores), readout
        self._forward, self._gradient = forward, gradient
        self._logs = [SolveLog()]
        self.reached: list[Reached] = []
        self.realise: Realise | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(batch, ...) -> (batch, class); `log` and `reached` afterwards tell of the solves."""
        self._logs, reached = [SolveLog() for _ in self.chain], []
        for index, (encoder, core, log) in enumerate(zip(self.encoders, self.cores, self._logs, strict=True)):
            reached.append(
                reach(
                    core, encoder(x), forward=self._forward, gradient=self._gradient, log=log,
                    realise=self.realise, index=index,
                )
            )  # fmt: skip
            x = reached[-1].z
        self.reached = reached
        logits: Tensor = self.readout(x)
        return logits

    @property
    def log(self) -> SolveLog:
        """All solves together: sums of the counts, largest residuals."""
        logs = self._logs
        return SolveLog(
            forward_residual=max(log.forward_residual for log in logs),
            forward_evaluations=sum(log.forward_evaluations for log in logs),
            unsettled=max(log.unsettled for log in logs),
            backward_residual=max(log.backward_residual for log in logs),
            backward_iterations=sum(log.backward_iterations for log in logs),
        )

    @property
    def cores(self) -> list[AnalogCore]:
        """The cores, in order."""
        return [core for core in self.chain if isinstance(core, AnalogCore)]

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the cores."""
        return self.cores[0].dtype

    def digital_layers(self) -> list[nn.Module]:
        """An encoder per core, and the readout."""
        return [*self.encoders, self.readout]

    def analog_parameters(self) -> list[nn.Parameter]:
        """What the crossbars store: W, U, b of every core."""
        return list(self.chain.parameters())

    def digital_parameters(self) -> list[nn.Parameter]:
        """Encoders and readout."""
        return [*self.encoders.parameters(), *self.readout.parameters()]
