"""The documentation is true: its examples run, its links lead somewhere, its pictures are there."""

from __future__ import annotations

import re
import shlex
import struct
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), REPOSITORY / "README.md"])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# Pages that others write from code; their commands are examples of usage, not to be run one after the other.
GENERATED = "reference"
# Need a window, or look at the machine; their own tests run them.
NOT_RUN = {"gui", "demo", "doctor"}


def name_of(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)
    return [str(block) for block in found]


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", prose_of(page), flags=re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.replace(" ", "-") for title in plain}


def with_blocks(language: str) -> list[Any]:
    pages = [p for p in PAGES if blocks(p, language) and p.parent.name != GENERATED]
    return [pytest.param(page, id=name_of(page)) for page in pages]


# -- links and pictures ---------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} does not exist"
        assert file.is_relative_to(REPOSITORY), f"{target} leads out of the repository"
        if anchor:
            assert anchor in anchors(file), f"{target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_path_of_one_machine_and_no_loose_end(page: Path) -> None:
    text = text_of(page)
    assert not re.findall(r"(?<![\w~.`$*{}])/(?:home|root|work|tmp|Users|mnt)/\S*", text)
    assert not re.findall(r"TODO|FIXME|TBD|lorem ipsum", text, flags=re.IGNORECASE)


def test_every_page_is_reached_from_the_index() -> None:
    seen: set[Path] = set()
    todo = [DOCS / "index.md"]
    while todo:
        page = todo.pop()
        if page in seen or not page.is_file():
            continue
        seen.add(page)
        targets = (t.partition("#")[0] for t in LINK.findall(prose_of(page)))
        todo += [(page.parent / t).resolve() for t in targets if t.endswith(".md") and ":" not in t]
    assert {p for p in PAGES if p.is_relative_to(DOCS)} <= seen


def test_pictures_are_small_and_all_used() -> None:
    used = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in LINK.findall(prose_of(page))
        if target.endswith((".png", ".jpg", ".svg")) and ":" not in target
    }
    there = set(DOCS.rglob("*.png"))
    assert there <= used
    assert sum(path.stat().st_size for path in there) < 4_500_000
    for path in there:
        assert path.stat().st_size < 250_000, path.name
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n", path.name
        width, height = struct.unpack(">II", path.read_bytes()[16:24])
        assert 200 <= width <= 1280, path.name
        assert 60 <= height <= 800, path.name


# -- examples -------------------------------------------------------------------------------


@pytest.mark.parametrize("page", with_blocks("python"))
def test_the_python_of_a_page_runs_from_top_to_bottom(page: Path, world: Path) -> None:
    scope: dict[str, Any] = {"__name__": "__docs__"}
    for number, block in enumerate(blocks(page, "python"), start=1):
        code = compile(block, f"{name_of(page)}, block {number}", "exec")
        exec(code, scope)
    assert len(scope) > 2, "the examples of the page do nothing"


@pytest.mark.parametrize("page", with_blocks("console"))
def test_the_commands_of_a_page_run_one_after_the_other(
    page: Path, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_apprentice.cli._app import run

    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in lines), "a command without its $"
    for line in lines:
        words = shlex.split(line[2:], comments=True)
        if "napari-apprentice" not in words:
            continue
        arguments = words[words.index("napari-apprentice") + 1 :]
        if arguments[0] in NOT_RUN or any(word.isupper() for word in arguments):
            arguments = [arguments[0], "--help"]
        code = run(arguments)
        assert code == 0, f"{line}\n{capsys.readouterr().err}"


# -- words ----------------------------------------------------------------------------------


def test_what_the_correct_page_names_is_what_the_buttons_say() -> None:
    widgets = REPOSITORY / "src/napari_apprentice/widgets"
    source = "\n".join(path.read_text(encoding="utf-8") for path in sorted(widgets.glob("*.py")))
    tables = re.findall(r"^\| ([^|]+) \|", text_of(DOCS / "how-to/correct.md"), re.MULTILINE)
    names = [name for name in tables if name not in {"tool", "press"}]
    assert len(names) > 12
    for name in names:
        written = f'"{name}"' in source or f'f"{name.split()[0]} {{' in source
        assert written, f"no button says {name!r}"
