"""Spans lie on their words, however a tool counts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slm.plugin import SlmError
from slm_annotators.studio.spans import read_span

FAMILY = "👩\u200d👩\u200d👧"
TEXT = f"{FAMILY} Mail  to bob@x.io,\r\nthen\tcall  e\u0301ve 555 — café\n\n  & <b>Ann</b>.\nEnd"
TEXTS = st.text(st.sampled_from("ab \t\n\r👧é\u0301\u200d\\n—🎵"), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (15, 23, "bob@x.io"),
        (39, 52, "ve 555 — café"),
        (31, 64, "call e\u0301ve 555 — café\\n\\n& <b>Ann"),
        (61, 73, "Ann</b>.\\nEnd"),
        (26, 35, "then call"),
        (6, 18, "Mail to bob"),
    ],
)
def test_what_the_editor_wrote_in_a_browser_is_read(start: int, end: int, said: str) -> None:
    assert read_span({"start": start, "end": end, "text": said}, TEXT) == (start, end)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("👧 bob", {"start": 3, "end": 6, "text": "bob"}, (2, 5)),  # UTF-16
        ("👧👧bob bob", {"start": 4, "end": 7, "text": "bob"}, (2, 5)),  # UTF-16, and characters on another word
        ("a\r\nb bob", {"start": 4, "end": 7, "text": "bob"}, (5, 8)),  # a line end counted as one
        ("xx xx", {"start": 0, "end": 2, "text": "xx"}, (0, 2)),
        ("👧👧👧👧", {"start": 2, "end": 4, "text": "👧👧"}, (2, 4)),  # both fit: characters, as the editor counts
        ("bob", {"start": 0, "end": 3}, (0, 3)),  # a config may say not to keep the text
        ("bob", {"start": "0", "end": 3.0, "text": "bob"}, (0, 3)),
        ("<b>bob</b>", {"start": "/b[1]/text()[1]", "globalOffsets": {"start": 3, "end": 6}, "text": "bob"}, (3, 6)),
        ("a\\nb", {"start": 0, "end": 4, "text": "a\\nb"}, (0, 4)),
    ],
)
def test_a_span_is_put_on_its_words(text: str, value: dict[str, Any], expected: tuple[int, int]) -> None:
    assert read_span(value, text) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"start": 100, "end": 200, "text": "bob"}, ["100-200", "'bob'", "beyond its 5 characters"]),
        ({"start": 0, "end": 2, "text": "bob"}, ["0-2", "'bob'", "'he'"]),
        ({"start": 2, "end": 2, "text": ""}, ["2-2"]),
        ({"start": 3, "end": 1, "text": "el"}, ["3-1"]),
        ({"start": -3, "end": 5, "text": "llo"}, ["-3-5"]),
        ({"start": None, "end": 5, "text": "hello"}, ["whole numbers"]),
        ({"start": 0.5, "end": 5, "text": "hello"}, ["whole numbers"]),
        ({"start": True, "end": 5, "text": "ello"}, ["whole numbers"]),
        ({"start": float("nan"), "end": 5}, ["whole numbers"]),
        ({"start": float("inf"), "end": 5}, ["whole numbers"]),
        ({"text": "hello"}, ["whole numbers"]),
        ({"start": 0, "end": 9}, ["beyond"]),
    ],
)
def test_a_span_beside_its_words_is_said_with_both(value: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SlmError) as caught:
        read_span(value, "hello")
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


@given(TEXTS, st.data())
def test_every_span_in_characters_is_read_back(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    assert read_span({"start": start, "end": end, "text": text[start:end]}, text) == (start, end)


@given(TEXTS, st.data())
def test_every_span_in_utf16_units_is_read_as_words_like_its_own(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    units = [len(text[:place].encode("utf-16-le")) // 2 for place in (start, end)]
    found = read_span({"start": units[0], "end": units[1], "text": text[start:end]}, text)
    assert text[slice(*found)] == text[start:end]


@given(TEXTS, st.integers(-3, 40), st.integers(-3, 40), TEXTS)
def test_a_span_is_in_its_text_or_refused(text: str, start: int, end: int, said: str) -> None:
    try:
        found = read_span({"start": start, "end": end, "text": said}, text)
    except SlmError:
        return
    assert 0 <= found[0] < found[1] <= len(text)
    assert "".join(text[slice(*found)].split()).replace("\\n", "") == "".join(said.split()).replace("\\n", "")
