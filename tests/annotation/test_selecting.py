"""Which items are put before people."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from slm.plugin import SlmError
from slm_annotation.selecting import HOWS, select
from slm_annotation.values import Guess, Item

TOPICS = {
    "weather": ("will it rain", "is it sunny", "how cold is the wind", "snow and rain today", "sunny and cold"),
    "music": ("play a song", "louder music please", "play jazz music", "stop the song", "next song please"),
    "lights": ("lamp off", "turn on the lamp", "dim the lamp", "turn the lamp blue", "lamp on please"),
}


def items(texts: Sequence[str]) -> list[Item]:
    return [Item(f"k{n}", f"d{n}", f"file.csv:{n}", {"text": text}) for n, text in enumerate(texts)]


def numbered(count: int) -> list[Item]:
    return items([f"text number {n}" for n in range(count)])


def guesses(scores: Sequence[float], labels: str = "") -> dict[str, Guess]:
    said = labels or "x" * len(scores)
    return {f"k{n}": Guess({"label": said[n]}, score, "m") for n, score in enumerate(scores)}


def keys(found: Sequence[Item]) -> list[str]:
    return [item.key for item in found]


ALL: Mapping[str, Any] = {
    "guesses": guesses([n / 100 for n in range(60)]),
    "known": {f"k{n}": {"label": "y"} for n in range(60)},
}


@pytest.mark.parametrize("how", HOWS)
def test_a_choice_depends_on_the_seed_and_not_on_the_order_of_items(how: str) -> None:
    pool = numbered(60)
    found = keys(select(how, pool, 10, 1, **ALL))
    assert len(set(found)) == 10
    assert found == keys(select(how, pool, 10, 1, **ALL)) == keys(select(how, pool[::-1], 10, 1, **ALL))


@pytest.mark.parametrize("how", ["random", "diverse"])
def test_another_seed_draws_others(how: str) -> None:
    assert keys(select(how, numbered(60), 10, 1)) != keys(select(how, numbered(60), 10, 2))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("limit", [0, -1, 1, 3, 100])
def test_no_more_are_chosen_than_asked_for_or_there(how: str, limit: int) -> None:
    found = select(how, numbered(5), limit, 0, **ALL)
    assert len(found) == max(0, min(limit, 5))
    assert select(how, [], limit, 0) == []


@pytest.mark.parametrize("how", HOWS)
def test_the_same_fields_are_never_chosen_twice_nor_where_they_are_covered(how: str) -> None:
    pool = items(["one"] * 20 + ["two"] * 20 + ["three"] * 20)
    assert len(select(how, pool, 10, 0, **ALL)) == 3
    known = [Item("old", "", "", {"text": "one"})]
    assert {item.fields["text"] for item in select(how, pool, 10, 0, covered=known, **ALL)} == {"two", "three"}


def test_new_items_do_not_reorder_those_drawn_by_lot() -> None:
    before = keys(select("random", numbered(50), 50, 3))
    after = keys(select("random", numbered(80), 80, 3))
    assert [key for key in after if key in before] == before


def test_lots_are_fair() -> None:
    drawn = Counter(key for seed in range(400) for key in keys(select("random", numbered(10), 3, seed)))
    assert min(drawn.values()) > 80  # 120 are expected, give or take 9
    assert max(drawn.values()) < 160


def test_the_least_sure_come_first() -> None:
    assert keys(select("uncertain", numbered(4), 3, 0, guesses=guesses([0.9, 0.1, 0.5, 0.3]))) == ["k1", "k3", "k2"]


def test_no_guess_and_no_number_count_as_at_a_loss() -> None:
    found = select("uncertain", numbered(4), 2, 0, guesses=guesses([0.9, math.nan, 0.5]))
    assert set(keys(found)) == {"k1", "k3"}


def test_an_items_own_guess_counts_where_no_other_is_given() -> None:
    pool = [Item(f"k{n}", "", "", {"text": f"t{n}"}, Guess({"label": "x"}, 1 - n / 10, "m")) for n in range(5)]
    assert keys(select("uncertain", pool, 2, 0)) == ["k4", "k3"]


def test_equal_scores_are_drawn_by_lot() -> None:
    same = guesses([0.5] * 30)
    first, second = (keys(select("uncertain", numbered(30), 5, seed, guesses=same)) for seed in (1, 2))
    assert first != second


def test_diverse_items_cover_the_topics_and_avoid_those_already_covered() -> None:
    pool = items([text for topic in TOPICS.values() for text in topic])
    topics = {item.key: n // 5 for n, item in enumerate(pool)}
    spread = [len({topics[key] for key in keys(select("diverse", pool, 3, seed))}) for seed in range(60)]
    drawn = [len({topics[key] for key in keys(select("random", pool, 3, seed))}) for seed in range(60)]
    assert sum(spread) > sum(drawn)
    others = [item for item in pool if topics[item.key]]
    left = Counter(topics[key] for seed in range(60) for key in keys(select("diverse", pool, 1, seed, covered=others)))
    assert left.most_common(1)[0][0] == 0


def test_a_small_topic_among_many_alike_is_found() -> None:
    pool = items(
        [*(f"please turn on lamp {n}" for n in range(190)), *(f"some jazz {n} would be nice" for n in range(10))]
    )
    hits = sum(any(int(key[1:]) >= 190 for key in keys(select("diverse", pool, 8, seed))) for seed in range(20))
    assert hits == 20


@pytest.mark.parametrize("text", ["", " ", "\x00", "🙂", "東京", "a" * 50_000])
def test_texts_of_any_kind_can_be_spread(text: str) -> None:
    found = select("diverse", items([text, *(f"{text}{n}" for n in range(30))]), 5, 0)
    assert len(set(keys(found))) == 5


def test_dialogues_are_spread_by_what_is_said() -> None:
    said = ["will it rain", "will it rain?", "will it rain!", "play jazz"]
    pool = [Item(f"k{n}", "", "", {"dialogue": [{"role": "user", "content": t}]}) for n, t in enumerate(said)]
    hits = sum("k3" in keys(select("diverse", pool, 2, seed)) for seed in range(20))
    assert hits >= 19


def test_mixed_chooses_diverse_ones_among_the_least_sure() -> None:
    pool = items([*(f"please turn on lamp {n}" for n in range(29)), "play jazz", *(f"rain {n}" for n in range(70))])
    scores = guesses([0.1] * 30 + [0.9] * 70)
    found = [keys(select("mixed", pool, 10, seed, guesses=scores)) for seed in range(60)]
    assert all(int(key[1:]) < 30 for each in found for key in each)
    assert sum("k29" in each for each in found) >= 28  # a lot would have it 20 times
    assert keys(select("mixed", pool, 10, 4)) == keys(select("diverse", pool, 10, 4))


def test_models_that_differ_most_come_first_and_those_that_agree_never() -> None:
    mine = guesses([0.9, 0.9, 0.9, 0.2], "aaaa")
    others = [guesses([0.9] * 4, "abbb"), guesses([0.9] * 4, "abca")]
    assert keys(select("disagreement", numbered(4), 4, 0, guesses=mine, others=others)) == ["k2", "k1", "k3"]


def test_a_label_that_the_model_is_sure_is_wrong_comes_first() -> None:
    known = {"k0": {"label": "a"}, "k1": {"label": "b"}, "k2": {"label": "b"}, "k3": {}}
    found = select("disagreement", numbered(4), 4, 0, guesses=guesses([0.9, 0.6, 0.8, 0.9], "aaaa"), known=known)
    assert keys(found) == ["k2", "k1"]


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ({"labels": ["a", "b"]}, {"labels": ["b", "a"]}, False),
        ({"labels": []}, {"labels": ["a"]}, True),
        ({"spans": []}, {"spans": [{"start": 0, "end": 2, "label": "A", "text": "te"}]}, True),
        ({"choice": "a"}, {"choice": "tie"}, True),
        ({"question": "q", "answer": "x "}, {"question": "q", "answer": "x", "verdict": "good"}, False),
        ({"response": "x"}, {"response": "y"}, True),
        ({"text": "x"}, {"text": "x"}, False),
        ({"label": "a"}, {}, False),
    ],
)
def test_answers_of_any_shape_differ_or_do_not(one: dict[str, Any], other: dict[str, Any], differ: bool) -> None:
    pool, also = numbered(2), {"label": "x"}
    mine = {"k0": Guess(one, 0.5, "m"), "k1": Guess(also, 0.5, "m")}
    known = {"k0": other, "k1": also}
    assert bool(select("disagreement", pool, 2, 0, guesses=mine, known=known)) == differ


def test_what_can_not_be_chosen_by_is_said() -> None:
    with pytest.raises(SlmError, match="'uncertain' goes by a model's guesses"):
        select("uncertain", numbered(3), 2, 0)
    with pytest.raises(SlmError, match="'disagreement' compares a model's guesses with labels"):
        select("disagreement", numbered(3), 2, 0, guesses=guesses([0.1, 0.2, 0.3]))
    with pytest.raises(SlmError, match="'best' is no way to choose; say one of random, uncertain"):
        select("best", numbered(3), 2, 0)


def test_ten_thousand_items_are_spread_in_little_memory() -> None:
    import tracemalloc

    pool = items([f"{n % 97} words about {n % 53} things in {n}" for n in range(10_000)])
    select("diverse", pool[:50], 5, 0)  # numpy is there
    tracemalloc.start()
    found = select("diverse", pool, 500, 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len({item.fields["text"] for item in found}) == 500
    assert peak < 50 << 20
