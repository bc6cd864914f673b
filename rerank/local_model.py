"""A language model in this process, shared by all turns: loaded when first asked, one text at a time in its own thread.

It comes from a folder, or from a hub by its name; what is downloaded once is kept where the hub's library keeps it.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rerank.errors import Broken, RerankError
from rerank.pieces import Piece, Prompt, Taste
from rerank.weights import BadWeights

if TYPE_CHECKING:
    from rerank.sampler import Sampler

_T = TypeVar("_T")
_CODE_AND_COPIES = ["*.bin", "*.pt", "*.pth", "*.gguf", "*.onnx", "*.msgpack", "*.h5", "original/*", "*.py"]
"""What a hub has beside the weights that are read."""


class LocalModel:
    """Two texts at once on the same cores would be slower than one after the other."""

    def __init__(self, where: str, threads: int, name: str = "") -> None:
        self._where, self._threads, self.name = where, threads, name or Path(where).name
        self._sampler: Sampler | None = None
        self._room = ThreadPoolExecutor(1, thread_name_prefix="policy")

    async def warm(self) -> None:
        """Load the model, so that nobody waits for it."""
        await self._in_thread(self._loaded)

    async def window(self) -> int | None:
        return (await self._in_thread(self._loaded)).window

    def close(self) -> None:
        self._room.shutdown(cancel_futures=True)

    async def write(
        self, prompt: Prompt, n: int, taste: Taste, banned: Collection[str], adapter: Path | None
    ) -> AsyncGenerator[Piece, None]:
        """Each piece as it comes; closing it stops the work."""
        pieces: asyncio.Queue[Piece | RerankError | None] = asyncio.Queue()
        loop, stopped = asyncio.get_running_loop(), threading.Event()

        def tell(piece: Piece | RerankError | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        def work() -> None:
            try:
                if not stopped.is_set():
                    for piece in self._loaded().write(prompt, n, taste, banned=banned, adapter=adapter):
                        tell(piece)
                        if stopped.is_set():
                            break
                tell(None)
            except Exception as error:  # noqa: BLE001 - torch raises anything
                tell(_told(error))

        loop.run_in_executor(self._room, work)
        try:
            while (piece := await pieces.get()) is not None:
                if isinstance(piece, RerankError):
                    raise piece
                yield piece
        finally:
            stopped.set()

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._room, work)

    def _loaded(self) -> "Sampler":
        if self._sampler is None:
            folder = _folder(self._where)  # first, for what comes now takes the progress bars away
            from rerank.sampler import Sampler  # noqa: PLC0415 - importing transformers takes seconds

            self._sampler = Sampler(folder, self._threads)
        return self._sampler


def _told(error: Exception) -> RerankError:
    if isinstance(error, RerankError):
        return error
    return Broken(f"The model in this process failed: {type(error).__name__}.")


def _folder(where: str) -> Path:
    """The folder, downloaded with a progress bar if it is the name of a model on a hub."""
    if Path(where).is_dir():
        return Path(where)
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - only who downloads needs it
    from huggingface_hub.errors import HFValidationError  # noqa: PLC0415

    fetched = partial(snapshot_download, where, ignore_patterns=_CODE_AND_COPIES)
    try:
        try:
            return Path(fetched(local_files_only=True))
        except FileNotFoundError:
            return Path(fetched())
    except HFValidationError:
        raise BadWeights(
            f"{where} is neither a folder nor the name of a model, like Qwen/Qwen2.5-1.5B-Instruct."
        ) from None
    except Exception as error:  # noqa: BLE001 - whatever the network brings
        raise BadWeights(f"{where} is no folder and could not be downloaded: {type(error).__name__}.") from None
