"""A run of eight nodes, one epoch and forty test images."""

from pathlib import Path

from analogdeq.runs import workflow
from analogdeq.runs.directory import RunDirectory
from analogdeq.scenario import Scenario, load_scenario

SMALL = (
    "model.nodes=8",
    "model.inputs=8",
    "train.epochs=1",
    "train.batch_size=256",
    "task.test_limit=40",
    "trace.samples=3",
    "trace.interval_tau=0.5",
)


class Silence:
    """A progress that remembers instead of drawing."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int, str]] = []

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        self.calls.append((stage, done, total, note))


SILENT = Silence()


def small_scenario(*changes: str) -> Scenario:
    return load_scenario("digits-crossbar", [*SMALL, *changes])


def make_run(folder: Path, progress: Silence, *changes: str) -> Path:
    """What `analogdeq run` does."""
    with RunDirectory.create(small_scenario(*changes), folder) as run:
        scenario = run.scenario()
        workflow.train_run(run, resume=False, progress=progress)
        workflow.evaluate_run(run, scenario, progress)
        workflow.record_run(run, scenario, ["analogdeq", "run"], progress)
        workflow.write_run_report(run, ["analogdeq", "run"], progress)
    return folder
