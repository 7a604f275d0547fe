"""Who may speak to the server: the host it is called by, where a page comes from, and the launch's token."""

from __future__ import annotations

import ipaddress
import secrets
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src blob:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Everything from here, nothing from elsewhere, nothing inline, no page around ours."""

_HEADERS: Final = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


def new_token() -> str:
    """A secret for one launch, 128 bits."""
    return secrets.token_urlsafe(16)


def host_is_ours(host: str, loopback_only: bool) -> bool:
    """Whether a Host header is one that a browser of ours sends.

    A page elsewhere can point a name of its own at this machine, but not an address: besides `localhost`
    only addresses are let through, and only loopback ones where the server listens on no other.
    """
    name = _host_name(host)
    if name is None:
        return False
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or not loopback_only


def origin_is_ours(origin: str | None, host: str) -> bool:
    """Whether an Origin header is that of a page that came from `host`, the Host header."""
    return origin in (f"http://{host}", f"https://{host}")


def token_is_right(connection: HTTPConnection, token: str) -> bool:
    """Whether the address carries the launch's token."""
    return secrets.compare_digest(connection.query_params.get("token", "").encode(), token.encode())


class Guard:
    """Refuses strange hosts before anything else is looked at, and puts the policy on every answer."""

    def __init__(self, app: ASGIApp, loopback_only: bool) -> None:
        self._app = app
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) != 1 or not host_is_ours(hosts[0], self._loopback_only):
            refusal = PlainTextResponse("Expected to be called by address or as localhost.\n", 421)
            await refusal(scope, receive, _with_policy(send))
            return
        await self._app(scope, receive, _with_policy(send))


def _with_policy(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return sending


def _host_name(host: str) -> str | None:
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    return None if parts.username is not None or parts.path or parts.query else parts.hostname
