"""``doctor``: what works on this machine, and what to do about what does not."""

from __future__ import annotations

import platform
import shutil
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING, Any, Literal

import napari_apprentice

from ._console import print_json, print_lines
from ._environment import display_problem, qt_bindings, screen_command
from ._options import Debug, Json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["doctor"]

_GB = 1e9
_LIBRARIES = (
    *("numpy", "torch", "monai", "napari", "npe2", "qtpy", "magicgui", "superqt", "pyqtgraph"),
    *(
        "pydantic",
        "tifffile",
        "nibabel",
        "zarr",
        "dask",
        "scikit-image",
        "imagecodecs",
        "safetensors",
    ),
)
_CODECS = ("zlib", "lzw", "zstd", "jpeg8", "jpeg2k", "jpegls", "jpegsof3", "jpegxl", "png")
_AGAIN = "Install it again from where you have it, with pip install --force-reinstall."
Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Parameters
    ----------
    name
        What it is.
    status
        ``"ok"``, ``"warning"`` (something is slower or missing) or ``"problem"`` (the main job would fail).
    found
        What was found.
    fix
        What to do; empty where there is nothing to do.
    """

    name: str
    status: Status
    found: str
    fix: str = ""


def doctor(json: Json = False, debug: Debug = False) -> int:
    """Check this installation: libraries, device, memory, disk, models, display; exit code 1 on a problem."""
    checks = list(_checks())
    ok = all(check.status != "problem" for check in checks)
    if json:
        from napari_apprentice.engine.device import describe_devices

        document: dict[str, Any] = {
            "ok": ok,
            "version": napari_apprentice.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "libraries": _libraries(),
            "devices": describe_devices(),
            "checks": [asdict(check) for check in checks],
        }
        print_json(document)
    else:
        print_lines(_lines(checks))
    return 0 if ok else 1


def _lines(checks: list[Check]) -> Iterator[str]:
    marks = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM"}
    for check in checks:
        yield f"{marks[check.status]}  {check.name}: {check.found}"
        if check.fix:
            yield f"         → {check.fix}"


def _libraries() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _checks() -> Iterator[Check]:
    yield _python()
    yield _installed()
    yield _plugin()
    yield _qt()
    yield _display()
    yield from _devices()
    yield _memory()
    yield from _user_folder()
    yield _starters()
    yield _codecs()


def _python() -> Check:
    found = f"napari-apprentice {napari_apprentice.__version__}, Python {platform.python_version()}"
    return Check("version", "ok", f"{found}, {platform.platform()}")


def _installed() -> Check:
    libraries = _libraries()
    missing = [name for name, found in libraries.items() if found is None]
    if missing:
        return Check("libraries", "problem", f"missing: {', '.join(missing)}", _AGAIN)
    shown = ("napari", "torch", "monai", "numpy")
    return Check("libraries", "ok", ", ".join(f"{name} {libraries[name]}" for name in shown))


def _plugin() -> Check:
    known = [point.name for point in entry_points(group="napari.manifest")]
    if "napari-apprentice" in known:
        return Check("plugin", "ok", "napari finds it")
    fix = "Install it into the environment of napari instead of running it from its folder."
    return Check("plugin", "problem", "napari does not find it", fix)


def _qt() -> Check:
    found = qt_bindings()
    if not found:
        fix = (
            "For the window: pip install 'napari-apprentice[all]'. The command line works without."
        )
        return Check("Qt", "warning", "no binding installed", fix)
    if len(found) > 1:
        fix = "Keep one of them, or choose with the environment variable QT_API."
        return Check("Qt", "warning", f"{' and '.join(found)} are both installed", fix)
    return Check("Qt", "ok", f"{found[0]} {version(found[0])}")


def _display() -> Check:
    problem = display_problem()
    if problem is None:
        return Check("display", "ok", "a window can be opened")
    if screen_command() is None:
        fix = "Install a virtual one (Debian, Ubuntu: apt install xvfb) or work at a desktop."
        return Check("display", "warning", problem, fix)
    return Check("display", "warning", problem, "Put xvfb-run -a before a command that needs one.")


def _devices() -> Iterator[Check]:
    from napari_apprentice.engine.device import describe_devices

    facts = describe_devices()
    build = f"CUDA {facts['cuda_build']}" if facts["cuda_build"] else "CPU only"
    chosen = facts["chosen"]
    found = f"{chosen['label']} (torch {facts['torch']}, {build}); a convolution on it is right"
    yield Check("device", "warning" if chosen["note"] else "ok", found, chosen["note"])
    for gpu in facts["gpus"]:
        if gpu["works"]:
            free, total = (gpu["memory"][key] / _GB for key in ("available", "total"))
            yield Check(gpu["name"], "ok", f"{gpu['label']}, {free:.1f} of {total:.1f} GB free")
        else:
            fix = "Update the driver, or install a torch built for this card."
            yield Check(gpu["name"], "warning", gpu["problem"], fix)
    if shutil.which("nvidia-smi") and not facts["cuda_available"]:
        fix = "Install a torch build with CUDA (pytorch.org shows the line), or update the driver."
        yield Check("GPU", "warning", "an NVIDIA driver is here, but torch cannot use it", fix)


def _memory() -> Check:
    from napari_apprentice.engine.device import memory_free

    free = memory_free("cpu")
    if not free:
        return Check("memory", "ok", "not known")
    if free < 2 * _GB:
        fix = "Close other programs; large volumes will be predicted in smaller tiles."
        return Check("memory", "warning", f"{free / _GB:.1f} GB free", fix)
    return Check("memory", "ok", f"{free / _GB:.1f} GB free")


def _user_folder() -> Iterator[Check]:
    from napari_apprentice.models.store import ModelStore

    folder = ModelStore().folder
    fix = "Set NAPARI_APPRENTICE_HOME to a folder that you may write to."
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield Check("model folder", "problem", f"{folder}: {error.strerror or error}", fix)
        return
    yield Check("model folder", "ok", f"{folder} can be written to")
    yield _disk(folder)


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    if free < 2 * _GB:
        return Check("disk", "warning", f"{free / _GB:.1f} GB free", "Make room on this disk.")
    return Check("disk", "ok", f"{free / _GB:.1f} GB free")


def _starters() -> Check:
    from napari_apprentice.models.store import ModelStore

    store = ModelStore()
    names = [name for name in {*store.specs(), *store.problems} if store.is_starter(name)]
    broken = {name: problems[0] for name in sorted(names) if (problems := store.verify(name))}
    if broken:
        return Check("starter models", "problem", "; ".join(broken.values()), _AGAIN)
    if not names:
        return Check("starter models", "problem", "none found", _AGAIN)
    return Check("starter models", "ok", f"{', '.join(sorted(names))}: whole and genuine")


def _codecs() -> Check:
    try:
        import imagecodecs
    except ImportError as error:
        fix = "Run: pip install --force-reinstall imagecodecs"
        return Check("codecs", "problem", f"imagecodecs cannot be loaded ({error})", fix)
    there = [name for name in _CODECS if getattr(imagecodecs, name.upper()).available]
    missing = [name for name in _CODECS if name not in there]
    if missing:
        fix = "Run: pip install --upgrade imagecodecs"
        return Check("codecs", "warning", f"missing: {', '.join(missing)}", fix)
    return Check("codecs", "ok", ", ".join(there))
