"""Products with W for a few samples at a time.

A BLAS copies W into the order its kernel reads it in anew for every product; for few samples that takes longer than the
product. Here W is brought into that order once, as panels, and the sums of six samples with the columns of a panel stay
in registers while the nodes go by.

Source: K. Goto, R. van de Geijn, ACM Trans. Math. Softw. 34:12 (2008); F. Van Zee, R. van de Geijn, ibid. 41:14 (2015).
"""

from typing import Any

import numpy as np
import torch
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from analogdeq.solve.compiled.jit import compiled

REGISTER = 64 if get_host_cpu_features().get("avx512f") else 32
"""Bytes."""
WIDTH = 2 * REGISTER
"""Bytes of a row of a panel: two registers for each sample, two for the row, one for a node's state fit where there are
sixteen."""
TOGETHER = 6
"""Samples whose sums are in registers at a time."""


def in_panels(W: np.ndarray) -> np.ndarray:
    """W^T (panel, node, column), a few columns after the other; zero beyond the last node."""
    n_nodes, width = W.shape[0], WIDTH // W.itemsize
    n_panels = -(-n_nodes // width)
    panels = torch.empty(n_panels, n_nodes, width, dtype=torch.from_numpy(W[:0]).dtype)  # begins with a cache line
    if n_panels * width > n_nodes:
        padded = np.zeros_like(W, shape=(n_panels * width, n_nodes))
        padded[:n_nodes] = W
        W = padded
    if W.flags.f_contiguous:  # as `RCCore` keeps it; torch copies this twenty times faster than numpy
        panels.copy_(torch.from_numpy(W.T).view(n_nodes, n_panels, width).transpose(0, 1))
    else:
        panels.numpy()[:] = W.reshape(n_panels, width, n_nodes).transpose(0, 2, 1)
    return panels.numpy()


@compiled
def product(panels, points, out, count):
    """out[s] = W points[s] for the first `count` samples.

    Args:
        panels: (panel, node, column). As `in_panels` makes them.
        points: (slot, node). The vectors.
        out: (slot, node).
        count: samples.
    """
    for panel in range(panels.shape[0]):
        multiply(panels, panel, points, count, out)


@compiled
def multiply(panels, panel, points, count, out):
    """The columns of one panel of out[s] = W points[s].

    Args:
        panels: as in `product`; or (node, column), a matrix whose rows lie as they are, a whole number of panels long.
        panel: which.
        points: (slot, node). Rows may be longer than there are nodes.
        count: samples.
        out: (slot, node). Its rows are as long as those of `points`.
    """
    for first in range(0, count, TOGETHER):
        left = count - first
        if left >= TOGETHER:
            _multiply_6(panels, panel, points, first, out)
        elif left == 5:
            _multiply_5(panels, panel, points, first, out)
        elif left == 4:
            _multiply_4(panels, panel, points, first, out)
        elif left == 3:
            _multiply_3(panels, panel, points, first, out)
        elif left == 2:
            _multiply_2(panels, panel, points, first, out)
        else:
            _multiply_1(panels, panel, points, first, out)


def _multiplication(samples: int) -> Any:
    """The function that multiplies so many samples, from the slot `first` on, with one panel."""

    @intrinsic
    def multiply_some(context, panels, panel, points, first, out):
        def generate(context, builder, signature, arguments):
            panels, points, out = (
                context.make_array(signature.args[k])(context, builder, arguments[k]) for k in (0, 2, 4)
            )
            panel, first = arguments[1], arguments[3]
            number = signature.args[4].dtype
            lanes, size = WIDTH * 8 // number.bitwidth, number.bitwidth // 8
            vector = ir.VectorType(context.get_value_type(number), lanes)
            integer = panel.type
            *_, n_nodes, width = cgutils.unpack_tuple(builder, panels.shape)
            _, row_length = cgutils.unpack_tuple(builder, points.shape)

            def row(array: Any, index: Any, length: Any) -> Any:
                return builder.gep(array.data, [builder.mul(index, length)])

            def at(pointer: Any, index: Any) -> Any:
                return builder.bitcast(builder.gep(pointer, [index]), vector.as_pointer())

            slots = [builder.add(first, integer(s)) for s in range(samples)]
            states = [row(points, slot, row_length) for slot in slots]
            is_whole_matrix = signature.args[0].ndim == 2
            weights = row(panels, panel, integer(lanes) if is_whole_matrix else builder.mul(n_nodes, integer(lanes)))
            step = width if is_whole_matrix else integer(lanes)
            sums = [cgutils.alloca_once(builder, vector) for _ in slots]
            for total in sums:
                builder.store(ir.Constant(vector, None), total)
            first_lane = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
            nothing = ir.Constant(vector, ir.Undefined)
            with cgutils.for_range(builder, n_nodes, intp=integer) as loop:
                column = builder.load(at(weights, builder.mul(loop.index, step)), align=size)
                for state, total in zip(states, sums, strict=True):
                    one = builder.insert_element(nothing, builder.load(builder.gep(state, [loop.index])), integer(0))
                    everywhere = builder.shuffle_vector(one, nothing, first_lane)
                    part = builder.fmul(column, everywhere, flags=("contract",))
                    builder.store(builder.fadd(builder.load(total), part, flags=("contract",)), total)
            node = builder.mul(panel, integer(lanes))
            left = builder.sub(row_length, node)
            with builder.if_else(builder.icmp_signed(">=", left, integer(lanes))) as (is_whole, is_last):
                with is_whole:
                    for slot, total in zip(slots, sums, strict=True):
                        builder.store(builder.load(total), at(row(out, slot, row_length), node), align=size)
                with is_last:
                    for slot, total in zip(slots, sums, strict=True):
                        target = builder.gep(row(out, slot, row_length), [node])
                        cgutils.memcpy(builder, target, builder.bitcast(total, target.type), left)
            return context.get_dummy_value()

        return types.void(panels, panel, points, first, out), generate

    return multiply_some


_multiply_1, _multiply_2, _multiply_3, _multiply_4, _multiply_5, _multiply_6 = map(
    _multiplication, range(1, TOGETHER + 1)
)
