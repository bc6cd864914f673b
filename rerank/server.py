"""One OpenAI-compatible server over HTTP: the only door through which reranking reaches the network.

It keeps the connections, the time limits, the few retries that are safe, and the circuit breaker, and turns every
failure into one of `rerank/errors.py`. What is said over it is decided in `policy.py` and `ask.py`. Nothing that a
server answers with stands in an error: error bodies quote prompts.
"""

import asyncio
import json
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, Self, TypeVar

import aiohttp

from rerank.circuit import Circuit
from rerank.errors import Broken, Busy, Late, Refused, RerankError, TooLong, Unreachable

_T = TypeVar("_T")
_AGAIN = (Unreachable, Broken, Busy)
_LENGTH = re.compile(rb"(?i)context.?(length|window|size)|max_model_len|maximum (model|input) length|too (long|large)")
_LONGEST_LINE = 4 * 2**20
_LONGEST_ANSWER = 32 * 2**20
_LONGEST_PROBLEM = 2**16
_REDIRECT, _PROBLEM = 300, 400
_BUSY, _FAULT = (429, 503), 500


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait for what, in seconds, and how often to try."""

    connect: float = 3.0
    read: float = 30.0
    """The longest silence, before the first byte or between two."""
    attempts: int = 3
    pause: float = 0.2
    """Before the second attempt, doubled before the third, shortened by chance."""
    longest_pause: float = 5.0
    """A server that asks for more than this is not asked again."""


@dataclass(frozen=True, slots=True)
class Features:
    """What a server was found to offer."""

    models: tuple[str, ...] = ()
    window: int | None = None
    batch: bool = False
    vllm: bool = False
    digits: tuple[int, ...] = ()
    """The token ids of 0 to 9 where the server tells them, one each."""


class Server:
    """Use it as `async with Server(...)`, from one event loop."""

    def __init__(
        self, url: str, key: str = "", *, limits: Limits | None = None, circuit: Circuit | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self.limits = limits or Limits()
        self.circuit = circuit or Circuit()
        self.requests = 0
        """How many questions were put to it, for benchmarks."""
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._session: aiohttp.ClientSession | None = None
        self._features: Features | None = None
        self._finding_out = asyncio.Lock()
        self._failure: RerankError | None = None
        self._looks = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask and read one answer. It changes nothing on the server, so it may be asked again."""

        async def attempt() -> dict[str, Any]:
            async with self._request("POST", path, body) as response:
                return _json_object(await _body(response))

        return await self._with_retries(attempt)

    async def stream(self, path: str, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The events of a streamed answer. Only opening it is tried again: what has begun to arrive is not thrown away.

        Use it with `aclosing`: closing it breaks the connection, by which the server learns to stop.
        """
        async with self._opened(path, body) as response:
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _LONGEST_LINE:
                    raise Broken("The model server sent a line without end.")
                for line in lines:
                    if not line.startswith(b"data:"):
                        continue
                    if (data := line[5:].strip()) == b"[DONE]":
                        return
                    event = _json_object(data)
                    if "error" in event:
                        raise Broken("The model server broke off with an error.")
                    yield event

    async def features(self, model: str) -> Features:
        """What the server offers, found out once. A server that is away is asked again the next time."""
        looks = self._looks
        async with self._finding_out:
            if self._features is None:
                if self._failure is not None and looks != self._looks:
                    raise self._failure  # it failed while this one waited: one after another would wait as long
                try:
                    self._features = await self._find_out(model)
                except RerankError as error:
                    self._failure, self._looks = error, self._looks + 1
                    raise
            return self._features

    async def metrics(self, *names: str) -> list[float] | None:
        """The sums of these counters, where the server shows metrics as vLLM does."""
        async with self._sent("GET", f"{self._root}/metrics", None) as response:
            text = (await _body(response)).decode("utf-8", "replace") if response.status < _REDIRECT else ""
        found = [re.findall(rf"(?m)^{re.escape(name)}(?:\{{.*\}})? ([0-9.eE+-]+)$", text) for name in names]
        try:
            return [sum(map(float, values)) for values in found] if all(found) else None
        except ValueError:
            return None

    def forget_batch(self) -> None:
        """The server has no batch endpoint after all."""
        if self._features is not None:
            self._features = replace(self._features, batch=False)

    async def _find_out(self, model: str) -> Features:
        try:
            listed = await self._with_retries(lambda: self._get(f"{self.url}/models"))
        except Refused:
            listed = {}
        found = [each for each in _list(listed.get("data")) if isinstance(each, dict)]
        return Features(
            models=tuple(str(each.get("id")) for each in found),
            window=_window(found, model),
            batch=await self._answers(f"{self.url}/chat/completions/batch", 405),
            vllm=await self._answers(f"{self._root}/version", 200),
            digits=await self._digits(model),
        )

    async def _digits(self, model: str) -> tuple[int, ...]:
        body = {"model": model, "prompt": "0123456789", "add_special_tokens": False}
        try:
            async with self._request("POST", f"{self._root}/tokenize", body) as response:
                ids = _list(_json_object(await _body(response)).get("tokens"))
        except (Refused, Broken):
            return ()
        single = len(ids) == len(set(map(str, ids))) == 10 and all(type(each) is int for each in ids)  # noqa: PLR2004
        return tuple(ids) if single else ()

    async def _answers(self, url: str, status: int) -> bool:
        async with self._sent("GET", url, None) as response:
            return response.status == status

    async def _get(self, url: str) -> dict[str, Any]:
        async with self._request("GET", url, None) as response:
            return _json_object(await _body(response))

    @property
    def _root(self) -> str:
        return self.url.removesuffix("/v1")

    @asynccontextmanager
    async def _opened(self, path: str, body: dict[str, Any]) -> AsyncIterator[aiohttp.ClientResponse]:
        async def enter() -> Any:  # noqa: ANN401 - the context manager once it is entered, to leave it later
            manager = self._request("POST", path, body)
            return manager, await manager.__aenter__()

        manager, response = await self._with_retries(enter)
        try:
            yield response
        except BaseException as error:
            if not await manager.__aexit__(type(error), error, error.__traceback__):
                raise
        else:
            await manager.__aexit__(None, None, None)

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, body: dict[str, Any] | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A good answer's head, guarded by the circuit; a bad one is an error."""
        url = path if "://" in path else f"{self.url}/{path}"
        with self.circuit.guard():
            async with self._sent(method, url, body) as response:
                if response.status >= _REDIRECT:
                    raise await _problem(response)
                self.circuit.heard()
                yield response

    @asynccontextmanager
    async def _sent(self, method: str, url: str, body: dict[str, Any] | None) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request, in which every failure of the network is one of our errors."""
        data = None if body is None else BytesIO(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))
        self.requests += method == "POST"
        try:
            async with self._open_session().request(method, url, data=data, allow_redirects=False) as response:
                yield response
        except TimeoutError:
            raise Late("The model server did not answer in time. Is it overloaded?") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            kind = type(error).__name__
            raise Unreachable(f"The model server cannot be reached ({kind}). Is it running at the URL set?") from None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.limits.connect, sock_read=self.limits.read),
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def _with_retries(self, attempt: Callable[[], Awaitable[_T]]) -> _T:
        pause = self.limits.pause
        for _ in range(self.limits.attempts - 1):
            try:
                return await attempt()
            except _AGAIN as error:
                asked = error.retry_after if isinstance(error, Busy) else None
                if asked is not None and asked > self.limits.longest_pause:
                    raise
                await asyncio.sleep(max(asked or 0.0, pause * random.uniform(0.5, 1)))  # noqa: S311 - jitter
            pause *= 2
        return await attempt()


async def _problem(response: aiohttp.ClientResponse) -> RerankError:
    """What a bad status means, told without the server's words."""
    status = response.status
    if status in _BUSY:
        return Busy(f"The model server is busy (HTTP {status}).", _seconds(response.headers.get("Retry-After")))
    if status >= _FAULT:
        return Broken(f"The model server failed (HTTP {status}). Its own log says why.")
    if status >= _PROBLEM and _LENGTH.search(await _start(response, _LONGEST_PROBLEM)):
        return TooLong("The conversation does not fit the model's window.")
    return Refused(f"The model server refuses the request (HTTP {status}). Check its URL, model name and key.")


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """All of an answer, unless it has no end."""
    body = await _start(response, _LONGEST_ANSWER + 1)
    if len(body) > _LONGEST_ANSWER:
        raise Broken("The model server sent an answer without end.")
    return body


async def _start(response: aiohttp.ClientResponse, most: int) -> bytes:
    """An answer's first bytes, in however many pieces they arrive."""
    body = bytearray()
    while len(body) < most and (piece := await response.content.read(most - len(body))):
        body += piece
    return bytes(body)


def _window(listed: list[dict[str, Any]], model: str) -> int | None:
    """The model's window; vLLM tells none of an adapter's, which has its base's: then the smallest that is told."""
    told = {each.get("id"): each.get("max_model_len") for each in listed if isinstance(each.get("id"), str)}
    sizes = {name: size for name, size in told.items() if type(size) is int and size > 0}
    return sizes.get(model, min(sizes.values(), default=None))


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value is not None else None
    except ValueError:
        return None  # a date: the usual pause will do


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise Broken("The model server answered with something that is not JSON.") from None
    if not isinstance(value, dict):
        raise Broken("The model server answered with JSON of another shape.")
    return value


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
