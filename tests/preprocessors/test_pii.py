"""Personal data is found by form, checksum and context, taken out as asked, and never shown."""

import json
import re
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest

from slm.config import attempt
from slm.plugin import Base, Job, SlmError, Work
from slm_preprocessors.personal.accounts import luhn
from slm_preprocessors.personal.standins import stand_in
from slm_preprocessors.pii import Pii, masked

JOB = Job("t", "qa", Base("scratch"))
LABELS = {
    "CREDIT_CARD": "card",
    "EMAIL_ADDRESS": "email",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
    "PHONE_NUMBER": "phone",
    "US_SSN": "national_id",
}


def found(text: str, **options: Any) -> list[tuple[str, str]]:
    return [(each.kind, text[each.start : each.end]) for each in Pii(**options).finder()(text)]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("mail: o'brien.john+x@mail.example.co.uk.", "email", "o'brien.john+x@mail.example.co.uk"),
        ("<anna@firma.de>", "email", "anna@firma.de"),
        ("email=john@x.com&y=1", "email", "john@x.com"),
        ("{{old@example.com}}", "email", "old@example.com"),
        ("kontakt@müller.de", "email", "kontakt@müller.de"),
        ("john [at] acme [dot] com", "email", "john [at] acme [dot] com"),
        ("4111 1111 1111 1111 exp 12/26", "card", "4111 1111 1111 1111"),
        ("(4111-1111-1111-1111)", "card", "4111-1111-1111-1111"),
        ("3782 822463 10005", "card", "3782 822463 10005"),
        ("pay with 6011000990139424.", "card", "6011000990139424"),
        ("my card 501864667909", "card", "501864667909"),
        ("IBAN: DE89 3704 0044 0532 0130 00, BIC COBADEFF", "iban", "DE89 3704 0044 0532 0130 00"),
        ("FR1420041010050500013M02606 ok", "iban", "FR1420041010050500013M02606"),
        ("no9386011117947", "iban", "no9386011117947"),
        ("server 192.168.1.10:8080", "ip", "192.168.1.10"),
        ("http://10.0.0.5/x", "ip", "10.0.0.5"),
        ("ping 8.8.8.8.", "ip", "8.8.8.8"),
        ("[2001:db8::1]:443", "ip", "2001:db8::1"),
        ("fe80::1ff:fe23:4567:890a", "ip", "fe80::1ff:fe23:4567:890a"),
        ("::ffff:192.0.2.128", "ip", "::ffff:192.0.2.128"),
        ("SSN 123-45-6789", "national_id", "123-45-6789"),
        ("my ssn is 123456789", "national_id", "123456789"),
        ("DNI 12345678Z", "national_id", "12345678Z"),
        ("RSSMRA85T10A562S", "national_id", "RSSMRA85T10A562S"),
        ("PESEL 44051401359", "national_id", "44051401359"),
        ("CPF 390.533.447-05", "national_id", "390.533.447-05"),
        ("NINO: AB 12 34 56 C", "national_id", "AB 12 34 56 C"),
        ("NHS number 943 476 5919", "national_id", "943 476 5919"),
        ("call +1 (415) 555-2671", "phone", "+1 (415) 555-2671"),
        ("(415) 555-2671", "phone", "(415) 555-2671"),
        ("suite 771 905-674-3793", "phone", "905-674-3793"),
        ("Tel.: 030/12345678", "phone", "030/12345678"),
        ("+49 (0)30 1234-5678", "phone", "+49 (0)30 1234-5678"),
        ("0049 170 1234567", "phone", "0049 170 1234567"),
        ("06 12 34 56 78", "phone", "06 12 34 56 78"),
        ("Phone number: 5551234567", "phone", "5551234567"),
        ("whatsapp 07700900123", "phone", "07700900123"),
        ("ring 020 7946 0958 ext. 12 now", "phone", "020 7946 0958 ext. 12"),
        ("電話：03-1234-5678", "phone", "03-1234-5678"),  # noqa: RUF001
        ("aws AKIAIOSFODNN7EXAMPLE", "secret", "AKIAIOSFODNN7EXAMPLE"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPx", "secret", "wJalrXUtnFEMI/K7MDENG/bPx"),
        ("sk-proj-abcdEFGH1234567890abcdEFGH", "secret", "sk-proj-abcdEFGH1234567890abcdEFGH"),
        ("xoxb-123456789012-abcdefGHIJKL", "secret", "xoxb-123456789012-abcdefGHIJKL"),
        ("x eyJhbGciOiJIUzI1.eyJzdWIiOiIx.dozjgNryP4J3", "secret", "eyJhbGciOiJIUzI1.eyJzdWIiOiIx.dozjgNryP4J3"),
        ("My password is Tr0ub4dor&3", "secret", "Tr0ub4dor&3"),
        ('"password": "hunter2"', "secret", "hunter2"),
        ("Authorization: Bearer abcDEF1234567890abcDEF", "secret", "abcDEF1234567890abcDEF"),
        ("https://user:pa55word@host.com/x", "url", "https://user:pa55word@host.com/x"),
        ("see https://x.org/cb?access_token=abcdef123456.", "url", "https://x.org/cb?access_token=abcdef123456"),
        ("00:1A:2B:3C:4D:5E", "mac", "00:1A:2B:3C:4D:5E"),
        ("1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "wallet", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"),
    ],
)
def test_what_is_personal_is_found_and_nothing_beside_it(text: str, kind: str, value: str) -> None:
    assert found(text) == [(kind, value)]


def test_a_private_key_is_one_find() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n+/x==\n-----END RSA PRIVATE KEY-----"
    assert found(f"key:\n{key}\nend") == [("secret", key)]


@pytest.mark.parametrize(
    "text",
    [
        "version 1.2.3.4 released; Chrome/91.0.4.12; v10.0.1.1; EC 3.1.1.11",
        "127.0.0.1 localhost 0.0.0.0 255.255.255.0",
        "1998-2004, on 2024-01-15 10:30:00 and 15/01/2024 12:13",
        "ISBN 978-3-16-148410-0, GTIN 4006381333931, doi 10.1038/s41586-020-2649-2",
        "order 4111111111111112; Order number 123-456-7890; A/C No. 00632000001783",
        "pi is 3.14159265358979, $1,234,567.89, 12,345,678 people, 1000000 2000000",
        "std::vector a::b dead::beef 12:30:45 ratio 16:9",
        "a@b @user, the token is invalid, your password is required",
        "password: ******** token=${TOKEN} password = os.environ['PW'] token: str = None password=input()",
        "https://example.com/page?id=123456",
        "uuid 123e4567-e89b-12d3-a456-426614174000, commit 1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b",
        "call me in 2024 or 2025; call f(1234567); 200 phones = $<<1000/200=5>>5",
        "numbers: 1 2 3 4 5 6 7 8 9 10; phone list: 12 7 9 15 23 5 16",
        "= 3600000000000 + 62426244000",
    ],
)
def test_what_only_looks_personal_stays(text: str) -> None:
    assert found(text) == []


def test_national_numbers_are_known_by_region() -> None:
    assert found("see 78 651 450 there") == []
    assert found("see 20 12 34 56 there", regions=("DK",)) == [("phone", "20 12 34 56")]


def test_labelled_sentences_are_found_with_recall_and_precision(data: Path) -> None:
    """A span is found when a find of its kind overlaps it, a find is right when it overlaps a span of its kind."""
    find, counts = Pii().finder(), Counter[str]()
    for file in ("data/synth_dataset_v2.json", "tests/data/generated_small.json"):
        for row in json.loads((data / "pii/presidio" / file).read_text(encoding="utf-8")):
            labels = [
                (span["start_position"], span["end_position"], LABELS[span["entity_type"]])
                for span in row["spans"]
                if span["entity_type"] in LABELS
            ]
            finds = [(each.start, each.end, each.kind) for each in find(row["full_text"])]
            for mine, others, what in ((labels, finds, "missed"), (finds, labels, "wrong")):
                for start, end, kind in mine:
                    hit = any(kind == k and start < to and at < end for at, to, k in others)
                    counts.update({f"{kind} {what}": not hit, kind: 1})
    assert {kind: counts[f"{kind} missed"] + counts[f"{kind} wrong"] for kind in LABELS.values()} == dict.fromkeys(
        LABELS.values(), 0
    )
    assert counts["phone"] == 2 * 102


@pytest.mark.parametrize(
    ("kind", "value", "shape"),
    [
        ("email", "Ann.Lee@firm.com", r"user-[0-9a-f]{10}@example\.org"),
        ("phone", "(415) 555-2671", r"\([2-9]\d\d\) 555-01\d\d"),
        ("phone", "+447700 921 916", r"\+447700 900 \d{3}"),
        ("phone", "+46 (0)8 928 571 38", r"\+46 \(0\)5 55\d \d{3} \d\d"),
        ("phone", "0490 75 40 81", r"0555 \d\d \d\d \d\d"),
        ("card", "5500 0055 5555 5559", r"4000 00\d\d \d{4} \d{4}"),
        ("iban", "DE89 3704 0044 0532 0130 00", r"DE\d\d( \d{4}){4} \d\d"),
        ("national_id", "123-45-6789", r"9\d\d-00-\d{4}"),
        ("national_id", "12345678Z", r"\d{8}[A-Z]"),
        ("ip", "8.8.8.8", r"(192\.0\.2|198\.51\.100|203\.0\.113)\.\d+"),
        ("ip", "2a00:1450::1", r"2001:db8(:[0-9a-f]{4}){6}"),
        ("mac", "00:1A:2B:3C:4D:5E", r"00:00:5e:00:53:[0-9a-f]{2}"),
        ("url", "ftp://a:b1234@x/y", r"ftp://example\.org/[0-9a-f]{12}"),
    ],
)
def test_a_stand_in_has_the_form_and_is_always_the_same(kind: str, value: str, shape: str) -> None:
    made = stand_in(kind, value, "salt")
    assert re.fullmatch(shape, made)
    assert made == stand_in(kind, value, "salt") != stand_in(kind, value, "pepper")
    if kind == "card":
        assert luhn(re.sub(r"\D", "", made))


def test_one_value_written_in_two_ways_has_one_stand_in() -> None:
    assert (
        stand_in("phone", "(415) 555-2671", "s")[-8:]
        == stand_in("phone", "+1 415.555.2671", "s").replace(".", "-")[-8:]
    )
    assert stand_in("email", "A@x.com", "s") == stand_in("email", "a@X.com", "s")


ROWS = [
    {"question": "Write to ann@firm.com or bob@firm.com", "answer": "I wrote to ann@firm.com"},
    {"question": "Who?", "answer": "support@acme.com, +1 415 555 2671"},
    {"question": "Nothing?", "answer": "Nothing."},
]


def texts(split: Any) -> list[list[str]]:
    return [[turn["content"] for turn in row["messages"]] for row in split]


def test_every_turn_is_redacted_and_the_report_shows_no_value(split_of: Callable[..., Any], work: Work) -> None:
    split = split_of(ROWS, "qa")
    done = Pii(allow=("support@acme.com",)).preprocess({"train": split}, JOB, work)
    assert texts(done.splits["train"]) == [
        ["Write to [EMAIL] or [EMAIL]", "I wrote to [EMAIL]"],
        ["Who?", "support@acme.com, [PHONE]"],
        ["Nothing?", "Nothing."],
    ]
    assert dict(done.report) == {"kept": 1, "changed": 2, "dropped": 0, "email": 3, "phone": 1}
    assert done.examples == (
        "train:1: email xxx@xxxx.xxx",
        "train:1: email xxx@xxxx.xxx",
        "train:2: phone +9 999 999 9999",
    )
    assert done.splits["train"]["source"][:] == split["source"][:]


def test_pseudonyms_are_the_same_in_every_record_and_run(split_of: Callable[..., Any], work: Work) -> None:
    split = split_of(ROWS, "qa")
    pii = Pii(action="pseudonymise", salt="x", kinds=("email",))
    first, second = (texts(pii.preprocess({"train": split}, JOB, work).splits["train"]) for _ in range(2))
    assert first == second
    ann = stand_in("email", "ann@firm.com", "x")
    assert (first[0][0].count(ann), first[0][1]) == (1, f"I wrote to {ann}")
    assert "+1 415 555 2671" in first[1][1]


def test_records_are_dropped_aside_with_the_kinds(split_of: Callable[..., Any], work: Work) -> None:
    done = Pii(action="drop").preprocess({"train": split_of(ROWS, "qa")}, JOB, work)
    assert done.splits["train"]["source"][:] == ["train:3"]
    assert [row["why"] for row in done.dropped["train"]] == ["holds email (3)", "holds email (1), phone (1)"]
    assert texts(done.dropped["train"])[0] == [ROWS[0]["question"], ROWS[0]["answer"]]


def test_a_report_changes_nothing(split_of: Callable[..., Any], work: Work) -> None:
    split = split_of(ROWS, "qa")
    done = Pii(action="report").preprocess({"train": split}, JOB, work)
    assert done.splits["train"].to_list() == split.to_list()
    assert dict(done.report) == {"kept": 3, "changed": 0, "dropped": 0, "email": 4, "phone": 1}


@pytest.mark.parametrize(
    ("rows", "task", "fields"),
    [
        ([{"text": "a@b.com", "label": "x@y.org"}], "classification", {"text": "[EMAIL]", "label": "x@y.org"}),
        (
            [{"prompt": "q", "chosen": "a@b.com", "rejected": "c@d.com"}],
            "preference",
            {"chosen": "[EMAIL]", "rejected": "[EMAIL]"},
        ),
        ([{"text": "a@b.com"}], "completion", {"text": "[EMAIL]"}),
    ],
)
def test_the_texts_of_every_task_are_looked_into(
    rows: Any, task: str, fields: dict[str, str], split_of: Callable[..., Any], work: Work
) -> None:
    (record,) = Pii().preprocess({"train": split_of(rows, task)}, Job("t", task, Base("scratch")), work).splits["train"]
    assert {name: record[name] for name in fields} == fields


def test_kept_columns_stay_and_are_named(split_of: Callable[..., Any], work: Work) -> None:
    said: list[dict[str, Any]] = []
    telling = attrs.evolve(work, emit=lambda kind, told: said.append({"kind": kind, **told}))
    split = split_of([{"text": "a@b.com"}], "completion").add_column("customer", ["c@d.com"])
    (record,) = Pii().preprocess({"train": split}, Job("t", "completion", Base("scratch")), telling).splits["train"]
    assert (record["text"], record["customer"]) == ("[EMAIL]", "c@d.com")
    assert said[0]["text"] == "pii: the kept columns customer of train are not looked into"


def test_allowed_texts_may_be_regular_expressions() -> None:
    assert found("a@acme.com b@x.com", allow=("/.*@acme\\.com/",)) == [("email", "b@x.com")]
    made, mistakes = attempt({"allow": ["/(/"]}, Pii, "preprocess.0")
    assert made is None
    assert "'/(/' is not a regular expression" in mistakes[0].say


def test_masks_show_the_shape_alone() -> None:
    assert masked("Ab-12 ß") == "xx-99 x"
    assert len(masked("x" * 500)) == 39


@pytest.mark.skipif(find_spec("presidio_analyzer") is not None, reason="presidio is installed here")
def test_presidio_that_is_missing_is_said_in_one_line() -> None:
    with pytest.raises(SlmError, match=r"pii.presidio: needs \w+: pip install presidio-analyzer"):
        Pii(presidio=True).finder()


@pytest.mark.parametrize(
    "part",
    ["1-", "1 ", "a@b.com ", "a@", "b.", "password=", "call 123 4567 ", "DE89 ", "12ab:", "http://a?token=", "(1)"],
)
def test_long_texts_of_one_part_end_in_time(part: str) -> None:
    text = part * 20_000
    finds = Pii().finder()(text)
    assert all(before.end <= after.start for before, after in pairwise(finds))
