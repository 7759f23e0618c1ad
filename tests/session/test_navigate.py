"""Where to look next: the slice there is most to learn from."""

from __future__ import annotations

import numpy as np

from napari_apprentice.session.navigate import next_doubtful_slice


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
