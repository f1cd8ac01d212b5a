"""Products with W for a few samples at a time.

A BLAS copies W into the order its kernel reads it in anew for every product; for few samples that takes longer than the
product. Here the sums of six samples with the columns of a panel stay in registers while the nodes go by, and the rows
of W^T are read where they are, or where registers are few, from a copy that is made once.

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

from analogdeq.solve.compiled.jit import in_place

IS_WIDE = bool(get_host_cpu_features().get("avx512f"))
"""Whether there are 32 registers of 64 bytes, not 16 of 32."""
REGISTER, ACROSS = (64, 4) if IS_WIDE else (32, 2)
"""Bytes; and how many of them hold a row of a panel, and as many the sums of a sample."""
WIDTH = ACROSS * REGISTER
"""Bytes of a row of a panel."""
TOGETHER = 6
"""Samples whose sums are in registers at a time."""
BLOCK = 256
"""Nodes of a panel that go by before the next panel's, where these are in memory beside them and not behind them."""
FAR = 2**22
"""Bytes of W beyond which it comes from memory for every product."""
CACHE_LINE = 64
"""Bytes."""


def in_order(W: np.ndarray) -> np.ndarray:
    """W^T as `product` reads it: (node, column), or where registers are few in panels (panel and node, column).

    A row of a narrow panel is one cache line. Where these are as far from each other as rows are, processors fetch
    them too late, and the product of 1024 nodes takes twice as long. Wide ones take 5 % longer.
    """
    if IS_WIDE:
        return torch.from_numpy(W.T).contiguous().numpy()  # `RCCore` keeps it so; torch copies twenty times faster
    width = WIDTH // W.itemsize
    return in_panels(W, width).reshape(-1, width)


def in_panels(W: np.ndarray, width: int) -> np.ndarray:
    """W^T (panel, node, column), so many columns after the other; zero beyond the last node."""
    n_nodes = W.shape[0]
    n_panels = -(-n_nodes // width)
    panels = torch.empty(n_panels, n_nodes, width, dtype=torch.from_numpy(W[:0]).dtype)  # begins with a cache line
    if n_panels * width > n_nodes:
        padded = np.zeros_like(W, shape=(n_panels * width, n_nodes))
        padded[:n_nodes] = W
        W = padded
    if W.flags.f_contiguous:
        panels.copy_(torch.from_numpy(W.T).view(n_nodes, n_panels, width).transpose(0, 1))
    else:
        panels.numpy()[:] = W.reshape(n_panels, width, n_nodes).transpose(0, 2, 1)
    return panels.numpy()


@in_place
def product(weights, points, out, count):
    """out[s] = W points[s] for the first `count` samples.

    Args:
        weights: W^T, as `in_order` makes it; or any (node, column).
        points: (slot, node). The vectors.
        out: (slot, column). Rows may be apart.
        count: samples.
    """
    n_nodes, n_columns, width = points.shape[1], out.shape[1], WIDTH // weights.itemsize
    is_in_panels = weights.shape[0] != n_nodes
    block = n_nodes if is_in_panels else BLOCK
    ahead = width if weights.nbytes > FAR else 0
    for start in range(0, n_nodes, block):
        for column in range(0, n_columns, width):
            row = n_nodes * (column // width) if is_in_panels else 0
            at = 0 if is_in_panels else column
            rows = (row, start, min(start + block, n_nodes), ahead)
            if n_columns - column > width // 2:
                _multiply_wide(weights, rows, at, points, count, out, column)
            else:
                _multiply_narrow(weights, rows, at, points, count, out, column)


def _by_number_of_samples(registers: int) -> Any:
    """The function that multiplies all samples with a panel so many registers wide."""
    one, two, three, four, five, six = (_multiplication(samples, registers) for samples in range(1, TOGETHER + 1))

    @in_place
    def multiply(weights, rows, at, points, count, out, column):
        for first in range(0, count, TOGETHER):
            left = count - first
            if left >= TOGETHER:
                six(weights, rows, at, points, first, out, column)
            elif left == 5:
                five(weights, rows, at, points, first, out, column)
            elif left == 4:
                four(weights, rows, at, points, first, out, column)
            elif left == 3:
                three(weights, rows, at, points, first, out, column)
            elif left == 2:
                two(weights, rows, at, points, first, out, column)
            else:
                one(weights, rows, at, points, first, out, column)

    return multiply


def _multiplication(samples: int, registers: int) -> Any:
    """The function that multiplies so many samples, from the slot `first` on, with some rows of a panel.

    Its arguments are the weights; the row of node 0, the first node, the one after the last, and how many columns
    farther memory is asked for those needed next; the column of the weights; the vectors; the first slot; the results,
    to which is added unless node 0 is the first; and their column.
    """

    @intrinsic
    def multiply_some(context, weights, rows, at, points, first, out, column):
        def generate(context, builder, signature, arguments):
            weights, points, out = (
                context.make_array(signature.args[k])(context, builder, arguments[k]) for k in (0, 3, 5)
            )
            origin, start, stop, ahead = cgutils.unpack_tuple(builder, arguments[1])
            at, first, column = arguments[2], arguments[4], arguments[6]
            number = signature.args[5].dtype
            lanes, size = registers * REGISTER * 8 // number.bitwidth, number.bitwidth // 8
            vector, integer = ir.VectorType(context.get_value_type(number), lanes), at.type
            (_, width), (_, n_nodes), (_, n_columns) = (
                cgutils.unpack_tuple(builder, array.shape) for array in (weights, points, out)
            )
            pitch = builder.sdiv(cgutils.unpack_tuple(builder, out.strides)[0], at.type(size), flags=("exact",))
            memory = _Memory(builder, vector, size, builder.sub(n_columns, column))

            def place(array: Any, row: Any, length: Any, column: Any) -> Any:
                return builder.gep(array.data, [builder.add(builder.mul(row, length), column)])

            slots = [builder.add(first, integer(s)) for s in range(samples)]
            states = [place(points, slot, n_nodes, integer(0)) for slot in slots]
            targets = [place(out, slot, pitch, column) for slot in slots]
            sums = [cgutils.alloca_once(builder, vector) for _ in slots]

            def add_up(is_whole: bool) -> None:
                for total, target in zip(sums, targets, strict=True):
                    builder.store(ir.Constant(vector, None), total)
                    with builder.if_then(builder.icmp_signed(">", start, integer(0))):
                        builder.store(memory.load(target, is_whole), total)
                with cgutils.for_range_slice(builder, start, stop, integer(1), intp=integer) as (node, _):
                    line = place(weights, builder.add(origin, node), width, at)
                    if registers == ACROSS and IS_WIDE:
                        memory.prefetch(builder.gep(line, [ahead]))
                    panel = memory.load(line, is_whole)
                    for state, total in zip(states, sums, strict=True):
                        factor = memory.everywhere(builder.load(builder.gep(state, [node])))
                        part = builder.fmul(panel, factor, flags=("contract",))
                        builder.store(builder.fadd(builder.load(total), part, flags=("contract",)), total)
                for total, target in zip(sums, targets, strict=True):
                    memory.store(builder.load(total), target, is_whole)

            fits = builder.icmp_signed(">=", memory.left, integer(lanes))
            with builder.if_else(fits) as (is_whole, is_last):
                with is_whole:
                    add_up(True)
                with is_last:
                    add_up(False)
            return context.get_dummy_value()

        return types.void(weights, rows, at, points, first, out, column), generate

    return multiply_some


class _Memory:
    """Vectors from and to memory, the last ones of a row no farther than the row goes."""

    def __init__(self, builder: Any, vector: Any, size: int, left: Any) -> None:
        """Vectors of numbers of `size` bytes, of which `left` are left in the row."""
        self.builder, self.vector, self.size, self.left = builder, vector, size, left
        self.suffix = f"v{vector.count}f{8 * size}.p0"
        lanes = ir.Constant(ir.VectorType(left.type, vector.count), list(range(vector.count)))
        self.mask = builder.icmp_signed("<", lanes, self.everywhere(left))

    def load(self, pointer: Any, is_whole: bool) -> Any:
        """The vector there, zeros beyond the row."""
        if is_whole:
            return self.builder.load(self._typed(pointer), align=self.size)
        kinds = (self._pointer, _INT, self.mask.type, self.vector)
        function = self._intrinsic("masked.load", self.vector, kinds)
        nothing = ir.Constant(self.vector, None)
        return self.builder.call(function, (self._typed(pointer), _INT(self.size), self.mask, nothing))

    def store(self, value: Any, pointer: Any, is_whole: bool) -> None:
        """Write a vector there, up to the end of the row."""
        if is_whole:
            self.builder.store(value, self._typed(pointer), align=self.size)
            return
        function = self._intrinsic("masked.store", ir.VoidType(), (self.vector, self._pointer, _INT, self.mask.type))
        self.builder.call(function, (value, self._typed(pointer), _INT(self.size), self.mask))

    def prefetch(self, pointer: Any) -> None:
        """Ask for the vector there."""
        kinds = (ir.IntType(8).as_pointer(), _INT, _INT, _INT)
        kind = ir.FunctionType(ir.VoidType(), kinds)
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        for offset in range(0, self.vector.count * self.size, CACHE_LINE):
            line = self.builder.gep(pointer, [self.left.type(offset // self.size)])
            self.builder.call(function, (self.builder.bitcast(line, kinds[0]), _INT(0), _INT(3), _INT(1)))

    def everywhere(self, number: Any) -> Any:
        """A vector of one number."""
        like = ir.VectorType(number.type, self.vector.count)
        nothing = ir.Constant(like, ir.Undefined)
        one = self.builder.insert_element(nothing, number, _INT(0))
        return self.builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(_INT, like.count), None))

    @property
    def _pointer(self) -> Any:
        return self.vector.as_pointer()

    def _typed(self, pointer: Any) -> Any:
        return self.builder.bitcast(pointer, self._pointer)

    def _intrinsic(self, name: str, result: Any, kinds: Any) -> Any:
        kind = ir.FunctionType(result, kinds)
        return cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.{self.suffix}")


_INT = ir.IntType(32)
_multiply_wide, _multiply_narrow = _by_number_of_samples(ACROSS), _by_number_of_samples(ACROSS // 2)
