"""The walls between rooms and between siblings stand, and a breach would be noticed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LINT_IMPORTS = (
    "import sys; from importlinter.cli import lint_imports;"
    "sys.exit(lint_imports(no_cache=True, no_logo=True, limit_to_contracts=tuple(sys.argv[1:])))"
)
# Prints every pair of siblings of which one reaches the other, also through a private helper.
ACQUAINTANCES = """
import itertools, sys
import grimp
graph = grimp.build_graph("napari_apprentice", cache_dir=None)
for room in sys.argv[1:]:
    names = [n for n in graph.find_children(room) if not n.rpartition(".")[2].startswith("_")]
    if room.endswith(".widgets"):
        names = [n for n in names if n.rpartition(".")[2] in {"predict", "correct", "learn", "series", "export", "objects", "classify", "evaluate", "explain", "prepare"}]
    for one, other in itertools.permutations(names, 2):
        if graph.find_shortest_chain(one, other, as_packages=True):
            print(one, "->", other)
"""
ROOMS_OF_SIBLINGS = (
    "io",
    "tasks",
    "models.networks",
    "engine.filters",
    "explain",
    "project.strategies",
    "widgets",
)


def run(folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `code` where the package lying in `folder` is the one that is found."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def broken_contracts(folder: Path, *contracts: str) -> list[str]:
    """Names of the contracts of pyproject.toml that the package in `folder` breaks."""
    result = run(folder, LINT_IMPORTS, *contracts)
    broken = [line for line in result.stdout.splitlines() if " BROKEN" in line]
    assert result.returncode == bool(broken), result.stdout + result.stderr
    return [line.partition(" BROKEN")[0] for line in broken]


def acquainted_siblings(folder: Path) -> list[str]:
    """Pairs of siblings in the package in `folder` of which one knows the other."""
    source = folder / "napari_apprentice"
    rooms = [r for r in ROOMS_OF_SIBLINGS if (source / r.replace(".", "/")).is_dir()]
    result = run(folder, ACQUAINTANCES, *(f"napari_apprentice.{room}" for room in rooms))
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.fixture
def package(repository: Path, tmp_path: Path) -> Path:
    """Folder with a copy of the package that a test may break."""
    shutil.copy(repository / "pyproject.toml", tmp_path)
    source = repository / "src" / "napari_apprentice"
    for module in source.rglob("*.py"):
        copy = tmp_path / "napari_apprentice" / module.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(module, copy)
    # Without it the copy would be a namespace package and mix with the installed one.
    (tmp_path / "napari_apprentice" / "__init__.py").touch()
    return tmp_path


def append(package: Path, module: str, line: str) -> None:
    """Append a line to a module of the copy, making it and its package where they are missing."""
    path = package / "napari_apprentice" / module
    path.parent.mkdir(exist_ok=True)
    (path.parent / "__init__.py").touch()
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")


def test_every_contract_is_kept(package: Path) -> None:
    assert broken_contracts(package) == []


def test_siblings_do_not_know_each_other(package: Path) -> None:
    assert acquainted_siblings(package) == []


@pytest.mark.parametrize(
    ("contract", "module", "line"),
    [
        ("direction", "core/grid.py", "import napari_apprentice.measure"),
        ("direction", "tasks/new.py", "import napari_apprentice.engine.config"),
        ("direction", "io/new.py", "import napari_apprentice.tasks"),
        ("direction", "cli/new.py", "import napari_apprentice.widgets"),
        ("direction", "utils/__init__.py", "value = 1"),
        ("gui", "engine/config.py", "import napari"),
        ("gui", "session/new.py", "from qtpy.QtWidgets import QWidget"),
        ("gui", "new_room/__init__.py", "import pyqtgraph"),
    ],
)
def test_a_breach_between_rooms_is_noticed(
    package: Path, contract: str, module: str, line: str
) -> None:
    append(package, module, line)
    assert len(broken_contracts(package, contract)) == 1


@pytest.mark.parametrize(
    ("module", "line", "pair"),
    [
        ("io/new.py", "import napari_apprentice.io.nifti", "io.new -> io.nifti"),
        ("tasks/new.py", "import napari_apprentice.tasks.semantic", "tasks.new -> tasks.semantic"),
        (
            "widgets/learn.py",
            "import napari_apprentice.widgets.predict",
            "widgets.learn -> widgets.predict",
        ),
    ],
)
def test_a_breach_between_siblings_is_noticed(
    package: Path, module: str, line: str, pair: str
) -> None:
    append(package, line.rpartition(" napari_apprentice.")[2].replace(".", "/") + ".py", "")
    append(package, module, line)
    expected = " -> ".join(f"napari_apprentice.{name}" for name in pair.split(" -> "))
    assert expected in acquainted_siblings(package)


def test_a_breach_through_a_private_helper_is_noticed(package: Path) -> None:
    append(package, "io/_helper.py", "import napari_apprentice.io.nifti")
    append(package, "io/new.py", "import napari_apprentice.io._helper")
    assert "napari_apprentice.io.new -> napari_apprentice.io.nifti" in acquainted_siblings(package)
