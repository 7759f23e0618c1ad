"""Volume, annotation, spec, registry, jobs, errors."""

from __future__ import annotations

import math
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from pydantic import ValidationError

from napari_apprentice.core.annotation import Annotation, Extent, LabelClass
from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Job, Progress, run_to_end
from napari_apprentice.core.optional import require
from napari_apprentice.core.registry import Registry
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.models.networks import NETWORKS
from napari_apprentice.tasks import TASKS, NumbersObjects, Task, WholeImage

CLASSES = (LabelClass(1, "a"), LabelClass(2, "b"))


def test_a_volume_keeps_its_array_lazy() -> None:
    class Lazy:
        shape, dtype, reads = (2, 3, 4, 5), np.dtype("u1"), 0

        def __getitem__(self, key: object) -> np.ndarray:
            Lazy.reads += 1
            return np.zeros(self.shape, "u1")[key]

    volume = Volume(Lazy(), Grid.regular("TZYX", (2, 3, 4, 5)))
    assert (volume.nbytes, Lazy.reads) == (120, 0)
    assert volume.frame(1).channel_first().shape == (1, 3, 4, 5)
    assert Lazy.reads == 1


def test_a_volume_must_lie_on_its_grid() -> None:
    with pytest.raises(GridMismatchError, match=r"\(3, 3\)"):
        Volume(np.zeros((2, 2)), Grid.regular("YX", (3, 3)))


def test_channels_are_selected_by_number() -> None:
    data = np.arange(3 * 4).reshape(3, 2, 2)
    volume = Volume(data, Grid.regular("CYX", (3, 2, 2)), ("r", "g", "b"), rgb=True)
    one, two = volume.select((1,)), volume.select((2, 0))
    assert (one.grid.axes, one.channels, one.rgb) == ("YX", ("g",), False)
    assert two.channels == ("b", "r")
    np.testing.assert_array_equal(two.numpy(), data[[2, 0]])


def test_where_an_annotation_counts() -> None:
    painted = np.zeros((3, 4, 4), bool)
    painted[2, 0, 0] = True
    extent = Extent(slices=((0, 1),), boxes=(((0, 0, 0), (1, 2, 2)),), strokes=True)
    mask = extent.mask((3, 4, 4), painted)
    assert mask.sum() == 16 + 4 + 1
    assert extent.describe() == "slice 1 + 1 box + strokes"
    assert Extent().is_empty
    assert Extent(whole=True).mask((2, 2)).all()


def test_labels_must_be_integers_on_the_grid() -> None:
    grid = Grid.regular("YX", (2, 2))
    with pytest.raises(BadInputError, match="integer"):
        Annotation(grid, np.zeros((2, 2)), CLASSES)
    with pytest.raises(GridMismatchError):
        Annotation(grid, np.zeros((3, 2), int), CLASSES)


def test_a_model_spec_is_strict() -> None:
    good = {"name": "m", "task": "semantic", "network": "unet", "ndim": 2, "tile": (8, 8)}
    assert ModelSpec.model_validate(good).channels == ("image",)
    for change in (
        {"tile": (8,)},
        {"spacing": (1.0, 0.0)},
        {"unknown": 1},
        {"name": "../evil"},
        {"classes": [{"value": 1, "name": "a"}, {"value": 1, "name": "b"}]},
    ):
        with pytest.raises(ValidationError):
            ModelSpec.model_validate(good | change)


def test_a_registry_lists_without_importing_and_helps_with_typos() -> None:
    assert "unet" in NETWORKS
    assert "semantic" in TASKS.names()
    with pytest.raises(BadInputError, match="Did you mean 'unet'"):
        NETWORKS["unett"]


def test_entries_of_other_packages_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def points(*, group: str) -> list[EntryPoint]:
        asked.append(group)
        return [EntryPoint("theirs", "math:pi", group)]

    monkeypatch.setattr("napari_apprentice.core.registry.entry_points", points)
    networks: Registry[object] = Registry("network", NETWORKS.package, NETWORKS.attribute)
    for _ in range(3):
        assert "theirs" in networks
        assert {"theirs", "unet"} < set(networks)
        assert networks["theirs"] == math.pi
    assert asked == ["napari_apprentice.networks"]


def test_who_fulfils_a_role_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks: Registry[Task] = Registry("task", TASKS.package, TASKS.attribute)
    numbering = tasks.fulfilling(NumbersObjects)
    assert "instance" in numbering
    assert "semantic" not in numbering
    assert set(tasks.fulfilling(NumbersObjects | WholeImage)) == {*numbering, "image_class"}
    monkeypatch.setattr(tasks, "items", lambda: pytest.fail("compared again"))
    assert tasks.fulfilling(NumbersObjects) == numbering


def test_a_missing_library_names_its_extra() -> None:
    with pytest.raises(BadInputError, match=r"pip install 'napari-apprentice\[zoo\]'"):
        require("no_such_library_here", extra="zoo", purpose="do this")


def test_a_job_runs_to_its_result_and_is_closed_when_the_listener_fails() -> None:
    closed = []

    def job() -> Job[int]:
        try:
            yield Progress("a", 1, 2)
            return 7
        finally:
            closed.append(True)

    assert run_to_end(job()) == 7

    def fail(_: object) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        run_to_end(job(), fail)
    assert closed == [True, True]


def test_an_error_is_one_line_with_file_fault_and_remedy() -> None:
    error = BadInputError("found\ntwo lines.", path="a.nii", remedy="Do this.")
    assert str(error) == "a.nii: found two lines. Do this."
    assert error.exit_code == 2
