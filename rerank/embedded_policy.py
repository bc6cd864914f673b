"""The policy in this process: needs no server. A codec says what the model reads, and makes of what it writes a reply.

The built-in model's codec is `rerank.codec`; any other model's is its chat template.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rerank import prompts
from rerank.local_model import LocalModel
from rerank.parse import ReplyStream
from rerank.pieces import Piece, Prompt, Taste
from rerank.policy import AnalysisWritten, CandidateWritten, Written
from rerank.types import Candidate, Context
from rerank.window import fit, rooms, tokens

_TASTE = Taste()


class Message(Protocol):
    """A context as the model gets it."""

    @property
    def prompt(self) -> Prompt: ...
    @property
    def banned(self) -> list[str]:
        """Tokens that must not be written."""

    def filled(self, text: str, index: int) -> str:
        """What the model wrote, as the person reads it."""


class Codec(Protocol):
    """Makes a context into a message for one model."""

    async def read(self, context: Context) -> Message: ...


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """For a model with a chat template: what a server would get."""

    prompt: list[prompts.Message]
    banned: list[str] = field(default_factory=list)

    def filled(self, text: str, index: int) -> str:  # noqa: ARG002 - nothing to fill
        return text


class ChatCodec:
    """The instructions and the case, cut to the model's window."""

    def __init__(self, model: LocalModel, limit: int) -> None:
        self._model, self._limit = model, limit

    async def read(self, context: Context) -> ChatMessage:
        window = await self._model.window()
        most = self._limit if window is None else min(self._limit, window // 2)
        message = ChatMessage(prompts.policy(context))
        for room in rooms(window, most + tokens(prompts.instructions(context))):
            message = ChatMessage(prompts.policy(fit(context, room)))
            if await self._model.fits(message.prompt, most):
                break
        return message


class EmbeddedPolicy:
    """A `Policy`. Several may share a model, each with its adapter or none: it is put on for one turn at a time."""

    def __init__(self, codec: Codec, model: LocalModel, taste: Taste = _TASTE, *, adapter: Path | None = None) -> None:
        self._codec, self._model, self._taste, self._adapter = codec, model, taste, adapter
        self._name = f"{model.name}:{adapter.name}" if adapter else model.name

    async def write(self, context: Context, n: int) -> AsyncGenerator[Written, None]:
        message = await self._codec.read(context)
        sheets = [_Sheet(index, message, self._name) for index in range(n)]
        writing = self._model.write(message.prompt, n, self._taste, message.banned, self._adapter)
        async with aclosing(writing) as pieces:
            async for piece in pieces:
                for each in sheets[piece.row].told(piece):
                    yield each
        for sheet in sheets:
            if not sheet.done:
                yield sheet.whole(cut=True)


@dataclass(slots=True)
class _Sheet:
    """One candidate being written."""

    index: int
    message: Message
    model: str
    reader: ReplyStream = field(default_factory=ReplyStream)
    done: bool = False
    tokens: int = 0

    def told(self, piece: Piece) -> list[Written]:
        self.tokens = piece.tokens
        found: list[Written] = []
        if piece.text and self.reader.feed(piece.text):
            found.append(AnalysisWritten(self.index, self.message.filled(self.reader.analysis, self.index)))
        if piece.ended:
            found.append(self.whole(cut=False))
        return found

    def whole(self, *, cut: bool) -> CandidateWritten:
        self.done = True
        parts = self.reader.finish()
        analysis, response = (self.message.filled(each, self.index) for each in (parts.analysis, parts.response))
        return CandidateWritten(
            Candidate(self.index, analysis, response, self.tokens, parts.well_formed and not cut, None, None),
            self.model,
        )
