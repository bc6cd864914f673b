"""A thousand turns at once on one event loop, against an upstream of fixed latency in a process of its own."""

import asyncio
import gc
import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from fakes import run
from rerank.bench import mock
from rerank.judge import ServerJudge
from rerank.live import Answered, Rules, answer
from rerank.mock_server import MODEL
from rerank.policy import ServerPolicy
from rerank.server import Server
from rerank.types import Context

pytestmark = pytest.mark.slow
TURNS = 1000
RULES = Rules(deadline=60, limit=120)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with mock(50) as found:
        yield found


async def timed(server: Server) -> tuple[Answered, float]:
    started = time.perf_counter()
    policy, judge = ServerPolicy(server, MODEL), ServerJudge(server, MODEL)
    async with aclosing(answer(Context("I said it was fine."), policy, judge, None, RULES)) as events:
        told = [each async for each in events]
    assert isinstance(told[-1], Answered)
    return told[-1], time.perf_counter() - started


def is_whole(told: Answered) -> bool:
    judgements = [each.score for candidate in told.candidates for each in candidate.judgements]
    return told.ranking.degraded is None and not told.troubles and len(judgements) == 16 and None not in judgements


def resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_thousand_turns_at_once_are_all_judged_none_is_left_behind_and_memory_stays_flat(url: str) -> None:
    async def work() -> str:
        memory, seconds = [], []
        for _ in range(2):
            async with Server(url) as server:
                done = await asyncio.gather(*(timed(server) for _ in range(TURNS)))
                assert all(is_whole(told) for told, _ in done)
                assert server.requests <= 3 * TURNS
                seconds.append(sorted(spent for _, spent in done))
                assert server._session is not None
                connector = server._session.connector
                del done
            assert connector is not None
            assert connector.closed
            await asyncio.sleep(0.2)
            memory.append(resident())
        middle = [statistics.median(each) for each in seconds]
        figures = f"median {middle} s, slowest {[each[-1] for each in seconds]} s, memory {memory} bytes"
        assert all(each[-1] <= 3 * half for each, half in zip(seconds, middle, strict=True)), figures
        assert memory[1] <= memory[0] * 1.15, figures
        return figures

    print(run(work()))  # noqa: T201 - shown with -s or when it fails


def test_the_best_of_four_takes_three_requests_at_most(url: str) -> None:
    async def work() -> None:
        async with Server(url) as server:
            await timed(server)
            before, times = server.requests, []
            for _ in range(20):
                told, spent = await timed(server)
                assert is_whole(told)
                times.append(spent * 1000)
            figures = f"median {statistics.median(times):.0f} ms, slowest {max(times):.0f} ms"
            assert server.requests - before <= 3 * 20, figures
            assert statistics.median(times) < 400, figures
            print(figures)  # noqa: T201 - shown with -s or when it fails

    run(work())
