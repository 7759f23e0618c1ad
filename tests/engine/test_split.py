"""What is held out: whole objects where single ones are finished; the same images again where there are more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_apprentice.core.annotation import Annotation, Extent
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import TrainConfig
from napari_apprentice.engine.split import TrainItem, lasting_order, plan_split

RIM = 2


@pytest.fixture
def cells() -> TrainItem:
    """Twenty objects of 4 × 4 pixels, of which every second pair touches; each counts with its rim."""
    labels = np.zeros((60, 48), np.int32)
    counts = np.zeros(labels.shape, bool)
    for number in range(20):
        row, column = divmod(number, 4)
        y, x = 4 + 11 * row, 6 + 4 * column + 8 * (column // 2)
        labels[y : y + 4, x : x + 4] = 10 * number + 7
        counts[y - RIM : y + 4 + RIM, x - RIM : x + 4 + RIM] = True
    grid = Grid.regular("YX", labels.shape, (1.0, 1.0), unit="um")
    annotation = Annotation(grid, labels, (), Extent(strokes=True), counts)
    return TrainItem("cells", Volume(labels.astype(np.float32), grid), annotation)


def sides(item: TrainItem, **more: object) -> tuple[np.ndarray, np.ndarray]:
    split = plan_split([item], TrainConfig.model_validate(more), numbered=True)
    return split.train[0].annotation.counts(), split.held_out[0].annotation.counts()


def test_whole_objects_with_their_rims_are_held_out(cells: TrainItem) -> None:
    train, held = sides(cells, held_out=0.2)
    assert np.array_equal(train | held, cells.annotation.counts())
    assert not (train & held).any()
    labels = cells.annotation.labels
    owners = set(labels[held & (labels > 0)].tolist())
    assert len(owners) == 4
    for number in owners:
        assert held[labels == number].all()
    assert held.sum() > 1.5 * sum((labels == n).sum() for n in owners)


def test_held_out_objects_are_neighbours(cells: TrainItem) -> None:
    _, held = sides(cells, held_out=0.2)
    places = np.argwhere(held & (cells.annotation.labels > 0))
    assert np.ptp(places, axis=0).max() <= 26


def test_with_few_finished_objects_all_are_learned_from(cells: TrainItem) -> None:
    counts = cells.annotation.counts()
    counts[25:] = False
    few = replace(cells, annotation=replace(cells.annotation, painted=counts))
    split = plan_split([few], TrainConfig(), numbered=True)
    assert split.held_out == ()
    assert "too few objects" in split.note


def test_a_finished_part_without_objects_is_learned_from_too(cells: TrainItem) -> None:
    counts = cells.annotation.counts()
    counts[:, -3:] = True
    more = replace(cells, annotation=replace(cells.annotation, painted=counts))
    train, held = sides(more)
    assert train[:, -1].all()
    assert np.array_equal(train | held, counts)


def test_of_a_finished_image_a_slab_is_held_out(cells: TrainItem) -> None:
    whole = replace(cells, annotation=replace(cells.annotation, extent=Extent(whole=True)))
    split = plan_split([whole], TrainConfig(), numbered=True)
    assert "rows" in split.note
    assert "objects" in plan_split([cells], TrainConfig(), numbered=True).note
    assert "rows" in plan_split([cells], TrainConfig()).note


@pytest.mark.parametrize("count", [5, 12, 40])
def test_what_is_held_out_stays_so_when_there_is_more(count: int) -> None:
    names = [f"cell_{n}" for n in range(60)]
    some = lasting_order(names[:count], seed=3)
    more = lasting_order(names, seed=3)
    assert [name for name in more if name in some] == some
    assert sorted(more) == sorted(names)
    assert lasting_order(names, seed=4) != more
    assert lasting_order(["\udcff"], seed=0) == ["\udcff"]  # a file name that is no text
