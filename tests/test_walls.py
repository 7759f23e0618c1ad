"""The import contracts of pyproject.toml hold, and notice when they would not."""

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


def broken_contracts(folder: Path, *contracts: str) -> list[str]:
    """Names of the contracts that the package lying in `folder` breaks."""
    result = subprocess.run(
        [sys.executable, "-c", LINT_IMPORTS, *contracts],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    broken = [line for line in result.stdout.splitlines() if line.endswith(" BROKEN")]
    assert result.returncode == bool(broken), result.stdout + result.stderr
    return [line.removesuffix(" BROKEN") for line in broken]


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


def test_walls_stand(package: Path) -> None:
    assert broken_contracts(package) == []


@pytest.mark.parametrize(
    ("contract", "module", "line"),
    [
        ("direction", "core/grid.py", "import napari_apprentice.measure"),
        ("direction", "tasks/new.py", "import napari_apprentice.engine.config"),
        ("direction", "io/new.py", "import napari_apprentice.tasks"),
        ("direction", "utils/__init__.py", "value = 1"),
        ("formats", "io/new.py", "import napari_apprentice.io.tiff"),
        ("tasks", "tasks/new.py", "import napari_apprentice.tasks.semantic"),
        ("gui", "engine/config.py", "import napari"),
        ("gui", "session/new.py", "from qtpy.QtWidgets import QWidget"),
        ("gui", "new_room/__init__.py", "import pyqtgraph"),
    ],
)
def test_a_breach_is_noticed(package: Path, contract: str, module: str, line: str) -> None:
    append(package, module, line)
    for other in ("io/tiff.py", "tasks/semantic.py", "engine/config.py", "measure/__init__.py"):
        append(package, other, "")
    assert len(broken_contracts(package, contract)) == 1
