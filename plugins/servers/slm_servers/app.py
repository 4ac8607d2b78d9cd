"""The ASGI application: its addresses, and what stands before them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette as Application
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from slm.plugin import Engine, SlmError
from slm_servers.chat import chat
from slm_servers.classify import classify
from slm_servers.completions import completions
from slm_servers.errors import ApiError, handle
from slm_servers.gate import Gate
from slm_servers.guard import Guard
from slm_servers.service import Endpoint, Service

if TYPE_CHECKING:
    from slm_servers.starlette import Starlette

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"


def application(engines: Mapping[str, Engine], key: str | None, limits: Starlette) -> ASGIApp:
    """Serve the engines within the limits."""
    pool = ThreadPoolExecutor(limits.concurrency, thread_name_prefix="slm-serve")
    service = Service(engines, limits, Gate(limits.concurrency, limits.queue), pool)

    @asynccontextmanager
    async def lifespan(app: Application) -> AsyncIterator[None]:
        yield
        pool.shutdown(wait=False, cancel_futures=True)

    origins = Middleware(CORSMiddleware, allow_origins=limits.origins, allow_methods=["*"], allow_headers=["*"])
    return Application(
        routes=routes(service),
        middleware=[*([origins] if limits.origins else []), Middleware(Guard, key=key, hosts=limits.allowed_hosts)],
        exception_handlers=dict.fromkeys((ApiError, SlmError, TimeoutError, HTTPException, Exception), handle),
        lifespan=lifespan,
    )


def routes(service: Service) -> list[Route]:
    """The addresses."""

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "running": service.gate.running, "waiting": service.gate.waiting})

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [model(service, name) for name in service.engines]})

    async def one(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in service.engines:
            raise ApiError(404, f"model {name!r} is not served here", "model", "model_not_found")
        return JSONResponse(model(service, name))

    async def page(request: Request) -> Response:
        text = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
        return HTMLResponse(text, headers={"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"})

    return [
        Route("/v1/chat/completions", Endpoint(service, chat), methods=["POST"]),
        Route("/v1/completions", Endpoint(service, completions), methods=["POST"]),
        Route("/classify", Endpoint(service, classify), methods=["POST"]),
        Route("/v1/models", models),
        Route("/v1/models/{name:path}", one),
        Route("/health", health),
        *([Route("/", page)] if service.limits.page else []),
    ]


def model(service: Service, name: str) -> dict[str, Any]:
    """A model as OpenAI lists it, with its task, context in tokens, and labels."""
    interface = service.engines[name].prompter.interface
    about = {"task": interface.task, "context": interface.context, "labels": list(interface.labels)}
    return {"id": name, "object": "model", "created": service.started, "owned_by": "slm", **about}
