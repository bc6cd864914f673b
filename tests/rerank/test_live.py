"""One turn: what overlaps with what, what may win, in which order it is told, and how it is broken off."""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from math import log
from typing import Any

import pytest

from fakes import (
    CONTEXT,
    LIMITS,
    RULES,
    FakeGate,
    FakeJudge,
    FakePolicy,
    Step,
    analysed,
    client,
    outcome,
    run,
    scores,
    turn,
    written,
)
from faulty_server import (
    DONE,
    MODEL,
    Fault,
    FaultyServer,
    changed,
    closes_at_once,
    delta,
    event,
    events,
    hangs,
    late,
    reply,
    streams,
    when,
)
from rerank.errors import Broken, Late, Unreachable
from rerank.judge import ServerJudge
from rerank.live import Answered, Choosing, Considering, Event, Judged, Rules, answer
from rerank.policy import AnalysisWritten, CandidateWritten, FallbackPolicy, ServerPolicy, StartedOver
from rerank.types import Candidate, Judgement, Perspective

CUT = reply(0).index("I hear")
EVENTS = [Considering, AnalysisWritten, CandidateWritten, Judged, Choosing, StartedOver]
_RESONATION = Perspective.RESONATION.value


def in_halves(pause: float) -> Fault:
    """All analyses, a pause, all responses."""
    halves = [event(delta(index, reply(index)[:CUT])) for index in range(4)]
    rests = [event(delta(index, reply(index)[CUT:], "stop")) for index in range(4)]
    return streams(b"".join(halves), pause, b"".join(rests), DONE)


def position(told: Sequence[Event], wanted: Any) -> int:  # noqa: ANN401
    return next(at for at, each in enumerate(told) if wanted(each))


def test_resonation_is_asked_and_answered_before_the_response_is_whole() -> None:
    async def work(*, batch: bool) -> None:
        async with (
            FaultyServer({"chat": in_halves(0.25)}) as server,
            FaultyServer(batch=batch) as judge_server,
            client(server) as policy,
            client(judge_server) as judge,
        ):
            told = await turn(policy, judge)
        whole = position(told, lambda each: isinstance(each, CandidateWritten))
        before = [each for each in told[:whole] if isinstance(each, Judged)]
        assert [each.judgement.perspective.value for each in before] == [_RESONATION] * 4
        found = outcome(told)
        assert found.ranking.degraded is None
        assert found.timings["first_analysis"] + 200 < found.timings["first_candidate"]
        asked = "batch" if batch else "chat"
        assert judge_server.count(asked) == (2 if batch else 16)

    run(work(batch=True))
    run(work(batch=False))


def test_a_judge_that_takes_no_company_is_asked_at_once_and_one_by_one() -> None:
    async def work() -> None:
        judge = FakeJudge()
        start = time.monotonic()
        told = await turn(
            FakePolicy(0.05, analysed(0), 0.2, written(0), 0.1, analysed(1), written(1)), judge, replace(RULES, n=2)
        )
        assert outcome(told).ranking.degraded is None
        assert all(len(questions) == 1 for _, questions in judge.calls)
        moments = [round(at - start, 2) for at, _ in judge.calls]
        assert moments == pytest.approx([0.05] + [0.25] * 3 + [0.35] * 4, abs=0.04)

    run(work())


def test_candidates_that_arrive_together_take_three_requests_at_most_and_one_of_the_judge() -> None:
    async def work() -> None:
        together = streams(b"".join(events(4)))
        async with FaultyServer({"chat": together}) as server, client(server) as both:
            await both.features(MODEL)
            before = both.requests
            for _ in range(3):
                assert outcome(await turn(both, both)).ranking.degraded is None
            assert both.requests - before <= 9
            assert server.count("batch") == 3
            assert all(len(each["messages"]) == 16 for each in server.bodies("batch"))

    run(work())


def test_candidates_that_arrive_nearly_together_take_three_requests() -> None:
    async def work() -> None:
        trickle = streams(*(piece for each in events(4, size=20) for piece in (each, 0.001)))
        async with FaultyServer({"chat": trickle}) as server, client(server) as both:
            await both.features(MODEL)
            before = both.requests
            assert outcome(await turn(both, both)).ranking.degraded is None
            assert both.requests - before <= 3

    run(work())


def test_stragglers_hold_the_others_no_longer_than_the_judge_has_patience() -> None:
    async def work() -> None:
        judge = FakeJudge(patience=0.1)
        start = time.monotonic()
        steps: tuple[Step, ...] = (0.01, analysed(0), written(0), analysed(1), written(1), 0.4, analysed(2), written(2))
        told = await turn(FakePolicy(*steps), judge, replace(RULES, n=3, deadline=1.0))
        assert outcome(told).ranking.degraded is None
        assert [len(questions) for _, questions in judge.calls] == [8, 4]
        assert [at - start for at, _ in judge.calls] == pytest.approx([0.11, 0.41], abs=0.05)

    run(work())


def test_when_all_analyses_are_in_nobody_waits_for_company() -> None:
    async def work() -> None:
        judge = FakeJudge(patience=5.0)
        start = time.monotonic()
        steps: tuple[Step, ...] = (analysed(0), analysed(1), 0.1, written(0), written(1))
        told = await turn(FakePolicy(*steps), judge, replace(RULES, n=2))
        assert outcome(told).ranking.degraded is None
        assert [len(questions) for _, questions in judge.calls] == [2, 6]
        assert [at - start for at, _ in judge.calls] == pytest.approx([0.0, 0.1], abs=0.05)

    run(work())


def test_a_judge_whose_patience_is_unknown_for_a_while_is_asked_as_soon_as_it_is_known() -> None:
    class Slow(FakeJudge):
        async def patience(self) -> float:
            await asyncio.sleep(0.1)
            raise Broken("")

    async def work() -> None:
        judge = Slow()
        told = outcome(await turn(FakePolicy(analysed(0), written(0)), judge, replace(RULES, n=1)))
        assert told.ranking.degraded is None
        assert len(judge.calls) == 4
        assert told.troubles == ("judge:Broken",)

    run(work())


def test_the_deadline_is_counted_from_the_first_whole_valid_candidate() -> None:
    async def work() -> None:
        judge = FakeJudge(seconds=9.0)
        steps: tuple[Step, ...] = (0.2, written(0, format_ok=False), 0.2, written(1, "stopped"), 0.2, written(2), 9.0)
        gate = FakeGate(lambda response: "harm" if response == "stopped" else None)
        start = time.monotonic()
        policy = FakePolicy(*steps)
        told = outcome(await turn(policy, judge, Rules(n=4, deadline=0.3, limit=1.0), gate))
        assert time.monotonic() - start == pytest.approx(0.9, abs=0.08)
        assert told.timings["first_candidate"] == pytest.approx(600, abs=60)
        assert told.ranking.order == (2,)
        assert told.ranking.degraded == "unjudged"
        assert policy.closed
        assert judge.cut_short

    run(work())


def test_what_is_judged_by_the_deadline_counts_and_the_rest_is_missing() -> None:
    class Slow(FakeJudge):
        async def judge(self, context: Any, questions: Any) -> list[Judgement]:  # noqa: ANN401
            self._seconds = 9.0 if questions[0].candidate == 0 else 0.01
            return await super().judge(context, questions)

    async def work() -> None:
        told = outcome(await turn(FakePolicy(written(0), written(1)), Slow(), replace(RULES, n=2)))
        assert told.ranking.order == (1, 0)
        assert told.ranking.degraded is None
        assert told.candidates[0].judgements == ()

    run(work())


def test_a_stopped_candidate_is_never_chosen_and_judged_no_further() -> None:
    async def work() -> None:
        judge = FakeJudge(score=lambda each: 5.0 if each.candidate == 0 else 2.0)
        gate = FakeGate(lambda response: "diagnosis" if response == "bad" else None)
        steps: tuple[Step, ...] = (analysed(0), analysed(1), 0.05, written(0, "bad"), written(1))
        told = outcome(await turn(FakePolicy(*steps), judge, replace(RULES, n=2), gate))
        assert told.ranking.order == (1,)
        assert told.chosen is not None
        assert told.ranking.degraded is None
        assert told.candidates[0].safety == "diagnosis"
        assert [perspective for candidate, perspective in judge.asked if candidate == 0] == [_RESONATION]

    run(work())


def test_where_all_are_stopped_there_is_no_reply_and_it_is_said() -> None:
    async def work() -> None:
        steps = [written(index) for index in range(3)]
        told = outcome(await turn(FakePolicy(*steps), FakeJudge(), replace(RULES, n=3), FakeGate(lambda _: "harm")))
        assert told.chosen is None
        assert told.ranking.degraded == "all_stopped"
        assert len(told.candidates) == 3

    run(work())


def test_a_gate_that_fails_stops_the_candidate() -> None:
    async def work() -> None:
        gate = FakeGate(lambda response: Unreachable("") if response == "a" else None)
        told = outcome(await turn(FakePolicy(written(0, "a"), written(1, "b")), FakeJudge(), replace(RULES, n=2), gate))
        assert told.ranking.order == (1,)
        assert told.candidates[0].safety == "unchecked"
        assert told.troubles == ("gate:Unreachable",)
        told = outcome(await turn(FakePolicy(written(0, "a")), FakeJudge(), replace(RULES, n=1), gate))
        assert told.ranking.degraded == "all_stopped"

    run(work())


def test_a_gate_that_hangs_lets_nothing_through_and_the_turn_ends() -> None:
    class Hanging:
        async def check(self, _context: object, _response: str) -> str | None:
            await asyncio.sleep(60)
            return None

    async def work() -> None:
        start = time.monotonic()
        told = outcome(await turn(FakePolicy(written(0)), FakeJudge(), Rules(n=1, deadline=0.2, limit=0.4), Hanging()))
        assert told.chosen is None
        assert told.ranking.degraded in {"no_candidate", "all_stopped"}
        assert told.troubles
        assert time.monotonic() - start < 0.7

    run(work())


def test_what_is_out_of_format_is_neither_judged_nor_chosen() -> None:
    async def work() -> None:
        judge = FakeJudge()
        steps = (written(0, "Just this.", format_ok=False), written(1, "", format_ok=False))
        told = outcome(await turn(FakePolicy(*steps), judge, replace(RULES, n=2)))
        assert (told.chosen, told.ranking.degraded) == (None, "no_candidate")
        assert judge.calls == []

    run(work())


def test_without_a_judge_the_first_valid_candidate_is_the_answer() -> None:
    async def work() -> None:
        told = outcome(await turn(FakePolicy(written(1), written(0)), None, replace(RULES, n=2)))
        assert told.ranking.order == (0, 1)
        assert told.ranking.degraded == "unjudged"
        assert "judge" not in told.versions

    run(work())


def test_a_policy_that_fails_after_some_candidates_leaves_them_and_its_trouble() -> None:
    async def work() -> None:
        told = outcome(await turn(FakePolicy(written(2), Late("")), FakeJudge(), replace(RULES, n=3)))
        assert told.ranking.order == (2,)
        assert told.ranking.degraded is None
        assert told.troubles == ("policy:Late",)

    run(work())


def test_starting_over_forgets_what_was_told_and_judged_and_what_is_being_judged() -> None:
    async def work(*, seconds: float, patience: float) -> None:
        judge = FakeJudge(seconds=seconds, patience=patience, score=lambda each: 1.0 if "old" in each.text else 5.0)
        first = FakePolicy(AnalysisWritten(0, "old 0"), AnalysisWritten(1, "old 1"), 0.1, Unreachable(""))
        second = FakePolicy(0.1, written(0), written(1))
        told = await turn(FallbackPolicy(first, second), judge, replace(RULES, n=2))
        assert [type(each) for each in told].count(StartedOver) == 1
        found = outcome(told)
        assert found.ranking.degraded is None
        for index in (0, 1):
            assert set(scores(found, index).values()) == {5.0}
        late_news = told[position(told, lambda each: isinstance(each, StartedOver)) :]
        assert all(each.judgement.score == 5.0 for each in late_news if isinstance(each, Judged))

    for seconds in (0.0, 0.05, 0.15):
        for patience in (0.0, 0.05):
            run(work(seconds=seconds, patience=patience))


@pytest.mark.parametrize("score", [0.9, 5.1, -1.0, 101.0, 1e300])
def test_a_score_outside_its_scale_is_a_failed_judgement_whoever_gave_it(score: float) -> None:
    async def work() -> None:
        told = outcome(await turn(FakePolicy(written(0)), FakeJudge(score=lambda _: score), replace(RULES, n=1)))
        assert scores(told, 0) == dict.fromkeys(map(str, Perspective)) | (
            {"bystander": score} if 0 <= score <= 100 else {}
        )

    run(work())


@pytest.mark.parametrize("sure", [0.55, 0.7, 0.92, 0.98, 0.999])
def test_a_judge_that_is_not_quite_sure_of_the_best_score_gives_it_all_the_same(sure: float) -> None:
    digit = {"token": "5", "logprob": log(sure), "top_logprobs": []}
    nearly = changed(lambda choice: choice | {"logprobs": {"content": [digit]}})
    faults = when(lambda exchange: exchange.request.body["max_tokens"] == 1, nearly)

    async def work() -> Answered:
        async with (
            FaultyServer(marks=(5, 5, 5, 5)) as one,
            FaultyServer({"chat": faults}, batch=False) as two,
            client(one) as policy,
            client(two) as judge,
        ):
            return outcome(await turn(policy, judge))

    found = run(work())
    assert scores(found, 0) == pytest.approx({"resonation": 5, "expression": 5, "reception": 5, "bystander": 100})
    assert found.ranking.degraded is None


def test_a_fault_of_the_programs_own_is_not_hidden_and_leaves_nothing_running() -> None:
    class Wrong(FakeJudge):
        async def judge(self, _context: object, _questions: object) -> list[Judgement]:
            raise ZeroDivisionError

    async def work() -> None:
        policy = FakePolicy(written(0), 9.0)
        with pytest.raises(ZeroDivisionError):
            await turn(policy, Wrong(), replace(RULES, n=2))
        assert policy.closed

    run(work())


def test_the_outcome_names_versions_and_times() -> None:
    async def work() -> Answered:
        async with FaultyServer() as server, client(server) as both:
            return outcome(await turn(both, both))

    found = run(work())
    assert set(found.versions) == {"policy", "judge", "prompts"}
    assert found.versions["judge"] == f"expected:{MODEL}"
    names = ["first_analysis", "first_candidate", "written", "judged", "total"]
    assert sorted(found.timings, key=lambda name: found.timings[name]) == names


def a_slow_turn() -> tuple[Fault, Fault]:
    """A policy that writes for a third of a second and a judge that takes a while."""
    pieces = [part for each in events(4, size=24) for part in (each, 0.008)]
    return streams(*pieces), late(0.05)


@pytest.mark.parametrize("how", ["closing", "cancelling"])
@pytest.mark.parametrize("batch", [True, False], ids=["batch", "single"])
@pytest.mark.parametrize("kind", EVENTS)
def test_a_turn_broken_off_at_any_event_stops_the_servers_and_leaves_nothing(
    kind: type[Event],
    batch: bool,  # noqa: FBT001
    how: str,
) -> None:
    async def work() -> None:
        writing, judging = a_slow_turn()
        faults = {"chat": when(lambda exchange: "stream" not in exchange.request.body, judging), "batch": judging}
        async with (
            FaultyServer({"chat": streams(event(delta(0, reply(0)[:CUT])), 0.1, then=closes_at_once)}) as broken,
            FaultyServer({"chat": writing}) as one,
            FaultyServer(faults, batch=batch) as two,
            client(broken) as abandoned,
            client(one) as policy,
            client(two) as judge,
        ):
            writer = ServerPolicy(policy, MODEL)
            either = FallbackPolicy(ServerPolicy(abandoned, MODEL), writer) if kind is StartedOver else writer
            seen = asyncio.Event()

            async def read() -> None:
                generator = answer(CONTEXT, either, ServerJudge(judge, MODEL), None, RULES)
                async with aclosing(generator) as told:
                    async for each in told:
                        if isinstance(each, kind):
                            seen.set()
                            if how == "closing":
                                return
                            await asyncio.sleep(5)

            reading = asyncio.create_task(read())
            await asyncio.wait_for(seen.wait(), 2)
            started = time.monotonic()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            assert time.monotonic() - started < 0.2
            await one.until(lambda: one.working + two.working == 0, "a server still works")

    run(work())


@pytest.mark.parametrize("seed", range(20))
def test_a_turn_cancelled_at_any_moment_stops_the_servers_and_leaves_nothing(seed: int) -> None:
    rng = random.Random(seed)
    moment = rng.uniform(0.0, 0.6) ** 1.5

    async def work() -> None:
        writing, judging = a_slow_turn()
        faults = {"chat": judging, "batch": judging}
        async with (
            FaultyServer({"chat": writing}) as one,
            FaultyServer(faults, batch=rng.random() < 0.5) as two,
            client(one) as policy,
            client(two) as judge,
        ):
            turning = asyncio.create_task(turn(policy, judge))
            await asyncio.sleep(moment)
            turning.cancel()
            started = time.monotonic()
            await asyncio.gather(turning, return_exceptions=True)
            assert time.monotonic() - started < 0.2
            assert asyncio.all_tasks() - one.tasks - two.tasks == {asyncio.current_task()}
            await one.until(lambda: one.working + two.working == 0, "a server still works")

    run(work())


def test_a_turn_whose_candidates_are_cut_off_at_the_deadline_tells_the_server_to_stop() -> None:
    async def work() -> None:
        rest = streams(event(delta(0, reply(0), "stop")), then=hangs)
        slow = replace(LIMITS, read=9.0)
        async with (
            FaultyServer({"chat": rest}) as one,
            FaultyServer() as two,
            client(one, slow) as policy,
            client(two) as judge,
        ):
            told = outcome(await turn(policy, judge))
            assert told.ranking.order == (0,)
            assert told.ranking.degraded is None
            assert told.timings["total"] < 700
            await one.until(lambda: len(one.broken_off) == 1, "the server was not told")

    run(work())


def test_no_event_comes_after_the_outcome_and_the_generator_is_at_its_end() -> None:
    async def work() -> None:
        generator = answer(CONTEXT, FakePolicy(written(0)), FakeJudge(), None, replace(RULES, n=1))
        told = [each async for each in generator]
        assert isinstance(told[-1], Answered)
        with pytest.raises(StopAsyncIteration):
            await anext(generator)
        await generator.aclose()

    run(work())


def test_a_hundred_turns_that_nobody_finishes_leave_nothing() -> None:
    async def unread(seconds: float, policy: ServerPolicy, judge: ServerJudge) -> None:
        async with aclosing(answer(CONTEXT, policy, judge, None, RULES)) as told:
            started = time.monotonic()
            async for _ in told:
                if time.monotonic() - started > seconds:
                    return

    async def work() -> None:
        async with (
            FaultyServer({"chat": a_slow_turn()[0]}) as one,
            FaultyServer() as two,
            client(one) as p,
            client(two) as j,
        ):
            policy, judge = ServerPolicy(p, MODEL), ServerJudge(j, MODEL)
            await asyncio.gather(*(unread(at / 250, policy, judge) for at in range(100)))
            await one.until(lambda: one.working + two.working == 0, "a server still works")

    run(work())


def test_a_candidate_told_twice_counts_once() -> None:
    twice = CandidateWritten(Candidate(0, "a", "other", 9, True, None, None), MODEL)

    async def work() -> list[Event]:
        generator = answer(CONTEXT, FakePolicy(written(0), twice), FakeJudge(), None, replace(RULES, n=1))
        return [each async for each in generator]

    found = outcome(run(work()))
    assert len(found.candidates) == 1
