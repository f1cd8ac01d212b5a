"""The result of `bench settle` as a table for people."""

from typing import Any, Final

NOTES: Final = """\
ms: median of the timed runs. x floor: time over (evaluations x one evaluation of the batch); x product: over the
products W z alone; both are timed before and after each solver, and the means count. buffers: peak memory of a settle
that records nothing, in buffers of B x N numbers; drive and initial state are two of them. worst error: max |z - z*|
over nodes and samples (the first 128), z* from a float64 root finder. Peers integrate to the tau shown, where the
slowest native sample stopped; they report no settling time and no verdict. tolerance: rtol 1e-4 relative to |z| for
the peers; native steppers 1e-3 relative to the remaining motion (their default): a measure of |z - z*|, so the
tighter once a sample nearly rests."""


def format_bench(result: dict[str, Any]) -> str:
    """The result as a table with its assumptions beneath."""
    spec = result["spec"]
    lines = [
        f"N = {spec['nodes']}, B = {spec['batch']}, spectral radius {spec['radius']}, tau spread {spec['spread']} "
        f"(log-normal), float32, {spec['device']}, {result['machine']}, torch {result['torch']}, {result['date']}",
        f"one evaluation of the derivative: {1e6 * result['one_evaluation_s']:.0f} us, "
        f"of it the product W z: {1e6 * result['one_product_s']:.0f} us",
        "",
        f"{'solver':28s} {'ms':>9s} {'min':>9s} {'evaluations':>12s} {'x floor':>8s} {'x product':>9s} "
        f"{'worst error':>12s} {'tau':>7s} {'buffers':>8s}",
    ]
    lines += [_line(row) for row in result["rows"]]
    lines += ["", *result["skipped"]]
    lines += NOTES.splitlines()
    if result["joules"]:
        lines += ["", *_joule_lines(result["joules"])]
    if result["conv"]:
        lines += ["", *_conv_lines(spec, result["conv"])]
    return "\n".join(lines)


def _line(row: dict[str, Any]) -> str:
    buffers = f"{row['buffers']:8.1f}" if "buffers" in row else f"{'':8s}"
    return (
        f"{row['solver']:28s} {row['ms']:9.2f} {row['ms_min']:9.2f} {row['evaluations']:12.1f} "
        f"{row['over_floor']:8.2f} {row['over_products']:9.2f} {row['worst_error']:12.1e} {row['interval_tau']:7.1f} "
        f"{buffers}"
    ).rstrip()


def _joule_lines(rows: list[dict[str, Any]]) -> list[str]:
    return [
        "The same weights on a crossbar with equal time constants, with and without its joules:",
        f"{'core':28s} {'ms':>9s} {'min':>9s} {'evaluations':>12s} {'x alone':>8s} {'power terms':>12s} "
        f"{'difference':>12s}",
        *(
            f"{row['core']:28s} {row['ms']:9.2f} {row['ms_min']:9.2f} {row['evaluations']:12.1f} "
            f"{row['over_bare']:8.2f} {row['terms']:12d} {row['difference']:12.1e}"
            for row in rows
        ),
        "x alone: time over that without joules. difference: of the settling times, relative, at the most.",
    ]


def _conv_lines(spec: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    channels, height, width = spec["conv"]
    return [
        f"ConvCore of {channels} x {height} x {width} = {channels * height * width} nodes, kernels 3 x 3, against the "
        f"dense core of its unrolled matrix, B = {spec['batch']}:",
        f"{'core':28s} {'ms':>9s} {'min':>9s} {'weights':>12s} {'x dense':>8s} {'difference':>12s}",
        *(
            f"{row['core']:28s} {row['ms']:9.2f} {row['ms_min']:9.2f} {row['weights']:12d} {row['over_dense']:8.2f} "
            f"{row['difference']:12.1e}"
            for row in rows
        ),
        "x dense: time over the dense core's. difference: max |z - z of the dense core| where both rest.",
    ]
