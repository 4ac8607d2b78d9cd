"""Who may ask: those with the key, or without one those on this machine."""

from __future__ import annotations

from collections.abc import Collection
from hmac import compare_digest

from attrs import frozen
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from slm_servers.errors import ApiError

OPEN = frozenset({"/", "/health"})


@frozen(eq=False)
class Guard:
    """ASGI middleware. With a key, every address but `/` and `/health` wants it as a bearer token. Without one, the
    Host header has to name this machine: a web page whose name was pointed at 127.0.0.1 is kept out."""

    app: ASGIApp
    key: str | None
    hosts: Collection[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self.refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self.app(scope, receive, send)
        else:
            await refusal.response()(scope, receive, send)

    def refusal(self, scope: Scope) -> ApiError | None:
        """What a request without the right to be here is told."""
        headers = Headers(scope=scope)
        if self.key is None:
            host = headers.get("host", "").lower()
            name = host if host.endswith("]") else host.rpartition(":")[0] or host
            if name in self.hosts or "*" in self.hosts:
                return None
            return ApiError(
                403, f"host {name!r} is not served without a key; add it to serve.allowed_hosts, or set a key"
            )
        if scope["path"] in OPEN:
            return None
        scheme, _, sent = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and compare_digest(sent.strip().encode("latin-1"), self.key.encode()):
            return None
        what = "send the server's key in the header 'Authorization: Bearer KEY'"
        return ApiError(401, what, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
