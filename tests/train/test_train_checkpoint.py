"""Checkpoints are written whole or not at all, and read without trusting them."""

import errno
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from training import same_bits

from analogdeq.errors import CheckpointError
from analogdeq.train.checkpoint import FORMAT, VERSION, load_checkpoint, save_checkpoint

CONTENT = {"epoch": 3, "model": {"W": torch.arange(2000.0)}, "scenario": "name = 'ä'", "list": [1, 2.5, None, True]}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, CONTENT)
    return path


def test_what_is_saved_comes_back(saved: Path) -> None:
    content = load_checkpoint(saved)
    assert same_bits({name: content[name] for name in CONTENT}, CONTENT)
    assert content["format"] == FORMAT
    assert content["version"] == VERSION
    assert [file.name for file in saved.parent.iterdir()] == ["checkpoint.pt"]


def test_saving_again_replaces(saved: Path) -> None:
    save_checkpoint(saved, {"epoch": 4})
    assert load_checkpoint(saved)["epoch"] == 4


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_save_that_fails_keeps_the_checkpoint_before(
    saved: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    before = saved.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt: .*No space left.*before it is untouched"):
        save_checkpoint(saved, {"epoch": 4})
    assert saved.read_bytes() == before
    assert [file.name for file in saved.parent.iterdir()] == ["checkpoint.pt"]


def test_ctrl_c_while_torch_writes_is_ctrl_c_and_keeps_the_checkpoint_before(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, save = saved.read_bytes(), torch.save

    class Interrupted(io.BytesIO):
        def write(self, data: Any) -> int:
            if self.tell():
                raise KeyboardInterrupt
            return super().write(data)

    monkeypatch.setattr(torch, "save", lambda content, file: save(content, Interrupted()))
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(saved, {"epoch": 4, "W": torch.arange(2000.0)})
    assert saved.read_bytes() == before
    assert [file.name for file in saved.parent.iterdir()] == ["checkpoint.pt"]


def test_torch_giving_up_half_way_keeps_the_checkpoint_before(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def half(_content: Any, file: io.BufferedWriter) -> None:
        file.write(b"PK half of it")
        raise RuntimeError("unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(CheckpointError, match="unexpected pos"):
        save_checkpoint(saved, {"epoch": 4})
    assert saved.read_bytes() == before
    assert not saved.with_name("checkpoint.pt.part").exists()


def test_a_first_save_that_fails_claims_no_checkpoint_before_it(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        save_checkpoint(tmp_path / "nowhere" / "checkpoint.pt", CONTENT)
    assert "untouched" not in str(caught.value)


def test_a_missing_checkpoint_says_where_one_comes_from(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint; train first"):
        load_checkpoint(tmp_path / "checkpoint.pt")


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="damaged or not a checkpoint"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_cut_anywhere_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    for length in {0, 1, 10, *range(100, len(whole), 311), len(whole) - 1}:
        saved.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="damaged or not a checkpoint"):
            load_checkpoint(saved)


def test_one_flipped_bit_is_noticed_or_harmless(saved: Path) -> None:
    whole = saved.read_bytes()
    expected = load_checkpoint(saved)
    noticed = 0
    for position in range(0, len(whole), 37):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        saved.write_bytes(damaged)
        try:
            content = load_checkpoint(saved)
        except CheckpointError:
            noticed += 1
        else:
            assert same_bits(content, expected), f"bit flipped in byte {position} of {len(whole)}"
    assert noticed > 0.8 * len(whole) / 37


def test_a_message_is_one_short_line(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:500])
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(saved)
    text = str(caught.value)
    assert text.startswith(f"{saved}: ")
    assert text.endswith("train again, or use another")
    assert "\n" not in text
    assert len(text) < len(str(saved)) + 150


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.sampled_from([b"", b"\x80\x02", b"PK\x03\x04"]))
def test_random_bytes_are_refused_and_nothing_else_happens(tmp_path: Path, noise: bytes, head: bytes) -> None:
    path = tmp_path / "noise.pt"
    path.write_bytes(head + noise)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


class Bomb:
    """Pickles to a call that leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("in_zip", [True, False])
def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, in_zip: bool) -> None:
    mark, path = tmp_path / "mark", tmp_path / "checkpoint.pt"
    content = {"format": FORMAT, "version": VERSION, "epoch": Bomb(mark)}
    if in_zip:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3), "not a checkpoint of this program"),
        ({"epoch": 3}, "not a checkpoint of this program"),
        ({"format": "another", "version": VERSION}, "not a checkpoint of this program"),
        ({"format": FORMAT, "version": VERSION + 1}, "checkpoint version 2, this program reads 1"),
        ({"format": FORMAT}, "checkpoint version None"),
    ],
)
def test_other_torch_files_are_told_apart(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "other.pt")


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(CheckpointError, match="damaged or not a checkpoint"):
        load_checkpoint(tmp_path / "other.pt")
