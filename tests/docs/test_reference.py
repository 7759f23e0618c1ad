"""The pages of the reference that are written from the code are those of this code."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FIX = "run: python docs/make_reference.py"


@pytest.fixture(scope="module")
def maker(repository: Path) -> ModuleType:
    """The script that writes them."""
    spec = importlib.util.spec_from_file_location(
        "make_reference", repository / "docs" / "make_reference.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date(maker: ModuleType) -> None:
    for name, text in maker.pages().items():
        assert (maker.REFERENCE / name).read_text(encoding="utf-8") == text, f"{name}: {FIX}"


def test_every_entry_of_a_registry_has_its_row(maker: ModuleType) -> None:
    pages = maker.pages()
    for page, registry in (
        ("formats.md", maker.FORMATS),
        ("tasks.md", maker.TASKS),
        ("networks.md", maker.NETWORKS),
    ):
        for name in registry.names():
            assert f"`{name}`" in pages[page]


def test_what_cannot_be_written_is_not_promised(maker: ModuleType) -> None:
    (row,) = (line for line in maker.pages()["formats.md"].splitlines() if "`images`" in line)
    read, written = row.split("|")[3:5]
    assert ".jpg" in read
    assert ".jpg" not in written
