import math
from collections.abc import Callable, Sequence
from pathlib import Path

import datasets
import pytest
import torch

from slm.plugin import Engine, Hardware, Interface, Job, Model, Rank, SlmError, Work
from slm_engines.transformers import Transformers
from slm_evaluators.perplexity import Perplexity
from slm_models.template import Prompter, write_interface


def conversations(pairs: dict[str, str]) -> datasets.Dataset:
    roles = ("user", "assistant")
    rows = [
        {"id": str(n), "source": "x", "messages": [{"role": r, "content": c} for r, c in zip(roles, pair, strict=True)]}
        for n, pair in enumerate(pairs.items())
    ]
    return datasets.Dataset.from_list(rows)


def texts(*found: str) -> datasets.Dataset:
    return datasets.Dataset.from_list([{"id": str(n), "source": "x", "text": text} for n, text in enumerate(found)])


def reference(folder: Path, passes: Sequence[tuple[Sequence[int], Sequence[int]]]) -> float:
    """Perplexity straight from the network: (ids, positions that count) for each pass."""
    from transformers import LlamaForCausalLM

    model, total, count = LlamaForCausalLM.from_pretrained(folder).eval(), 0.0, 0
    with torch.no_grad():
        for ids, scored in passes:
            logs = model(input_ids=torch.tensor([list(ids)])).logits[0].double().log_softmax(-1)
            total -= sum(float(logs[n - 1, ids[n]]) for n in scored)
            count += len(scored)
    return math.exp(total / count)


def test_it_is_that_of_the_network_on_the_answers_alone(
    decoder: Callable[..., Path], work: Work, job: Callable[[str], Job]
) -> None:
    folder = decoder("qa")
    engine = opened(folder)
    data = conversations({"What is snow?": "white and cold", "Hi": "Hello", "Go on": ""})
    prompter = Prompter.open(folder)
    examples = [prompter.example(record) for record in data]
    passes = [(e.ids, [n for n, target in enumerate(e.targets) if target]) for e in examples]
    (found,) = Perplexity().evaluate(engine, data, None, job("qa"), work).values
    assert found.value == pytest.approx(reference(folder, passes), rel=1e-4)
    assert (found.name, found.better, found.count, found.subject) == ("perplexity", "lower", 3, "model")
    assert found.low < found.value < found.high
    engine.close()


def test_training_lowers_it_below_the_base(
    knowing: Engine, untrained: Engine, facts: dict[str, str], work: Work, job: Callable[[str], Job]
) -> None:
    model, base = Perplexity().evaluate(knowing, conversations(facts), untrained, job("qa"), work).values
    assert (model.subject, base.subject) == ("model", "base")
    assert model.value < 1.2
    assert base.value > 50


def test_a_text_longer_than_the_context_is_scored_whole(
    decoder: Callable[..., Path], work: Work, job: Callable[[str], Job]
) -> None:
    folder = decoder("completion", 16)
    engine, text = opened(folder), "It was a dark and stormy night; the rain fell in torrents, except at intervals."
    ids = Prompter.open(folder).example({"text": text}).ids
    starts = range(0, len(ids) - 8, 8)
    passes = [(ids[s : s + 16], range(1 if s == 0 else 8, len(ids[s : s + 16]))) for s in starts]
    assert sum(len(scored) for _, scored in passes) == len(ids) - 1
    found = {
        value.name: value for value in Perplexity().evaluate(engine, texts(text), None, job("completion"), work).values
    }
    assert found["perplexity"].value == pytest.approx(reference(folder, passes), rel=1e-4)
    bits = math.log2(found["perplexity"].value) * (len(ids) - 1) / len(text.encode())
    assert found["bits_per_byte"].value == pytest.approx(bits)
    assert found["perplexity"].low < found["perplexity"].value < found["perplexity"].high
    engine.close()


def test_a_whole_book_needs_no_whole_book_context(writer: Engine, work: Work, job: Callable[[str], Job]) -> None:
    book = "\n".join(f"Chapter {n}. The dog sat, the cat sat, and it rained." for n in range(300))
    (perplexity, bits) = Perplexity(window=32).evaluate(writer, texts(book), None, job("completion"), work).values
    assert (perplexity.count, bits.count) == (1, 1)
    assert 0 < bits.low <= bits.value <= bits.high


def test_without_a_first_token_the_rest_of_the_text_is_scored(
    decoder: Callable[..., Path], work: Work, job: Callable[[str], Job]
) -> None:
    folder = decoder("completion")
    write_interface(Interface("completion", 128, None, "", "</s>", (), (1,), 1), folder)
    engine = opened(folder)
    ids = Prompter.open(folder).example({"text": "the dog"}).ids
    found = Perplexity().evaluate(engine, texts("the dog"), None, job("completion"), work).values[0]
    assert found.value == pytest.approx(reference(folder, [(ids, range(1, len(ids)))]), rel=1e-4)
    engine.close()


def test_an_empty_text_still_has_its_end(writer: Engine, work: Work, job: Callable[[str], Job]) -> None:
    found = Perplexity().evaluate(writer, texts(""), None, job("completion"), work).values
    assert [value.name for value in found] == ["perplexity"]  # no bytes, so no bits a byte


def test_an_empty_test_set_is_one_line(writer: Engine, work: Work, job: Callable[[str], Job]) -> None:
    with pytest.raises(SlmError, match=r"^evaluate: the test set is empty; [^\n]*$"):
        Perplexity().evaluate(writer, texts("a").select([]), None, job("completion"), work)


@pytest.mark.parametrize(("task", "rank"), [("completion", Rank.GOOD), ("qa", Rank.GOOD), ("classification", Rank.NO)])
def test_it_bids_on_what_generates(task: str, rank: Rank, job: Callable[[str], Job]) -> None:
    assert Perplexity().bid(job(task), Hardware()).rank is rank


def opened(folder: Path) -> Engine:
    from slm_models.template import read_interface

    return Transformers().engine(Model(folder, "transformers", read_interface(folder)), Hardware())
