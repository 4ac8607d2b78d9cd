"""Sampling, streaming and scheduling by themselves."""

import threading

import numpy as np
import pytest

from slm.plugin import Request
from slm_engines.decoding import Scheduler
from slm_engines.sampling import Sampler, nucleus
from slm_engines.streaming import Detokenizer, Stopper
from slm_models.template import Prompter


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.1, [2]), (0.5, [2]), (0.6, [1, 2]), (0.8, [1, 2]), (0.95, [0, 1, 2]), (1.0, [0, 1, 2, 3])]
)
def test_the_nucleus_is_the_fewest_tokens_with_the_share(top_p, kept):
    weights = np.array([0.15, 0.3, 0.5, 0.05])
    assert np.flatnonzero(nucleus(weights, top_p)).tolist() == kept


def test_the_nucleus_of_a_flat_distribution_is_right_too():
    assert np.count_nonzero(nucleus(np.ones(5000), 0.5)) == pytest.approx(2500, abs=1)


def test_tokens_come_as_often_as_their_probability_says():
    logits = np.log(np.array([0.1, 0.2, 0.7], dtype=np.float32))
    sampler = Sampler(Request((1,), temperature=1.0, seed=0))
    counts = np.bincount([sampler.pick(logits) for _ in range(4000)], minlength=3) / 4000
    assert counts.tolist() == pytest.approx([0.1, 0.2, 0.7], abs=0.03)


@pytest.mark.parametrize("text", ["Straße 東京 🙂!", "🙂🙂", "a", " b  c", "👩‍👩‍👧"])
def test_any_text_comes_out_whole(writer, text):
    prompter = Prompter.open(writer.path)
    detokenizer = Detokenizer(prompter.decode)
    pieces = [detokenizer.push(token) for token in prompter.encode(text)]
    assert "".join(pieces) + detokenizer.flush() == text
    assert not any("�" in piece for piece in pieces)


@pytest.mark.parametrize("text", ["Once upon a time,  there was 東京.", "a\nb", "é"])
def test_byte_fallback_and_leading_spaces_come_out_as_the_tokenizer_decodes(data, text):
    from slm_models.template import derive_interface

    folder = data / "models/stories260k"
    prompter = Prompter.open(folder, derive_interface(folder, "completion"))
    detokenizer = Detokenizer(prompter.decode)
    ids = [1, *prompter.encode(text), 2, *prompter.encode(" more")]
    assert "".join(map(detokenizer.push, ids)) + detokenizer.flush() == prompter.decode(ids)


@pytest.mark.parametrize(
    ("pieces", "stops", "shown", "stopped"),
    [
        (["ab", "cd"], ["zz"], "abcd", False),
        (["a", "b", "c"], ["bc"], "a", True),
        (["ab", "c"], ["bd"], "abc", False),
        (["abc"], ["c", "b"], "a", True),
        (["x", "\n", "\n", "y"], ["\n\n"], "x", True),
        (["aab", "aac"], ["aac"], "aab", True),
        (["abc"], [""], "abc", False),
    ],
)
def test_stop_texts_are_found_across_pieces(pieces, stops, shown, stopped):
    stopper = Stopper(stops)
    text = ""
    for piece in pieces:
        more, done = stopper.push(piece)
        text += more
        if done:
            break
    assert (text + ("" if done else stopper.flush()), done) == (shown, stopped)


class Failing:
    """A decoder that fails on its third step."""

    vocabulary = 301

    def __init__(self) -> None:
        self.rows = self.steps = 0

    def add(self, prompt):
        self.rows += 1
        return np.eye(301, dtype=np.float32)[100]

    def step(self, tokens):
        self.steps += 1
        if self.steps == 3:
            raise MemoryError("no room")
        return np.eye(301, dtype=np.float32)[[100] * self.rows]

    def remove(self, row):
        self.rows -= 1

    def clear(self):
        self.rows = 0


def test_a_failure_reaches_every_caller_and_the_next_is_served(writer):
    scheduler = Scheduler(Failing(), Prompter.open(writer.path), rows=2)
    barrier, failures = threading.Barrier(3), []

    def call() -> None:
        barrier.wait()
        try:
            list(scheduler.generate([Request((1,), max_tokens=50)]))
        except MemoryError as error:
            failures.append(str(error))

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures
    assert set(failures) == {"no room"}
    assert len(list(scheduler.generate([Request((1,), max_tokens=5)]))) > 0
    scheduler.close()
