"""Begin a study, or go on with one; train and measure what is missing; write table, summary and pictures."""

import csv
import hashlib
import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from analogdeq.report.plots.png import png_bytes
from analogdeq.runs import workflow
from analogdeq.runs.directory import RunDirectory, write_whole
from analogdeq.runs.study.folder import StudyFolder, versions
from analogdeq.runs.study.kinds import study_of
from analogdeq.runs.study.measure import FIGURES, scenario_of
from analogdeq.runs.study.point import Content, Figures, Point, contents_of
from analogdeq.runs.study.pool import measure_all, train_all
from analogdeq.runs.study.study import Study
from analogdeq.runs.study.training import fingerprint, is_trained, keep_network, network_digest
from analogdeq.runs.trained import training_note
from analogdeq.scenario import Scenario, dump_scenario, load_scenario


@final
@dataclass(frozen=True, kw_only=True)
class Source:
    """What a study is begun with.

    Attributes:
        scenario: resolved, with the changes that hold at every point.
        run: whose trained network is studied; None trains what is needed.
    """

    scenario: Scenario
    run: RunDirectory | None

    @classmethod
    def named(cls, name: str, overrides: list[str] | None) -> "Source":
        """A run directory or a scenario, with changes as `--set` spells them.

        Raises:
            ScenarioError: if the outcome is unusable.
            InputError: if a change is to what was trained.
        """
        if Path(name, "scenario.toml").is_file():
            run = RunDirectory(Path(name))
            return cls(scenario=workflow.scenario_of_trained(run, overrides, None), run=run)
        scenario = load_scenario(name, overrides or [])
        workflow.check_buildable(scenario)
        workflow.check_has_chip(scenario)
        return cls(scenario=scenario, run=None)


def begin_study(source: Source, study: Study, path: Path | None) -> StudyFolder:
    """The folder to work in, locked: `path`, or a new one under the scenario's output directory.

    Nothing is written before it is known that every point can be built.

    Raises:
        ScenarioError: if a point's scenario is unusable.
        InputError: if a point changes what was trained, or there is no point.
        RunError: if the folder is taken, or cannot be written.
    """
    toml = dump_scenario(source.scenario)
    manifest = {
        "kind": study.kind,
        "scenario": hashlib.sha256(toml.encode()).hexdigest(),
        "network": None if source.run is None else network_digest(source.run),
        "options": study.options(),
        "versions": versions(),
        "note": "" if source.run is None else training_note(source.run),
    }
    _check_points(source, study)
    if path is None:
        stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
        path = Path(source.scenario.output.directory, f"{study.kind}-{source.scenario.name}-{stamp}")
    folder = StudyFolder.begin(path, toml, manifest)
    if source.run is not None:
        keep_network(folder.path, source.run)
    return folder


def conduct(folder: StudyFolder, workers: int, progress: workflow.Progress) -> dict[str, Any]:
    """Do what is missing, and return the summary.

    Args:
        folder: of a study that was begun.
        workers: processes.
        progress: told after every network and every point.

    Raises:
        RunError: if a process dies or a file cannot be written; what was measured is kept.
    """
    manifest = folder.manifest()
    study = study_of(manifest["kind"], manifest["options"])
    scenario = load_scenario(folder.scenario_file)
    points = study.points(scenario)
    contents = contents_of(points)
    rows = folder.rows()
    missing = [content for content in contents if content.key not in rows]
    _train_what_is_missing(folder.path, missing, workers, progress)
    done = len(contents) - len(missing)
    progress.update("measuring", done, len(contents))
    with closing(measure_all(folder.path, missing, workers)) as results:
        for content, figures in results:
            folder.append(content.key, figures)
            rows[content.key] = figures
            done += 1
            progress.update("measuring", done, len(contents))
    measured = [(point, rows[point.content.key] | dict.fromkeys(study.withheld(point))) for point in points]
    summary = _head(manifest, scenario, points, measured) | study.summary(measured)
    write_whole(folder.table, table_of(measured).encode())
    pictures = {f"{name}.png": png_bytes(figure) for name, figure in study.pictures(summary).items()}
    for name, png in pictures.items():
        write_whole(folder.path / name, png)
    write_whole(folder.summary, (json.dumps(summary, indent=2, allow_nan=False) + "\n").encode())
    files = {"study": folder.path, "table": folder.table, "summary": folder.summary}
    return summary | {
        "files": {name: str(path) for name, path in files.items()}
        | {name.removesuffix(".png"): str(folder.path / name) for name in pictures}
    }


def table_of(measured: Sequence[tuple[Point, Figures]]) -> str:
    """The rows as CSV, in the order of the grid; an empty cell where a figure is not known."""
    out = io.StringIO()
    labels = [name for name, _ in measured[0][0].labels]
    writer = csv.DictWriter(out, [*labels, *FIGURES], lineterminator="\n")
    writer.writeheader()
    for point, figures in measured:
        writer.writerow(dict(point.labels) | {name: figures.get(name) for name in FIGURES})
    return out.getvalue()


def _head(
    manifest: Mapping[str, Any], scenario: Scenario, points: Sequence[Point], measured: Sequence[tuple[Point, Figures]]
) -> dict[str, Any]:
    refused = sorted({str(figures["refused"]) for _, figures in measured if figures["refused"]})
    return {
        "study": manifest["kind"],
        "scenario": scenario.name,
        "points": len(points),
        "refused": sum(figures["refused"] is not None for _, figures in measured),
        "reasons": refused,
        "options": manifest["options"],
        "versions": manifest["versions"],
        "note": manifest["note"],
    }


def _check_points(source: Source, study: Study) -> None:
    """Every scenario that will be measured, looked at before an hour of work."""
    points = study.points(source.scenario)
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder, "scenario.toml")
        own.write_text(dump_scenario(source.scenario), encoding="utf-8")
        for overrides in dict.fromkeys(point.content.overrides for point in points):
            scenario = load_scenario(own, overrides)
            if source.run is None:
                workflow.check_has_chip(scenario)
            else:
                workflow.refuse_retraining(source.run.path, source.scenario, scenario)
            workflow.check_buildable(scenario)


def _train_what_is_missing(folder: Path, missing: Sequence[Content], workers: int, progress: workflow.Progress) -> None:
    """One training for every network that points yet to be measured need."""
    needed: dict[str, tuple[str, ...]] = {}
    for content in missing:
        scenario = scenario_of(folder, content)
        name = fingerprint(scenario)
        if name not in needed and not is_trained(folder, scenario):
            needed[name] = content.overrides
    if not needed:
        return
    done = 0
    with closing(train_all(folder, list(needed.values()), workers, progress)) as trained:
        for _ in trained:
            done += 1
            progress.update("training networks", done, len(needed))
