"""What every engine promises of its answers."""

import threading

import pytest

from slm.plugin import Request, SlmError


def test_requests_answered_together_get_what_they_get_alone(engine, prompts, ask):
    requests = [Request(prompt, max_tokens=8 + 5 * n) for n, prompt in enumerate(prompts)]
    assert ask(engine, requests) == [ask(engine, [request])[0] for request in requests]


def test_more_requests_than_rows_wait_their_turn(reopened, engine, prompts, ask):
    requests = [Request(prompt, max_tokens=6) for prompt in prompts * 2]
    assert ask(reopened(rows=2), requests) == ask(engine, requests)


def test_greedy_answers_are_the_most_likely_tokens_of_the_network(engine, network, prompts, ask):
    import torch

    (tokens, _, _) = ask(engine, [Request(prompts[1], max_tokens=10)])[0]
    ids = list(prompts[1])
    with torch.no_grad():
        for token in tokens:
            assert token == int(network(torch.tensor([ids])).logits[0, -1].argmax())
            ids.append(token)


def test_a_seed_gives_the_same_text_alone_and_among_others(engine, prompts, ask):
    seeded = Request(prompts[0], max_tokens=20, temperature=0.9, top_p=0.9, seed=5)
    others = [Request(prompt, max_tokens=15, temperature=1.0, seed=n) for n, prompt in enumerate(prompts)]
    assert ask(engine, [*others, seeded])[-1] == ask(engine, [seeded])[0]
    other = Request(prompts[0], max_tokens=20, temperature=0.9, top_p=0.9, seed=6)
    assert ask(engine, [other]) != ask(engine, [seeded])


@pytest.mark.parametrize("temperature", [0.0, 1.0, 2.0])
def test_the_pieces_joined_are_the_decoded_tokens(engine, prompts, ask, temperature):
    requests = [Request(prompt, max_tokens=40, temperature=temperature, seed=1) for prompt in prompts[:3]]
    for tokens, text, _ in ask(engine, requests):
        assert text == engine.prompter.decode(tokens)


def test_a_character_is_never_shown_in_halves(engine, prompts):
    request = Request(prompts[1], max_tokens=60, temperature=1.5, seed=3)
    chunks = list(engine.generate([request]))
    for chunk in chunks[:-1]:
        assert not chunk.text.endswith("�")


def test_a_stop_token_ends_the_answer_and_is_not_part_of_it(reopened, engine, prompts, ask):
    (tokens, _, _) = ask(engine, [Request(prompts[1], max_tokens=12)])[0]
    stop = next(token for n, token in enumerate(tokens) if n > 2 and token not in tokens[:n])
    cut, text, finish = ask(reopened(stop=(2, stop)), [Request(prompts[1], max_tokens=12)])[0]
    assert (cut, finish) == (tokens[: tokens.index(stop)], "stop")
    assert text == engine.prompter.decode(cut)


def test_a_stop_text_is_cut_and_never_shown(engine, prompts, ask):
    _, whole, _ = ask(engine, [Request(prompts[1], max_tokens=20)])[0]
    for stop in (whole[3:6], whole[2:9], whole[4]):
        _, text, finish = ask(engine, [Request(prompts[1], max_tokens=20, stop=("never said", stop))])[0]
        assert (text, finish) == (whole[: whole.index(stop)], "stop")


def test_what_only_looked_like_a_stop_text_is_shown_in_the_end(engine, prompts, ask):
    _, whole, _ = ask(engine, [Request(prompts[1], max_tokens=20)])[0]
    _, text, finish = ask(engine, [Request(prompts[1], max_tokens=20, stop=(whole[-2:] + "never",))])[0]
    assert (text, finish) == (whole, "length")


@pytest.mark.parametrize(("limit", "expected"), [(1, 1), (7, 7), (500, None)])
def test_an_answer_ends_at_max_tokens_or_at_the_context(engine, prompts, ask, limit, expected):
    tokens, _, finish = ask(engine, [Request(prompts[0], max_tokens=limit)])[0]
    assert len(tokens) == (expected or engine.prompter.interface.context - len(prompts[0]))
    assert finish == "length"


def test_callers_in_many_threads_get_what_they_get_alone(engine, prompts, ask):
    requests = [Request(prompt, max_tokens=12) for prompt in prompts]
    alone = [ask(engine, [request])[0] for request in requests]
    found = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: ask(engine, [requests[n % 5]])[0]})) for n in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[n] for n in range(10)] == [alone[n % 5] for n in range(10)]


def test_closing_the_iterator_frees_the_rows_for_others(reopened, engine, prompts, ask):
    small = reopened(rows=1)
    answer = small.generate([Request(prompts[0], max_tokens=80), Request(prompts[1], max_tokens=80)])
    next(answer)
    answer.close()
    request = Request(prompts[2], max_tokens=5)
    assert ask(small, [request]) == ask(engine, [request])


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request(()), "the prompt is empty"),
        (Request((1, 301)), "token id 301 is not in the vocabulary"),
        (Request((1, -1)), "token id -1 is not in the vocabulary"),
        (Request((1,) * 96), "leave no room in the model's context of 96"),
        (Request((1,), max_tokens=0), "max_tokens is 0"),
        (Request((1,), temperature=-1.0), "temperature is -1.0"),
        (Request((1,), top_p=0.0), "top_p is 0.0"),
    ],
)
def test_what_cannot_be_answered_is_refused_at_once(engine, request_, words):
    with pytest.raises(SlmError, match=words) as found:
        engine.generate([Request((1,)), request_])
    assert "\n" not in str(found.value)


def test_a_closed_engine_says_so(reopened, prompts):
    engine = reopened()
    answer = engine.generate([Request(prompts[0], max_tokens=90)] * 200)  # more than are done when the first one tells
    next(answer)
    engine.close()
    with pytest.raises(SlmError, match="closed"):
        list(answer)
    with pytest.raises(SlmError, match="closed"):
        next(engine.generate([Request(prompts[0])]))


def test_scores_are_the_log_softmax_of_the_network(engine, network, prompts):
    import torch

    for sequence, found in zip(prompts, engine.score(prompts), strict=True):
        with torch.no_grad():
            logits = network(torch.tensor([sequence])).logits[0, :-1]
        expected = torch.log_softmax(logits, -1)[range(len(sequence) - 1), sequence[1:]]
        assert found == pytest.approx(expected.tolist(), abs=1e-4)


def test_short_sequences_have_no_scores_and_foreign_ids_are_refused(engine):
    assert engine.score([[], [1], [1, 5]])[:2] == [[], []]
    assert engine.score([]) == []
    with pytest.raises(SlmError, match="not in the vocabulary"):
        engine.score([[1, 400]])
    with pytest.raises(SlmError, match="do not fit"):
        engine.score([[1] * 97])


def test_a_writer_does_not_classify(engine):
    with pytest.raises(SlmError, match="does not classify"):
        engine.classify(["a"])
