"""`analogdeq bench adjoint` and `analogdeq bench train`: how exact gradients are, and what a training step costs."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from analogdeq.cli.console import ConsoleProgress, print_files, print_json
from analogdeq.cli.options import JsonOption

app = typer.Typer(rich_markup_mode=None)

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
