"""Append what a benchmark found to RESULTS.md, with the machine and the commit it was found on."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
_HEAD = (
    "# Results of the benchmarks\n\n"
    "Each section is what one script printed, newest last. Times depend on the machine and on what else it did;\n"
    "ratios of sides that took turns in one run depend on neither much.\n"
)


def report(title: str, rows: Sequence[Mapping[str, object]], note: str = "") -> str:
    """Print a table and append it to RESULTS.md.

    Parameters
    ----------
    title
        Heading of the section.
    rows
        One mapping per line, column name to value; columns in the order in which they first appear.
    note
        Sentences under the table.

    Returns
    -------
    str
        The section as it was appended.
    """
    section = f"\n## {title}\n\n{date.today().isoformat()} · {machine()} · commit {commit()}\n\n{table(rows)}\n"
    if note:
        section += f"\n{note.strip()}\n"
    print(section)
    if not RESULTS.exists():
        RESULTS.write_text(_HEAD, encoding="utf-8")
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(section)
    return section


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows as a Markdown table; floats with three significant digits."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row.get(name, "")) for name in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value).replace("|", "\\|")
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def machine() -> str:
    """Processor, cores, threads of torch, versions: what a number depends on."""
    import torch

    parts = [f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name(0))
    parts.append(f"Python {platform.python_version()}, torch {torch.__version__}")
    if hasattr(os, "getloadavg"):
        parts.append(f"load {os.getloadavg()[0]:.1f}")
    return " · ".join(parts)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def commit() -> str:
    """Short hash of the checkout, with a plus where the package differs from it."""
    folder = Path(__file__).resolve().parents[1]
    try:
        name = _git(folder, "rev-parse", "--short", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--", "src", "benchmarks/*.py")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name + ("+" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return result.stdout.strip()
