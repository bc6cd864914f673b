"""The policy: writes several candidates to one context, and tells while it writes what is already whole.

`ServerPolicy` speaks to any OpenAI-compatible server. `FallbackPolicy` takes a second policy when the first fails
before it has written anything whole.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from rerank import prompts
from rerank.errors import Broken, Refused, RerankError, TooLong
from rerank.merge import merged
from rerank.parse import Parts, ReplyStream
from rerank.server import Features, Server
from rerank.types import Candidate, Context
from rerank.window import fit, rooms, tokens

_CHUNK = 16
"""Tokens to a streamed event, where the server lets us choose: one each costs both sides more than it tells."""
_CUT = frozenset({"length", "content_filter", "abort", "error"})
_BYTES_A_TOKEN = 4
_MOST_TOKENS = 2**20


@dataclass(frozen=True, slots=True)
class AnalysisWritten:
    """A candidate's analysis is whole; its response is being written."""

    index: int
    analysis: str


@dataclass(frozen=True, slots=True)
class CandidateWritten:
    """A candidate is whole. It may still be out of format."""

    candidate: Candidate
    model: str


@dataclass(frozen=True, slots=True)
class StartedOver:
    """Another policy writes instead: what was told so far does not count."""

    error: str
    """The name of what went wrong with the first."""


Written = AnalysisWritten | CandidateWritten | StartedOver


class Policy(Protocol):
    """Writes candidates."""

    def write(self, context: Context, n: int) -> AsyncGenerator[Written, None]:
        """Tell what is whole as soon as it is. Use it with `aclosing`: closing it stops the work."""


class Reader(Protocol):
    """Reads one candidate while it streams, as `ReplyStream` does."""

    def feed(self, text: str) -> bool: ...
    @property
    def analysis(self) -> str: ...
    def finish(self) -> Parts: ...


class ServerPolicy:
    """All candidates of a turn in one streamed request: the prompt is computed once."""

    def __init__(
        self,
        server: Server,
        model: str,
        *,
        max_tokens: int = 1024,
        temperature: float = 0.9,
        reader: Callable[[], Reader] = ReplyStream,
        options: dict[str, Any] | None = None,
    ) -> None:
        self._server, self._model = server, model
        self._max_tokens, self._temperature = max_tokens, temperature
        self._reader, self._options = reader, options or {}
        self._many = True

    async def write(self, context: Context, n: int) -> AsyncGenerator[Written, None]:
        features = await self._server.features(self._model)
        sheets = [_Sheet(i, self._reader()) for i in range(n)]
        if self._many:
            try:
                async with aclosing(self._fitted(context, sheets, features)) as events:
                    async for each in events:
                        yield each
            except TooLong:
                raise
            except Refused:
                if n == 1:
                    raise
        missing = [sheet for sheet in sheets if not sheet.begun]
        if missing and (not self._many or missing == sheets or (sheets[0].done and missing == sheets[1:])):
            # The server gives one choice however many it is asked for, as Ollama does, or refuses to give several.
            async with merged([self._fitted(context, [sheet], features) for sheet in missing]) as streams:
                async for each in streams:
                    yield each
            self._many = self._many and not any(sheet.done for sheet in missing)
        if not any(sheet.done for sheet in sheets):
            raise Broken("The model server ended the stream before any reply was whole.")

    async def _fitted(
        self, context: Context, sheets: list["_Sheet"], features: Features
    ) -> AsyncGenerator[Written, None]:
        """One request for these sheets, with less of the context if it turns out to be too long."""
        most = min(self._max_tokens, (features.window or self._max_tokens * 2) // 2)
        too_long = TooLong("")
        for room in rooms(features.window, most + tokens(prompts.instructions(context))):
            body = self._body(fit(context, room), len(sheets), most, features)
            try:
                async with aclosing(self._server.stream("chat/completions", body)) as events:
                    async for event in events:
                        for each in _told(sheets, event, self._model):
                            yield each
            except TooLong as error:
                too_long = error
            else:
                return
        raise too_long

    def _body(self, context: Context, n: int, max_tokens: int, features: Features) -> dict[str, Any]:
        usage = {"include_usage": True} | ({"continuous_usage_stats": True} if features.vllm else {})
        return {
            "model": self._model,
            "messages": prompts.policy(context),
            "n": n,
            "max_tokens": max_tokens,
            "temperature": self._temperature,
            "stream": True,
            "stream_options": usage,
            **({"stream_interval": _CHUNK} if features.vllm else {}),
            **self._options,
        }


class FallbackPolicy:
    """The second policy writes where the first fails before any of its candidates is whole."""

    def __init__(self, first: Policy, second: Policy) -> None:
        self._first, self._second = first, second

    async def write(self, context: Context, n: int) -> AsyncGenerator[Written, None]:
        whole = False
        try:
            async with aclosing(self._first.write(context, n)) as events:
                async for each in events:
                    whole = whole or isinstance(each, CandidateWritten)
                    yield each
        except RerankError as error:
            if whole:
                raise
            failed = type(error).__name__
        else:
            return
        yield StartedOver(failed)
        async with aclosing(self._second.write(context, n)) as events:
            async for each in events:
                yield each


@dataclass(slots=True)
class _Sheet:
    """One candidate being written."""

    index: int
    reader: Reader
    begun: bool = False
    done: bool = False
    bytes: int = 0
    tokens: int | None = None


def _told(sheets: list[_Sheet], event: dict[str, Any], model: str) -> list[Written]:
    """What an event of the stream makes whole."""
    choices, usage = event.get("choices"), event.get("usage")
    told: list[Written] = []
    for choice in choices if isinstance(choices, list) else []:
        index = choice.get("index") if isinstance(choice, dict) else None
        if type(index) is not int or not 0 <= index < len(sheets) or (sheet := sheets[index]).done:
            continue
        sheet.begun = True
        count = usage.get("completion_tokens") if isinstance(usage, dict) else None
        sheet.tokens = count if type(count) is int and 0 <= count <= _MOST_TOKENS else sheet.tokens
        delta = choice.get("delta")
        text = delta.get("content") if isinstance(delta, dict) else None
        if isinstance(text, str) and text:
            sheet.bytes += len(text.encode("utf-8", "replace"))
            if sheet.reader.feed(text):
                told.append(AnalysisWritten(sheet.index, sheet.reader.analysis))
        if (finish := choice.get("finish_reason")) is not None:
            sheet.done = True
            told.append(CandidateWritten(_candidate(sheet, cut=str(finish) in _CUT), model))
    return told


def _candidate(sheet: _Sheet, *, cut: bool) -> Candidate:
    """Cut short, a candidate is out of format: its end would be missing for the person who reads it."""
    parts = sheet.reader.finish()
    count = sheet.tokens if sheet.tokens is not None else max(1, sheet.bytes // _BYTES_A_TOKEN)
    return Candidate(sheet.index, parts.analysis, parts.response, count, parts.well_formed and not cut, None, None)
