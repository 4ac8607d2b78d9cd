"""Decoders and classifiers on plain onnxruntime. Needs numpy and onnxruntime, neither torch nor transformers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slm.plugin import SlmError
from slm_engines.batching import log_probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 512  # prompt tokens read at once: their logits are held together
COLUMNS = 128  # tokens a row has room for at first; the room doubles when it is used up


def open_session(folder: Path, cores: int) -> Any:
    """An onnxruntime session on the folder's `model.onnx`; SlmError where it can't be opened."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    options.log_severity_level = 3
    # Spinning threads take the cores from whoever shares them: 20 times slower was seen with more threads than cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    file = folder / "model.onnx"
    if not file.is_file():
        raise SlmError(f"{folder}: has no model.onnx; export the model again")
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no class
        raise SlmError(f"{file}: onnxruntime can't open it ({str(error).splitlines()[0]})") from None


class OrtDecoder:
    """Decodes rows with a graph of onnxruntime-genai's builder (`slm_engines.decoding.Decoder`).

    All rows share one KV buffer (rows, heads, columns, size) a layer, each from column 0 on. The graph takes a row's
    length from its attention mask and writes its new key in place, so rows of different lengths make one step.
    """

    def __init__(self, session: Any, folder: Path, context: int) -> None:
        import numpy as np

        self.session = session
        self.context = context
        shape = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))["model"]["decoder"]
        self.heads, self.size = int(shape["num_key_value_heads"]), int(shape["head_size"])
        self.inputs = {each.name for each in session.get_inputs()}
        self.vocabulary = int(session.get_outputs()[0].shape[-1])
        self.caches = [each.name for each in session.get_outputs()[1:]]
        self.empty = np.zeros((1, self.heads, 0, self.size), np.float32)
        self.clear()

    def clear(self) -> None:
        """Forget all rows and give back their memory."""
        self.lengths: list[int] = []
        self.buffers: list[NDArray[Any]] = []
        self.binding: Any = None

    def add(self, prompt: Sequence[int]) -> NDArray[Any]:
        """Read a prompt as a new last row; logits (vocabulary,) of its next token."""
        logits, caches = self._read(prompt)
        row, length = len(self.lengths), len(prompt)
        self.lengths.append(length)
        self._reserve(row + 1, length + 1)
        for buffer, cache in zip(self.buffers, caches, strict=True):
            buffer[row, :, :length] = cache[0]
        self.binding = None
        return logits

    def step(self, tokens: Sequence[int]) -> NDArray[Any]:
        """Append one token to each row; logits (rows, vocabulary)."""
        import numpy as np

        self.lengths = [length + 1 for length in self.lengths]
        lengths = np.array(self.lengths)
        self._reserve(len(tokens), int(lengths.max()))
        if self.binding is None:
            self._bind(len(tokens))
        mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
        self.binding.bind_cpu_input("input_ids", np.array(tokens, np.int64)[:, None])
        self.binding.bind_cpu_input("attention_mask", mask)
        if "position_ids" in self.inputs:
            self.binding.bind_cpu_input("position_ids", lengths[:, None] - 1)
        self.session.run_with_iobinding(self.binding)
        return self.logits[:, 0]

    def remove(self, row: int) -> None:
        """Forget a row; the last takes its number."""
        length = self.lengths.pop()
        if row < len(self.lengths):
            for buffer in self.buffers:
                buffer[row, :, :length] = buffer[len(self.lengths), :, :length]
            self.lengths[row] = length
        self.binding = None
        if not self.lengths:
            self.clear()

    def score(self, ids: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
        """Log-probabilities of `ids[:, 1:]`; padding stands behind the text. Safe in any thread."""
        return log_probabilities(
            self._run(ids, mask, [self.empty.repeat(len(ids), 0)] * len(self.caches))[0][:, :-1], ids[:, 1:]
        )

    def _read(self, prompt: Sequence[int]) -> tuple[NDArray[Any], list[NDArray[Any]]]:
        import numpy as np

        ids = np.array([prompt], np.int64)
        found: list[Any] = [None, *[self.empty] * len(self.caches)]
        for start in range(0, ids.shape[1], CHUNK):
            part = ids[:, start : start + CHUNK]
            found = self._run(part, np.ones((1, start + part.shape[1]), np.int64), found[1:])
        return found[0][0, -1], found[1:]

    def _run(self, ids: NDArray[Any], mask: NDArray[Any], caches: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        import numpy as np

        given = {"input_ids": ids, "attention_mask": mask}
        given |= {past_name(name): cache for name, cache in zip(self.caches, caches, strict=True)}
        if "position_ids" in self.inputs:
            first = mask.shape[1] - ids.shape[1]
            given["position_ids"] = np.broadcast_to(np.arange(first, mask.shape[1]), ids.shape).astype(np.int64)
        found: list[NDArray[Any]] = self.session.run(None, given)
        return found

    def _reserve(self, rows: int, columns: int) -> None:
        """Make the buffers large enough, by doubling."""
        import numpy as np

        had = self.buffers[0].shape if self.buffers else (0, self.heads, 0, self.size)
        if rows <= had[0] and columns <= had[2]:
            return
        wide = had[2] if columns <= had[2] else min(max(COLUMNS, columns, 2 * had[2]), max(self.context, columns))
        shape = (had[0] if rows <= had[0] else max(rows, 2 * had[0]), self.heads, wide, self.size)
        grown: list[NDArray[Any]] = [np.zeros(shape, np.float32) for _ in self.caches]
        for new, old in zip(grown, self.buffers, strict=False):
            new[: had[0], :, : had[2]] = old
        self.buffers, self.binding = grown, None

    def _bind(self, rows: int) -> None:
        """Give the graph the buffers' first rows as past and as present: it then writes in place."""
        import numpy as np
        from onnxruntime import OrtValue

        self.binding = self.session.io_binding()
        for name, buffer in zip(self.caches, self.buffers, strict=True):
            value = OrtValue.ortvalue_from_numpy(buffer[:rows])
            self.binding.bind_ortvalue_input(past_name(name), value)
            self.binding.bind_ortvalue_output(name, value)
        self.logits = np.empty((rows, 1, self.vocabulary), np.float32)
        self.binding.bind_ortvalue_output("logits", OrtValue.ortvalue_from_numpy(self.logits))


def past_name(present: str) -> str:
    """The input that takes what the output `present.N.key` gave."""
    return present.replace("present", "past_key_values", 1)


def logits_of(session: Any) -> Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]:
    """The function (ids, mask) -> logits (rows, labels) of an exported classifier."""

    def forward(ids: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
        found: NDArray[Any] = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return found

    return forward
