"""What people said, joined with the records of a data set: from a mirror as a pull leaves it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from slm.plugin import SlmError
from slm_annotation.mirror import Mirror
from slm_annotation.records import to_item
from slm_annotation.stage import applied
from slm_annotation.syncing import Pushed
from slm_annotation.values import Answer, Entry
from slm_data.rows import schema_of

KEYS = {"id": "", "splits": ["train"], "resolve": "majority", "keep": "all"}
NAMED = {**KEYS, "id": "name"}
Said = Sequence[Mapping[str, Any] | None]
Apply = Callable[..., tuple[list[dict[str, Any]], dict[str, int]]]


def record(n: int, text: str, label: str | None = None) -> dict[str, Any]:
    return {"id": f"{n:032x}", "source": f"texts.csv:{n + 2}", "text": text, "label": label, "name": f"row {n}"}


def question(n: int, answer: str) -> dict[str, Any]:
    turns = [{"role": "user", "content": f"Question {n}?"}, {"role": "assistant", "content": answer}]
    return {"id": f"{n:032x}", "source": f"faq.csv:{n + 2}", "messages": turns, "name": ""}


def pair(n: int) -> dict[str, Any]:
    turns = [{"role": "user", "content": f"Question {n}?"}]
    return {
        "id": f"{n:032x}",
        "source": f"faq.csv:{n + 2}",
        "messages": turns,
        "chosen": "yes",
        "rejected": "no",
        "name": "",
    }


def answers(number: int, said: Said) -> tuple[Answer, ...]:
    """What people said of an entry, one after another: nothing stands for a skip."""
    time = "2026-01-02T00:00:00.000000Z"
    return tuple(
        Answer(
            number * 10 + n,
            f"ann{n}@example.test",
            time,
            time,
            skipped=each is None,
            values={} if each is None else each,
        )
        for n, each in enumerate(said)
    )


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    found = Mirror(tmp_path / "mirror.sqlite3")
    yield found
    found.close()


@pytest.fixture
def apply(mirror: Mirror) -> Apply:
    """Answer records, by their place in the list, and join what was said with the data set."""

    def joined(
        records: Sequence[dict[str, Any]],
        said: Mapping[int, Said],
        shape: str = "classification",
        edits: Mapping[int, Mapping[str, Any]] | None = None,
        since: str = "",
        **keys: Any,
    ) -> tuple[list[dict[str, Any]], dict[str, int]]:
        import datasets

        keys = {**KEYS, **keys}
        items = {n: to_item(records[n], shape, keys["id"]) for n in said}
        entered = [
            Entry(n + 1, item.key, item.digest, item.source, item.fields, "2026-01-01T00:00:00.000000Z", since=since)
            for n, item in items.items()
        ]
        mirror.sent(entered)
        read = [
            Entry(
                e.number, e.key, e.digest, e.source, {**e.fields, **(edits or {}).get(e.number - 1, {})},
                "2026-01-02T00:00:00.000000Z", answers(e.number, said[e.number - 1]), since,
            )
            for e in entered
        ]  # fmt: skip
        mirror.read(read)
        task = {"qa": "qa", "preference": "preference"}.get(shape, "classification")
        features = datasets.Features.from_arrow_schema(schema_of(task, ["name"]))
        parts = {"train": records, "test": records[:1]}
        splits = {name: datasets.Dataset.from_list(list(some), features=features) for name, some in parts.items()}
        made, report = applied(splits, mirror, shape, keys, Pushed(new=len(said)))
        assert made["test"] is splits["test"]
        assert made["train"].features == splits["train"].features
        return list(made["train"]), report

    return joined


def labels(rows: Sequence[Mapping[str, Any]]) -> list[str | None]:
    return [row["label"] for row in rows]


def test_named_records_that_say_the_same_have_answers_of_their_own(apply: Apply) -> None:
    twins = [record(0, "the same"), record(1, "the same"), record(2, "other")]
    said: dict[int, Said] = {0: [{"label": "good"}], 1: [{"label": "bad"}], 2: [{"label": "good"}]}
    rows, report = apply(twins, said, id="name")
    assert [(row["name"], row["label"]) for row in rows] == [("row 0", "good"), ("row 1", "bad"), ("row 2", "good")]
    assert (report["answered"], report["left out"]) == (3, 0)


def test_of_named_records_that_say_the_same_one_may_be_answered_alone(apply: Apply) -> None:
    twins = [record(0, "the same"), record(1, "the same")]
    rows, report = apply(twins, {1: [{"label": "bad"}]}, id="name")
    assert [(row["name"], row["label"]) for row in rows] == [("row 1", "bad")]
    assert (report["answered"], report["left out"]) == (1, 1)


def test_records_without_names_that_say_the_same_share_their_answers(apply: Apply) -> None:
    twins = [record(0, "the same"), record(1, "other"), record(2, "the same")]
    rows, report = apply(twins, {0: [{"label": "good"}]})
    assert [(row["name"], row["label"]) for row in rows] == [("row 0", "good"), ("row 2", "good")]
    assert (report["answered"], report["left out"]) == (2, 1)


def test_the_majority_counts_and_ties_are_counted_and_left_out(apply: Apply) -> None:
    one, two = {"label": "good"}, {"label": "bad"}
    said: dict[int, Said] = {0: [one, two, two], 1: [one, two], 2: [one], 3: [two, one]}
    rows, report = apply([record(n, f"text {n}", "good") for n in range(4)], said)
    assert labels(rows) == ["bad", "good"]
    assert report == {"answered": 2, "unanswered": 0, "left out": 2, "ties": 2, "sent": 4, "conflicts": 0}


def test_all_that_was_said_may_become_rows(apply: Apply) -> None:
    rows, report = apply([record(0, "text")], {0: [{"label": "good"}, {"label": "bad"}]}, resolve="all")
    assert sorted(map(str, labels(rows))) == ["bad", "good"]
    assert report["answered"] == 1


@pytest.mark.parametrize(("keep", "found"), [("all", ["bad", "good"]), ("answered", ["bad"])])
def test_what_nobody_answered_stays_or_goes(apply: Apply, keep: str, found: list[str]) -> None:
    there = [record(0, "asked", "good"), record(1, "not asked", "good"), record(2, "without a label")]
    rows, report = apply(there, {0: [{"label": "bad"}], 2: []}, keep=keep)
    assert labels(rows) == found
    assert (report["unanswered"], report["left out"]) == (len(found) - 1, 3 - len(found))


@pytest.mark.parametrize("keep", ["all", "answered"])
def test_a_skipped_record_is_as_one_that_nobody_answered(apply: Apply, keep: str) -> None:
    there = [record(0, "skipped", "good"), record(1, "answered", "good")]
    rows, _ = apply(there, {0: [None], 1: [{"label": "bad"}]}, keep=keep)
    assert labels(rows) == (["good", "bad"] if keep == "all" else ["bad"])


def test_answers_to_an_older_content_do_not_count(apply: Apply) -> None:
    with pytest.raises(SlmError, match="no training record is complete yet"):
        apply([record(0, "text")], {0: [{"label": "good"}]}, since="2026-01-03T00:00:00.000000Z")


def test_what_people_threw_out_is_left_out_whatever_is_kept(apply: Apply) -> None:
    said: dict[int, Said] = {0: [{"verdict": "bad"}], 1: [{"answer": "Better.", "verdict": "fixed"}]}
    rows, report = apply([question(n, "As it was.") for n in range(3)], said, shape="qa")
    assert [row["messages"][-1]["content"] for row in rows] == ["Better.", "As it was."]
    assert (report["answered"], report["left out"], report["unanswered"]) == (1, 1, 1)


def test_texts_that_were_edited_in_the_project_come_back(apply: Apply) -> None:
    there = [record(0, "a tipo"), record(1, "another tipo", "good")]
    edits = {n: {"text": each["text"].replace("tipo", "typo")} for n, each in enumerate(there)}
    rows, _ = apply(there, {0: [{"label": "good"}], 1: []}, edits=edits)
    assert [(row["text"], row["label"]) for row in rows] == [("a typo", "good"), ("another typo", "good")]


def test_a_choice_between_two_answers_decides_which_one_was_chosen(apply: Apply) -> None:
    there = [pair(n) for n in range(3)]
    shown = [to_item(each, "preference").fields for each in there]
    said: dict[int, Said] = {n: [{"choice": "a"}] for n in range(2)} | {2: [{"choice": "tie"}]}
    rows, report = apply(there, said, shape="preference")
    assert [(row["chosen"], row["rejected"]) for row in rows] == [(each["a"], each["b"]) for each in shown[:2]]
    assert report["left out"] == 1


def test_a_record_that_changed_here_after_it_was_answered_is_unanswered(apply: Apply, mirror: Mirror) -> None:
    apply([record(0, "as it was")], {0: [{"label": "good"}]}, id="name")
    rows, report = apply([record(0, "changed since", "bad"), record(1, "new")], {1: [{"label": "good"}]}, id="name")
    assert labels(rows) == ["bad", "good"]
    assert (report["answered"], report["unanswered"]) == (1, 1)
