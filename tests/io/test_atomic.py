"""A save leaves a complete file or the old one, and nothing else."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_apprentice import io
from napari_apprentice.core.errors import ApprenticeError, BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.io import _atomic

SUFFIXES = (".tif", ".ome.tif", ".nii", ".nii.gz", ".png")
VOLUME = Volume(np.arange(20000, dtype=np.uint16).reshape(100, 200), Grid.regular("YX", (100, 200)))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_keeps_the_old_file(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ApprenticeError, match="disk is full") as caught:
        io.save(VOLUME, path)

    assert caught.value.exit_code == 1
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are POSIX")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_write_that_stops_midway_keeps_the_old_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    code = f"""
import resource, signal, numpy as np
from napari_apprentice import io
from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
array = np.random.default_rng(0).integers(0, 65535, (200, 300)).astype("u2")
volume = Volume(array, Grid.regular("YX", array.shape))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    io.save(volume, {str(path)!r})
except ApprenticeError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "cannot be written" in result.stdout
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"

    def interrupted() -> None:
        with _atomic.writing(path) as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no folder .*none"):
        io.save(VOLUME, tmp_path / "none" / "a.tif")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.tif").mkdir()
    with pytest.raises(BadInputError, match="it is a folder"):
        io.save(VOLUME, tmp_path / "a.tif")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


def test_a_read_only_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    # The superuser may write everywhere, so permissions alone would not show it.
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BadInputError, match="read-only"):
        io.save(VOLUME, tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "name", ["ü 患者", "it's", 'a"b', "50%d", "a b", "x" * 200, ".hidden", "v1.2.3"]
)
def test_names_of_all_kinds(tmp_path: Path, name: str, suffix: str) -> None:
    folder = tmp_path / "ordner 'ü' %"
    folder.mkdir()
    path = folder / f"{name}{suffix}"
    io.save(VOLUME, path)
    np.testing.assert_array_equal(io.open_volume(path).numpy(), VOLUME.data)
    assert io.open_volume(path).name == name
    assert list(folder.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="permission bits are POSIX")
def test_the_file_has_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    io.save(VOLUME, tmp_path / "a.tif")
    assert (tmp_path / "a.tif").stat().st_mode == (tmp_path / "plain").stat().st_mode
