"""What every test shares: no personal settings, a display where one is needed, the real data where it lies."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]
VIEWER_FIXTURES = frozenset({"make_napari_viewer", "make_napari_viewer_proxy", "qtbot", "qapp"})

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("house", deadline=None, print_blob=True)
settings.load_profile("house")

# Side by side, each test has one core.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# napari reads these when it is first imported, which a fixture would be too late for.
_HOME = tempfile.TemporaryDirectory(prefix="napari-apprentice-tests-", ignore_cleanup_errors=True)
os.environ["NAPARI_CONFIG"] = str(Path(_HOME.name) / "napari" / "settings.yaml")
os.environ["NAPARI_ENSURE_PLUGIN_MAIN_THREAD"] = "1"
for _kind in ("CONFIG", "DATA", "CACHE", "STATE"):
    os.environ[f"XDG_{_kind}_HOME"] = str(Path(_HOME.name) / _kind.lower())


def has_display() -> bool:
    """Whether a window can be opened here."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by where they lie and by the fixtures they ask for."""
    for item in items:
        folder = item.path.relative_to(REPOSITORY / "tests").parts[0]
        if folder in {"gui", "real"}:
            item.add_marker(folder)
        if VIEWER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("gui")
        if item.get_closest_marker("gui"):
            # Windows on one screen would take the focus from each other.
            item.add_marker(pytest.mark.xdist_group("gui"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run; on CI a missing display is a failure, never a skip."""
    if item.get_closest_marker("gui") and not has_display():
        message = "needs a display; run `make test`, which starts a virtual one"
        if os.environ.get("CI"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real image data (`NAPARI_APPRENTICE_DATA`, else ``../shared/data``); skips where absent."""
    default = REPOSITORY.parent / "shared" / "data"
    folder = Path(os.environ.get("NAPARI_APPRENTICE_DATA") or default)
    if not folder.is_dir():
        pytest.skip(f"no real image data in {folder}; set NAPARI_APPRENTICE_DATA to its folder")
    return folder
