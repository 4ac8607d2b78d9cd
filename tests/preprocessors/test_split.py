"""What is held out shares nothing with what is trained on, and the draw is the same each time."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest

from slm.plugin import Base, Hardware, Job, Rank, SlmError, Work
from slm_preprocessors.contents.content import prints
from slm_preprocessors.dividing.dates import read_dates
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


WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst"]


def kept(rows: list[dict[str, Any]], name: str, split_of: Callable[..., Any], **columns: list[Any]) -> Any:
    """A split whose records carry further columns."""
    split = split_of(rows, "completion", name)
    for column, found in columns.items():
        split = split.add_column(column, found)
    return split


def texts(count: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=30)) for _ in range(count)]


def test_a_group_stands_in_one_set(split_of: Callable[..., Any], work: Work) -> None:
    draw = random.Random(0)
    owners = [draw.choice(["", *(f"c{n}" for n in range(40))]) for _ in range(600)]
    train = kept([{"text": text} for text in texts(600)], "train", split_of, customer=owners)
    done = Split(group="customer").preprocess({"train": train}, JOB, work)
    found = {name: set(split["customer"][:]) - {""} for name, split in done.splits.items()}
    assert (
        not found["train"] & found["test"] | found["train"] & found["validation"] | found["test"] & found["validation"]
    )
    assert all(found.values())
    assert sum(map(len, done.splits.values())) == 600
    assert 40 <= len(done.splits["test"]) <= 60
    one = kept([{"text": text} for text in texts(9)], "one", split_of, customer=["same"] * 9)
    with pytest.raises(SlmError, match="1 groups by 'customer' are too few to hold out test and validation"):
        Split(group="customer").preprocess({"train": one}, JOB, work)


def test_the_latest_are_the_test_set(split_of: Callable[..., Any], work: Work) -> None:
    order = random.Random(0).sample(range(200), 200)
    days = [f"{1 + n % 28}.{1 + n // 28}.2024" for n in order]
    train = kept([{"text": text} for text in texts(200)], "train", split_of, date=days, number=order)
    done = Split(time="date").preprocess({"train": train}, JOB, work)
    assert sorted(done.splits["test"]["number"][:]) == list(range(180, 200))
    assert sorted(done.splits["validation"]["number"][:]) == list(range(160, 180))


def test_what_repeats_an_older_record_is_nothing_new_to_test(split_of: Callable[..., Any], work: Work) -> None:
    rows = texts(40)
    rows[39] = rows[0] + " once"
    train = kept(
        [{"text": text} for text in rows],
        "train",
        split_of,
        date=[f"2024-01-01T{n:02}:00" for n in range(24)] + [f"2024-02-{n:02}" for n in range(1, 17)],
    )
    done = Split(time="date", validation=0).preprocess({"train": train}, JOB, work)
    assert done.splits["test"]["source"][:] == [f"train:{n}" for n in (36, 37, 38, 39)]
    assert done.report["alike"] == 1
    assert done.examples == ("train:40: like train:1; both stay in one set",)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (["2024-01-01", "soon", "", "2024-01-02"], r"2 of 4 dates can't be read \(train:2: 'soon', train:3: ''\)"),
        (["13/01/2024", "01/13/2024", "1/1/2024", "1/2/2024"], "some dates have the day first and some the month"),
    ],
)
def test_dates_that_cannot_be_read_are_shown(
    found: list[str], message: str, split_of: Callable[..., Any], work: Work
) -> None:
    train = kept([{"text": text} for text in texts(4)], "train", split_of, date=found)
    with pytest.raises(SlmError, match=message) as caught:
        Split(time="date").preprocess({"train": train}, JOB, work)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2024-01-05", "2024-01-05"),
        ("2024-01-05T10:00:00Z", "2024-01-05T10:00"),
        ("2024-01-05 10:00:00+02:00", "2024-01-05T08:00"),
        ("20240105", "2024-01-05"),
        ("2024", "2024-01-01"),
        ("2024-02", "2024-02-01"),
        ("2024/1/5", "2024-01-05"),
        ("5.1.2024", "2024-01-05"),
        ("05.01.24 17:30", "2024-01-05T17:30"),
        ("1/5/2024 3:04 PM", "2024-01-05T15:04"),
        ("12/31/99", "1999-12-31"),
        ("5 Jan 2024", "2024-01-05"),
        ("5th January 2024", "2024-01-05"),
        ("Jan. 5, 2024", "2024-01-05"),
        ("Friday, January 5, 2024 10:00", "2024-01-05T10:00"),
        ("05-Jan-2024", "2024-01-05"),
        ("Fri, 05 Jan 2024 10:00:00 +0100", "2024-01-05T09:00"),
        ("1704412800", "2024-01-05"),
        ("1704412800000", "2024-01-05"),
        ("2024年1月5日", "2024-01-05"),
        (date(2024, 1, 5), "2024-01-05"),
        (datetime(2024, 1, 5, 10), "2024-01-05T10:00"),
        (1704412800, "2024-01-05"),
    ],
)
def test_dates_are_read_as_people_write_them(text: Any, iso: str) -> None:
    assert read_dates([text], ["a"], "time") == [datetime.fromisoformat(iso).replace(tzinfo=UTC).timestamp()]


def test_day_and_month_are_told_apart_by_the_other_dates() -> None:
    assert read_dates(["3/4/2024", "31/4/2024".replace("31", "30")], list("ab"), "time") == read_dates(
        ["2024-04-03", "2024-04-30"], list("ab"), "time"
    )


def test_folds_divide_all_records(split_of: Callable[..., Any], work: Work) -> None:
    rows = [{"text": text, "label": "ab"[n % 7 == 0]} for n, text in enumerate(texts(300))]
    rows += [{"text": row["text"] + " too", "label": row["label"]} for row in rows[:50]]
    seen: Counter[str] = Counter()
    for fold in range(5):
        train = split_of(rows, "classification", f"f{fold}")
        done = Split(folds=5, fold=fold).preprocess({"train": train}, JOB, work)
        assert [len(done.splits[name]) for name in ("train", "validation", "test")] == [245, 35, 70]
        assert 10 <= Counter(done.splits["test"]["label"][:])["b"] <= 11
        seen.update(done.splits["test"]["text"][:])
        assert not {text.removesuffix(" too") for text in done.splits["test"]["text"]} & {
            text.removesuffix(" too") for text in done.splits["train"]["text"]
        }
    assert seen == Counter(row["text"] for row in rows)


@pytest.mark.parametrize(("leakage", "together"), [("move", True), ("report", False), ("off", False)])
def test_near_duplicates_stay_in_one_set_or_are_counted(
    leakage: Any, together: bool, split_of: Callable[..., Any], work: Work
) -> None:
    rows = [{"text": text + end} for text in texts(200) for end in ("", " also")]
    done = Split(leakage=leakage).preprocess({"train": split_of(rows, "completion")}, JOB, work)
    parts = [{text.removesuffix(" also") for text in split["text"]} for split in done.splits.values()]
    assert together == (not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2])
    assert sum(map(len, done.splits.values())) == 400
    if leakage == "report":
        assert done.report["alike"] == len(parts[0] & (parts[1] | parts[2]))
        assert "like train:" in done.examples[0]
        assert done.examples[0].endswith(", which is held out")


def test_near_duplicates_of_a_given_set_leave_training(split_of: Callable[..., Any], work: Work) -> None:
    rows = texts(60)
    given = split_of([{"text": rows[5] + " once"}, {"text": "new"}], "completion", "test")
    splits = {"train": split_of([{"text": text} for text in rows], "completion"), "test": given}
    done = Split().preprocess(splits, JOB, work)
    (dropped,) = done.dropped["train"].to_list()
    assert (dropped["source"], dropped["why"]) == ("train:6", "leaked: 0.97 like test:1 in test")
    assert dict(done.report) == {"kept": 53, "moved": 6, "leaked": 1}
    told = Split(leakage="report").preprocess(splits, JOB, work)
    assert (told.report["leaked"], told.report["alike"]) == (0, 1)


def test_records_that_are_nearly_all_alike_are_divided_all_the_same(split_of: Callable[..., Any], work: Work) -> None:
    told: list[Any] = []
    work = attrs.evolve(work, emit=lambda kind, data: told.append(data) if kind == "warning" else None)
    frame = " ".join(WORDS)
    train = split_of([{"text": f"{frame} {n}"} for n in range(100)], "completion")
    done = Split().preprocess({"train": train}, JOB, work)
    assert sorted(map(len, done.splits.values())) == [10, 10, 80]
    assert "100 of 100 records are alike, or pieces of one text: too many for one set" in told[0]["text"]
    given = split_of([{"text": f"{frame} x"}], "completion", "test")
    done = Split().preprocess({"train": train, "test": given}, JOB, work)
    assert done.report["leaked"] == 0
    assert "they stay" in told[1]["text"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group": "customer"}, r"records carry no 'customer'; say keep = \[\"customer\"\]"),
        ({"time": "date"}, "records carry no 'date'"),
        ({"folds": 5, "fold": 5}, "5 is none of 5 folds"),
        ({"folds": 1}, "0 is none of 1 folds"),
        ({"fold": 1}, "1 is none of 0 folds"),
        ({"folds": 2, "validation": 0.5}, "hold out less"),
        ({"folds": 10}, "9 different records are too few for 10 folds"),
        ({"folds": 3, "time": "text"}, "set folds or time, not both"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: Any, message: str, split_of: Callable[..., Any], work: Work
) -> None:
    with pytest.raises(SlmError, match=message):
        Split(**options).preprocess({"train": split_of([{"text": f"{n}"} for n in range(9)], "completion")}, JOB, work)


def test_pieces_of_one_text_stay_in_one_set_unless_there_is_only_one_text(
    split_of: Callable[..., Any], work: Work
) -> None:
    rows = [{"text": f"piece {n} says {n * 7919 % 1000} and {n * 104729 % 997} too"} for n in range(200)]
    train = split_of(rows, "completion")
    pieces = train.remove_columns("source").add_column("source", [f"book{n // 4}.md:1#{n % 4 + 1}" for n in range(200)])
    done = Split().preprocess({"train": pieces}, JOB, work)
    books = [{source.partition(":")[0] for source in split["source"]} for split in done.splits.values()]
    assert all(books)
    assert not books[0] & books[1] | books[0] & books[2] | books[1] & books[2]
    one = train.remove_columns("source").add_column("source", [f"book.md:1#{n + 1}" for n in range(200)])
    assert len(Split().preprocess({"train": one}, JOB, work).splits["test"]) == 20
