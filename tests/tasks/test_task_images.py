"""CIFAR-10 and ImageNet-32 from their official files, and what happens when a file is not what it should be."""

import hashlib
import http.server
import io
import pickle
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from official_files import cifar_batch, images, write_cifar, write_imagenet

from analogdeq.errors import DataError
from analogdeq.tasks import cifar
from analogdeq.tasks.cifar import load_cifar10
from analogdeq.tasks.dataset import pixels
from analogdeq.tasks.download import fetch_archive
from analogdeq.tasks.folders import data_folder
from analogdeq.tasks.imagenet32 import load_imagenet32
from analogdeq.tasks.unpickle import unpickle


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_cifar_is_read_plane_by_plane(tmp_path: Path, protocol: int) -> None:
    write_cifar(tmp_path, protocol=protocol)
    data = load_cifar10(tmp_path, checksums="none")
    assert (data.train_x.shape, data.test_x.shape) == ((20, 3, 32, 32), (4, 3, 32, 32))
    assert data.train_x.dtype == torch.uint8
    flat = images(4, 2)  # data_batch_3
    assert data.train_x[9, 2, 5, 7] == flat[1, 2 * 1024 + 5 * 32 + 7]
    assert data.train_y[8:12].tolist() == cifar_batch(4, 2)[b"labels"]
    assert torch.equal(data.test_x.flatten(1), torch.tensor(images(4, 5)))
    assert data.n_classes == 10


def test_a_batch_as_python_2_wrote_it_is_read(tmp_path: Path) -> None:
    """Protocol 2 with byte strings and numpy's old module names, which no pickler writes today."""
    raw = images(1, 0).tobytes()
    written = (
        b"\x80\x02}(U\x04dataq\x01cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tb\x89T\x00\x0c\x00\x00" + raw + b"tbU\x06labelsq\x02]K\x07au."
    )
    file = tmp_path / "batch"
    file.write_bytes(written)
    table = unpickle(file)
    assert table["labels"] == [7]
    np.testing.assert_array_equal(table["data"], images(1, 0))


def test_imagenet_counts_its_labels_from_one_and_we_from_zero(tmp_path: Path) -> None:
    write_imagenet(tmp_path / "Imagenet32_train", tmp_path / "Imagenet32_val")
    data = load_imagenet32(tmp_path)
    assert data.train_x.shape == (30, 3, 32, 32)
    assert data.train_y[:6].tolist() == [0, 999, 99, 0, 999, 199]
    assert data.test_y.tolist() == [0, 499, 999]
    assert torch.equal(data.train_x[3:6].flatten(1), torch.tensor(images(3, 2)))
    assert data.n_classes == 1000


def test_imagenet_may_lie_in_one_folder_too(tmp_path: Path) -> None:
    write_imagenet(tmp_path / "imagenet32", tmp_path / "imagenet32")
    assert len(load_imagenet32(tmp_path).test_y) == 3


def test_a_missing_file_of_imagenet_is_named_with_where_it_was_looked_for(tmp_path: Path) -> None:
    write_imagenet(tmp_path, tmp_path)
    (tmp_path / "train_data_batch_7").unlink()
    with pytest.raises(DataError, match=r"no train_data_batch_7; looked in .*imagenet32.*--data-dir"):
        load_imagenet32(tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 100, 5000, -1])
def test_a_batch_that_was_cut_short_is_an_error(tmp_path: Path, keep: int) -> None:
    file = write_cifar(tmp_path) / "data_batch_2"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"data_batch_2: cut short, damaged or not a batch"):
        load_cifar10(tmp_path, checksums="none")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": images(3, 0)}, "3 images but 4 labels"),
        ({"data": images(4, 0)[:, :3000]}, r"uint8 of shape \(image, 3072\), it is uint8 of shape \(4, 3000\)"),
        ({"data": images(4, 0).astype(np.float32)}, "it is float32"),
        ({"data": None}, "it is NoneType"),
        ({"labels": [0, 1, 2, 10]}, "within 0 to 9, they go from 0 to 10"),
        ({"labels": [0, 1, 2, -1]}, "they go from -1 to 2"),
        ({"labels": [0, 1, 2, 0.5]}, "list of whole numbers"),
        ({"labels": [0, 1, [2], 3]}, "list of whole numbers"),
        ({"labels": None}, "list of whole numbers"),
    ],
)
def test_a_batch_that_was_edited_is_an_error(tmp_path: Path, changes: dict, said: str) -> None:
    file = write_cifar(tmp_path) / "test_batch"
    file.write_bytes(pickle.dumps(cifar_batch(4, 0, **changes), protocol=2))
    with pytest.raises(DataError, match=rf"test_batch: .*{said}"):
        load_cifar10(tmp_path, checksums="none")


def test_a_single_changed_pixel_is_an_error_where_checksums_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_cifar(tmp_path)
    sums = {f.name: hashlib.md5(f.read_bytes()).hexdigest() for f in folder.iterdir()}
    monkeypatch.setattr(cifar, "TRAIN_MD5", {n: s for n, s in sums.items() if n != "test_batch"})
    monkeypatch.setattr(cifar, "TEST_MD5", {"test_batch": sums["test_batch"]})
    assert len(load_cifar10(tmp_path).train_y) == 20
    file = folder / "data_batch_1"
    content = bytearray(file.read_bytes())
    place = content.find(images(4, 0).tobytes()[:20])
    content[(place if place > 0 else len(content) // 2) + 3] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"data_batch_1: its MD5 is .*task\.checksums=none"):
        load_cifar10(tmp_path)


def test_files_that_are_not_the_official_ones_need_to_be_asked_for(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    with pytest.raises(DataError, match=r"the official file's c99cafc152244af753f735de768cd75f"):
        load_cifar10(tmp_path)


class Hostile:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("owned"),))


class Evil:
    def __reduce__(self) -> tuple:
        return (eval, ("open('owned', 'w')",))


@pytest.mark.parametrize("payload", [Hostile(), Evil(), np.random.default_rng(0)], ids=["method", "eval", "numpy"])
def test_code_in_a_pickle_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, payload: object
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "batch"
    file.write_bytes(pickle.dumps({b"data": payload}))
    with pytest.raises(DataError, match="which is no image data"):
        unpickle(file)
    assert not (tmp_path / "owned").exists()


def test_a_pickle_that_is_no_dict_is_refused(tmp_path: Path) -> None:
    (tmp_path / "batch").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DataError, match="holds a list"):
        unpickle(tmp_path / "batch")


def test_whole_numbers_become_pixels_from_zero_to_one() -> None:
    x = torch.tensor([0, 51, 255], dtype=torch.uint8)
    assert pixels(x, torch.float64).tolist() == [0, 0.2, 1]
    y = torch.tensor([0.25, 1.0])
    assert torch.equal(pixels(y, torch.float32), y)


def test_the_data_folder_is_the_variable_or_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANALOGDEQ_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.delenv("ANALOGDEQ_DATA")
    assert data_folder().name == "analogdeq"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A web site that has one archive, and the archive's checksum."""
    source = tmp_path / "source"
    write_cifar(source)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(source / "cifar-10-batches-py", "cifar-10-batches-py")
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "data.tar.gz").write_bytes(buffer.getvalue())

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return None

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/data.tar.gz", hashlib.md5(buffer.getvalue()).hexdigest()
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_archive_is_downloaded_checked_and_unpacked(
    tmp_path: Path, site: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    url, md5 = site
    monkeypatch.setattr(cifar, "ARCHIVE_MD5", md5)
    data = load_cifar10(tmp_path / "new", checksums="none", url=url)
    assert torch.equal(data.test_x.flatten(1), torch.tensor(images(4, 5)))
    assert "downloading data.tar.gz" in capfd.readouterr().err
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["cifar-10-batches-py", "data.tar.gz"]


def test_a_download_with_another_checksum_is_refused_and_not_unpacked(tmp_path: Path, site: tuple[str, str]) -> None:
    with pytest.raises(DataError, match="not the official file"):
        fetch_archive(site[0], "0" * 32, tmp_path / "new", "cifar-10-batches-py")
    assert not list((tmp_path / "new").iterdir())


def test_without_a_network_the_error_says_where_to_put_the_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cifar-10-batches-py is missing.*cannot be downloaded.*--data-dir"):
        load_cifar10(tmp_path, url="http://127.0.0.1:9/cifar.tar.gz")
