"""One training step against plain float32 arithmetic written here, and packing against one sample at a time."""

import copy

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    ModernBertConfig,
    ModernBertForSequenceClassification,
)

from slm_recipes import attention, optimizer
from slm_recipes import loss as losses
from slm_recipes.attention import lay_out, register
from slm_recipes.packing import epoch_steps, micro_batches, pack, steps_per_epoch
from slm_recipes.tokenizing import Tokens, gather

LENGTHS = (5, 17, 9, 2, 12, 30, 7)


def llama(**changes) -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaForCausalLM(LlamaConfig(vocab_size=97, num_key_value_heads=2, **{**sizes, **changes}))


def bert(**changes) -> BertConfig:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    return BertConfig(vocab_size=97, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **sizes, **changes)


def some_tokens(lengths=LENGTHS) -> Tokens:
    """Random samples: the first half of each is asked, the rest is to be learned."""
    draw = np.random.default_rng(1)
    rows = ((draw.integers(1, 97, n).tolist(), [k >= n // 2 for k in range(n)], n % 3) for n in lengths)
    return gather(rows)


def reference(model, tokens: Tokens) -> torch.Tensor:
    """Mean cross entropy of all targets: padded forward with a mask, log-probabilities picked one by one."""
    longest, count = int(tokens.lengths.max()), len(tokens)
    ids, mask, wanted = torch.zeros(count, longest, dtype=torch.long), torch.zeros(count, longest), []
    for n in range(count):
        begin, end = tokens.offsets[n], tokens.offsets[n + 1]
        ids[n, : end - begin] = torch.tensor(tokens.ids[begin:end])
        mask[n, : end - begin] = 1
        wanted += [(n, k) for k in range(1, end - begin) if tokens.targets[begin + k]]
    logits = model(input_ids=ids, attention_mask=mask).logits
    chosen = [logits[n, k - 1] - logits[n, k - 1].logsumexp(0) for n, k in wanted]
    return -sum(row[ids[n, k]] for row, (n, k) in zip(chosen, wanted, strict=True)) / len(wanted)


def accumulate(loss, tokens: Tokens, limit: int, padded: bool) -> tuple[float, int]:
    """What the training loop does in a step, before the optimizer: (mean loss, number of micro-batches)."""
    total, parts = 0.0, list(micro_batches(np.arange(len(tokens)), tokens.lengths, limit, padded))
    for part in parts:
        share = loss(tokens, part) / int(tokens.targets.sum())
        share.backward()
        total += share.item()
    return total, len(parts)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("padded", [False, True])
def test_an_accumulated_step_has_the_loss_and_gradients_of_the_reference(tied: bool, padded: bool) -> None:
    plain, tokens = llama(tie_word_embeddings=tied), some_tokens()
    model = copy.deepcopy(plain)
    plain.set_attn_implementation("eager")
    expected = reference(plain, tokens)
    expected.backward()
    chosen, fell_back, _ = losses.choose_loss(model, losses.packed_loss, losses.padded_loss(model, 0))
    assert not fell_back
    if padded:
        model.set_attn_implementation("sdpa")
        chosen = losses.padded_loss(model, 0)
    total, parts = accumulate(chosen, tokens, 40, padded)
    assert parts >= 2
    assert total == pytest.approx(expected.item(), abs=1e-5)
    for (name, ours), theirs in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-5, rtol=1e-4), name


def test_the_head_loss_in_chunks_equals_cross_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "LOGITS", 97 * 3)
    torch.manual_seed(0)
    hidden, weight, bias = torch.randn(10, 8), torch.randn(97, 8), torch.randn(97)
    wanted = torch.randint(0, 97, (10,))
    ours = [x.clone().requires_grad_() for x in (hidden, weight, bias)]
    theirs = [x.clone().requires_grad_() for x in (hidden, weight, bias)]
    found = losses.cross_entropy(*ours, wanted)
    expected = torch.nn.functional.cross_entropy(torch.nn.functional.linear(*theirs), wanted, reduction="sum")
    (found * 0.3).backward()
    (expected * 0.3).backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    assert all(torch.allclose(a.grad, b.grad, atol=1e-5) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("lengths", [LENGTHS, (90, 88, 3, 70, 64, 1), (4, 4, 4)])
@pytest.mark.parametrize("window", [None, 6])
def test_packed_decoder_states_are_those_of_each_sample_alone(lengths, window) -> None:
    model, tokens = llama().eval(), some_tokens(lengths)
    model.set_attn_implementation(register())
    samples = (-tokens.lengths).argsort(kind="stable")
    row = pack(tokens, samples, "cpu")
    keep = {} if window is None else {"sliding_window": window}
    packed = model.model(input_ids=row.ids, position_ids=row.positions, layout=row.layout, **keep).last_hidden_state[0]
    model.set_attn_implementation("eager")
    at = 0
    for sample in samples:
        ids = torch.tensor(tokens.ids[tokens.offsets[sample] : tokens.offsets[sample + 1]], dtype=torch.long)[None]
        mask = None if window is None else banded(ids.shape[1], window)
        alone = model.model(input_ids=ids, attention_mask=mask).last_hidden_state[0]
        assert torch.allclose(packed[at : at + len(alone)], alone, atol=1e-5)
        at += len(alone)


def banded(length: int, window: int) -> torch.Tensor:
    behind = torch.arange(length)[:, None] - torch.arange(length)[None]
    return torch.where((behind >= 0) & (behind < window), 0.0, -1e9)[None, None]


def test_packed_encoder_states_and_gradients_are_those_of_each_sample_alone() -> None:
    model, tokens = BertModel(bert()).eval(), some_tokens()
    samples = (-tokens.lengths).argsort(kind="stable")
    row = pack(tokens, samples, "cpu")
    model.set_attn_implementation(register())
    packed = model(input_ids=row.ids, position_ids=row.positions, layout=row.layout).last_hidden_state[0]
    packed.square().sum().backward()
    gradient = model.embeddings.word_embeddings.weight.grad.clone()
    model.zero_grad()
    model.set_attn_implementation("eager")
    alone = []
    for sample in samples:
        ids = torch.tensor(tokens.ids[tokens.offsets[sample] : tokens.offsets[sample + 1]], dtype=torch.long)[None]
        alone.append(model(input_ids=ids).last_hidden_state[0])
    torch.cat(alone).square().sum().backward()
    assert torch.allclose(packed, torch.cat(alone), atol=1e-5)
    assert torch.allclose(gradient, model.embeddings.word_embeddings.weight.grad, atol=1e-4)


def modernbert(pooling: str) -> ModernBertForSequenceClassification:
    """An encoder whose second layer sees 8 tokens to each side."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    special = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0)
    config = ModernBertConfig(
        vocab_size=97,
        local_attention=16,
        classifier_pooling=pooling,
        num_labels=3,
        initializer_range=0.2,
        **sizes,
        **special,
    )
    return ModernBertForSequenceClassification(config)


CLASSIFIERS = {
    "bert": lambda: BertForSequenceClassification(bert(num_labels=3)),
    "modernbert, first token": lambda: modernbert("cls"),
    "modernbert, mean": lambda: modernbert("mean"),
}


@pytest.mark.parametrize("lengths", [LENGTHS, (90, 88, 3, 70, 64, 1), (90, 20)], ids=["short", "long", "two"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_has_the_same_loss_and_gradients_packed_and_padded(name: str, lengths) -> None:
    model, tokens = CLASSIFIERS[name](), some_tokens(lengths)
    padded = losses.padded_label_loss(model, 0)
    packed, fell_back, why = losses.choose_loss(model, losses.packed_label_loss, padded)
    assert not fell_back, why
    samples = (-tokens.lengths).argsort(kind="stable")
    together = packed(tokens, samples)
    together.backward()
    gradients = [None if weight.grad is None else weight.grad.clone() for weight in model.parameters()]
    model.zero_grad()
    model.set_attn_implementation("eager")
    alone = padded(tokens, samples)
    alone.backward()
    assert together.item() == pytest.approx(alone.item(), abs=1e-5)
    for ours, weight in zip(gradients, model.parameters(), strict=True):
        assert ours is weight.grad is None or torch.allclose(ours, weight.grad, atol=1e-4)


def test_packing_that_ignores_a_window_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    everywhere = attention.block_mask
    monkeypatch.setattr(attention, "block_mask", lambda padding, causal, window: everywhere(padding, causal, None))
    model = modernbert("mean")
    _, fell_back, why = losses.choose_loss(model, losses.packed_label_loss, losses.padded_label_loss(model, 0))
    assert fell_back
    assert "losses differ" in why


@pytest.mark.parametrize("architecture", ["gpt2", "bloom", "mamba"])
def test_every_architecture_trains_with_the_loss_of_its_own_forward(architecture: str) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    sizes = {"vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 2, "n_layer": 2, "n_head": 4}
    config = AutoConfig.for_model(architecture, **sizes, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0)
    model, tokens = AutoModelForCausalLM.from_config(config), some_tokens()
    expected = reference(model, tokens)
    loss, padded, _ = losses.choose_loss(model, losses.packed_loss, losses.padded_loss(model, 0))
    total, _ = accumulate(loss, tokens, 40, padded)
    assert total == pytest.approx(expected.item(), abs=1e-4)


def test_steps_of_an_epoch_hold_every_sample_once_and_are_equally_full() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, 500)
    count = steps_per_epoch(lengths, 256)
    steps = epoch_steps(lengths, count, seed=3, epoch=2)
    assert sorted(np.concatenate(steps)) == list(range(500))
    assert len(steps) == count
    assert all(150 < lengths[step].sum() < 380 for step in steps)
    again, other = epoch_steps(lengths, count, seed=3, epoch=2), epoch_steps(lengths, count, seed=3, epoch=3)
    assert all((a == b).all() for a, b in zip(steps, again, strict=True))
    assert (np.concatenate(steps) != np.concatenate(other)).any()


def test_a_layout_pads_little_and_loses_no_token() -> None:
    lengths = np.sort(np.random.default_rng(0).integers(1, 200, 300))[::-1]
    layout = lay_out(lengths, "cpu")
    assert sum(count for count, _ in layout.groups) == 300
    assert (layout.gather[layout.scatter] == torch.arange(int(lengths.sum()))).all()
    assert len(layout.gather) < 1.25 * lengths.sum()


@pytest.mark.parametrize(("schedule", "last"), [("cosine", 0.1), ("linear", 0.0), ("constant", 1.0)])
def test_the_learning_rate_rises_then_follows_its_schedule(schedule: str, last: float) -> None:
    rates = [optimizer.rate(step, 100, 1.0, schedule, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([(n + 1) / 10 for n in range(10)])
    assert rates[-1] == pytest.approx(last, abs=0.02)
    assert rates[9:] == sorted(rates[9:], reverse=True)
