"""What Attune's own client does with a real vLLM server. Who imports this says with the fixture `vllm` on which one."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from uuid import uuid4

import pytest

from fakes import keeps_order, outcome, run
from rerank import prompts
from rerank.circuit import Circuit
from rerank.judge import Question, ServerJudge, question
from rerank.live import Answered, Event, Rules, answer
from rerank.policy import AnalysisWritten, CandidateWritten, ServerPolicy
from rerank.reward import RANGES
from rerank.server import Limits, Server
from rerank.types import Context, Judgement, Perspective
from vllm_server import VllmServer, ask

pytestmark = pytest.mark.slow

RULES = Rules(deadline=120, limit=120)
WHOLE_WAVES = 30.0
"""A patience so long that a wave goes out only because nobody else will join it, however slow the machine."""
BLOCK = 32
"""No server here shares its cache in larger blocks."""
WINDOW = 4096
WARM = "I am here with you, and we can go slowly. Thank you for telling me about a loss."
COOL = "You should look for some rest soon."
REPLIES = (WARM, COOL, "What would help most with money today?", f"{WARM} {COOL}")


def test_it_finds_out_all_that_vllm_offers(vllm: VllmServer) -> None:
    async def work() -> None:
        async with Server(vllm.url) as server:
            found = await server.features("base")
            assert (found.batch, found.vllm, found.window) == (True, True, WINDOW)
            assert "base" in found.models
            assert len(set(found.digits)) == 10

    run(work())


def test_a_turn_is_written_judged_in_full_and_chosen_from_in_three_requests(vllm: VllmServer) -> None:
    async def work() -> None:
        async with Server(vllm.url) as server:
            await turn(server)
            for _ in range(3):  # the model samples: now and then two of four are out of format
                before = server.requests
                told = await turn(server)
                assert server.requests - before <= 3
                if sum(each.format_ok for each in outcome(told).candidates) >= 3:
                    break
            is_whole_and_in_time(told)

    run(work())


def is_whole_and_in_time(told: Sequence[Event]) -> None:
    found = outcome(told)
    sound = [each for each in found.candidates if each.format_ok]
    assert len(found.candidates) == 4
    assert len(sound) >= 3
    assert found.chosen in sound
    assert (found.ranking.degraded, found.troubles) == (None, ())
    for each in sound:
        assert sorted(judgement.perspective for judgement in each.judgements) == sorted(Perspective)
        in_range(each.judgements)
    times = found.timings
    writing = [times[name] for name in ("first_analysis", "first_candidate", "written", "total")]
    assert writing == sorted(writing)
    assert times["first_analysis"] < times["written"]
    assert times["first_candidate"] < times["judged"] <= times["total"]
    kinds = [type(each) for each in told]
    assert kinds.index(AnalysisWritten) < kinds.index(CandidateWritten)


def test_a_question_gets_about_the_same_score_alone_and_in_a_batch(vllm: VllmServer) -> None:
    async def work() -> None:
        async with Server(vllm.url) as server:
            judge, here, asked = ServerJudge(server, "base"), context(), questions()
            together = await judge.judge(here, asked)
            alone = [(await judge.judge(here, [each]))[0] for each in asked]
            in_range([*together, *alone])
            for one, other in zip(together, alone, strict=True):
                assert share(one) == pytest.approx(share(other), abs=0.35 / 4)

    run(work())


def test_a_warm_reply_is_scored_above_a_cool_one(vllm: VllmServer) -> None:
    async def work() -> None:
        async with Server(vllm.url) as server:
            found = await ServerJudge(server, "base").judge(context(), questions(f"{WARM} {WARM}", COOL))
            warm, cool = found[:4], found[4:]
            assert sum(map(share, warm)) > sum(map(share, cool))

    run(work())


def test_asked_for_reasons_the_judge_gives_them_and_mostly_a_score(vllm: VllmServer) -> None:
    async def work() -> None:
        async with Server(vllm.url) as server:
            found = await ServerJudge(server, "base", "rationale").judge(context(), questions())
            assert sum(bool(each.rationale) for each in found) >= 14
            # The tiny model has not learned to grade in parts, which the bystander is asked for.
            digits = [each for each in found if each.perspective != Perspective.BYSTANDER]
            scored = [each for each in digits if each.score is not None]
            assert len(scored) >= 10
            in_range(scored)

    run(work())


def test_a_batch_is_one_request_and_without_batches_each_question_is_one(vllm: VllmServer) -> None:
    async def work() -> None:
        async with Server(vllm.url) as server:
            judge, here, asked = ServerJudge(server, "base"), context(), questions()
            await server.features("base")
            needed = []
            for _ in range(2):
                before = server.requests
                in_range(await judge.judge(here, asked))
                needed.append(server.requests - before)
                server.forget_batch()
            assert needed == [1, len(asked)]

    run(work())


def test_an_adapter_writes_while_the_base_judges_and_leaves_without_disturbing_anybody(vllm: VllmServer) -> None:
    async def work() -> None:
        async with Server(vllm.url) as server:
            await load(vllm, "guest", vllm.models / "calm")
            try:
                assert await greedy(server, "guest") != await greedy(server, "base")
                last = outcome(await turn(server, "guest"))
                assert last.troubles == ()
                assert (last.versions["policy"], last.versions["judge"]) == ("guest", "expected:base")
                turns = [asyncio.create_task(turn(server, model)) for model in ("base", "resident") * 3]
                await until(vllm, lambda running: running > 0)
            finally:
                await unload(vllm, "guest")
            assert not any(each.done() for each in turns)
            for told in await asyncio.gather(*turns):
                assert outcome(told).troubles == ()
                assert outcome(told).chosen is not None
            gone = outcome(await turn(server, "guest"))
            assert (gone.ranking.degraded, gone.troubles) == ("no_candidate", ("policy:Refused",))

    async def with_another() -> None:
        await load(vllm, "resident", vllm.models / "brisk")
        try:
            await work()
        finally:
            await unload(vllm, "resident")

    run(with_another())


def test_most_of_a_second_turns_prompts_comes_from_the_cache(vllm: VllmServer) -> None:
    async def work() -> None:
        async with Server(vllm.url) as server:
            await turn(server)
            before = await cache(vllm)
            await turn(server)
            queries, hits = (now - then for now, then in zip(await cache(vllm), before, strict=True))
            assert hits > queries / 2

    run(work())


def test_nothing_behind_another_seal_is_shared_but_the_handbook_is(vllm: VllmServer) -> None:
    with ask(f"{vllm.root}/tokenize", {"model": "base", "prompt": prompts.handbook("expected")}) as found:
        handbook = len(json.load(found)["tokens"])

    async def work() -> None:
        async with Server(vllm.url) as server:
            judge, asked, here = ServerJudge(server, "base"), questions(WARM)[:1], context()

            async def hits(where: Context) -> float:
                before = await cache(vllm)
                in_range(await judge.judge(where, asked))
                return (await cache(vllm))[1] - before[1]

            await hits(here)
            same, other = await hits(here), await hits(context())
            assert same > other
            assert 0.6 * (handbook // BLOCK * BLOCK) <= other <= handbook + BLOCK

    run(work())


def test_breaking_off_a_turn_frees_the_server(vllm: VllmServer) -> None:
    async def work() -> None:
        async with Server(vllm.url) as server:
            async with aclosing(answer(context(), endless(server), None, None, RULES)) as events:
                async for each in events:
                    if isinstance(each, AnalysisWritten):
                        break
                assert await running(vllm) > 0
            await until(vllm, lambda running: running == 0, 3)

    run(work())


def test_breaking_off_a_batch_of_judgements_frees_the_server(vllm: VllmServer) -> None:
    async def work() -> None:
        async with Server(vllm.url) as server:
            judge = ServerJudge(server, "base", "rationale")
            asked = questions(*(f"{number} {WARM}" for number in range(60)))
            judging = asyncio.create_task(judge.judge(context(), asked))
            await until(vllm, lambda running: running > 0 or judging.done())
            assert not judging.done(), judging
            judging.cancel()
            await until(vllm, lambda running: running == 0, 3)
            assert judging.cancelled()

    run(work())


def test_a_turn_outlives_the_server_and_the_next_one_finds_it_again(vllm: VllmServer) -> None:
    async def work() -> None:
        limits = Limits(connect=2, read=60, pause=0.05)
        async with Server(vllm.url, limits=limits, circuit=Circuit(rest=0.2)) as server:
            told: list[Event] = []
            async with aclosing(answer(context(), endless(server), ServerJudge(server, "base"), None, RULES)) as events:
                async for each in events:
                    if isinstance(each, AnalysisWritten) and not any(isinstance(one, AnalysisWritten) for one in told):
                        await asyncio.to_thread(vllm.kill)
                    told.append(each)
            keeps_order(told)
            assert outcome(told).ranking.degraded == "no_candidate"
            assert outcome(told).troubles
            gone = outcome(await turn(server))
            assert gone.troubles[0] in ("policy:Unreachable", "policy:Resting")
            await asyncio.to_thread(vllm.start)
            await asyncio.sleep(server.circuit._until - time.monotonic())
            back, again = [outcome(await turn(server)) for _ in range(2)]
            assert back.chosen is not None
            assert back.troubles == ()
            assert again.chosen is not None
            assert again.troubles == ()

    asyncio.run(work())  # the server's own pipe is a new one afterwards, so open files are not compared


def context() -> Context:
    """Of somebody new, whose part of the cache is empty."""
    return Context("My sister has stopped calling.", "A nurse.", "They slept badly.", seal=uuid4().hex[:16])


def questions(*replies: str) -> list[Question]:
    """Each perspective on each reply."""
    read = enumerate(replies or REPLIES)
    return [question(index, each, "They sound lost.", reply) for index, reply in read for each in Perspective]


async def turn(server: Server, model: str = "base") -> list[Event]:
    policy, judge = ServerPolicy(server, model), ServerJudge(server, "base", patience=WHOLE_WAVES)
    async with aclosing(answer(context(), policy, judge, None, RULES)) as events:
        told = [each async for each in events]
    keeps_order(told)
    assert isinstance(told[-1], Answered)
    return told


def endless(server: Server) -> ServerPolicy:
    """Writes on and on, so that it is broken off in the middle for certain."""
    return ServerPolicy(server, "base", max_tokens=WINDOW, options={"ignore_eos": True})


async def greedy(server: Server, model: str) -> list[str]:
    """What it writes at temperature 0 to several: by chance two models may write the same to one of them."""
    policy, written = ServerPolicy(server, model, temperature=0), []
    for said in ("I failed again.", "My dog died on Monday.", "I cannot sleep."):
        async with aclosing(policy.write(Context(said), 1)) as events:
            written += [each.candidate.response async for each in events if isinstance(each, CandidateWritten)]
    return written


def in_range(judgements: Sequence[Judgement]) -> None:
    assert all(0 <= share(each) <= 1 for each in judgements)


def share(judgement: Judgement) -> float:
    """A score as a share of its scale."""
    low, high = RANGES[judgement.perspective]
    assert judgement.score is not None
    return (judgement.score - low) / (high - low)


async def load(vllm: VllmServer, name: str, path: Path) -> None:
    await asyncio.to_thread(
        lambda: ask(f"{vllm.url}/load_lora_adapter", {"lora_name": name, "lora_path": str(path)}).close()
    )


async def unload(vllm: VllmServer, name: str) -> None:
    await asyncio.to_thread(lambda: ask(f"{vllm.url}/unload_lora_adapter", {"lora_name": name}).close())


async def running(vllm: VllmServer) -> float:
    return await asyncio.to_thread(vllm.metric, "vllm:num_requests_running")


async def until(vllm: VllmServer, reached: Callable[[float], bool], patience: float = 30) -> None:
    """Wait for so many requests to be running there."""
    deadline = time.monotonic() + patience
    while not reached(now := await running(vllm)):
        assert time.monotonic() < deadline, f"{now:g} requests are still running"
        await asyncio.sleep(0.02)


async def cache(vllm: VllmServer) -> tuple[float, float]:
    """Prompt tokens so far: all, and those that the cache held."""
    names = ("vllm:prefix_cache_queries", "vllm:prefix_cache_hits")
    queries, hits = [await asyncio.to_thread(vllm.metric, name) for name in names]
    return queries, hits
