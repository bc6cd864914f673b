"""A language model in this process, shared by all turns: loaded when first asked, one text at a time in its own thread.

It comes from a folder, or from a hub by its name; what is downloaded once is kept where the hub's library keeps it.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rerank.errors import Broken, RerankError
from rerank.pieces import Piece, Prompt, Taste
from rerank.weights import BadWeights

if TYPE_CHECKING:
    from rerank.sampler import Model, Sampler

_T = TypeVar("_T")
_CODE_AND_COPIES = ["*.bin", "*.pt", "*.pth", "*.gguf", "*.onnx", "*.msgpack", "*.h5", "original/*", "*.py"]
"""What a hub has beside the weights that are read."""


class LocalModel:
    """Two texts at once on the same cores would be slower than one after the other."""

    def __init__(self, where: str, threads: int, *, built_in: str = "") -> None:
        """A model that is made as the built-in one says which it is by its name."""
        self._where, self._threads, self._built_in = where, threads, bool(built_in)
        self.name = built_in or Path(where).name
        self._sampler: Sampler | None = None
        self._room = ThreadPoolExecutor(1, thread_name_prefix="policy")

    async def warm(self) -> None:
        """Load the model, so that nobody waits for it."""
        await self._in_thread(self._loaded)

    async def window(self) -> int | None:
        return await self._in_thread(lambda: self._loaded().window)

    async def fits(self, prompt: Prompt, limit: int) -> bool:
        """Whether the prompt leaves room for so many tokens of text."""
        return await self._in_thread(lambda: self._loaded().fits(prompt, limit))

    def close(self) -> None:
        """What is being written or downloaded is not waited for."""
        self._room.shutdown(wait=False, cancel_futures=True)

    async def write(
        self, prompt: Prompt, n: int, taste: Taste, banned: Collection[str], adapter: Path | None
    ) -> AsyncGenerator[Piece, None]:
        """Each piece as it comes; closing it stops the work."""
        pieces: asyncio.Queue[Piece | RerankError | None] = asyncio.Queue()
        loop, stopped = asyncio.get_running_loop(), threading.Event()

        def work() -> None:
            if stopped.is_set():
                return
            for piece in self._loaded().write(prompt, n, taste, banned=banned, adapter=adapter):
                if stopped.is_set() or loop.is_closed():
                    return
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        # However it ends, by itself, by a fault or because the model is closed: the end is told.
        loop.run_in_executor(self._room, work).add_done_callback(lambda done: pieces.put_nowait(_outcome(done)))
        try:
            while (piece := await pieces.get()) is not None:
                if isinstance(piece, RerankError):
                    raise piece
                yield piece
        finally:
            stopped.set()

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._room, work)
        except Exception as error:  # noqa: BLE001 - torch raises anything
            raise _told(error) from None

    def _loaded(self) -> "Sampler":
        if self._sampler is None:
            folder = _folder(self._where)  # first, for what comes now takes the progress bars away
            from rerank.sampler import Sampler  # noqa: PLC0415 - importing torch takes seconds

            self._sampler = Sampler(_model(folder) if self._built_in else _any_model(folder), self._threads)
        return self._sampler


def _model(folder: Path) -> "Model":
    from rerank.built_in_model import BuiltInModel  # noqa: PLC0415

    return BuiltInModel(folder)


def _any_model(folder: Path) -> "Model":
    from rerank.any_model import AnyModel  # noqa: PLC0415 - importing transformers takes seconds

    return AnyModel(folder)


def _outcome(done: asyncio.Future[None]) -> RerankError | None:
    if done.cancelled():
        return Broken("The model in this process was closed.")
    error = done.exception()
    return None if error is None else _told(error)


def _told(error: BaseException) -> RerankError:
    if isinstance(error, RerankError):
        return error
    return Broken(f"The model in this process failed: {type(error).__name__}.")


def is_folder(where: str) -> bool:
    try:
        return Path(where).is_dir()
    except OSError:  # too long for a path, or not ours to look into
        return False


def _folder(where: str) -> Path:
    """The folder, downloaded with a progress bar if it is the name of a model on a hub."""
    if is_folder(where):
        return Path(where)
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - only who downloads needs it
    from huggingface_hub.errors import HFValidationError  # noqa: PLC0415

    fetched = partial(snapshot_download, where, ignore_patterns=_CODE_AND_COPIES)
    try:
        with suppress(FileNotFoundError):
            kept = Path(fetched(local_files_only=True))
            if (kept / "config.json").is_file() and any(kept.glob("*.safetensors")):
                return kept
        return Path(fetched())
    except HFValidationError:
        raise BadWeights(
            f"{where} is neither a folder nor the name of a model, like Qwen/Qwen2.5-1.5B-Instruct."
        ) from None
    except Exception as error:  # noqa: BLE001 - whatever the network brings
        raise BadWeights(f"{where} is no folder and could not be downloaded: {type(error).__name__}.") from None
