"""Parsers run in a process of their own: a file that makes one hang, crash or fill memory costs itself only.

Run as a module it answers calls, one a line of JSON, until its input ends.
"""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

from attrs import field, frozen

from slm.plugin import SlmError

MEMORY = 4 << 30


@frozen(eq=False)
class Child:
    """A child process, started when first needed and again whenever it is lost. `seconds` is how long it may take for
    each of its answers."""

    seconds: float
    running: list[subprocess.Popen[bytes]] = field(factory=list, init=False)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def run(self, call: str, address: str, **arguments: Any) -> Iterator[Any]:
        """What a generator function of this folder (`sheets.read_sheet`) yields in the child, as JSON can say it.

        Raises SlmError, in one line that names the address, where it fails, crashes or is late.
        """
        request = json.dumps({"call": call, "arguments": {"address": address, **arguments}}).encode() + b"\n"
        while (answer := self._answer(request, address)) and "value" in answer:
            request = b""
            yield answer["value"]
        if "missing" in answer:
            raise ModuleNotFoundError(f"No module named {answer['missing']!r}", name=answer["missing"])
        if "error" in answer:
            raise SlmError(answer["error"])

    def _answer(self, request: bytes, address: str) -> dict[str, Any]:
        child, late = self._child(), threading.Event()
        assert child.stdin is not None
        assert child.stdout is not None

        def end() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(self.seconds, end)
        timer.start()
        try:
            child.stdin.write(request)
            child.stdin.flush()
            line = child.stdout.readline()
        except BrokenPipeError:
            line = b""
        finally:
            timer.cancel()
        if line.endswith(b"\n"):
            found: dict[str, Any] = json.loads(line)
            return found
        code = self._end()
        if late.is_set():
            raise SlmError(f"{address}: is not read within {self.seconds:g} seconds; leave it out or split it")
        raise SlmError(
            f"{address}: crashes its reader, or needs over {MEMORY >> 30} GB of memory (exit code {code}); "
            "leave it out or save it anew"
        )

    def _child(self) -> subprocess.Popen[bytes]:
        if not self.running:
            command = [sys.executable, "-P", "-m", __name__]
            pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
            self.running.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere))
        return self.running[0]

    def _end(self) -> int | None:
        """End the child, if there is one; its exit code."""
        if not self.running:
            return None
        child = self.running.pop()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            return child.wait(timeout=1)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()


def answers(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What a call yields, then how it ended. An error of any kind becomes one line: parsers raise whatever they come
    upon in a damaged file."""
    from importlib import import_module

    address = request["arguments"]["address"]
    try:
        module, _, name = request["call"].rpartition(".")
        function: Callable[..., Iterator[Any]] = getattr(import_module(f"..{module}", __package__), name)
        for value in function(**request["arguments"]):
            yield {"value": value}
        yield {"end": True}
    except SlmError as error:
        yield {"error": str(error)}
    except ImportError as error:
        yield {"missing": error.name or str(error)}
    except MemoryError:
        yield {"error": f"{address}: needs over {MEMORY >> 30} GB of memory; split it first"}
    except OSError as error:
        yield {"error": f"{address}: can't be read ({error.strerror or error})"}
    except Exception as error:
        said = f"{type(error).__name__}: {error}".replace("\n", " ")[:200]
        yield {"error": f"{address}: is damaged, or of a kind that can't be read ({said}); save it anew"}


def _bound_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY if hard < 0 else min(MEMORY, hard), hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Answer calls until there are no more."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    _bound_memory()
    out, sys.stdout = sys.stdout.buffer, sys.stderr
    for line in sys.stdin.buffer:
        for each in answers(json.loads(line)):
            out.write(json.dumps(each).encode() + b"\n")
            out.flush()


if __name__ == "__main__":
    main()
