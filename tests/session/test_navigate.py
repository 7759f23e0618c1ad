"""Where to look next: the slice there is most to learn from."""

from __future__ import annotations

import numpy as np
from tests._small import three_cells

from napari_apprentice.session.navigate import next_doubtful_slice, next_open_frame


def test_the_least_sure_slice_comes_first_and_its_neighbours_are_passed_over() -> None:
    doubts = np.array([0, 9, 8, 0, 5, 0, 7, 0], np.float32)
    shown: list[int] = []
    while (found := next_doubtful_slice(doubts, shown)) is not None:
        shown.append(found)
    assert shown == [1, 6, 4]


def test_of_many_slices_those_further_off_are_neighbours_too() -> None:
    doubts = np.linspace(1, 2, 64)
    assert next_doubtful_slice(doubts, ()) == 63
    assert next_doubtful_slice(doubts, [63]) == 63 - 5


def test_where_all_is_sure_or_finished_there_is_no_slice() -> None:
    assert next_doubtful_slice(np.zeros(5), ()) is None
    assert next_doubtful_slice(np.ones(5), range(5)) is None
    assert next_doubtful_slice(np.zeros(0), ()) is None


def test_the_next_open_frame_is_one_that_nobody_finished_or_began() -> None:
    finished, begun = three_cells(), three_cells()
    finished.finish_all()
    assert next_open_frame([begun, finished, begun], 0) == 2
    assert next_open_frame([None, finished, begun], 2) == 0
    assert next_open_frame([finished, begun, finished], 1) is None
