"""An OpenAI-compatible server on loopback that misbehaves on demand, for the tests of whatever talks to such servers.

It speaks HTTP by hand, because no proper library would let it lie. Without a fault it answers as vLLM does. It counts
requests and connections, notices a client that goes away, and fails the test that leaves a connection open.
"""

import asyncio
import json
import re
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

MODEL = "mock"
MARKER = "xyzzymarker"
"""Stands in what people write and in what the server says; never in an error."""
DONE = b"data: [DONE]\n\n"
_PATHS = {
    "GET /v1/models": "models",
    "GET /version": "version",
    "POST /tokenize": "tokenize",
    "GET /v1/chat/completions/batch": "look",
    "POST /v1/chat/completions/batch": "batch",
    "POST /v1/chat/completions": "chat",
}
_TAKEN = 0.5
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked, and when."""

    what: str
    body: Json
    at: float


@dataclass(slots=True)
class Exchange:
    """One request and the ways to answer it."""

    request: Request
    right: bytes
    """The body of the right answer."""
    status: int
    kind: str
    number: int
    """How many requests of this kind came before."""
    writer: asyncio.StreamWriter = field(repr=False)

    async def head(self, *headers: str, status: int = 200, kind: str = "") -> None:
        """The head of an answer in chunks, unless the headers say otherwise."""
        framed = any(each.lower().startswith("content-length") for each in headers)
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {kind or self.kind}", *headers]
        lines += [] if framed else ["Transfer-Encoding: chunked"]
        await self.raw("\r\n".join([*lines, "", ""]).encode())

    async def send(self, data: bytes) -> None:
        await self.raw(b"%x\r\n%s\r\n" % (len(data), data) if data else b"")

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def whole(self, body: bytes, *headers: str, status: int = 200, kind: str = "") -> None:
        await self.head(f"Content-Length: {len(body)}", *headers, status=status, kind=kind)
        await self.raw(body)


Fault = Callable[[Exchange], Awaitable[None]]


class HangUp(Exception):
    """The server closes the connection."""


class FaultyServer:
    """Use it as `async with`, in the event loop of its clients. Faults are by kind of request, `*` for every kind."""

    def __init__(
        self,
        faults: Mapping[str, Fault] | None = None,
        *,
        batch: bool = True,
        most: int = 64,
        marks: Sequence[int] = (4, 4, 4, 4),
    ) -> None:
        self.faults = dict(faults or {})
        self.batch, self.marks = batch, marks
        self.most = most
        """How many choices it gives, however many it is asked for."""
        self.requests: list[Request] = []
        self.open = 0
        self.opened = 0
        self.working = 0
        """How many requests wait for their answer."""
        self.broken_off: list[float] = []
        """When clients went away before their answer was whole."""
        self.port = 0
        self._server: asyncio.Server | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self.until(lambda: self.open == 0, "a client has left its connections open")
        finally:
            await self.kill()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def count(self, *kinds: str) -> int:
        return sum(each.what in kinds for each in self.requests)

    def bodies(self, kind: str) -> list[Json]:
        return [each.body for each in self.requests if each.what == kind]

    async def until(self, fact: Callable[[], bool], otherwise: str) -> None:
        start = time.monotonic()
        while not fact():
            assert time.monotonic() - start < _TAKEN, otherwise
            await asyncio.sleep(0.002)

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def kill(self) -> None:
        """Be gone at once, as a killed process is."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            reset(writer)
        tasks = set(self.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self._writers.add(writer)
        self.open += 1
        self.opened += 1
        try:
            while True:
                await self._exchange(reader, writer)
        except (OSError, asyncio.IncompleteReadError, HangUp, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._writers.discard(writer)
            self.tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"(?i)content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        what = _PATHS.get(head.partition(" HTTP/")[0], "other")
        request = Request(what, json.loads(body) if body else {}, time.monotonic())
        number = self.count(what)
        self.requests.append(request)
        status, right, kind = self._right(request)
        fault = self.faults.get(what) or self.faults.get("*") or answers
        answering = asyncio.ensure_future(fault(Exchange(request, right, status, kind, number, writer)))
        leaving = asyncio.ensure_future(reader.read(1))
        self.tasks |= {answering, leaving}
        self.working += 1
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                self.broken_off.append(time.monotonic())
                raise HangUp
            answering.result()
        finally:
            self.working -= 1
            answering.cancel()
            leaving.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
            self.tasks -= {answering, leaving}

    def _right(self, request: Request) -> tuple[int, bytes, str]:
        body = request.body
        if request.what == "chat" and body.get("stream"):
            return 200, b"".join(events(min(body["n"], self.most), self.marks)), "text/event-stream"
        answer: Json
        match request.what:
            case "models":
                answer = {"data": [{"id": MODEL, "max_model_len": 32768}]}
            case "version":
                answer = {"version": MODEL}
            case "tokenize":
                answer = {"tokens": [ord(each) for each in body["prompt"]]}
            case "chat":
                answer = {"choices": [judged(0, body["messages"], body["max_tokens"])]}
            case "batch" if self.batch:
                asked = enumerate(body["messages"])
                answer = {"choices": [judged(index, each, body["max_tokens"]) for index, each in asked]}
            case "look" if self.batch:
                return 405, b"{}", "application/json"
            case _:
                return 404, b"{}", "application/json"
        return 200, json.dumps(answer).encode(), "application/json"


def reply(index: int, mark: int = 4) -> str:
    """What the server writes: the judge will give it its mark."""
    analysis = f"They carry this alone ({MARKER} {index}, mark {mark})."
    return f"# Analysis\n{analysis}\n\n# Response\nI hear you, {index}, mark {mark}."


def delta(index: int, text: str, finish: object = None, **others: object) -> Json:
    return {"choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}], **others}


def event(value: object) -> bytes:
    return b"data: %s\n\n" % json.dumps(value).encode()


def events(n: int, marks: Sequence[int] = (4, 4, 4, 4), size: int = 12) -> list[bytes]:
    """The stream of n choices that take turns, with the usage so far, ended as it should be."""
    texts = [reply(index, marks[index % len(marks)]) for index in range(n)]
    told = []
    for at in range(0, max(map(len, texts)), size):
        for index, text in enumerate(texts):
            if at < len(text):
                finish = "stop" if at + size >= len(text) else None
                told.append(
                    event(delta(index, text[at : at + size], finish, usage={"completion_tokens": at // size + 1}))
                )
    return [*told, DONE]


def one_by_one(n: int, marks: Sequence[int] = (4, 4, 4, 4)) -> list[bytes]:
    """The stream of n choices of which each is whole before the next begins."""
    return [event(delta(index, reply(index, marks[index % len(marks)]), "stop")) for index in range(n)] + [DONE]


def judged(index: int, messages: Sequence[Mapping[str, str]], count: int) -> Json:
    """The choice of a judge that gives a text the mark that stands in it, surely."""
    said = messages[-1]["content"]
    marks = re.findall(r"mark (\d)", said)
    digit = marks[-1] if marks else "4"
    digit = str(int(digit) - 1) if "five digits" in said else digit
    top = [{"token": digit, "logprob": 0.0}, {"token": "a", "logprob": -20.0}]
    content = [{"token": digit, "logprob": 0.0, "top_logprobs": top}] * count
    text = f"{MARKER} reasons.\n{'Total Score: 8' if 'Total Score' in said else 'Score: '}{digit}"
    message = {"role": "assistant", "content": text if count > len("01234") else digit * count}
    return {"index": index, "message": message, "logprobs": {"content": content}, "finish_reason": "length"}


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection as a crash does, without a farewell."""
    found = writer.get_extra_info("socket")
    if found is not None:
        with suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def answers(exchange: Exchange) -> None:
    """No fault."""
    if exchange.kind == "text/event-stream":
        await exchange.head()
        await exchange.send(exchange.right)
        await exchange.end()
    else:
        await exchange.whole(exchange.right, status=exchange.status)


async def forever() -> None:
    await asyncio.Event().wait()


async def hangs(_exchange: Exchange) -> None:
    await forever()


async def hangs_after_the_head(exchange: Exchange) -> None:
    await exchange.head()
    await forever()


async def hangs_in_the_middle(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.send(exchange.right[: len(exchange.right) // 3])
    await forever()


async def closes_at_once(_exchange: Exchange) -> None:
    raise HangUp


async def closes_after_the_head(exchange: Exchange) -> None:
    await exchange.head()
    raise HangUp


async def closes_in_a_chunk(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.raw(b"%x\r\n%s" % (len(exchange.right), exchange.right[: len(exchange.right) // 3]))
    raise HangUp


async def closes_before_the_length_is_reached(exchange: Exchange) -> None:
    await exchange.head(f"Content-Length: {len(exchange.right)}")
    await exchange.raw(exchange.right[: len(exchange.right) // 3])
    raise HangUp


async def resets(exchange: Exchange) -> None:
    reset(exchange.writer)
    raise HangUp


async def answers_and_closes(exchange: Exchange) -> None:
    """Keep-alive is promised and not kept."""
    await answers(exchange)
    raise HangUp


async def talks_nonsense(exchange: Exchange) -> None:
    await exchange.raw(f"{MARKER}\r\n\r\n".encode())
    raise HangUp


async def sends_an_endless_head(exchange: Exchange) -> None:
    await exchange.raw(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 2**20 + b"\r\n\r\n")
    await forever()


async def sends_gzip_junk(exchange: Exchange) -> None:
    await exchange.whole(b"\x1f\x8b\x08\x00junk" + exchange.right, "Content-Encoding: gzip")


async def sends_the_wrong_content_type(exchange: Exchange) -> None:
    await exchange.whole(exchange.right, kind="image/png")


async def sends_an_endless_line(exchange: Exchange) -> None:
    """Endless enough: 16 MiB without a line break."""
    await exchange.head()
    await exchange.send(b'data: {"' + MARKER.encode())
    for _ in range(16):
        await exchange.send(b"x" * 2**20)
    raise HangUp


async def sends_in_a_circle(exchange: Exchange) -> None:
    path = next((path for path, what in _PATHS.items() if what == exchange.request.what), " /metrics").partition(" ")[2]
    await exchange.whole(b"", f"Location: {path}", status=307)


def says(status: int, *headers: str, body: str = "") -> Fault:
    """A status and a body that quotes the prompt."""

    async def act(exchange: Exchange) -> None:
        quoted = json.dumps({"error": {"message": f"{body} {MARKER}", "asked": exchange.request.body}})
        await exchange.whole(quoted.encode(), *headers, status=status)

    return act


def sends(body: bytes, *headers: str, status: int = 200) -> Fault:
    async def act(exchange: Exchange) -> None:
        await exchange.whole(body, *headers, status=status)

    return act


def streams(*pieces: bytes | float, then: Fault | None = None) -> Fault:
    """Pieces of a stream, with pauses between them where a number stands."""

    async def act(exchange: Exchange) -> None:
        await exchange.head()
        for piece in pieces:
            if isinstance(piece, bytes):
                await exchange.send(piece)
            else:
                await asyncio.sleep(piece)
        if then is not None:
            await then(exchange)
        await exchange.end()

    return act


def changed(change: Callable[[Json], object]) -> Fault:
    """Every choice of a right answer is changed."""

    async def act(exchange: Exchange) -> None:
        choices = [change(each) for each in json.loads(exchange.right)["choices"]]
        await exchange.whole(json.dumps({"choices": choices}).encode())

    return act


def first(count: int, fault: Fault) -> Fault:
    """A fault that passes."""

    async def act(exchange: Exchange) -> None:
        await (fault if exchange.number < count else answers)(exchange)

    return act


def when(wanted: Callable[[Exchange], bool], fault: Fault) -> Fault:
    async def act(exchange: Exchange) -> None:
        await (fault if wanted(exchange) else answers)(exchange)

    return act


def late(seconds: float, fault: Fault = answers) -> Fault:
    async def act(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)
        await fault(exchange)

    return act
