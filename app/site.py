"""The web app: the seeker's page with what stands around it, in the order in which a request passes through.

First who it is (`app.visitors`), then what may pass (`app.guard`), then the app's own routes, then Gradio.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from hmac import HMAC

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.middleware.cors import CORSMiddleware
from starlette.staticfiles import StaticFiles

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported: nothing is sent anywhere
import gradio as gr

from app import view, wiring
from app.chat_page import STATIC, ChatPage
from app.guard import Guard
from app.limits import Allowance, Limits
from app.settings import Settings
from app.turn import Chat
from app.visitors import Visitors, person_of
from storage.clock import Clock, SystemClock
from storage.errors import StorageError
from storage.store import Store

_OWN = ("/healthz", "/export/")
_FONTS = gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])


@asynccontextmanager
async def opened(settings: Settings, secret: str, clock: Clock | None = None) -> AsyncIterator[FastAPI]:
    """The app with its store and its models, until it is left."""
    store = wiring.make_store(settings)
    try:
        async with wiring.open_engines(settings) as engines:
            chat = Chat(store, engines, clock or SystemClock(), lambda person: _seal(secret, person))
            await engines.warm()
            try:
                yield app_of(settings, store, chat, secret, clock or SystemClock())
            finally:
                await chat.close()
    finally:
        store.close()


def app_of(settings: Settings, store: Store, chat: Chat, secret: str, clock: Clock) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(CORSMiddleware, allow_origins=[])  # Gradio's own, which it replaces, lets any site in
    app.add_middleware(Guard, own=_OWN)
    app.add_middleware(Visitors, store=store, secret=secret)  # the last one is the first that a request meets
    app.mount("/attune", StaticFiles(directory=STATIC))
    app.add_api_route("/healthz", _healthy)
    app.add_api_route("/export/{name}", _exporting(store))
    limits = Limits(settings.message_length, settings.messages_a_minute, settings.messages_a_day)
    page = ChatPage(store, chat, Allowance(limits, clock), settings.candidates, settings.retention_days)
    gr.mount_gradio_app(
        app,
        page.blocks(),
        path="/",
        theme=_FONTS,
        footer_links=[],
        run_history=False,
        pwa=False,
        ssr_mode=False,
        show_error=False,
        max_file_size=1,
    )
    return app


async def _healthy() -> Response:
    return PlainTextResponse("ok\n")


def _exporting(store: Store) -> Callable[..., Response]:
    def exported(request: Request, name: str) -> Response:
        """One of the person's own conversations, as `ID.md` or `ID.json`."""
        conversation, _, kind = name.partition(".")
        headers = {"content-disposition": f'attachment; filename="attune.{kind}"'}
        try:
            opened = store.conversations.open(person_of(request) or "", conversation)
        except StorageError:
            return PlainTextResponse("There is no such conversation.\n", 404)
        if kind == "json":
            return JSONResponse(view.as_json(opened), headers=headers)
        if kind == "md":
            return Response(view.as_markdown(opened), media_type="text/markdown; charset=utf-8", headers=headers)
        return PlainTextResponse("There is no such conversation.\n", 404)

    return exported


def _seal(secret: str, person: str) -> str:
    return HMAC(secret.encode(), person.encode(), sha256).hexdigest()[:16]
