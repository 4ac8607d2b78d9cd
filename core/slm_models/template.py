"""Messages and text to token ids: the one path that training, evaluation, export checks and servers all take.

A conversation is rendered by the model's chat template and cut at the answers; each piece is tokenised by itself,
so an answer is trained behind exactly the ids that a prompt has when the model is asked. Needs only `tokenizers`
and `jinja2`: a machine that only serves has no transformers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from slm.errors import SlmError
from slm.values import Interface
from slm_facts.base import context
from slm_models.chat_template import render

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Message = Mapping[str, str]

PLAIN = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'assistant' %}{{ message.content + eos_token }}"
    "{% else %}{{ {'user': 'Question', 'system': 'System'}.get(message.role, message.role) }}: "
    "{{ message.content }}\nAnswer:\n{% endif %}{% endfor %}"
)
"""For a base that has no chat template: words only, since new tokens would need new embeddings."""


@frozen
class Example:
    """One record as the trainer sees it: token ids, and for each whether the loss counts its prediction."""

    ids: list[int]
    targets: list[bool]


def write_interface(interface: Interface, folder: Path) -> None:
    """Store the interface as `slm.json` beside the weights."""
    text = json.dumps(attrs.asdict(interface), indent=2, ensure_ascii=False)
    (folder / "slm.json").write_text(text + "\n", encoding="utf-8")


def read_interface(folder: Path) -> Interface:
    """Read `slm.json`; SlmError where there is none or it is not one."""
    from slm.config import structure

    try:
        table = dict(json.loads((folder / "slm.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise SlmError(f"{folder}: not a model made by slm (slm.json: {error})") from None
    return structure(table, Interface, "", folder / "slm.json")


def derive_interface(folder: Path, task: str, labels: Sequence[str] = ()) -> Interface:
    """The interface of a base model for a task, from the JSON files of its folder.

    A base without a chat template gets `PLAIN`. Raises SlmError where the tokenizer has no token to end an answer.
    """
    config, special = _json(folder / "config.json"), _json(folder / "tokenizer_config.json")
    special = {**_json(folder / "special_tokens_map.json"), **special}
    tokenizer = load_tokenizer(folder)
    bos, eos = _token(special.get("bos_token")), _token(special.get("eos_token"))
    stops = [_json(folder / "generation_config.json").get("eos_token_id"), config.get("eos_token_id")]
    stop = [i for found in stops for i in (found if isinstance(found, list) else [found]) if i is not None]
    if eos and (end := tokenizer.token_to_id(eos)) is not None:
        stop.insert(0, end)
    if not eos and stop:
        eos = tokenizer.id_to_token(stop[0]) or ""
    chat = task not in ("completion", "classification")
    template = (_chat_template(folder, special) or PLAIN) if chat else None
    if not stop and task != "classification":
        raise SlmError(f"{folder}: its tokenizer names no end token (eos_token in tokenizer_config.json)")
    first = tokenizer.token_to_id(bos) if bos else None
    pads = [tokenizer.token_to_id(_token(special.get("pad_token")) or " "), config.get("pad_token_id"), *stop, 0]
    interface = Interface(
        task=task,
        context=context(config) or 1024,
        template=template,
        bos=bos,
        eos=eos,
        begin=() if first is None else (first,),
        stop=tuple(dict.fromkeys(stop)),
        pad=next(i for i in pads if i is not None),
        labels=tuple(labels),
    )
    if not chat:
        return interface
    ends = Prompter(tokenizer, interface).ending()
    return attrs.evolve(interface, stop=tuple(dict.fromkeys([*ends, *interface.stop])))


def load_tokenizer(folder: Path) -> Tokenizer:
    """The folder's `tokenizer.json`; SlmError where there is none or it can't be read."""
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if not file.is_file():
        raise SlmError(f"{folder}: has no tokenizer.json; save it with a fast tokenizer of transformers")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises bare Exception for a broken file
        raise SlmError(f"{file}: not a tokenizer ({error})") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


@frozen
class Prompter:
    """A tokenizer and an interface: what a model is asked and trained with."""

    tokenizer: Tokenizer = field(eq=False)
    interface: Interface

    @classmethod
    def open(cls, folder: Path, interface: Interface | None = None) -> Prompter:
        """The prompter of a model folder; `interface` stands in for its `slm.json`."""
        return cls(load_tokenizer(folder), interface or read_interface(folder))

    def encode(self, text: str) -> list[int]:
        """Token ids of the text and nothing added."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, without special tokens."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The ids that an answer to `messages` follows; each earlier answer is tokenised as it was generated."""
        pieces = self._pieces(messages, asking=True)
        return [i for text, _ in pieces for i in self.encode(text)]

    def text(self, text: str) -> list[int]:
        """The ids of plain text: to be continued (completion), or to be classified (at most `context` of them)."""
        text = self._defused(text)
        if self.interface.task != "classification":
            return [*self.interface.begin, *self.encode(text)]
        ids = self.tokenizer.encode(text, add_special_tokens=True)
        ids.truncate(self.interface.context)
        if len(ids.overflowing):  # truncating drops the closing special token: put it back
            whole = self.tokenizer.encode(text, add_special_tokens=True)
            if whole.special_tokens_mask[-1]:
                return [*ids.ids[:-1], whole.ids[-1]]
        return list(ids.ids)

    def example(self, record: Mapping[str, Any]) -> Example:
        """A record (`messages`, or `text`) as ids and targets: answers with their end token, or the whole text."""
        return next(self.examples([record]))

    def examples(self, records: Iterable[Mapping[str, Any]]) -> Iterator[Example]:
        """`example` for many records; the pieces of each thousand are tokenised together on all cores."""
        chunk: list[list[tuple[str, bool]]] = []
        for record in records:
            if record.get("messages") is not None:
                chunk.append(self._pieces(record["messages"], asking=False))
            else:
                chunk.append([(self._defused(record["text"]), True)])
            if len(chunk) == 1000:
                yield from self._encoded(chunk)
                chunk = []
        yield from self._encoded(chunk)

    def ending(self) -> list[int]:
        """The special token that the template puts behind an answer, if it puts one."""
        special = self.tokenizer.get_added_tokens_decoder()
        turn = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "Zq7"}]
        pieces = [text for text, answer in self._pieces(turn, asking=False) if answer]
        return [i for i in self.encode(pieces[-1].partition("Zq7")[2]) if i in special][:1]

    def _encoded(self, chunk: list[list[tuple[str, bool]]]) -> Iterator[Example]:
        texts = [text for pieces in chunk for text, _ in pieces]
        encoded = iter(self.tokenizer.encode_batch_fast(texts, add_special_tokens=False))
        stop = self.interface.stop
        for pieces in chunk:
            ids: list[int] = [] if self.interface.template else list(self.interface.begin)
            targets = [False] * len(ids)
            for _, answer in pieces:
                piece = list(next(encoded).ids)
                end = len(piece)
                if answer:
                    if not any(i in stop for i in piece):
                        piece.append(stop[0])
                    end = next(n for n, i in enumerate(piece) if i in stop) + 1
                ids += piece
                targets += [answer and n < end for n in range(len(piece))]
            yield Example(ids, targets)

    def _pieces(self, messages: Sequence[Message], *, asking: bool) -> list[tuple[str, bool]]:
        """The rendered conversation cut at its answers: (text, is it an answer to be learned).

        A template that shows an earlier answer otherwise than it was generated (without its thoughts, say) leaves
        that answer in its context, unlearned.
        """
        turns = [{**message, "content": self._defused(message["content"])} for message in messages]
        whole = self._render(turns, asking)
        pieces, at = [], 0
        for n, turn in enumerate(turns):
            if turn["role"] != "assistant":
                continue
            before = self._render(turns[:n], True)
            last = n == len(turns) - 1 and not asking
            after = whole if last else self._kept(self._render(turns[: n + 1], False), whole)
            if at <= len(before) and whole.startswith(after) and after.startswith(before):
                pieces += [(whole[at : len(before)], False), (whole[len(before) : len(after)], True)]
                at = len(after)
            elif last:
                raise SlmError("the chat template does not keep the prompt when the answer is added; mend the template")
        if not asking and not pieces:
            raise SlmError("a conversation without an answer: nothing to learn from it")
        return [piece for piece in [*pieces, (whole[at:], False)] if piece[0]]

    def _kept(self, rendered: str, whole: str) -> str:
        """What of a rendering stays when turns follow, to its last end token: some templates close the whole."""
        if whole.startswith(rendered):
            return rendered
        pairs = enumerate(zip(rendered, whole, strict=False))
        same = rendered[: next((n for n, (a, b) in pairs if a != b), len(whole))]
        ends = [text for i in self.interface.stop if (text := self.tokenizer.id_to_token(i))]
        cut = max((same.rfind(text) + len(text) for text in ends if text in same), default=0)
        return same[: cut + len(same[cut:]) - len(same[cut:].lstrip())]

    def _render(self, messages: Sequence[Message], asking: bool) -> str:
        if self.interface.template is None:
            raise SlmError(f"a {self.interface.task} model has no chat template; ask it with plain text")
        names = {"bos_token": self.interface.bos, "eos_token": self.interface.eos}
        return render(self.interface.template, messages=list(messages), add_generation_prompt=asking, **names)

    def _defused(self, text: str) -> str:
        """Text whose wording of a special token can't become that token: a space goes behind its first character."""
        for token in special_texts(self.tokenizer):
            if token in text:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text


@lru_cache(maxsize=16)
def special_texts(tokenizer: Tokenizer) -> tuple[str, ...]:
    """The texts of a tokenizer's special tokens, longest first."""
    tokens = tokenizer.get_added_tokens_decoder().values()
    return tuple(sorted((t.content for t in tokens if t.special and len(t.content) > 1), key=len, reverse=True))


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise SlmError(f"{file}: not JSON ({error})") from None
    return found if isinstance(found, dict) else {}


def _token(value: Any) -> str:
    return str(value.get("content", "")) if isinstance(value, dict) else value or ""


def _chat_template(folder: Path, special: Mapping[str, Any]) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    found = special.get("chat_template")
    if isinstance(found, list):  # several, by name
        found = {each["name"]: each["template"] for each in found}.get("default")
    return found if isinstance(found, str) else None
