"""Properties of the policy in this process: with the built-in codec, with an adapter, and with a chat template."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from rerank import prompts
from rerank.codec import BuiltInCodec
from rerank.embedded import Engine
from rerank.embedded_policy import ChatCodec, EmbeddedPolicy
from rerank.errors import RerankError
from rerank.local_model import LocalModel
from rerank.pieces import Taste
from rerank.policy import AnalysisWritten, CandidateWritten, Written
from rerank.reading import END, Act, Emotion, Reading, Topic, special_tokens
from rerank.types import Candidate, Context, Line, Role
from small_policy import SMALL, make, make_adapter

pytestmark = pytest.mark.slow
CONTEXT = Context("My boss shouted at me in the meeting and I can't stop crying.")
PROMPT = Reading(Topic.WORK, Emotion.ANGER, Act.VENTING).prompt()
GREEDY = Taste(temperature=0, limit=24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("policy"))


@pytest.fixture(params=["", "built-in"])
def model(request: pytest.FixtureRequest, folder: Path) -> Iterator[LocalModel]:
    model = LocalModel(str(folder), threads=2, built_in=request.param)
    yield model
    model.close()


@pytest.fixture
def codec() -> Iterator[BuiltInCodec]:
    engine = Engine()
    yield BuiltInCodec(engine)
    engine.close()


@pytest.fixture
def policy(codec: BuiltInCodec, model: LocalModel) -> EmbeddedPolicy:
    return EmbeddedPolicy(codec, model, Taste(limit=96))


async def _written(policy: EmbeddedPolicy, n: int, context: Context = CONTEXT) -> list[Written]:
    async with aclosing(policy.write(context, n)) as events:
        return [each async for each in events]


def _whole(events: list[Written]) -> list[Candidate]:
    return [each.candidate for each in events if isinstance(each, CandidateWritten)]


def test_every_candidate_is_told_once_and_its_analysis_before_it(policy: EmbeddedPolicy) -> None:
    events = asyncio.run(_written(policy, 4))
    assert sorted(each.index for each in _whole(events)) == [0, 1, 2, 3]
    for at, each in enumerate(events):
        if isinstance(each, AnalysisWritten):
            assert all(w.candidate.index != each.index for w in events[:at] if isinstance(w, CandidateWritten))


def test_no_slot_and_no_token_of_its_own_reaches_a_reply(policy: EmbeddedPolicy) -> None:
    for each in _whole(asyncio.run(_written(policy, 4))):
        text = each.analysis + each.response
        assert not any(token in text for token in special_tokens())


def test_closing_it_stops_the_work(tmp_path: Path) -> None:
    """Of texts that would take minutes."""
    model = LocalModel(str(make(tmp_path, replace(SMALL, positions=200_000, steps=1))), threads=2)

    async def begun_and_left() -> float:
        writing = model.write("# Analysis", 4, Taste(limit=90_000), [END], None)
        async with aclosing(writing) as pieces:
            await anext(pieces)
        started = time.perf_counter()
        await model.warm()  # waits for the thread
        return time.perf_counter() - started

    assert asyncio.run(begun_and_left()) < 10
    model.close()


def test_closing_the_model_ends_a_turn_that_waits_for_it(model: LocalModel) -> None:
    async def closed() -> None:
        first = model.write("# Analysis", 1, Taste(limit=200), [END], None)
        second = model.write("# Analysis", 1, Taste(limit=200), [END], None)
        await anext(first)
        waiting = asyncio.ensure_future(anext(second))
        await asyncio.sleep(0)
        model.close()
        await first.aclose()
        with pytest.raises(RerankError, match="was closed"):
            await waiting

    asyncio.run(closed())


def test_turns_with_and_without_adapters_share_a_model(model: LocalModel, folder: Path, tmp_path: Path) -> None:
    adapters = [make_adapter(folder, tmp_path / f"night-{at}", seed=at) for at in range(5)]
    broken = make_adapter(folder, tmp_path / "broken", seed=9)
    (broken / "adapter_model.safetensors").write_bytes(b"nothing of the kind")

    async def said(adapter: Path | None) -> str:
        pieces = model.write(PROMPT, 1, GREEDY, [], adapter)
        return "".join([each.text async for each in pieces])

    async def turns() -> None:
        bare = await said(None)
        for missing in (broken, tmp_path):
            with pytest.raises(RerankError, match="holds no adapter"):
                await said(missing)
            assert await said(None) == bare
        worn = [await said(each) for each in adapters]
        assert len({bare, *worn}) == 1 + len(adapters)
        with pytest.raises(RerankError, match="holds no adapter"):
            await said(broken)
        assert [await said(each) for each in (adapters[0], adapters[4])] == [worn[0], worn[4]]
        assert await said(None) == bare

    asyncio.run(turns())


def test_a_candidate_tells_which_adapter_wrote_it(
    codec: BuiltInCodec, model: LocalModel, folder: Path, tmp_path: Path
) -> None:
    adapter = make_adapter(folder, tmp_path / "night-7", seed=7)
    (whole,) = [
        each
        for each in asyncio.run(_written(EmbeddedPolicy(codec, model, GREEDY, adapter=adapter), 1))
        if isinstance(each, CandidateWritten)
    ]
    assert whole.model.endswith(":night-7")


def test_any_chat_model_writes_by_its_template(tmp_path: Path) -> None:
    template = "{% for each in messages %}{{ each.role }}: {{ each.content }}\n{% endfor %}assistant:"
    made = make(tmp_path / "chat", replace(SMALL, positions=4096, steps=1), template)
    model = LocalModel(str(made), threads=2)
    long = replace(CONTEXT, history=tuple(Line(Role.USER, "One more thing about it. " * 40) for _ in range(40)))

    async def turns() -> None:
        policy = EmbeddedPolicy(ChatCodec(model, limit=20), model, Taste(limit=20))
        for context in (CONTEXT, long):
            written = _whole(await _written(policy, 3, context))
            assert [each.tokens for each in written] == [20, 20, 20]
        message = await ChatCodec(model, limit=20).read(CONTEXT)
        assert message.prompt == prompts.policy(CONTEXT)

    try:
        asyncio.run(turns())
    finally:
        model.close()


def test_a_model_without_a_chat_template_is_refused_with_words(model: LocalModel) -> None:
    with pytest.raises(RerankError, match="no chat template"):
        asyncio.run(_written(EmbeddedPolicy(ChatCodec(model, limit=20), model), 1))
