import pytest

from slm_evaluators.text import exact, normalized, rouge_l, token_f1


@pytest.mark.parametrize(
    ("answer", "expected", "same"),
    [
        (" Paris\n", "Paris", True),
        ("paris", "Paris", False),
        ("", "", True),
        ('{"a": 1}', '{"a":1}', False),
    ],
)
def test_exact_match_forgives_only_white_space_around(answer: str, expected: str, same: bool) -> None:
    assert exact(answer, expected) is same


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The  Eiffel Tower!", "eiffel tower"),
        ("a cat, an owl & the dog", "cat owl dog"),
        ("«Déjà»  vu…", "déjà vu"),
        ("$5 + 3", "5 3"),
        ("", ""),
    ],
)
def test_normalizing_drops_case_punctuation_and_articles(text: str, plain: str) -> None:
    assert normalized(text) == plain


@pytest.mark.parametrize(
    ("answer", "expected", "f1"),
    [
        ("the cat sat", "a cat sat", 1.0),
        ("cat sat down", "cat", 0.5),
        ("dog", "cat", 0.0),
        ("", "cat", 0.0),
        ("", "", 1.0),
        ("the", "a", 1.0),
        ("cat cat", "cat", 2 / 3),
        ("北京市", "北京", 0.8),
        ("हिन्दी भाषा", "हिन्दी", 2 / 3),
    ],
)
def test_token_f1_counts_shared_words(answer: str, expected: str, f1: float) -> None:
    assert token_f1(answer, expected) == pytest.approx(f1)


@pytest.mark.parametrize("answer", ["The police killed the gunman", "gunman the, killed: police", "it's", "x-y", "a_b"])
def test_rouge_l_of_english_is_that_of_rouge_score(answer: str) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    expected = "police killed the gunman, it's x y; a b"
    theirs = RougeScorer(["rougeL"]).score(expected, answer)["rougeL"].fmeasure
    assert rouge_l()(answer, expected) == pytest.approx(theirs)


def test_rouge_l_counts_words_beyond_ascii() -> None:
    score = rouge_l()
    assert score("чёрный кот", "чёрный кот спит") == pytest.approx(0.8)
    assert score("", "") == 1.0
    assert score("", "кот") == 0.0
