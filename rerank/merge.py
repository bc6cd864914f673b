"""Reads several streams at once, as one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

from rerank.errors import RerankError

_T = TypeVar("_T")


@asynccontextmanager
async def merged(streams: Sequence[AsyncGenerator[_T, None]]) -> AsyncIterator[AsyncIterator[_T]]:
    """Give what each stream gives, as it comes. One that fails ends alone; if all fail, the last error is raised."""
    queue: asyncio.Queue[_T | _Ended] = asyncio.Queue()
    tasks = [asyncio.create_task(_drain(each, queue)) for each in streams]
    try:
        yield _gathered(queue, len(tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Ended:
    def __init__(self, error: RerankError | None) -> None:
        self.error = error


async def _drain(stream: AsyncGenerator[_T, None], queue: "asyncio.Queue[_T | _Ended]") -> None:
    error: RerankError | None = None
    try:
        async with aclosing(stream) as open_stream:
            async for each in open_stream:
                queue.put_nowait(each)
    except RerankError as failed:
        error = failed
    finally:
        queue.put_nowait(_Ended(error))


async def _gathered(queue: "asyncio.Queue[_T | _Ended]", running: int) -> AsyncIterator[_T]:
    errors = []
    left = running
    while left:
        each = await queue.get()
        if not isinstance(each, _Ended):
            yield each
            continue
        left -= 1
        errors += [each.error] if each.error else []
    if len(errors) == running:
        raise errors[-1]
