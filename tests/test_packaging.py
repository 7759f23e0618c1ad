"""What is installed is what was meant: manifest, metadata, files, and nothing heavy on import."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from npe2 import PluginManifest

NAME = "napari-apprentice"
HEAVY = ("torch", "monai")
GUI = ("napari", "qtpy", "magicgui", "superqt", "pyqtgraph", "PyQt6", "PySide6")


@pytest.fixture(scope="module")
def manifest(repository: Path) -> PluginManifest:
    """The manifest as npe2 understands it."""
    return PluginManifest.from_file(repository / "napari.yaml")


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    """The ``[project]`` table."""
    with (repository / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]


def loaded_after(statements: str, *modules: str) -> list[str]:
    """Which of `modules` a fresh interpreter has loaded after `statements`."""
    code = f"{statements}\nimport sys\nprint(*(m for m in {modules!r} if m in sys.modules))"
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


# ---------------------------------------------------------------- manifest


def test_manifests_are_identical(repository: Path) -> None:
    shipped = repository / "src" / "napari_apprentice" / "napari.yaml"
    assert shipped.read_bytes() == (repository / "napari.yaml").read_bytes()


def test_installed_manifest_is_found_and_has_the_distribution_name() -> None:
    manifest = PluginManifest.from_distribution(NAME)
    assert manifest.name == NAME
    assert manifest.package_metadata is not None
    assert manifest.package_metadata.name == NAME


def test_every_command_exists(manifest: PluginManifest) -> None:
    for command in manifest.contributions.commands or []:
        assert command.id.startswith(f"{NAME}.")
        module, _, attribute = str(command.python_name).partition(":")
        assert callable(getattr(importlib.import_module(module), attribute)), command.id


def test_every_contribution_names_a_command(manifest: PluginManifest) -> None:
    contributions = manifest.contributions
    known = {command.id for command in contributions.commands or []}
    used = [
        *(contributions.widgets or []),
        *(contributions.readers or []),
        *(contributions.writers or []),
        *(contributions.sample_data or []),
        *(item for items in (contributions.menus or {}).values() for item in items),
    ]
    assert {item.command for item in used} == known


def test_menus_are_ones_that_napari_lets_plugins_fill(manifest: PluginManifest) -> None:
    from napari._app_model.constants import MenuId

    allowed = {menu.value for menu in MenuId.contributables()}
    assert set(manifest.contributions.menus or {}) <= allowed


def test_reader_patterns_are_those_of_the_registered_formats(manifest: PluginManifest) -> None:
    from napari_apprentice.io import FORMATS

    suffixes = {suffix for _, format_ in FORMATS.items() for suffix in format_.suffixes}
    patterns = {
        p for reader in manifest.contributions.readers or [] for p in reader.filename_patterns
    }
    assert patterns == {f"*{suffix}" for suffix in suffixes}, (
        "a format was added or removed: write these patterns into both napari.yaml"
    )


def test_writer_extensions_are_those_of_the_writable_formats(manifest: PluginManifest) -> None:
    from napari_apprentice.io import FORMATS
    from napari_apprentice.io._format import WritableFormat

    writable = {
        suffix
        for _, format_ in FORMATS.items()
        if isinstance(format_, WritableFormat)
        for suffix in format_.writes
    }
    for writer in manifest.contributions.writers or []:
        assert set(writer.filename_extensions) <= writable


def test_settings_have_titles_descriptions_and_usable_defaults(manifest: PluginManifest) -> None:
    settings = manifest.contributions.configurations
    assert set(settings) == {"apprentice_general", "apprentice_keys"}
    for key, item in [pair for one in settings.values() for pair in one.properties.items()]:
        assert item.title, key
        assert item.description, key
        assert item.default is not None, key
        assert item.enum is None or item.default in item.enum, key


# ---------------------------------------------------------------- metadata


def test_base_install_brings_no_qt_and_caps_nothing(project: dict[str, Any]) -> None:
    for requirement in project["dependencies"]:
        assert not any(qt in requirement.lower() for qt in ("pyqt5", "pyqt6", "pyside")), (
            requirement
        )
        assert "[all]" not in requirement
        assert "<" not in requirement, requirement
        assert "==" not in requirement, requirement
    assert "napari>=0.9" in project["dependencies"]
    assert project["optional-dependencies"]["all"] == ["napari[all]"]


def test_constraints_satisfy_every_requirement(repository: Path, project: dict[str, Any]) -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    versions = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}
    extras = project["optional-dependencies"]
    for line in [*project["dependencies"], *extras["all"], *extras["test"]]:
        requirement = Requirement(line)
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), line


def test_citation_names_the_same_version(repository: Path, project: dict[str, Any]) -> None:
    citation = yaml.safe_load((repository / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]


# ---------------------------------------------------------------- import


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_after("import napari_apprentice", *HEAVY, *GUI) == []


def test_command_line_loads_nothing_heavy_before_a_verb_runs() -> None:
    assert loaded_after("import napari_apprentice.cli", *HEAVY, *GUI) == []


def test_reader_loads_neither_torch_nor_monai(tmp_path: Path) -> None:
    code = (
        "from napari_apprentice.widgets.manifest import get_reader\n"
        f"assert get_reader({str(tmp_path / 'absent.unknown')!r}) is None"
    )
    assert loaded_after(code, *HEAVY) == []


def test_listing_formats_tasks_and_networks_loads_neither_torch_nor_monai() -> None:
    code = (
        "from napari_apprentice.io import FORMATS\n"
        "from napari_apprentice.tasks import TASKS\n"
        "from napari_apprentice.models.networks import NETWORKS\n"
        "assert list(FORMATS) and list(TASKS) and list(NETWORKS)"
    )
    assert loaded_after(code, *HEAVY, *GUI) == []


# ---------------------------------------------------------------- built distributions


@pytest.fixture(scope="module")
def distributions(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the sdist, and the wheel that was built from the sdist (no network)."""
    folder = tmp_path_factory.mktemp("dist")
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(repository),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def wheel_names(distributions: Path) -> set[str]:
    """Names of the files in the wheel."""
    (wheel,) = distributions.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_holds_manifest_icon_type_marker_and_licence(wheel_names: set[str]) -> None:
    for name in ("napari.yaml", "icon.svg", "py.typed", "__init__.py"):
        assert f"napari_apprentice/{name}" in wheel_names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel_names)


def test_wheel_holds_the_whole_package_and_nothing_else(
    wheel_names: set[str], repository: Path
) -> None:
    source = repository / "src"
    files = {
        path.relative_to(source).as_posix()
        for path in (source / "napari_apprentice").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    samples = {name for name in wheel_names if "/_sample_data/" in name}
    assert {name for name in wheel_names - samples if ".dist-info/" not in name} == files
    top = {name.split("/")[0] for name in wheel_names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"napari_apprentice"}


def test_wheel_holds_the_samples_but_not_their_script(
    wheel_names: set[str], repository: Path
) -> None:
    folder = repository / "sample_data"
    samples = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc", ".md"}
    }
    prefix = "napari_apprentice/_sample_data/"
    packed = {name.removeprefix(prefix) for name in wheel_names if name.startswith(prefix)}
    assert packed == samples
    assert any("brain" in name for name in samples)
    assert any("nuclei" in name for name in samples)
    assert sum("cells" in name for name in samples) > 100


def test_wheel_stays_small(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    assert wheel.stat().st_size < 60e6


def test_sdist_holds_what_a_developer_needs(distributions: Path) -> None:
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in (
        "pyproject.toml",
        "Makefile",
        "constraints.txt",
        ".ci/run",
        "tests/conftest.py",
        "napari.yaml",
    ):
        assert name in names


def test_wheel_works_without_the_repository(distributions: Path, tmp_path: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path, format="zip")
    code = (
        "import sys; from napari_apprentice.widgets.manifest import sample_brain, sample_cells\n"
        "assert sample_brain() and sample_cells()\n"
        "print(sys.modules['napari_apprentice'].__file__)"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert Path(run.stdout.strip()).is_relative_to(tmp_path)
