"""Keep outliers out of a crossbar: its largest weight sets the scale of every device's error."""

from collections.abc import Sequence

import torch
from torch import nn

from analogdeq.cores.analog import AnalogCore


@torch.no_grad()
def clip_outliers_(cores: Sequence[AnalogCore], limit: float) -> None:
    """Clip W, U and b, in place, each to `limit` times its own root mean square.

    A weight's error is R_f times its devices' error, and R_f = max|w| / (g_max - g_min) is that of the largest weight
    of the crossbar. Tensors that follow from a parametrisation are left to it.

    Args:
        cores: dense, convolutional or of oscillators.
        limit: [1]. Above 1, or nothing would be left of a tensor whose entries are equal in size.

    Source: V. Joshi et al., Nat. Commun. 11:2473 (2020), who clip each layer's weights to a multiple of their standard
    deviation while they train with noise.
    """
    for core in cores:
        for name in ("W", "U", "b"):
            value = core._parameters.get(name)
            if isinstance(value, nn.Parameter) and not value.is_complex():
                bound = limit * float(value.square().mean().sqrt())
                value.clamp_(-bound, bound)
