"""`analogdeq bench maxcut` and `bench oscillators`: cuts of coupled oscillators, and what their settle costs."""

from typing import Annotated

import typer

from analogdeq.cli.console import print_json
from analogdeq.cli.options import JsonOption

app = typer.Typer(rich_markup_mode=None)

MAXCUT_HELP = """Cut a random graph with coupled oscillators: success rate, time, cycles and joules per solution.

A graph of at most 20 nodes is also cut by trying every cut, which then is the one wanted; a planar one with --density 1
has a maximum cut of 2 N - 4; of any other the best cut of all trials is wanted, unless --wanted names one.

Graphs are of the kinds of the Gset collection (random: G1 to G5; signed: G6 to G10; toroidal: G11 to G13; planar-union:
G14 to G17), not those graphs. Shares of edges compare, or energies per node where weights have both signs.

Examples:

  analogdeq bench maxcut

  analogdeq bench maxcut --graph random --nodes 800 --density 0.06 --anneal-tau 300

  analogdeq bench maxcut --graph planar-union --nodes 800 --anneal-tau 300

  analogdeq bench maxcut --graph kings --nodes 1968 --anneal-tau 20 --trials 8 --json
"""


@app.command("maxcut", help=MAXCUT_HELP)
def maxcut(
    graph: Annotated[str, typer.Option(help="random, signed, toroidal, planar, planar-union or kings.")] = "random",
    nodes: Annotated[int, typer.Option(min=2, help="Nodes N.")] = 16,
    density: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Share of pairs that are edges, 0.5 if left out; of planar graphs, of 3 N - 6, 0.99 if left out.",
        ),
    ] = None,
    oscillators: Annotated[str, typer.Option(help="A preset under data/oscillators/.")] = "ring-65nm",
    trials: Annotated[int, typer.Option(min=1, help="Independent starts, settled together.")] = 32,
    anneal_tau: Annotated[float, typer.Option(min=1.0, help="Time of the anneal [tau].")] = 100.0,
    wanted: Annotated[float | None, typer.Option(help="The cut that counts as a success.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the graph, the starts and the noise.")] = 0,
    json: JsonOption = False,
) -> None:
    """See `MAXCUT_HELP`."""
    from analogdeq.studies.bench_maxcut import MaxCutSpec, bench_maxcut
    from analogdeq.studies.maxcut import format_maxcut

    result = bench_maxcut(
        MaxCutSpec(
            graph=graph, nodes=nodes, density=density, oscillators=oscillators, trials=trials, anneal_tau=anneal_tau,
            wanted=wanted, seed=seed,
        )
    )  # fmt: skip
    if json:
        print_json(result)
    else:
        typer.echo(format_maxcut(result))


OSCILLATORS_HELP = """Processor time of settling phase oscillators to lock, over that of its evaluations and products.

A dense network and one of a few neighbours each, float32, on one thread.

Example:

  analogdeq bench oscillators --nodes 1024 --batch 64
"""


@app.command("oscillators", help=OSCILLATORS_HELP)
def oscillators(
    nodes: Annotated[int, typer.Option(min=2, help="Oscillators N.")] = 1024,
    batch: Annotated[int, typer.Option(min=1, help="Samples B.")] = 64,
    neighbours: Annotated[int, typer.Option(min=1, help="Of each oscillator in the sparse network.")] = 8,
    repeat: Annotated[int, typer.Option(min=1, help="Timed settles of each network; the median is printed.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of the networks and the inputs.")] = 0,
    json: JsonOption = False,
) -> None:
    """See `OSCILLATORS_HELP`."""
    from analogdeq.studies.bench_oscillators import OscillatorBenchSpec, bench_oscillators, format_oscillator_bench

    result = bench_oscillators(
        OscillatorBenchSpec(nodes=nodes, batch=batch, neighbours=neighbours, repeat=repeat, seed=seed)
    )
    if json:
        print_json(result)
    else:
        typer.echo(format_oscillator_bench(result))
