"""The built-in policy: needs no server, no network and no GPU. It writes with slots, and the codec fills them."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rerank.codec import Codec, Message
from rerank.embedded import Engine
from rerank.parse import ReplyStream
from rerank.policy import AnalysisWritten, CandidateWritten, Written
from rerank.reading import END, SPELLINGS, special_tokens
from rerank.types import Candidate, Context

if TYPE_CHECKING:
    from rerank.sampler import Piece, Sampler, Taste

NAME = "attune-embedded"


class EmbeddedPolicy:
    """A `Policy`. One turn writes at a time: two at once on the same cores are slower than one after the other."""

    def __init__(self, engine: Engine, folder: Path, threads: int = 2, *, taste: "Taste | None" = None) -> None:
        self._codec, self._folder, self._threads, self._taste = Codec(engine), folder, threads, taste
        self._sampler: Sampler | None = None
        self._room = ThreadPoolExecutor(1, thread_name_prefix="policy")

    async def warm(self) -> None:
        """Load the model, so that nobody waits for it."""
        await asyncio.get_running_loop().run_in_executor(self._room, self._loaded)

    def close(self) -> None:
        self._room.shutdown(cancel_futures=True)

    async def write(self, context: Context, n: int) -> AsyncGenerator[Written, None]:
        message = await self._codec.read(context)
        sheets = [_Sheet(index, message) for index in range(n)]
        pieces: asyncio.Queue[Piece | BaseException | None] = asyncio.Queue()
        stopped = threading.Event()
        loop = asyncio.get_running_loop()
        loop.run_in_executor(self._room, self._work, message, n, loop, pieces, stopped)
        try:
            while (piece := await pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                for each in sheets[piece.row].told(piece):
                    yield each
        finally:
            stopped.set()
        for sheet in sheets:
            if not sheet.done:
                yield sheet.whole(cut=True)

    def _work(
        self,
        message: Message,
        n: int,
        loop: asyncio.AbstractEventLoop,
        pieces: "asyncio.Queue[Piece | BaseException | None]",
        stopped: threading.Event,
    ) -> None:
        """In the thread: every piece goes to who waits for it, until they stop waiting."""
        last: BaseException | None = None
        try:
            if not stopped.is_set():
                for piece in self._loaded().write(message.reading.prompt(), n, self._tasted(), banned=_banned(message)):
                    if stopped.is_set():
                        break
                    loop.call_soon_threadsafe(pieces.put_nowait, piece)
        except Exception as error:  # noqa: BLE001 - it is raised where the turn runs
            last = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(pieces.put_nowait, last)

    def _loaded(self) -> "Sampler":
        if self._sampler is None:
            from rerank.sampler import Sampler  # noqa: PLC0415 - importing transformers takes seconds

            self._sampler = Sampler(self._folder, self._threads)
        return self._sampler

    def _tasted(self) -> "Taste":
        from rerank.sampler import Taste  # noqa: PLC0415

        return self._taste or Taste()


def _banned(message: Message) -> list[str]:
    """Slots that this message can't fill, and what only the codec writes."""
    missing = [each for slot, some in SPELLINGS.items() if slot not in message.reading.slots for each in some]
    return [*missing, *(each for each in special_tokens() if each.startswith("<|") and each != END)]


@dataclass(slots=True)
class _Sheet:
    """One candidate being written."""

    index: int
    message: Message
    reader: ReplyStream = field(default_factory=ReplyStream)
    done: bool = False
    tokens: int = 0

    def told(self, piece: "Piece") -> list[Written]:
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
            Candidate(self.index, analysis, response, self.tokens, parts.well_formed and not cut, None, None), NAME
        )
