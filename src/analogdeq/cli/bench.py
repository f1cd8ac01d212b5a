"""`analogdeq bench`: how fast it is here, beside its peers, in one run."""

from typing import Annotated

import typer

from analogdeq.cli.console import print_json
from analogdeq.cli.options import JsonOption

app = typer.Typer(
    help="Benchmarks.\n\nExample:\n\n  analogdeq bench settle", no_args_is_help=True, rich_markup_mode=None
)

SETTLE_HELP = """Time the native steppers against torchdiffeq, and torchode and diffrax where they are installed.

All integrate tau dz/dt = -z + tanh(W z + U u + b) on the same random core, in float32, until every sample is within
1e-3 of rest.

Examples:

  analogdeq bench settle

  analogdeq bench settle --nodes 64 --batch 64 --repeat 10 --json
"""


@app.command("settle", help=SETTLE_HELP)
def settle(
    nodes: Annotated[int, typer.Option(min=2, help="Nodes N.")] = 256,
    batch: Annotated[int, typer.Option(min=1, help="Samples B.")] = 128,
    radius: Annotated[float, typer.Option(min=0.0, max=0.99, help="Spectral radius of W.")] = 0.9,
    spread: Annotated[float, typer.Option(min=0.0, max=3.0, help="Log-normal spread of the time constants.")] = 0.3,
    repeat: Annotated[int, typer.Option(min=1, help="Timed runs of each solver; the median is printed.")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the core and the inputs.")] = 0,
    json: JsonOption = False,
) -> None:
    """See `SETTLE_HELP`."""
    from analogdeq.studies.bench_settle import BenchSpec, bench_settle, format_bench

    result = bench_settle(
        BenchSpec(nodes=nodes, batch=batch, radius=radius, spread=spread, repeat=repeat, threads=threads, seed=seed)
    )
    if json:
        print_json(result)
    else:
        typer.echo(format_bench(result))
