"""`analogdeq bench`: how fast it is here, beside its peers, in one run."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from analogdeq.cli.console import ConsoleProgress, print_files, print_json
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
    method: Annotated[str, typer.Option(help="Method of the settle.")] = "tsit5",
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


ADJOINT_HELP = """Solve (I - J^T) v = g with noisy products, by every method, and say how wrong v is.

On a random core and on a trained one: the run directory given with --run, or digits-crossbar trained here for --epochs.
Writes adjoint.csv, adjoint.txt and adjoint.png into --out.

Examples:

  analogdeq bench adjoint --out adjoint

  analogdeq bench adjoint --run runs/mine --levels 0.03,0.3 --budgets 20,60 --out adjoint
"""


@app.command("adjoint", help=ADJOINT_HELP)
def adjoint(
    out: Annotated[Path, typer.Option("--out", file_okay=False, help="Folder for CSV, table and plot.")] = Path(
        "adjoint"
    ),
    run: Annotated[Path | None, typer.Option("--run", help="A run directory with a trained network.")] = None,
    epochs: Annotated[int, typer.Option(min=0, help="Training of the trained core, without --run.")] = 20,
    levels: Annotated[str, typer.Option(help="Noise levels, separated by commas.")] = "0.01,0.1",
    budgets: Annotated[str, typer.Option(help="Products with J^T, separated by commas.")] = "15,30,60,120",
    samples: Annotated[int, typer.Option(min=1, help="Systems per core.")] = 8,
    draws: Annotated[int, typer.Option(min=1, help="Noise draws per system.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of the random core and the noise.")] = 0,
    json: JsonOption = False,
) -> None:
    """See `ADJOINT_HELP`."""
    from analogdeq.report.plots.adjoint import plot_adjoint
    from analogdeq.report.plots.png import png_bytes
    from analogdeq.runs import workflow
    from analogdeq.runs.adjoint import trained_here, trained_problem
    from analogdeq.scenario import load_scenario
    from analogdeq.studies import bench_adjoint as study

    spec = study.AdjointSpec(
        levels=_numbers("levels", levels), budgets=tuple(map(int, _numbers("budgets", budgets))), draws=draws, seed=seed
    )
    with ConsoleProgress(quiet=json) as progress:
        if run is None:
            scenario = load_scenario("digits-crossbar", [f"train.epochs={epochs}"])
            model = trained_here(scenario, progress)
        else:
            scenario, model = workflow.network(str(run), None, None)
        problems = [
            study.random_problem(samples=samples, seed=seed),
            trained_problem("trained", model, scenario, samples),
        ]
        rows = study.bench_adjoint(spec, problems, lambda done, total: progress.update("solving", done, total))
    table = "\n".join(study.as_table(rows, problems, budget) for budget in spec.budgets)
    out.mkdir(parents=True, exist_ok=True)
    files = {"rows": out / "adjoint.csv", "table": out / "adjoint.txt", "plot": out / "adjoint.png"}
    files["rows"].write_text(study.as_csv(rows), encoding="utf-8")
    files["table"].write_text(table + "\n", encoding="utf-8")
    files["plot"].write_bytes(png_bytes(plot_adjoint([asdict(row) for row in rows])))
    if json:
        print_json({"spec": asdict(spec), "rows": [asdict(row) for row in rows]})
    else:
        typer.echo(table)
        print_files({name: str(path) for name, path in files.items()})


def _numbers(name: str, text: str) -> tuple[float, ...]:
    """Positive numbers separated by commas."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(0 < value < 1e9 for value in values):
        raise typer.BadParameter(f"--{name} {text!r}: want positive numbers separated by commas, such as 0.01,0.1")
    return values


TRAIN_HELP = """Time one training step: plain fixed point, ours by root finder and as an ODE, torchdeq, torchdiffeq.

Each way runs with the loosest tolerance of its own whose gradient is exact to --max-error. torchdeq is skipped, with a
word, where it is not installed.

Examples:

  analogdeq bench train

  analogdeq bench train --nodes 64 --batch 32 --repeat 15 --json
"""


@app.command("train", help=TRAIN_HELP)
def train(
    nodes: Annotated[int, typer.Option(min=2, help="Nodes N, and inputs.")] = 256,
    batch: Annotated[int, typer.Option(min=1, help="Samples B.")] = 128,
    radius: Annotated[float, typer.Option(min=0.0, max=0.99, help="Spectral radius of W.")] = 0.9,
    max_error: Annotated[float, typer.Option(min=1e-6, max=0.5, help="Relative error of the gradient.")] = 1e-4,
    repeat: Annotated[int, typer.Option(min=1, help="Rounds, each timing every way once.")] = 7,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the core, the inputs and the targets.")] = 0,
    json: JsonOption = False,
) -> None:
    """See `TRAIN_HELP`."""
    from analogdeq.studies.bench_train import TrainSpec, bench_train, format_train

    result = bench_train(
        TrainSpec(
            nodes=nodes, batch=batch, radius=radius, max_error=max_error, repeat=repeat, threads=threads, seed=seed
        )
    )
    if json:
        print_json(result)
    else:
        typer.echo(format_train(result))
