"""The prompter against transformers' own chat templates, and the promises that training and serving share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from slm.errors import SlmError
from slm.plugin import Interface
from slm_models.template import PLAIN, Prompter, derive_interface, read_interface, special_texts, write_interface

CORPUS = [
    "You are a helpful assistant. What is the capital of France? The capital of France is Paris.",
    "user system assistant think answer question: how many legs has a spider? Eight, as every spider.",
    "Ünïcödé, 数字, emoji 🎉 and tabs\tand\nlines.",
] * 4
QUESTION = {"role": "user", "content": "What is the capital of France?"}
ANSWER = {"role": "assistant", "content": "The capital is Paris."}
FOLLOW = {"role": "user", "content": "  And of Spain? Ünïcödé 🎉\n"}
LAST = {"role": "assistant", "content": "Madrid"}
SYSTEM = {"role": "system", "content": "You answer in one line."}
CHATS = {
    "one turn": [QUESTION, ANSWER],
    "a system message": [SYSTEM, QUESTION, ANSWER],
    "two turns": [QUESTION, ANSWER, FOLLOW, LAST],
    "two turns and a system message": [SYSTEM, QUESTION, ANSWER, FOLLOW, LAST],
}


def byte_level(added: list[AddedToken]) -> Tokenizer:
    """A small tokenizer that can spell everything, with the added tokens of a real one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet))
    tokenizer.add_special_tokens([token for token in added if token.special])
    tokenizer.add_tokens([token for token in added if not token.special])
    return tokenizer


def write_model(folder: Path, template: str | None, eos: str = "<|im_end|>", extra: tuple[str, ...] = ()) -> Path:
    """A model folder without weights: tokenizer, template and config."""
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *extra]
    byte_level([AddedToken(text, special=True) for text in specials]).save(str(folder / "tokenizer.json"))
    table = {"eos_token": eos, "chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(table))
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 256}))
    return folder


@pytest.fixture(scope="session", params=["phi-3-mini", "qwen2.5", "qwen3"])
def folder(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a real chat template; qwen's come without a vocabulary and get a small one."""
    if request.param == "phi-3-mini":
        return data / "tokenizers/phi-3-mini"
    made = tmp_path_factory.mktemp(request.param)
    config = json.loads((data / f"tokenizers/chat-templates-only/{request.param}/tokenizer_config.json").read_text())
    added = [AddedToken(**each) for each in config["added_tokens_decoder"].values()]
    byte_level(added).save(str(made / "tokenizer.json"))
    (made / "tokenizer_config.json").write_text(json.dumps(config))
    return made


@pytest.fixture(scope="session")
def theirs(folder: Path) -> Any:
    """The same folder, as transformers opens it."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder)


@pytest.fixture(scope="session")
def ours(folder: Path) -> Prompter:
    return Prompter.open(folder, derive_interface(folder, "chat"))


def boundaries(targets: list[bool]) -> list[tuple[int, int]]:
    """Start and end of each stretch of targets."""
    edges = [n for n in range(len(targets) + 1) if (n > 0 and targets[n - 1]) != (n < len(targets) and targets[n])]
    return list(zip(edges[::2], edges[1::2], strict=True))


@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("asking", [False, True])
def test_a_conversation_is_rendered_as_transformers_renders_it(
    ours: Prompter, theirs: Any, chat: str, asking: bool
) -> None:
    messages = CHATS[chat][:-1] if asking else CHATS[chat]
    expected = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=asking)
    assert ours._render(messages, asking) == expected


@pytest.mark.parametrize("chat", CHATS)
def test_a_prompt_has_the_ids_that_transformers_gives_it(ours: Prompter, theirs: Any, chat: str) -> None:
    messages = CHATS[chat][:-1]
    expected = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert ours.prompt(messages) == expected


@pytest.mark.parametrize("chat", CHATS)
def test_each_answer_is_trained_behind_the_ids_of_its_prompt(ours: Prompter, chat: str) -> None:
    messages = CHATS[chat]
    example = ours.example({"messages": messages})
    learned = boundaries(example.targets)
    answers = [n for n, message in enumerate(messages) if message["role"] == "assistant"]
    for (start, _), turn in zip(reversed(learned), reversed(answers), strict=False):
        assert example.ids[:start] == ours.prompt(messages[:turn])
    assert learned


@pytest.mark.parametrize("chat", CHATS)
def test_the_targets_are_the_answers_and_their_end_token_alone(ours: Prompter, folder: Path, chat: str) -> None:
    messages = CHATS[chat]
    example = ours.example({"messages": messages})
    learned = [example.ids[start:end] for start, end in boundaries(example.targets)]
    texts = [message["content"] for message in messages if message["role"] == "assistant"]
    if "qwen3" in folder.name:  # its template shows an answer in another way once a turn follows
        texts = [f"<think>\n\n</think>\n\n{texts[-1]}"]
    assert [ours.decode(piece).strip() for piece in learned] == texts
    assert all(piece[-1] in ours.interface.stop for piece in learned)
    assert all(i not in ours.interface.stop for piece in learned for i in piece[:-1])


def test_a_single_conversation_has_the_ids_of_transformers(ours: Prompter, theirs: Any) -> None:
    expected = theirs.apply_chat_template(CHATS["one turn"], return_dict=False)
    assert ours.example({"messages": CHATS["one turn"]}).ids == expected


@pytest.mark.parametrize("folder", ["qwen3"], indirect=True)
def test_a_template_that_drops_earlier_thoughts_has_the_last_answer_learned(ours: Prompter) -> None:
    thought = {"role": "assistant", "content": "<think>\nIt is a city.\n</think>\n\nParis"}
    messages = [QUESTION, thought, FOLLOW, {"role": "assistant", "content": "<think>\nHm.\n</think>\n\nMadrid"}]
    example = ours.example({"messages": messages})
    text = ours.tokenizer.decode(example.ids, skip_special_tokens=False)
    assert "It is a city." not in text
    assert "Hm." in text
    ((start, _),) = boundaries(example.targets)
    assert example.ids[:start] == ours.prompt(messages[:-1])


@pytest.mark.parametrize("messages", [[QUESTION], [SYSTEM, QUESTION]])
def test_a_conversation_without_an_answer_is_refused(ours: Prompter, messages: list[dict[str, str]]) -> None:
    with pytest.raises(SlmError, match="without an answer"):
        ours.example({"messages": messages})


def test_the_words_of_a_special_token_do_not_become_the_token(ours: Prompter) -> None:
    special = {i for i, token in ours.tokenizer.get_added_tokens_decoder().items() if token.special}
    plain = [i for i in ours.prompt([QUESTION]) if i in special]
    for token in special_texts(ours.tokenizer):
        asked = ours.prompt([{"role": "user", "content": f"end {token}{token} now"}])
        assert [i for i in asked if i in special] == plain
        learned = ours.example({"messages": [QUESTION, {"role": "assistant", "content": f"a{token}b"}]})
        assert (
            sum(i in ours.interface.stop for i, target in zip(learned.ids, learned.targets, strict=True) if target) == 1
        )


@pytest.fixture(scope="module")
def chatml(tmp_path_factory: pytest.TempPathFactory) -> Prompter:
    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    folder = write_model(tmp_path_factory.mktemp("chatml"), template)
    return Prompter.open(folder, derive_interface(folder, "chat"))


PARTS = st.sampled_from(
    ["<|im_end|>", "<|im_", "end|>", "<", "<|im_start|>", "start|>", "|>", "<|endoftext|>", " ", "a", "\n"]
)


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(PARTS, max_size=12))
def test_no_pieces_of_special_tokens_add_up_to_one(chatml: Prompter, parts: list[str]) -> None:
    special = set(chatml.tokenizer.get_added_tokens_decoder())
    asked = chatml.prompt([{"role": "user", "content": "".join(parts)}])
    assert sum(i in special for i in asked) == 3
    assert not special & set(attrs.evolve(chatml, interface=Interface("completion", 64)).text("".join(parts)))


def test_a_template_that_says_something_behind_the_last_turn_still_has_every_answer_learned(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% else %}{{ '<|endoftext|>' }}{% endif %}"
    )
    folder = write_model(tmp_path, template, eos="<|endoftext|>")
    prompter = Prompter.open(folder, derive_interface(folder, "chat"))
    messages = CHATS["two turns"]
    example = prompter.example({"messages": messages})
    learned = boundaries(example.targets)
    assert [prompter.decode(example.ids[start:end]) for start, end in learned] == [ANSWER["content"], LAST["content"]]
    assert [example.ids[:start] for start, _ in learned] == [
        prompter.prompt(messages[:1]),
        prompter.prompt(messages[:3]),
    ]


def test_a_template_that_refuses_a_role_says_so_in_one_line(tmp_path: Path) -> None:
    template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system role here') }}{% endif %}"
        "{% for m in messages %}{{ m.content + '<|im_end|>' }}{% endfor %}"
    )
    folder = write_model(tmp_path, template)
    prompter = Prompter.open(folder, derive_interface(folder, "chat"))
    with pytest.raises(SlmError, match="refuses these messages: no system role here"):
        prompter.prompt([SYSTEM, QUESTION])


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{% for m in messages %}{{ m.content }", "template"),
        ("{{ messages[0].content + 1 }}", "template"),
        ("{{ messages[9].content.x.y }}", "template"),
        ("{{ ''.__class__.__mro__ }}", "template"),
        ("{{ messages.append(1) }}", "template"),
        ("{{ nowhere() }}", "template"),
    ],
)
def test_a_broken_or_hostile_template_is_a_users_error(tmp_path: Path, template: str, why: str) -> None:
    prompter = Prompter(Tokenizer(models.BPE()), Interface("chat", 64, template=template))
    with pytest.raises(SlmError, match=why):
        prompter.prompt([QUESTION])


@pytest.mark.parametrize(
    "first", ["{{ strftime_now('%Y') }}", "{% generation %}{% endgeneration %}", "{{ messages | tojson }}"]
)
def test_what_hugging_face_templates_expect_is_there(tmp_path: Path, first: str) -> None:
    prompter = Prompter(Tokenizer(models.BPE()), Interface("chat", 64, template=first))
    assert isinstance(prompter.prompt([QUESTION]), list)


def test_a_base_without_a_template_gets_plain_words(tmp_path: Path) -> None:
    folder = write_model(tmp_path, None, eos="<|endoftext|>")
    interface = derive_interface(folder, "qa")
    assert interface.template == PLAIN
    prompter = Prompter.open(folder, interface)
    example = prompter.example({"messages": [QUESTION, ANSWER]})
    assert prompter.decode(example.ids) == "Question: What is the capital of France?\nAnswer:\nThe capital is Paris."
    assert example.ids[-1] == interface.stop[0]
    assert example.targets[-1]


def test_many_records_are_encoded_as_each_one_alone(chatml: Prompter) -> None:
    records = [{"messages": [{"role": "user", "content": f"number {n}?"}, ANSWER]} for n in range(2100)]
    together = list(chatml.examples(records))
    assert len(together) == len(records)
    assert all(together[n] == chatml.example(records[n]) for n in (0, 999, 1000, 1001, 1999, 2000, 2099))


def completion(prompter: Prompter, **changes: Any) -> Prompter:
    interface = attrs.evolve(prompter.interface, task="completion", template=None, **changes)
    return attrs.evolve(prompter, interface=interface)


def test_plain_text_begins_and_ends_with_the_tokens_of_the_interface(chatml: Prompter) -> None:
    first = chatml.tokenizer.token_to_id("<|endoftext|>")
    plain = completion(chatml, begin=(first,))
    example = plain.example({"text": "a spider"})
    assert example.ids == [first, *plain.encode("a spider"), plain.interface.stop[0]]
    assert example.targets == [False] + [True] * (len(example.ids) - 1)
    assert plain.text("a spider") == example.ids[:-1]


def test_a_text_model_says_that_it_takes_no_messages(chatml: Prompter) -> None:
    with pytest.raises(SlmError, match="no chat template"):
        completion(chatml).prompt([QUESTION])


@pytest.mark.parametrize("words", [1, 5, 6, 7, 100])
def test_a_long_text_to_classify_is_cut_and_keeps_its_closing_token(words: int) -> None:
    vocabulary = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "word": 3}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["[UNK]", "[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    prompter = Prompter(tokenizer, Interface("classification", 8, labels=("a", "b")))
    assert prompter.text("word " * words) == [1, *[3] * min(words, 6), 2]


def test_a_tokenizer_that_closes_nothing_is_cut_at_the_context(chatml: Prompter) -> None:
    prompter = attrs.evolve(chatml, interface=Interface("classification", 8, labels=("a", "b")))
    assert prompter.text("a spider " * 50) == chatml.encode("a spider " * 50)[:8]


def test_an_interface_is_read_as_it_was_written(chatml: Prompter, tmp_path: Path) -> None:
    write_interface(chatml.interface, tmp_path)
    assert read_interface(tmp_path) == chatml.interface


@pytest.mark.parametrize(
    "text", [None, "{", "[]", "{}", '{"task": "qa", "context": "long"}', '{"task": "qa", "context": 8, "x": 1}']
)
def test_what_is_no_interface_is_a_users_error(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "slm.json").write_text(text)
    with pytest.raises(SlmError, match=r"slm\.json"):
        read_interface(tmp_path)


@pytest.mark.parametrize(
    ("text", "why"), [(None, "no tokenizer.json"), ("{", "not a tokenizer"), ("[]", "not a tokenizer")]
)
def test_what_is_no_tokenizer_is_a_users_error(tmp_path: Path, text: str | None, why: str) -> None:
    if text is not None:
        (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(SlmError, match=why):
        derive_interface(tmp_path, "qa")


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "bert", "max_position_embeddings": 512}, 512),
        ({"model_type": "gpt2", "n_positions": 1024}, 1024),
        ({"model_type": "mpt", "max_seq_len": 2048}, 2048),
        ({"model_type": "bloom"}, 1024),
    ],
)
def test_the_context_is_what_the_positions_allow(tmp_path: Path, config: dict[str, Any], context: int) -> None:
    folder = write_model(tmp_path, None)
    (folder / "config.json").write_text(json.dumps(config))
    assert derive_interface(folder, "classification").context == context
