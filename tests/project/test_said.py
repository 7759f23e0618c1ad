"""Classes kept from one session to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.project.said import Said, SaidLog

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SaidLog:
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path))
    return SaidLog("/data/Müller/pictures")


def test_the_last_word_counts(log: SaidLog) -> None:
    assert log.read(["a", "b"]) == Said()
    log.write("a", "cat", 2)
    log.write("b", "dog", 1)
    log.write("a", "dog", 1)
    assert log.read(["a", "b", "c"]) == Said(("dog",), {"a": "dog", "b": "dog"})
    log.write("b", None)
    assert log.read(["b"]) == Said()


def test_two_windows_add_to_one_file(log: SaidLog) -> None:
    other = SaidLog("/data/Müller/pictures")
    log.write("a", "cat", 1)
    other.write("b", "dog", 2)
    assert log.read(["a", "b"]).classes == ("cat", "dog")


def test_neither_paths_nor_file_names_show(log: SaidLog) -> None:
    log.write("患者 Müller.png", "cat", 1)
    assert "ller" not in log.path.name
    assert "ller" not in log.path.read_text("utf-8")


@pytest.mark.parametrize(
    "junk",
    [
        b'{"image": "a", "class": "ca',
        b"\xff\xfe\x00",
        b"[]",
        b"[" * 100_000,
        b'{"image": 1, "class": "x", "number": 1}',
        b'{"image": "a", "class": ["x"], "number": 1}',
        b'{"image": "a", "class": " ", "number": 1}',
        b'{"image": "a", "class": "x", "number": true}',
        b'{"image": "a", "class": "x", "number": 1e400}',
    ],
)
def test_torn_and_strange_lines_are_passed_over(log: SaidLog, junk: bytes) -> None:
    log.write("a", "cat", 1)
    with log.path.open("ab") as file:
        file.write(junk)
    log.write("b", "dog", 2)
    assert log.read(["a", "b"]).images == {"a": "cat", "b": "dog"}


def test_a_file_that_cannot_be_written_or_read_is_named(log: SaidLog) -> None:
    log.path.mkdir(parents=True)
    with pytest.raises(BadInputError, match="cannot be kept"):
        log.write("a", "cat", 1)
    assert log.read(["a"]) == Said()


def test_a_file_too_large_is_not_read(log: SaidLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_apprentice.project.said._MOST_BYTES", 10)
    log.write("a", "cat", 1)
    with pytest.raises(BadInputError, match="cannot be read"):
        log.read(["a"])
