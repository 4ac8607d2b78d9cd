import pytest

from slm_evaluators.windows import Window, batches, windows
from slm_models.template import Example


@pytest.mark.parametrize("length", [0, 1, 2, 7, 8, 9, 31, 64])
@pytest.mark.parametrize("size", [2, 3, 8, 100])
def test_every_target_is_scored_once_in_windows_that_fit(length: int, size: int) -> None:
    example = Example(list(range(100, 100 + length)), [n % 3 != 1 for n in range(length)])
    found = list(windows(example, size))
    scored = [window.ids[n] for window in found for n in window.scored]
    assert scored == [i for n, i in enumerate(example.ids) if n > 0 and example.targets[n]]
    assert all(len(window.ids) <= size and min(window.scored) > 0 for window in found)


def test_a_later_window_sees_half_a_window_before_what_it_scores() -> None:
    found = list(windows(Example(list(range(40)), [True] * 40), 16))
    assert [window.scored[0] for window in found] == [1, 8, 8, 8]


def test_a_window_without_targets_is_left_out() -> None:
    example = Example(list(range(12)), [False] * 11 + [True])
    assert [window.ids for window in windows(example, 4)] == [(8, 9, 10, 11)]


def test_batches_hold_every_window_once_and_like_lengths_together() -> None:
    found = [Window(tuple(range(n)), (1,)) for n in (5, 2, 9, 3, 9, 4)]
    made = list(batches(found, 10))
    assert [[len(window.ids) for window in batch] for batch in made] == [[9], [9], [5, 4], [3, 2]]
