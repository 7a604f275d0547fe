"""The server's addresses: the page, its files by a fixed list, and the WebSocket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import resources
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from mario_world_model.playground.connection import serve_page
from mario_world_model.playground.guard import Guard, origin_is_ours, token_is_right
from mario_world_model.playground.seats import Seats

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
PAGE_FILES: Final = (
    "style.css",
    "icon.svg",
    "app.js",
    "actions.js",
    "controls.js",
    "curves.js",
    "format.js",
    "latents.js",
    "link.js",
    "pictures.js",
    "source.js",
    "strip.js",
)
"""Every file of the page beside index.html; nothing else is ever served."""


@dataclass(frozen=True)
class _File:
    content: bytes
    media_type: str


def static_file(name: str) -> _File:
    """One of the page's files."""
    content = resources.files(__package__).joinpath("static", name).read_bytes()
    return _File(content, _TYPES[name.rsplit(".", 1)[1]])


def make_app(seats: Seats, token: str, idle_seconds: float, loopback_only: bool) -> ASGIApp:
    """The application.

    Args:
        seats: Where sessions are played.
        token: Secret that the page's address has to carry.
        idle_seconds: After this long without a word from the person a session is closed.
        loopback_only: The server listens on the loopback interface alone.
    """
    index, full = static_file("index.html"), static_file("full.html")

    async def page(request: Request) -> Response:
        if not token_is_right(request, token):
            return PlainTextResponse(
                "Expected the address that `mario-world-model play` printed, token and all.\n", 403
            )
        if seats.full:
            return Response(full.content, 503, media_type=full.media_type)
        return Response(index.content, media_type=index.media_type)

    async def play(websocket: WebSocket) -> None:
        origin, host = websocket.headers.get("origin"), websocket.headers["host"]
        if not token_is_right(websocket, token) or not origin_is_ours(origin, host):
            await websocket.send_denial_response(PlainTextResponse("Expected this launch's page.\n", 403))
            return
        await serve_page(websocket, seats, idle_seconds)

    routes = [Route("/", page), WebSocketRoute("/play", play)]
    routes += [Route(f"/{name}", _serve(static_file(name))) for name in PAGE_FILES]
    return Guard(Starlette(routes=routes), loopback_only)


def _serve(file: _File) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        del request
        return Response(file.content, media_type=file.media_type)

    return serve
