"""The embedded models: loaded when first asked, run in a thread of their own, with no server and no network.

One `Engine` serves judge, detector and gate, and every turn; it runs one batch at a time, because two at once on the
same cores are slower than one after the other.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from rerank.pairs import Pair, gated, judged, said, said_plainly
from rerank.types import Context
from rerank.weights import MODELS, Model, file_of

if TYPE_CHECKING:
    from rerank.encoder import Scorer

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


_WARMING: Mapping[Model, Callable[[], Pair]] = {
    "judge": lambda: judged(Context("Good morning."), "Good morning to you."),
    "risk": lambda: said("Good morning."),
    "gate": lambda: gated(Context("Good morning."), "Good morning to you."),
    "reader": lambda: said_plainly("Good morning."),
}


class Engine:
    """Scores pairs with a model by its name."""

    def __init__(self, threads: int = 2) -> None:
        self._threads = threads
        self._scorers: dict[Model, Scorer] = {}
        self._room = ThreadPoolExecutor(1, thread_name_prefix="embedded")

    async def score(self, model: Model, pairs: Sequence[Pair]) -> list[list[float]]:
        """One row of the model's outputs for each pair, in order."""
        return await self._in_thread(self._score, model, list(pairs))

    async def about(self, model: Model) -> Mapping[str, str]:
        """What the model's file says about itself."""
        return (await self._in_thread(self._scorer, model)).about

    async def warm(self, *models: Model) -> float:
        """Load these, or all, and run each once, so that nobody waits for it. Gives the seconds it took."""
        started = time.perf_counter()
        for model in models or MODELS:
            await self._in_thread(self._warm, model)
        return time.perf_counter() - started

    def close(self) -> None:
        self._room.shutdown(cancel_futures=True)

    async def _in_thread(self, work: Callable[[*_Ts], _T], *of: *_Ts) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._room, work, *of)

    def _warm(self, model: Model) -> None:
        self._scorer(model).score([_WARMING[model]()] * 2)

    def _score(self, model: Model, pairs: list[Pair]) -> list[list[float]]:
        return self._scorer(model).score(pairs)

    def _scorer(self, model: Model) -> "Scorer":
        if model not in self._scorers:
            from rerank.encoder import Scorer  # noqa: PLC0415 - importing torch takes a second

            self._scorers[model] = Scorer(file_of(model), self._threads)
        return self._scorers[model]
