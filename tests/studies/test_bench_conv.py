"""The convolutional benchmark: the two cores it compares are one network, written by index as a check."""

import numpy as np
import pytest
import torch

from analogdeq.studies.bench_conv import bench_conv, conv_core, dense_core
from analogdeq.studies.bench_settle import BenchSpec
from analogdeq.studies.bench_table import format_bench
from unrolling import bias, unrolled

CPU = torch.device("cpu")


@pytest.mark.parametrize("per_position", [False, True])
def test_the_dense_core_is_the_unrolled_one(per_position: bool) -> None:
    core = conv_core((3, 4, 5), 0, per_position=per_position, device=CPU)
    dense = dense_core(core)
    np.testing.assert_array_equal(dense.W.numpy(), unrolled(core.W, (4, 5)).astype(np.float32))
    np.testing.assert_array_equal(dense.U.numpy(), unrolled(core.U, (4, 5)).astype(np.float32))
    np.testing.assert_allclose(dense.b.numpy(), bias(core), rtol=1e-6)


def test_kernels_of_their_own_differ_and_have_the_size_asked_for() -> None:
    one, many = (conv_core((16, 8, 8), 0, per_position=p, device=CPU) for p in (False, True))
    assert many.W.shape == (8, 8, *one.W.shape)
    spread = (many.W / one.W - 1).std().item()
    assert spread == pytest.approx(0.02, rel=0.02)
    radius = np.abs(np.linalg.eigvals(unrolled(one.W, (8, 8)))).max()
    assert radius == pytest.approx(0.9, rel=0.1)


def test_the_rows_are_of_equal_equilibria_and_stand_in_the_table() -> None:
    rows = bench_conv((3, 4, 4), 5, 0, 1, CPU)
    assert [row["core"] for row in rows] == [
        "dense, one kernel", "ConvCore, one kernel", "dense, a kernel per position", "ConvCore, a kernel per position",
    ]  # fmt: skip
    assert [row["weights"] for row in rows] == [48**2, 3 * 3 * 9, 48**2, 16 * 3 * 3 * 9]
    for dense, conv in (rows[:2], rows[2:]):
        assert conv["difference"] < 1e-5
        assert conv["over_dense"] == pytest.approx(conv["ms"] / dense["ms"])
        assert dense["over_dense"] == 1
    spec = vars(BenchSpec(conv=(3, 4, 4), batch=5))
    about = {"machine": "m", "torch": "t", "date": "d", "one_evaluation_s": 1e-6, "one_product_s": 1e-6}
    table = format_bench({"spec": spec, **about, "rows": [], "conv": rows, "joules": [], "skipped": []})
    assert "ConvCore of 3 x 4 x 4 = 48 nodes" in table
    for row in rows:
        (line,) = [line for line in table.splitlines() if line.startswith(row["core"])]
        assert f"{row['over_dense']:.2f}" in line
