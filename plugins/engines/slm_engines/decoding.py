"""Continuous batching: requests of all callers are decoded together, joining and leaving between steps.

One thread owns the decoder. Between two steps it reads a few waiting prompts, so a queue does not stall the running.
Knows nothing of the runtime: a `Decoder` does.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Literal, Protocol

from slm.plugin import Chunk, Request, SlmError
from slm_engines.batching import check_ids
from slm_engines.sampling import Sampler
from slm_engines.streaming import Detokenizer, Stopper
from slm_models.template import Prompter

if TYPE_CHECKING:
    from numpy.typing import NDArray

READ = 256  # prompt tokens after which no further prompt is read before the next step
Finish = Literal["", "stop", "length"]


class Decoder(Protocol):
    """A model with the KV caches of the rows it decodes; used by one thread. Rows are numbered from 0."""

    @property
    def vocabulary(self) -> int:
        """How many token ids there are."""
        ...

    def add(self, prompt: Sequence[int]) -> NDArray[Any]:
        """Read a prompt as a new last row; give the logits (vocabulary,) of its next token."""
        ...

    def step(self, tokens: Sequence[int]) -> NDArray[Any]:
        """Append one token to each row; give the logits (rows, vocabulary) of the next ones."""
        ...

    def remove(self, row: int) -> None:
        """Forget a row; the last row takes its number."""
        ...

    def clear(self) -> None:
        """Forget all rows."""
        ...


class Call:
    """One call of `generate`: where its chunks go, and whether anybody still wants them."""

    def __init__(self) -> None:
        self.out: SimpleQueue[Chunk | BaseException] = SimpleQueue()
        self.cancelled = False


class Row:
    """One request in the making."""

    def __init__(self, index: int, request: Request, call: Call, prompter: Prompter) -> None:
        self.index = index
        self.request = request
        self.call = call
        self.stop_ids = prompter.interface.stop
        self.room = min(request.max_tokens, prompter.interface.context - len(request.prompt))
        self.sampler = Sampler(request)
        self.detokenizer = Detokenizer(prompter.decode)
        self.stopper = Stopper(request.stop)
        self.count = 0
        self.pending: list[int] = []
        self.last = 0

    def take(self, logits: NDArray[Any]) -> bool:
        """Pick the next token and send what it brings; True when the answer is finished."""
        self.last = self.sampler.pick(logits)
        if self.last in self.stop_ids:
            return self.send(*self.stopper.push(self.detokenizer.flush()), "stop")
        self.count += 1
        self.pending.append(self.last)
        text, stopped = self.stopper.push(self.detokenizer.push(self.last))
        if not stopped and self.count >= self.room:
            more, stopped = self.stopper.push(self.detokenizer.flush())
            return self.send(text + more, stopped, "length")
        return self.send(text, stopped, "")

    def send(self, text: str, stopped: bool, finish: Finish) -> bool:
        """Put a chunk into the call's queue, unless there is nothing to say yet."""
        if stopped:
            finish = "stop"
        elif finish:
            text += self.stopper.flush()
        if text or finish:
            self.call.out.put(Chunk(self.index, tuple(self.pending), text, finish))
            self.pending = []
        return bool(finish)


class Scheduler:
    """Runs a decoder in a thread of its own for all who ask; `rows` is how many it decodes at once."""

    def __init__(self, decoder: Decoder, prompter: Prompter, rows: int) -> None:
        self.decoder = decoder
        self.prompter = prompter
        self.rows = rows
        self.live: list[Row] = []
        self.waiting: deque[Row] = deque()
        self.wake = threading.Condition()
        self.closed = False
        self.thread: threading.Thread | None = None

    def generate(self, requests: Sequence[Request]) -> Iterator[Chunk]:
        """Check the requests now, and answer them when the iterator is read."""
        for request in requests:
            check_request(request, self.decoder.vocabulary, self.prompter.interface.context)
        return self._answers(requests)

    def _answers(self, requests: Sequence[Request]) -> Iterator[Chunk]:
        call = Call()
        self._submit([Row(index, request, call, self.prompter) for index, request in enumerate(requests)])
        try:
            left = len(requests)
            while left:
                found = call.out.get()
                if isinstance(found, BaseException):
                    raise found
                left -= bool(found.finish)
                yield found
        finally:
            call.cancelled = True

    def _submit(self, rows: Sequence[Row]) -> None:
        with self.wake:
            if self.closed:
                raise SlmError("the engine is closed; open the model again")
            if self.thread is None:
                self.thread = threading.Thread(target=self._run, name="slm-decoding", daemon=True)
                self.thread.start()
            self.waiting.extend(rows)
            self.wake.notify()

    def _run(self) -> None:
        while True:
            with self.wake:
                self.wake.wait_for(lambda: self.closed or self.waiting or self.live)
                if self.closed:
                    return self._fail(SlmError("the engine was closed while it answered"))
            try:
                self._turn()
            except BaseException as error:  # whoever waits must hear of it, whatever it is
                with self.wake:
                    self._fail(error)

    def _turn(self) -> None:
        """Drop what nobody wants, admit a few requests, and move every row on by a token."""
        for at in reversed(range(len(self.live))):
            if self.live[at].call.cancelled:
                self._leave(at)
        read = 0
        while read < READ and (row := self._next()) is not None:
            read += len(row.request.prompt)
            self.live.append(row)  # before the model runs: if it fails, this caller must hear of it too
            if row.take(self.decoder.add(row.request.prompt)):
                self._leave(len(self.live) - 1)
        if not self.live:
            return
        logits = self.decoder.step([row.last for row in self.live])
        for at in reversed(range(len(self.live))):
            if self.live[at].take(logits[at]):
                self._leave(at)

    def _next(self) -> Row | None:
        with self.wake:
            while self.waiting and len(self.live) < self.rows:
                row = self.waiting.popleft()
                if not row.call.cancelled:
                    return row
        return None

    def _leave(self, at: int) -> None:
        self.decoder.remove(at)
        last = self.live.pop()
        if at < len(self.live):
            self.live[at] = last

    def _fail(self, error: BaseException) -> None:
        """Tell every caller, and start afresh."""
        for call in {row.call for row in [*self.live, *self.waiting]}:
            call.out.put(error)
        self.live.clear()
        self.waiting.clear()
        self.decoder.clear()

    def close(self) -> None:
        """End the thread; whoever still waits gets an SlmError."""
        with self.wake:
            self.closed = True
            self.wake.notify()
        if self.thread is not None and self.thread is not threading.current_thread():
            self.thread.join()


def check_request(request: Request, vocabulary: int, context: int) -> None:
    """SlmError for a request that cannot be answered."""
    if not request.prompt:
        raise SlmError("the prompt is empty; give at least one token")
    if request.max_tokens < 1:
        raise SlmError(f"max_tokens is {request.max_tokens}; ask for at least 1")
    if not request.temperature >= 0:
        raise SlmError(f"temperature is {request.temperature}; give 0 (greedy) or more")
    if not 0 < request.top_p <= 1:
        raise SlmError(f"top_p is {request.top_p}; give a share above 0 and at most 1")
    if len(request.prompt) >= context:
        raise SlmError(
            f"the prompt's {len(request.prompt)} tokens leave no room in the model's context of {context}; shorten it"
        )
    check_ids(request.prompt, vocabulary, context)
