"""Who a browser is: an anonymous person, named by a signed cookie that no script can read.

The person exists from the first time the page is opened on. Left out: accounts and signing in.
"""

import asyncio
import secrets
from http.cookies import SimpleCookie
from pathlib import Path

from itsdangerous import BadSignature, Signer
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from storage.errors import NotFound
from storage.store import Store

COOKIE = "attune"
_A_YEAR = 365 * 24 * 3600
PERSON = "person"
"""Where a request's scope has the person's id, or nothing."""


def kept_secret(path: Path) -> str:
    """What cookies are signed with: made once, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    if not path.read_text(encoding="utf-8").strip():
        path.write_text(secrets.token_urlsafe(32) + "\n", encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()


class Visitors:
    """ASGI: knows the person by the cookie, and gives a new browser a new person when it opens the page."""

    def __init__(self, app: ASGIApp, store: Store, secret: str) -> None:
        self._app, self._store, self._signer = app, store, Signer(secret, salt=COOKIE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        person = self._named(HTTPConnection(scope))
        if _opens_the_page(scope):
            still, fresh = await asyncio.to_thread(self._still_there, person)
            send = _setting(send, self._cookie(still, secure=scope["scheme"] == "https")) if fresh else send
            person = still
        scope.setdefault("state", {})[PERSON] = person
        await self._app(scope, receive, send)

    def _named(self, connection: HTTPConnection) -> str | None:
        try:
            return self._signer.unsign(connection.cookies.get(COOKIE, "")).decode()
        except BadSignature:
            return None

    def _still_there(self, person: str | None) -> tuple[str, bool]:
        """The same person, or a new one where there is none or they had themselves forgotten."""
        try:
            if person is not None and self._store.people.get(person).erased_at is None:
                return person, False
        except NotFound:
            pass
        return self._store.people.add().id, True

    def _cookie(self, person: str, *, secure: bool) -> str:
        cookie: SimpleCookie = SimpleCookie({COOKIE: self._signer.sign(person).decode()})
        cookie[COOKIE].update({"path": "/", "max-age": str(_A_YEAR), "samesite": "Lax"})
        cookie[COOKIE]["httponly"] = True
        if secure:
            cookie[COOKIE]["secure"] = True
        return cookie[COOKIE].OutputString()


def person_of(connection: HTTPConnection) -> str | None:
    person: str | None = connection.scope.get("state", {}).get(PERSON)
    return person


def _opens_the_page(scope: Scope) -> bool:
    return (scope["method"], scope["path"]) == ("GET", "/")


def _setting(send: Send, cookie: str) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("set-cookie", cookie)
        await send(message)

    return sent
