"""The folder of a study: rows whole or not there, one study and one command at a time."""

import json
from pathlib import Path

import pytest

from analogdeq.errors import InputError, RunError
from analogdeq.runs.study.folder import StudyFolder, versions
from analogdeq.runs.study.point import Content

SCENARIO = "name = 'x'\n"
MANIFEST = {
    "kind": "sweep", "scenario": "ab", "network": None, "options": {"chips": 3, "axes": [["a.b", ["1", "2"]]]},
    "versions": versions(), "note": "",
}  # fmt: skip


def begin(path: Path, **changes: object) -> StudyFolder:
    return StudyFolder.begin(path, SCENARIO, MANIFEST | changes)


def test_rows_come_back_by_key(tmp_path: Path) -> None:
    with begin(tmp_path / "study") as folder:
        assert folder.rows() == {}
        folder.append("k1", {"accuracy": 0.5, "refused": None})
        folder.append("k2", {"accuracy": 0.25, "refused": "no"})
        assert folder.rows() == {"k1": {"accuracy": 0.5, "refused": None}, "k2": {"accuracy": 0.25, "refused": "no"}}
    assert (tmp_path / "study" / "scenario.toml").read_text() == SCENARIO


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_row_that_a_crash_cut_short_is_measured_again_and_no_other(tmp_path: Path, cut: int) -> None:
    with begin(tmp_path) as folder:
        folder.append("k1", {"accuracy": 0.5})
        folder.append("k2", {"accuracy": 0.25})
        whole = folder.rows_file.read_bytes()
        folder.rows_file.write_bytes(whole[:-cut])
        assert folder.rows() == {"k1": {"accuracy": 0.5}}
        folder.append("k2", {"accuracy": 0.25})
        assert folder.rows_file.read_bytes() == whole


@pytest.mark.parametrize("line", ["{", "[]", '{"accuracy": 1}', "7"])
def test_a_damaged_row_is_named_and_not_lost_in_silence(tmp_path: Path, line: str) -> None:
    with begin(tmp_path) as folder:
        folder.append("k1", {"accuracy": 0.5})
        with folder.rows_file.open("a") as file:
            file.write(line + "\n")
        with pytest.raises(RunError, match="line 2 is damaged"):
            folder.rows()


def test_the_same_study_goes_on_in_its_folder(tmp_path: Path) -> None:
    with begin(tmp_path) as folder:
        folder.append("k1", {"accuracy": 0.5})
    for enter in (lambda: begin(tmp_path), lambda: StudyFolder.resume(tmp_path)):
        with enter() as again:
            assert again.rows() == {"k1": {"accuracy": 0.5}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "yield"}, 'kind is "sweep" there and "yield" here'),
        ({"scenario": "cd"}, "its scenario is another one"),
        ({"network": "ef"}, "its trained network is another one"),
        ({"options": {"chips": 4, "axes": []}}, r"options\.chips is 3 there and 4 here"),
        ({"versions": versions() | {"torch": "1.0"}}, r"versions\.torch is .* there and \"1\.0\" here"),
    ],
)
def test_another_study_is_refused_by_what_differs_and_the_folder_let_go(
    tmp_path: Path, change: dict, words: str
) -> None:
    with begin(tmp_path):
        pass
    with pytest.raises(RunError, match=f"holds another study: {words}"):
        begin(tmp_path, **change)
    with StudyFolder.resume(tmp_path):
        pass


def test_a_study_of_other_versions_is_not_gone_on_with(tmp_path: Path) -> None:
    with begin(tmp_path):
        pass
    (tmp_path / "study.json").write_text(json.dumps(MANIFEST | {"versions": {"analogdeq": "0.0.1", "torch": "1.0"}}))
    with pytest.raises(RunError, match="versions"):
        StudyFolder.resume(tmp_path)


def test_two_commands_in_one_folder_are_one_too_many(tmp_path: Path) -> None:
    with begin(tmp_path):
        for enter in (lambda: begin(tmp_path), lambda: StudyFolder.resume(tmp_path)):
            with pytest.raises(RunError, match="another command is writing to this study"):
                enter()


def test_a_folder_with_other_files_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"holds 'notes\.txt' and no study"):
        begin(tmp_path)
    with pytest.raises(InputError, match="holds no study"):
        StudyFolder.resume(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_contents_are_known_by_what_they_measure() -> None:
    one = Content(overrides=("a=1",), chip=3)
    assert one.key == Content(overrides=("a=1",), chip=3).key
    others = [
        Content(overrides=("a=2",), chip=3), Content(overrides=("a=1",), chip=4),
        Content(overrides=("a=1",), chip=3, noise=1.0), Content(overrides=("a=1",), chip=3, programming=2.0),
    ]  # fmt: skip
    assert len({one.key, *(other.key for other in others)}) == 5
