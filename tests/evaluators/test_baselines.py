import pytest

from slm_evaluators.baselines import most_frequent, nearest


def test_the_commonest_answer_wins_and_of_equals_the_first() -> None:
    assert most_frequent(["b", "a", "a", "b", "c"]) == "b"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("switch the lamp on", 0),
        ("lamps", 0),
        ("what will the weather be tomorrow", 2),
        ("PLAY jazz", 1),
        ("", 0),
        ("?!", 0),
    ],
)
def test_the_nearest_text_shares_the_rarest_words(asked: str, found: int) -> None:
    prompts = ["turn the lamp on", "play some jazz", "tell me the weather of tomorrow"]
    assert nearest(prompts, [asked]) == [found]


def test_it_works_on_blank_texts_only_and_on_more_texts_than_a_batch() -> None:
    assert nearest(["", " "], ["", "x"]) == [0, 0]
    prompts = [f"word{n} thing{n}" for n in range(600)]
    assert nearest(prompts, prompts) == list(range(600))
    assert nearest(prompts, []) == []
