"""What is held out shares nothing with what is trained on, and the draw is the same each time."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from slm.plugin import Base, Hardware, Job, Rank, SlmError, Work
from slm_preprocessors.content import prints
from slm_preprocessors.split import Split

JOB = Job("t", "classification", Base("scratch"))


def rows_of(count: int, labels: int = 4) -> list[dict[str, str]]:
    """Rows of which each fifth repeats an earlier one, but for case and a full stop."""
    return [
        {
            "text": f"text {n}" if n % 5 else f"TEXT {max(n - 3, 0)}.",
            "label": f"l{(n if n % 5 else max(n - 3, 0)) % labels}",
        }
        for n in range(count)
    ]


def test_nothing_is_lost_and_nothing_leaks(split_of: Callable[..., Any], work: Work) -> None:
    train = split_of(rows_of(1000), "classification")
    done = Split(test=0.1, validation=0.2).preprocess({"train": train}, JOB, work)
    sizes = {name: len(split) for name, split in done.splits.items()}
    assert sizes == {"train": 700, "test": 100, "validation": 200}
    assert sorted(row["source"] for split in done.splits.values() for row in split) == sorted(train["source"])
    seen = [set(prints(split, "input", "punctuation").tolist()) for split in done.splits.values()]
    assert not seen[0] & seen[1] | seen[0] & seen[2] | seen[1] & seen[2]
    assert dict(done.report) == {"kept": 700, "moved": 300, "leaked": 0}


def test_labels_are_held_out_in_proportion(split_of: Callable[..., Any], work: Work) -> None:
    rows = [{"text": f"{n}", "label": "rare" if n % 20 == 0 else "often"} for n in range(400)]
    done = Split().preprocess({"train": split_of(rows, "classification")}, JOB, work)
    assert [Counter(done.splits[name]["label"][:]) for name in ("test", "validation")] == [{"often": 38, "rare": 2}] * 2


def test_a_label_of_one_stays_for_training(split_of: Callable[..., Any], work: Work) -> None:
    rows = [{"text": f"{n}", "label": f"l{n % 3}"} for n in range(30)] + [{"text": "only", "label": "one"}]
    for seed in range(10):
        done = Split(test=0.3).preprocess(
            {"train": split_of(rows, "classification", f"t{seed}")}, JOB, attrs.evolve(work, seed=seed)
        )
        assert "one" in done.splits["train"]["label"][:]


def test_the_draw_depends_on_the_seed_and_not_on_the_order(split_of: Callable[..., Any], work: Work) -> None:
    rows = [{"text": f"{n}"} for n in range(200)]

    def held(rows: list[dict[str, str]], name: str, seed: int) -> set[str]:
        done = Split().preprocess({"train": split_of(rows, "completion", name)}, JOB, attrs.evolve(work, seed=seed))
        return set(done.splits["test"]["text"])

    assert held(rows, "a", 1) == held(rows, "b", 1) == held(rows[::-1], "c", 1) != held(rows, "d", 2)


def test_given_sets_stay_and_their_questions_leave_training(split_of: Callable[..., Any], work: Work) -> None:
    train = split_of([{"question": f"q{n}", "answer": "a"} for n in range(20)], "qa")
    given = split_of([{"question": "Q3!", "answer": "other"}, {"question": "new", "answer": "a"}], "qa", "test_new")
    done = Split().preprocess({"train": train, "test_new": given}, JOB, work)
    assert {name: len(split) for name, split in done.splits.items()} == {"train": 17, "test_new": 2, "validation": 2}
    assert done.splits["test_new"].to_list() == given.to_list()
    (dropped,) = done.dropped["train"].to_list()
    assert (dropped["source"], dropped["why"]) == ("train:4", "leaked: it stands in test_new too")
    assert dict(done.report) == {"kept": 17, "moved": 2, "leaked": 1}


def test_few_records_give_one_to_each_set_or_a_clear_error(split_of: Callable[..., Any], work: Work) -> None:
    three = split_of([{"text": "a"}, {"text": "b"}, {"text": "c"}], "completion", "three")
    done = Split().preprocess({"train": three}, JOB, work)
    assert sorted(len(split) for split in done.splits.values()) == [1, 1, 1]
    same = split_of([{"text": "a"}, {"text": "A."}, {"text": "c"}], "completion", "same")
    with pytest.raises(SlmError, match="2 different records are too few to hold out test and validation"):
        Split().preprocess({"train": same}, JOB, work)
    assert len(Split(test=0, validation=0).preprocess({"train": same}, JOB, work).splits["train"]) == 3


@pytest.mark.parametrize(
    ("splits", "rank", "why"),
    [
        (("train",), Rank.BEST, "no source is a test set: 10% are held out"),
        (("test", "train"), Rank.BEST, "no source is a validation set: 10% are held out"),
        (("train", "validation"), Rank.BEST, "no source is a test set: 10% are held out"),
        (("test_new", "train", "validation"), Rank.POSSIBLE, "runs where the pipeline names it: no set is lacking"),
    ],
)
def test_it_runs_unasked_where_a_set_is_lacking(splits: tuple[str, ...], rank: Rank, why: str) -> None:
    bid = Split().bid(attrs.evolve(JOB, splits=splits), Hardware())
    assert (bid.rank, bid.why) == (rank, why)


@pytest.mark.parametrize(
    ("options", "message"), [({"test": 0.5, "validation": 0.5}, "hold out less"), ({"stratify": "label"}, "no label")]
)
def test_what_cannot_be_split_is_refused(options: Any, message: str, split_of: Callable[..., Any], work: Work) -> None:
    with pytest.raises(SlmError, match=message):
        Split(**options).preprocess({"train": split_of([{"text": f"{n}"} for n in range(9)], "completion")}, JOB, work)
