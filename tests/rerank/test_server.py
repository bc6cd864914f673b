"""How the one door to a model server retries, rests, recovers and lets go."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

import pytest

from fakes import CONTEXT, LIMITS, client, outcome, run, turn
from faulty_server import (
    MARKER,
    MODEL,
    Fault,
    FaultyServer,
    answers_and_closes,
    closes_at_once,
    closes_in_a_chunk,
    event,
    events,
    first,
    hangs,
    hangs_after_the_head,
    hangs_in_the_middle,
    one_by_one,
    resets,
    says,
    sends,
    streams,
)
from rerank.bench import mock
from rerank.circuit import Circuit
from rerank.errors import Broken, Busy, Late, Refused, RerankError, Resting, TooLong, Unreachable
from rerank.judge import ServerJudge, question
from rerank.policy import AnalysisWritten, CandidateWritten, FallbackPolicy, ServerPolicy, StartedOver
from rerank.server import Server, _window
from rerank.types import Perspective

Door = Callable[[Server], Awaitable[object]]
ASKED: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": MARKER}], "max_tokens": 1}
STREAMED = ASKED | {"n": 2, "stream": True}


def is_open(circuit: Circuit) -> bool:
    return circuit.open


async def post(server: Server) -> object:
    return await server.post("chat/completions", ASKED)


async def stream(server: Server) -> list[dict[str, Any]]:
    async with aclosing(server.stream("chat/completions", STREAMED)) as told:
        return [each async for each in told]


@pytest.mark.parametrize("door", [post, stream])
@pytest.mark.parametrize(
    ("fault", "error", "requests"),
    [
        (closes_at_once, Unreachable, 3),
        (resets, Unreachable, 3),
        (says(500), Broken, 3),
        (says(503), Busy, 3),
        (says(429, "Retry-After: 0.05"), Busy, 3),
        (says(429, "Retry-After: Wed, 21 Oct 2099 07:28:00 GMT"), Busy, 3),
        (says(429, "Retry-After: 6"), Busy, 1),
        (hangs, Late, 1),
        (hangs_after_the_head, Late, 1),
        (hangs_in_the_middle, Late, 1),
        (says(400), Refused, 1),
        (says(401), Refused, 1),
        (says(404), Refused, 1),
        (says(400, body="the prompt is too long"), TooLong, 1),
    ],
)
def test_a_request_is_tried_again_where_that_is_safe_and_no_oftener_than_allowed(
    door: Door,
    fault: Fault,
    error: type[RerankError],
    requests: int,
) -> None:
    async def work() -> int:
        async with FaultyServer({"chat": fault}) as server, client(server) as to:
            with pytest.raises(error) as caught:
                await door(to)
            assert type(caught.value) is error
            assert to.requests == len(server.requests)
            return server.count("chat")

    assert run(work()) == requests


@pytest.mark.parametrize(
    "fault",
    [
        closes_in_a_chunk,
        streams(one_by_one(2)[0], then=closes_at_once),
        streams(one_by_one(2)[0], b"data: nonsense\n\n"),
        streams(one_by_one(2)[0], event({"error": 1})),
        streams(then=closes_at_once),
    ],
)
def test_a_stream_that_has_begun_is_not_asked_for_again(fault: Fault) -> None:
    async def work() -> int:
        async with FaultyServer({"chat": fault}) as server, client(server) as to:
            with pytest.raises(RerankError):
                await stream(to)
            return server.count("chat")

    assert run(work()) == 1


@pytest.mark.parametrize("door", [post, stream])
@pytest.mark.parametrize("fault", [closes_at_once, resets, says(500), says(503), says(429)])
def test_a_fault_that_passes_is_survived(door: Door, fault: Fault) -> None:
    async def work() -> object:
        async with FaultyServer({"chat": first(2, fault)}) as server, client(server) as to:
            return await door(to)

    assert run(work())


def test_a_server_that_asks_for_a_short_time_gets_it() -> None:
    async def work() -> float:
        busy = first(1, says(429, "Retry-After: 0.3"))
        async with FaultyServer({"chat": busy}) as server, client(server) as to:
            await post(to)
            return server.requests[1].at - server.requests[0].at

    assert 0.3 <= run(work()) < 0.6


def test_a_server_that_asks_for_no_time_at_all_is_not_hammered() -> None:
    async def work() -> list[float]:
        busy = says(429, "Retry-After: 0")
        async with FaultyServer({"chat": busy}) as server, client(server, replace(LIMITS, pause=0.1)) as to:
            with pytest.raises(Busy):
                await post(to)
            return [each.at for each in server.requests]

    times = run(work())
    assert times[-1] - times[0] >= 0.15


def test_the_pauses_grow_and_differ_by_chance() -> None:
    async def pauses(server: FaultyServer) -> tuple[float, float]:
        before = len(server.requests)
        async with client(server, replace(LIMITS, pause=0.1)) as to:
            with pytest.raises(Broken):
                await post(to)
        one, two, three = (each.at for each in server.requests[before:])
        return two - one, three - two

    async def work() -> list[tuple[float, float]]:
        async with FaultyServer({"chat": says(500)}) as server:
            return [await pauses(server) for _ in range(6)]

    found = run(work())
    for one, two in found:
        assert 0.05 <= one < 0.15
        assert 0.1 <= two < 0.25
    assert max(one for one, _ in found) - min(one for one, _ in found) > 0.005


def test_connections_are_kept_and_one_that_was_closed_meanwhile_is_no_failure() -> None:
    async def work(fault: Fault | None) -> int:
        async with FaultyServer({"chat": fault} if fault else {}) as server, client(server) as to:
            for _ in range(5):
                await post(to)
                await asyncio.sleep(0.01)
            assert server.count("chat") == 5
            return server.opened

    assert run(work(None)) == 1
    assert run(work(answers_and_closes)) == 5


def test_a_server_that_is_dead_is_left_alone_after_five_failures_and_then_tried_by_one_request() -> None:
    now = [0.0]
    circuit = Circuit(clock=lambda: now[0])

    async def fails(to: Server, error: type[RerankError]) -> None:
        with pytest.raises(error):
            await post(to)

    async def work() -> None:
        once = replace(LIMITS, attempts=1)
        async with FaultyServer({"chat": closes_at_once}) as server, client(server, once, circuit) as to:
            for _ in range(4):
                await fails(to, Unreachable)
            assert not is_open(circuit)
            await fails(to, Unreachable)
            assert is_open(circuit)
            started = time.perf_counter()
            for _ in range(100):
                await fails(to, Resting)
            assert time.perf_counter() - started < 0.1
            assert server.count("chat") == 5
            assert server.opened == 5
            now[0] = 2.1
            server.faults = {"chat": hangs}
            trial = asyncio.create_task(fails(to, Late))
            await server.until(lambda: server.count("chat") == 6, "no trial")
            await asyncio.gather(*(fails(to, Resting) for _ in range(10)))
            await trial
            assert server.count("chat") == 6
            now[0] = 4.2
            await fails(to, Resting)
            now[0] = 6.3
            server.faults = {}
            await post(to)
            assert not is_open(circuit)
            await asyncio.gather(*(post(to) for _ in range(10)))

    run(work())


def test_a_trial_that_is_called_off_lets_another_one_try() -> None:
    now = [0.0]
    circuit = Circuit(failures=1, clock=lambda: now[0])

    async def work() -> None:
        async with (
            FaultyServer({"chat": says(500)}) as server,
            client(server, replace(LIMITS, attempts=1), circuit) as to,
        ):
            with pytest.raises(Broken):
                await post(to)
            now[0] = 3.0
            server.faults = {"chat": hangs}
            trial = asyncio.create_task(post(to))
            await server.until(lambda: server.count("chat") == 2, "no trial")
            trial.cancel()
            with pytest.raises(asyncio.CancelledError):
                await trial
            server.faults = {}
            await post(to)

    run(work())


def test_while_one_tries_a_server_with_a_long_answer_others_are_let_in_as_soon_as_it_begins() -> None:
    circuit = Circuit(failures=1, rest=0.0)

    async def work() -> None:
        async with (
            FaultyServer({"chat": says(500)}) as server,
            client(server, replace(LIMITS, attempts=1), circuit) as to,
        ):
            with pytest.raises(Broken):
                await post(to)
            server.faults = {"chat": streams(*(piece for each in events(2) for piece in (each, 0.01)))}
            async with aclosing(to.stream("chat/completions", STREAMED)) as told:
                await anext(told)
                server.faults = {}
                await post(to)
                assert [each async for each in told]

    run(work())


def test_a_server_killed_in_mid_turn_and_started_again_is_used_again_by_itself() -> None:
    async def work() -> None:
        slow = streams(*(piece for each in events(4) for piece in (each, 0.02)))
        circuit = Circuit(rest=0.2)
        async with FaultyServer({"chat": slow}) as server, client(server, circuit=circuit) as both:
            running = asyncio.create_task(turn(both, both))
            await server.until(lambda: server.count("chat") == 1, "no turn")
            await server.kill()
            told = outcome(await running)
            assert told.ranking.degraded == "no_candidate"
            assert told.troubles == ("policy:Unreachable",)
            dead = [outcome(await turn(both, both)) for _ in range(4)]
            assert {each.ranking.degraded for each in dead} == {"no_candidate"}
            assert dead[-1].troubles[0] == "policy:Resting"
            assert dead[-1].timings["total"] < 50
            server.faults = {}
            await server.start()
            await asyncio.sleep(0.5)
            assert [outcome(await turn(both, both)).ranking.degraded for _ in range(3)] == [None] * 3

    run(work())


def test_another_policy_takes_over_and_what_was_judged_of_the_first_attempt_does_not_count() -> None:
    async def work() -> None:
        begun = b"".join(events(4, (1, 1, 1, 1)))
        begun = begun[: begun.index(b'"stop"') - 200]
        broken = streams(begun, 0.2, then=closes_at_once)
        async with (
            FaultyServer({"chat": broken}) as one,
            FaultyServer(marks=(5, 4, 3, 2)) as two,
            FaultyServer(batch=False) as three,
            client(one) as first_,
            client(two) as second,
            client(three) as judging,
        ):
            policy = FallbackPolicy(ServerPolicy(first_, MODEL), ServerPolicy(second, MODEL))
            told = await turn(policy, ServerJudge(judging, MODEL))
        assert sum(isinstance(each, StartedOver) for each in told) == 1
        found = outcome(told)
        assert found.ranking.order == (0, 1, 2, 3)
        assert found.ranking.degraded is None
        assert [len(each.judgements) for each in found.candidates] == [4] * 4
        assert [each.judgements[0].score for each in found.candidates] == [5, 4, 3, 2]
        assert three.count("chat") == 20

    run(work())


@pytest.mark.parametrize("fault", [closes_at_once, says(500), says(401), says(429, "Retry-After: 99"), hangs])
def test_another_policy_takes_over_whatever_is_wrong_with_the_first(fault: Fault) -> None:
    async def work() -> None:
        async with (
            FaultyServer({"*": fault}) as one,
            FaultyServer() as two,
            client(one) as first_,
            client(two) as second,
        ):
            policy = FallbackPolicy(ServerPolicy(first_, MODEL), ServerPolicy(second, MODEL))
            assert outcome(await turn(policy, second)).ranking.degraded is None

    run(work())


def test_another_policy_does_not_take_over_what_has_a_whole_candidate() -> None:
    async def work() -> None:
        cut = streams(one_by_one(4)[0], then=closes_at_once)
        async with (
            FaultyServer({"chat": cut}) as one,
            FaultyServer() as two,
            client(one) as first_,
            client(two) as second,
        ):
            policy = FallbackPolicy(ServerPolicy(first_, MODEL), ServerPolicy(second, MODEL))
            told = await turn(policy, second)
            assert outcome(told).ranking.order == (0,)
            assert outcome(told).troubles == ("policy:Unreachable",)

    run(work())


def test_closing_a_policy_lets_go_of_its_connection_before_it_returns() -> None:
    async def work() -> None:
        endless = streams(*one_by_one(4)[:2], then=hangs)
        async with FaultyServer({"chat": endless}) as server, client(server) as to:
            async with aclosing(ServerPolicy(to, MODEL).write(CONTEXT, 4)) as told:
                assert isinstance(await anext(told), AnalysisWritten | CandidateWritten)
            assert to._session is not None
            assert to._session.connector is not None
            assert not to._session.connector._acquired
            await server.until(lambda: len(server.broken_off) == 1, "the server was not told")

    run(work())


def test_what_a_server_offers_is_asked_once_however_many_want_to_know() -> None:
    async def work() -> None:
        async with FaultyServer() as server, client(server) as to:
            found = await asyncio.gather(*(to.features(MODEL) for _ in range(50)))
            assert len({id(each) for each in found}) == 1
            assert [each.what for each in server.requests] == ["models", "look", "version", "tokenize"]
            assert found[0].batch
            assert found[0].vllm
            assert found[0].window == 32768
            assert found[0].digits == tuple(range(48, 58))

    run(work())


def test_what_a_server_offers_is_asked_again_when_it_was_away() -> None:
    async def work() -> None:
        async with FaultyServer() as server, client(server, replace(LIMITS, attempts=1)) as to:
            await server.kill()
            with pytest.raises(Unreachable):
                await to.features(MODEL)
            await server.start()
            assert (await to.features(MODEL)).batch

    run(work())


def test_many_who_wait_for_a_silent_server_wait_side_by_side_and_not_in_a_row() -> None:
    async def work() -> float:
        async with FaultyServer({"models": hangs}) as server, client(server) as to:
            started = time.perf_counter()
            found = await asyncio.gather(*(to.features(MODEL) for _ in range(4)), return_exceptions=True)
            assert {type(each) for each in found} <= {Late, Resting}
            return time.perf_counter() - started

    assert run(work()) < LIMITS.read * 2


def test_a_plain_server_offers_nothing_special_and_that_is_no_failure() -> None:
    async def work() -> None:
        plain = dict.fromkeys(("models", "version", "tokenize"), says(404))
        async with FaultyServer(plain, batch=False) as server, client(server) as to:
            found = await to.features(MODEL)
            assert (found.models, found.window, found.batch, found.vllm, found.digits) == ((), None, False, False, ())
            assert outcome(await turn(to, to)).ranking.degraded is None

    run(work())


def test_metrics_are_summed_over_their_labels_and_missing_ones_are_none() -> None:
    async def work() -> None:
        said = b'# HELP a\na_total{x="1"} 1.5\na_total{x="2"} 2\nb_total 3\nbb_total 9\n'
        async with FaultyServer({"other": sends(said)}) as server, client(server) as to:
            assert await to.metrics("a_total", "b_total") == [3.5, 3.0]
            assert await to.metrics("a_total", "c_total") is None
        async with FaultyServer() as server, client(server) as to:
            assert await to.metrics("a_total") is None

    run(work())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "http://",
        "http://[",
        "ftp://127.0.0.1",
        "http://127.0.0.1:99999",
        "http://a..b",
        "http://\ud800",
    ],
)
def test_an_url_that_cannot_be_is_an_unreachable_server(url: str) -> None:
    async def work() -> None:
        async with Server(url, limits=replace(LIMITS, attempts=1)) as to:
            with pytest.raises(Unreachable):
                await post(to)

    run(work())


@pytest.mark.parametrize("key", ["a\nb", "a\r\nX: y", "schlüssel", "\ud800", "键"])
def test_a_key_that_no_header_can_hold_raises_nothing_else(key: str) -> None:
    async def work() -> None:
        async with FaultyServer() as server, Server(server.url, key, limits=replace(LIMITS, attempts=1)) as to:
            with suppress(RerankError):
                await post(to)

    run(work())


def test_a_request_that_is_called_off_is_broken_off_on_the_server_at_once() -> None:
    async def work(fault: Fault, door: Door) -> None:
        async with FaultyServer({"chat": fault}) as server, client(server) as to:
            asking = asyncio.ensure_future(door(to))
            await server.until(lambda: server.count("chat") == 1, "not asked")
            await asyncio.sleep(0.02)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await server.until(lambda: len(server.broken_off) == 1, "the server was not told")

    for fault in (hangs, hangs_after_the_head, hangs_in_the_middle):
        for door in (post, stream):
            run(work(fault, door))


def test_a_question_of_several_megabytes_is_sent_without_a_warning() -> None:
    async def work() -> None:
        with mock(0) as url:
            async with Server(url, limits=LIMITS) as server:
                long = [question(0, each, "", "word " * 2**18) for each in Perspective]
                found = await ServerJudge(server, MODEL).judge(CONTEXT, long)
        assert all(each.score is not None for each in found)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("listed", "window"),
    [
        ([{"id": "other", "max_model_len": 2048}, {"id": "mine", "max_model_len": 8192}], 8192),
        ([{"id": "base", "max_model_len": 4096}, {"id": "mine", "max_model_len": None}], 4096),
        ([{"id": "mine"}, {"id": "big", "max_model_len": 8192}, {"id": "small", "max_model_len": 1024}], 1024),
        ([{"id": "mine", "max_model_len": True}, {"id": ["base"], "max_model_len": 9}], None),
        ([], None),
    ],
)
def test_an_adapter_that_tells_no_window_has_its_bases(listed: list[dict[str, Any]], window: int | None) -> None:
    assert _window(listed, "mine") == window
