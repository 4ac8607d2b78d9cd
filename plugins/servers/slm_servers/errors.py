"""Errors as OpenAI's clients expect them: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from attrs import define, field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from slm.plugin import SlmError

KINDS = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
    504: "timeout",
}


@define
class ApiError(Exception):
    """What a client is told: HTTP status, one clear message, the parameter it is about, and OpenAI's code for it."""

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(factory=dict)

    def body(self) -> dict[str, Any]:
        """The JSON that is sent."""
        kind = KINDS.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        """The HTTP response."""
        return JSONResponse(self.body(), self.status, dict(self.headers))


def told(error: BaseException) -> ApiError:
    """Any failure as the client is told of it: a mistake in its own words; anything else goes to the log instead."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, SlmError):
        return ApiError(400, str(error))
    if isinstance(error, TimeoutError):
        return ApiError(504, "the answer took too long; ask for fewer tokens", code="timeout")
    logging.getLogger("slm.server").error("a request failed", exc_info=error)
    return ApiError(500, "the server failed; its log says why")


async def handle(request: Request, error: Exception) -> Response:
    """Starlette's exception handler for everything raised before a response began."""
    if not isinstance(error, HTTPException):
        return told(error).response()
    place = f"{request.method} {request.url.path}"
    texts = {404: f"no such address: {place}", 405: f"{place}: this address takes another method"}
    message = texts.get(error.status_code, error.detail)
    return ApiError(error.status_code, message, headers=error.headers or {}).response()
