"""Which lines the crossbars of a convolution are wired to: one crossbar per output position."""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional


@final
@dataclass(frozen=True)
class Window:
    """The part of an image that one crossbar reads: so many channels of so many pixels around its position.

    Attributes:
        channels: lines per pixel.
        sides: height and width of the kernel, both odd.
    """

    channels: int
    sides: tuple[int, int]

    @property
    def n_columns(self) -> int:
        """Columns of a crossbar that reads all of it, channel by channel and row by row."""
        return self.channels * math.prod(self.sides)

    @property
    def rim(self) -> tuple[int, int]:
        """How many rows and columns of pixels it reaches past its centre."""
        return self.sides[0] // 2, self.sides[1] // 2


@final
@dataclass(frozen=True)
class Tiling:
    """One crossbar per pixel of a height x width image, with one row per channel of the state.

    Its columns: the window of the state around the pixel, the window of the input, and the bias. A column that would
    lie outside the image is not built: it would carry no signal, only conductance.

    Attributes:
        height: crossbars from top to bottom.
        width: crossbars from left to right.
        state: what the feedback columns read.
        input: what the input columns read.
    """

    height: int
    width: int
    state: Window
    input: Window

    @property
    def n_crossbars(self) -> int:
        """One per output position."""
        return self.height * self.width

    @property
    def n_rows(self) -> int:
        """Rows of each crossbar: the nodes at its position."""
        return self.state.channels

    @property
    def column_groups(self) -> tuple[int, int, int]:
        """How many columns of a crossbar in the middle of the image read the state, the input and the bias."""
        return self.state.n_columns, self.input.n_columns, 1

    def built(self) -> Tensor:
        """(crossbar, column) float64: 1 where a column is built, 0 where it would read padding."""
        bias = torch.ones(self.n_crossbars, 1, dtype=torch.float64)
        return torch.cat((self._inside(self.state), self._inside(self.input), bias), 1)

    def sum_by_line(self, column: Tensor) -> Tensor:
        """(crossbar, column) -> (line,): what hangs on each node's line, each input's line, and the bias line."""
        state, inputs, bias = column.split(self.column_groups, 1)
        return torch.cat((self._on_lines(self.state, state), self._on_lines(self.input, inputs), bias.sum(0)))

    def _inside(self, window: Window) -> Tensor:
        """(crossbar, column): the image of ones, seen through the window."""
        ones = torch.ones(1, window.channels, self.height, self.width, dtype=torch.float64)
        return functional.unfold(ones, window.sides, padding=window.rim)[0].T

    def _on_lines(self, window: Window, column: Tensor) -> Tensor:
        """(crossbar, column) -> (channel x height x width,): the windows laid back over the image and added up."""
        return functional.fold(column.T, (self.height, self.width), window.sides, padding=window.rim).flatten()
