"""Properties of the built-in policy in this process, with a small model of the same kind."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from rerank.embedded import Engine
from rerank.embedded_policy import EmbeddedPolicy
from rerank.policy import AnalysisWritten, CandidateWritten, Written
from rerank.reading import special_tokens
from rerank.sampler import Taste
from rerank.types import Context
from rerank.weights import BadWeights
from small_policy import make

pytestmark = pytest.mark.slow
CONTEXT = Context("My boss shouted at me in the meeting and I can't stop crying.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("policy"))


@pytest.fixture
def policy(folder: Path) -> Iterator[EmbeddedPolicy]:
    engine = Engine()
    policy = EmbeddedPolicy(engine, folder, taste=Taste(limit=96))
    yield policy
    policy.close()
    engine.close()


async def _written(policy: EmbeddedPolicy, n: int) -> list[Written]:
    async with aclosing(policy.write(CONTEXT, n)) as events:
        return [each async for each in events]


def test_every_candidate_is_told_once_and_its_analysis_before_it(policy: EmbeddedPolicy) -> None:
    events = asyncio.run(_written(policy, 4))
    whole = [each for each in events if isinstance(each, CandidateWritten)]
    assert sorted(each.candidate.index for each in whole) == [0, 1, 2, 3]
    for at, each in enumerate(events):
        if isinstance(each, AnalysisWritten):
            assert all(w.candidate.index != each.index for w in events[:at] if isinstance(w, CandidateWritten))


def test_no_slot_and_no_token_of_its_own_reaches_a_reply(policy: EmbeddedPolicy) -> None:
    for each in asyncio.run(_written(policy, 4)):
        if isinstance(each, CandidateWritten):
            text = each.candidate.analysis + each.candidate.response
            assert not any(token in text for token in special_tokens())


def test_closing_it_stops_the_work(folder: Path) -> None:
    async def begun_and_left(policy: EmbeddedPolicy) -> float:
        async with aclosing(policy.write(CONTEXT, 4)) as events:
            await anext(events)
        started = time.perf_counter()
        await policy.warm()  # waits for the thread
        return time.perf_counter() - started

    engine = Engine()
    policy = EmbeddedPolicy(engine, folder, taste=Taste(temperature=5, limit=400))
    try:
        assert asyncio.run(begun_and_left(policy)) < 1
    finally:
        policy.close()
        engine.close()


def test_a_missing_model_is_told_with_words(tmp_path: Path) -> None:
    engine = Engine()
    policy = EmbeddedPolicy(engine, tmp_path)
    with pytest.raises(BadWeights, match="holds no model"):
        asyncio.run(_written(policy, 1))
    policy.close()
    engine.close()
