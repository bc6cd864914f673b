"""What may reach Gradio, and what may leave: Gradio itself lets anybody call any event and read any stream.

Only the routes that the page uses are open. A page's session belongs to the browser that used it first. Bodies have a
limit, and a policy for content keeps pages from loading or sending anything elsewhere.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.visitors import person_of

_POSTS = frozenset({"/gradio_api/queue/join", "/gradio_api/run/predict", "/gradio_api/cancel"})
_STREAM, _HEARTBEAT = "/gradio_api/queue/data", "/gradio_api/heartbeat/"
_FILES = ("/assets/", "/static/", "/attune/")
_GETS = frozenset(
    {"/", "/theme.css", "/manifest.json", "/favicon.ico", "/gradio_api/app_id", "/gradio_api/startup-events"}
)
_LONGEST, _SESSIONS = 256_000, 20_000
HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; "
    "base-uri 'self'; form-action 'self'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
"""Gradio compiles its templates, so `unsafe-eval` can't be left out; what people write never is in a template."""


class Guard:
    """ASGI: lets through what the page needs; `own` are the paths of the app's own routes."""

    def __init__(self, app: ASGIApp, own: tuple[str, ...]) -> None:
        self._app, self._own = app, own
        self._owners: OrderedDict[str, str] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        refused = None
        if not scope["path"].startswith(self._own):
            refused, receive = await self._checked(request, receive)
        await (refused or self._app)(scope, receive, _with_headers(send))

    async def _checked(self, request: Request, receive: Receive) -> tuple[Response | None, Receive]:
        """The refusal, if it is one; and the request's body to be read again."""
        path = request.url.path
        if request.method == "POST" and path in _POSTS:
            body = await _body(request)
            if body is None:
                return Response(status_code=413), receive
            return self._of_its_owner(request, _session(body)), _again(body, receive)
        if request.method in {"GET", "HEAD"} and (path in _GETS or path.startswith(_FILES)):
            return None, receive
        if path == _STREAM:
            sessions = parse_qs(request.url.query).get("session_hash", [""])
            return self._of_its_owner(request, sessions[0]), receive
        if path.startswith(_HEARTBEAT):
            return self._of_its_owner(request, path.removeprefix(_HEARTBEAT)), receive
        return Response(status_code=404), receive

    def _of_its_owner(self, request: Request, session: str | None) -> Response | None:
        person = person_of(request)
        if person is None or not session:
            return Response(status_code=401)
        if self._owners.setdefault(session, person) != person:
            return Response(status_code=403)
        self._owners.move_to_end(session)
        if len(self._owners) > _SESSIONS:
            self._owners.popitem(last=False)
        return None


async def _body(request: Request) -> bytes | None:
    """What was sent, unless it is too long or breaks off."""
    body = b""
    with suppress(ClientDisconnect):
        async for piece in request.stream():
            body += piece
            if len(body) > _LONGEST:
                return None
        return body
    return None


def _session(body: bytes) -> str | None:
    try:
        found = json.loads(body)["session_hash"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _again(body: bytes, receive: Receive) -> Receive:
    told = False

    async def received() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return received


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sent
