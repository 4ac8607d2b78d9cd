"""`slm chat`: a conversation with an open engine in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slm.plugin import Engine, Request


def talk(engine: Engine, name: str, once: str | None, max_tokens: int) -> None:
    """Ask and answer until the user ends it; a classifier names its three likeliest labels."""
    task = engine.prompter.interface.task
    said: list[dict[str, str]] = []
    try:
        if once is not None:
            for piece in answer(engine, [{"role": "user", "content": once}], max_tokens):
                print(piece, end="", flush=True)
            print()
            return
        print(f"A {task} model on the engine {name}. An empty line or Ctrl-D ends, /new starts afresh.")
        while line := ask():
            if line == "/new":
                said.clear()
                continue
            said.append({"role": "user", "content": line})
            pieces = []
            for piece in answer(engine, said, max_tokens):
                print(piece, end="", flush=True)
                pieces.append(piece)
            print()
            said.append({"role": "assistant", "content": "".join(pieces)})
            if task in ("qa", "instruction"):  # trained on single questions
                said.clear()
    finally:
        engine.close()


def ask() -> str:
    """The user's next line; empty at the end of input."""
    try:
        return input("> ").strip()
    except EOFError:
        print()
        return ""


def answer(engine: Engine, said: Sequence[dict[str, str]], max_tokens: int) -> Iterator[str]:
    """The answer's text, piece by piece."""
    prompter, text = engine.prompter, said[-1]["content"]
    if prompter.interface.task == "classification":
        (found,) = engine.classify([text])
        ranked = sorted(zip(found, prompter.interface.labels, strict=True), reverse=True)[:3]
        yield ", ".join(f"{label} {share:.0%}" for share, label in ranked)
        return
    ids = prompter.text(text) if prompter.interface.template is None else prompter.prompt(said)
    for chunk in engine.generate([Request(tuple(ids), max_tokens=max_tokens)]):
        yield chunk.text
