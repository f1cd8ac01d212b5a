"""`analogdeq bench`: how fast it is here, beside its peers, in one run."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from analogdeq.cli.console import print_json
from analogdeq.cli.options import JsonOption

app = typer.Typer(
    help="Benchmarks.\n\nExample:\n\n  analogdeq bench settle", no_args_is_help=True, rich_markup_mode=None
)

DeviceOption = Annotated[str, typer.Option("--device", help="Where to run: cpu, cuda or cuda:1.")]
ThreadsOption = Annotated[int, typer.Option(min=1, help="Processor threads.")]

SETTLE_HELP = """Time the native steppers against torchdiffeq, and torchode and diffrax where they are installed.

All integrate tau dz/dt = -z + tanh(W z + U u + b) on the same random core, in float32, until every sample is within
1e-3 of rest. A convolutional core is timed against the dense core of its unrolled matrix.

Examples:

  analogdeq bench settle

  analogdeq bench settle --nodes 64 --batch 64 --repeat 10 --json

  analogdeq bench settle --nodes 1024 --batch 4096 --device cuda
"""


@app.command("settle", help=SETTLE_HELP)
def settle(
    nodes: Annotated[int, typer.Option(min=2, help="Nodes N.")] = 256,
    batch: Annotated[int, typer.Option(min=1, help="Samples B.")] = 128,
    radius: Annotated[float, typer.Option(min=0.0, max=0.99, help="Spectral radius of W.")] = 0.9,
    spread: Annotated[float, typer.Option(min=0.0, max=3.0, help="Log-normal spread of the time constants.")] = 0.3,
    repeat: Annotated[int, typer.Option(min=1, help="Timed runs of each solver; the median is printed.")] = 5,
    threads: ThreadsOption = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the core and the inputs.")] = 0,
    device: DeviceOption = "cpu",
    conv: Annotated[bool, typer.Option("--conv/--no-conv", help="Time a convolutional core too.")] = True,
    json: JsonOption = False,
) -> None:
    """See `SETTLE_HELP`."""
    from analogdeq.studies.bench_settle import BenchSpec, bench_settle
    from analogdeq.studies.bench_table import format_bench

    spec = BenchSpec(
        nodes=nodes,
        batch=batch,
        radius=radius,
        spread=spread,
        repeat=repeat,
        threads=threads,
        seed=seed,
        device=device,
    )
    result = bench_settle(spec if conv else replace(spec, conv=None))
    if json:
        print_json(result)
    else:
        typer.echo(format_bench(result))


GROWTH_HELP = """Measure how the cost of a settle grows: nodes, samples, spread of the time constants, a closing gap.

One axis at a time climbs a geometric ladder, the others stay at N = 256, B = 64, equal time constants and a gap of 0.1;
a power law is fitted to the upper half. Writes growth.csv, growth.md and growth.png. Points that are expected to take
too long are skipped and listed as such; as it is, it takes some three minutes on two cores.

Examples:

  analogdeq bench growth --out growth

  analogdeq bench growth --max-nodes 512 --max-batch 256 --seconds-per-point 1
"""


@app.command("growth", help=GROWTH_HELP)
def growth(
    out: Annotated[Path, typer.Option("--out", file_okay=False, help="Folder for the files.")] = Path("growth"),
    max_nodes: Annotated[int, typer.Option(min=2, help="Top of the ladder of N, from 64.")] = 4096,
    max_batch: Annotated[int, typer.Option(min=1, help="Top of the ladder of B, from 1.")] = 4096,
    max_spread: Annotated[float, typer.Option(min=1.0, max=1e6, help="Top of the tau spread, from 1.")] = 1e4,
    min_gap: Annotated[float, typer.Option(min=1e-4, max=0.9, help="End of the gap, from 0.5.")] = 0.01,
    points: Annotated[int, typer.Option(min=2, help="Rungs of each ladder.")] = 7,
    repeat: Annotated[int, typer.Option(min=1, help="Timed runs of each point; the median counts.")] = 3,
    seconds_per_point: Annotated[float, typer.Option(min=0.01, help="Skip what is expected to take longer.")] = 6.0,
    method: Annotated[str, typer.Option(help="Method of the settle.")] = "auto",
    threads: ThreadsOption = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the networks and the states.")] = 0,
    device: DeviceOption = "cpu",
    json: JsonOption = False,
) -> None:
    """See `GROWTH_HELP`."""
    from analogdeq.report.plots.growth import plot_growth
    from analogdeq.report.plots.png import png_bytes
    from analogdeq.runs.directory import write_whole
    from analogdeq.studies.bench_growth import GrowthSpec, bench_growth
    from analogdeq.studies.growth_table import format_point, growth_csv, growth_table

    spec = GrowthSpec(
        max_nodes=max_nodes, max_batch=max_batch, max_spread=max_spread, min_gap=min_gap, points=points, repeat=repeat,
        seconds_per_point=seconds_per_point, method=method, device=device, threads=threads, seed=seed,
    )  # fmt: skip
    result = bench_growth(spec, lambda point: typer.echo(format_point(point), err=True))
    out.mkdir(parents=True, exist_ok=True)
    files = {
        "growth.csv": growth_csv(result).encode(),
        "growth.md": growth_table(result).encode(),
        "growth.png": png_bytes(plot_growth(result)),
    }
    for name, content in files.items():
        write_whole(out / name, content)
    if json:
        print_json(result.as_dict() | {"files": [str(out / name) for name in files]})
    else:
        typer.echo(growth_table(result) + "\n" + ", ".join(str(out / name) for name in files))


NOISE_HELP = """Time noisy ensembles against torchsde, where it is installed, with the bias of each stationary variance.

Example:

  analogdeq bench noise --nodes 64 --paths 1024
"""


@app.command("noise", help=NOISE_HELP)
def noise(
    nodes: Annotated[int, typer.Option(min=2, help="Nodes N.")] = 64,
    paths: Annotated[int, typer.Option(min=2, help="Paths of the ensemble.")] = 1024,
    until_tau: Annotated[float, typer.Option(min=4.0, help="Time constants integrated.")] = 200.0,
    repeat: Annotated[int, typer.Option(min=1, help="Timed runs of each solver; the median is printed.")] = 3,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the core, the input and the noise.")] = 0,
    srk: Annotated[bool, typer.Option("--srk/--no-srk", help="Run torchsde's default method, the slowest.")] = True,
    json: JsonOption = False,
) -> None:
    """See `NOISE_HELP`."""
    from analogdeq.studies.bench_noise import NoiseBenchSpec, bench_noise, format_noise_bench

    result = bench_noise(
        NoiseBenchSpec(
            nodes=nodes, paths=paths, until_tau=until_tau, repeat=repeat, threads=threads, seed=seed, srk=srk
        )
    )
    if json:
        print_json(result)
    else:
        typer.echo(format_noise_bench(result))
