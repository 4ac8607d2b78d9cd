"""Chat templates: Jinja as Hugging Face writes it, rendered in a sandbox."""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from slm.errors import SlmError

if TYPE_CHECKING:
    from jinja2 import Template


def render(template: str, **names: Any) -> str:
    """The template's text for `messages`, `add_generation_prompt`, `bos_token` and `eos_token`.

    Raises SlmError where it refuses them, is broken, or reaches for what the sandbox forbids.
    """
    from jinja2.exceptions import TemplateError

    try:
        return str(compiled(template).render(tools=None, documents=None, **names))
    except (TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise SlmError(f"the chat template refuses these messages: {why}") from None


@lru_cache(maxsize=16)
def compiled(template: str) -> Template:
    """A chat template, compiled in a sandbox with what Hugging Face templates expect to find."""
    from jinja2 import nodes
    from jinja2.exceptions import TemplateError
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks answers for others; here it is transparent."""

        tags = {"generation"}  # noqa: RUF012 (as jinja2 declares it)

        def parse(self, parser: Any) -> list[nodes.Node]:
            next(parser.stream)
            body: list[nodes.Node] = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return body

    def refuse(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, indent: int | None = None, **_: Any) -> str:
        return json.dumps(value, ensure_ascii=False, indent=indent)

    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    env.filters["tojson"] = tojson
    env.globals.update(raise_exception=refuse, strftime_now=lambda form: datetime.now().strftime(form))
    return env.from_string(template)
