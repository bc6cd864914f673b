"""How the policy asks for candidates, and how it reads what comes."""

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from fakes import CONTEXT, LIMITS, FakePolicy, client, run, written
from faulty_server import (
    DONE,
    MODEL,
    Exchange,
    Fault,
    FaultyServer,
    answers,
    closes_at_once,
    delta,
    event,
    events,
    first,
    one_by_one,
    reply,
    says,
    sends,
    streams,
    when,
)
from rerank.errors import Broken, Refused, RerankError, TooLong, Unreachable
from rerank.parse import split
from rerank.policy import AnalysisWritten, CandidateWritten, FallbackPolicy, Policy, ServerPolicy, StartedOver, Written
from rerank.server import Server
from rerank.types import Candidate, Context, Line, Role


async def all_of(policy: Policy, n: int = 4, context: Context = CONTEXT) -> list[Written]:
    async with aclosing(policy.write(context, n)) as told:
        return [each async for each in told]


def candidates(told: list[Written]) -> dict[int, Candidate]:
    found = [each.candidate for each in told if isinstance(each, CandidateWritten)]
    assert len({each.index for each in found}) == len(found)
    return {each.index: each for each in found}


def whole(found: dict[int, Candidate]) -> list[int]:
    return sorted(index for index, each in found.items() if each.format_ok)


def test_all_candidates_come_over_one_request_in_one_stream() -> None:
    async def work() -> None:
        async with FaultyServer() as server, client(server) as to:
            told = await all_of(ServerPolicy(to, MODEL, max_tokens=300, temperature=0.7, options={"seed": 3}))
            found = candidates(told)
            assert whole(found) == [0, 1, 2, 3]
            for index, each in found.items():
                parts = split(reply(index))
                assert (each.analysis, each.response) == (parts.analysis, parts.response)
                assert each.index == index
            (body,) = server.bodies("chat")
            wanted = {"n": 4, "stream": True, "max_tokens": 300, "temperature": 0.7, "seed": 3, "model": MODEL}
            assert body.items() >= wanted.items()
            assert body["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}
            assert sum(isinstance(each, AnalysisWritten) for each in told) == 4

    run(work())


def test_a_server_that_gives_one_choice_is_asked_for_the_rest_one_by_one_and_remembered() -> None:
    async def work() -> None:
        async with FaultyServer(most=1) as server, client(server) as to:
            policy = ServerPolicy(to, MODEL)
            assert whole(candidates(await all_of(policy))) == [0, 1, 2, 3]
            assert [each["n"] for each in server.bodies("chat")] == [4, 1, 1, 1]
            assert whole(candidates(await all_of(policy))) == [0, 1, 2, 3]
            assert [each["n"] for each in server.bodies("chat")] == [4] + [1] * 7

    run(work())


def several(exchange: Exchange) -> bool:
    return bool(exchange.request.body.get("n", 1) > 1)


@pytest.mark.parametrize("status", [400, 422, 404])
def test_a_server_that_refuses_several_choices_is_asked_one_by_one_and_remembered(status: int) -> None:
    async def work() -> None:
        refuses = when(several, says(status))
        async with FaultyServer({"chat": refuses}) as server, client(server) as to:
            policy = ServerPolicy(to, MODEL)
            assert whole(candidates(await all_of(policy))) == [0, 1, 2, 3]
            assert whole(candidates(await all_of(policy))) == [0, 1, 2, 3]
            assert [each["n"] for each in server.bodies("chat")] == [4] + [1] * 8

    run(work())


def test_one_by_one_the_candidates_are_asked_side_by_side() -> None:
    async def work() -> None:
        async with FaultyServer(most=1) as server, client(server) as to:
            policy = ServerPolicy(to, MODEL)
            await all_of(policy)
            server.faults = {"chat": streams(0.2, *events(1))}
            start = asyncio.get_running_loop().time()
            assert whole(candidates(await all_of(policy))) == [0, 1, 2, 3]
            assert asyncio.get_running_loop().time() - start < 0.4

    run(work())


def test_one_of_several_requests_that_fails_takes_no_other_with_it() -> None:
    async def work() -> None:
        fails = when(lambda exchange: exchange.number == 2, streams(then=closes_at_once))
        async with FaultyServer({"chat": fails}, most=1) as server, client(server) as to:
            assert len(whole(candidates(await all_of(ServerPolicy(to, MODEL))))) == 3

    run(work())


@pytest.mark.parametrize(
    "hiccup",
    [
        says(404),
        says(401),
        sends(b"<html>one moment</html>"),
        streams(DONE),
        streams(event(delta(1, "# Analysis")), DONE),
        streams(event(delta(0, "# Analysis"))),
    ],
    ids=["404", "401", "a page", "an empty stream", "only the second choice", "an unfinished stream"],
)
def test_one_bad_moment_does_not_make_the_policy_ask_one_by_one_for_ever(hiccup: Fault) -> None:
    async def work() -> None:
        async with FaultyServer({"chat": hiccup}) as server, client(server) as to:
            policy = ServerPolicy(to, MODEL)
            with pytest.raises(RerankError):
                await all_of(policy)
            server.faults = {}
            before = len(server.bodies("chat"))
            assert whole(candidates(await all_of(policy))) == [0, 1, 2, 3]
            assert [each["n"] for each in server.bodies("chat")[before:]] == [4]

    run(work())


def test_a_stream_is_read_alike_wherever_it_is_cut() -> None:
    texts = [reply(0).replace("I hear", "Ich höre 👂"), reply(1)]
    pieces = [
        event(
            delta(index, text[at : at + 20], "stop" if at + 20 >= len(text) else None, usage={"completion_tokens": 9})
        )
        for at in range(0, max(map(len, texts)), 20)
        for index, text in enumerate(texts)
        if at < len(text)
    ]
    body = b": a comment\r\n\r\n" + b"".join(pieces).replace(b"\n", b"\r\n") + DONE

    async def read(fault: Fault) -> list[Written]:
        async with FaultyServer({"chat": fault}) as server, client(server) as to:
            return await all_of(ServerPolicy(to, MODEL), 2)

    at_once = run(read(streams(body)))
    assert whole(candidates(at_once)) == [0, 1]
    assert "höre 👂" in candidates(at_once)[0].response
    assert run(read(streams(*(bytes([each]) for each in body)))) == at_once

    async def at_every_boundary() -> None:
        async with FaultyServer() as server, client(server) as to:
            policy = ServerPolicy(to, MODEL)
            for cut in range(1, len(body), 7):
                server.faults = {"chat": streams(body[:cut], 0.0005, body[cut:])}
                assert await all_of(policy, 2) == at_once

    run(at_every_boundary())


def test_text_in_raw_utf_8_survives_a_cut_in_the_middle_of_a_letter() -> None:
    raw = json.dumps(delta(0, "# Analysis\nweh\n# Response\nIch höre 👂 dich.", "stop"), ensure_ascii=False).encode()

    async def work() -> list[Written]:
        pieces = [bytes([each]) for each in b"data: " + raw + b"\n\n" + DONE]
        async with FaultyServer({"chat": streams(*pieces)}) as server, client(server) as to:
            return await all_of(ServerPolicy(to, MODEL), 1)

    assert candidates(run(work()))[0].response == "Ich höre 👂 dich."


@pytest.mark.parametrize("space", [" ", "", "  "])
def test_events_may_have_any_space_after_the_colon(space: str) -> None:
    body = b"".join(events(2)).replace(b"data: ", b"data:" + space.encode())

    async def work() -> list[Written]:
        async with FaultyServer({"chat": streams(body)}) as server, client(server) as to:
            return await all_of(ServerPolicy(to, MODEL), 2)

    assert whole(candidates(run(work()))) == [0, 1]


def test_tokens_come_from_the_usage_so_far_and_are_estimated_without_it() -> None:
    with_usage = [
        event(delta(index, reply(index), "stop", usage={"completion_tokens": 30 + index})) for index in range(2)
    ]

    async def work(*pieces: bytes) -> list[int]:
        async with FaultyServer({"chat": streams(*pieces, DONE)}) as server, client(server) as to:
            return [each.tokens for each in candidates(await all_of(ServerPolicy(to, MODEL), 2)).values()]

    assert run(work(*with_usage)) == [30, 31]
    estimated = run(work(*one_by_one(2)[:2]))
    assert all(len(reply(0)) / 6 < each < len(reply(0)) / 2 for each in estimated)


def test_the_usage_of_all_choices_together_is_nobodys_own() -> None:
    total = event({"choices": [], "usage": {"completion_tokens": 4000}})

    async def work() -> list[int]:
        body = [*one_by_one(4)[:4], total, DONE]
        async with FaultyServer({"chat": streams(*body)}) as server, client(server) as to:
            return [each.tokens for each in candidates(await all_of(ServerPolicy(to, MODEL))).values()]

    assert all(each < 100 for each in run(work()))


LONG = Context("query", "persona", "scenario", tuple(Line(Role.USER, f"line {at} " + "x" * 3000) for at in range(16)))


def lines(body: dict[str, Any]) -> list[int]:
    return [at for at in range(16) if f"line {at} " in str(body["messages"])]


def test_where_a_context_is_too_long_its_oldest_lines_go_first() -> None:
    too_long = says(400, body="maximum context length")

    async def work() -> None:
        fault = when(lambda exchange: exchange.number < 2, too_long)
        async with FaultyServer({"chat": fault}) as server, client(server) as to:
            policy = ServerPolicy(to, MODEL)
            assert whole(candidates(await all_of(policy, context=LONG))) == [0, 1, 2, 3]
            sent = [lines(each) for each in server.bodies("chat")]
            assert len(sent) == 3
            assert len(sent[0]) > len(sent[1]) > len(sent[2])
            assert all(each == list(range(16))[16 - len(each) :] for each in sent)
            assert all("query" in str(each["messages"]) for each in server.bodies("chat"))
            assert [each["n"] for each in server.bodies("chat")] == [4, 4, 4]

    run(work())


def test_what_stays_too_long_is_given_up_after_three_requests() -> None:
    async def work() -> None:
        async with FaultyServer({"chat": says(400, body="max_model_len")}) as server, client(server) as to:
            policy = ServerPolicy(to, MODEL)
            with pytest.raises(TooLong) as caught:
                await all_of(policy, context=LONG)
            assert server.count("chat") == 3
            assert str(caught.value)
            server.faults = {}
            assert whole(candidates(await all_of(policy))) == [0, 1, 2, 3]
            assert server.bodies("chat")[-1]["n"] == 4

    run(work())


def test_a_known_window_is_kept_to_from_the_start() -> None:
    small = sends(json.dumps({"data": [{"id": MODEL, "max_model_len": 4096}]}).encode())

    async def work() -> dict[str, Any]:
        async with FaultyServer({"models": small}) as server, client(server) as to:
            await all_of(ServerPolicy(to, MODEL), context=LONG)
            (body,) = server.bodies("chat")
            return body

    body = run(work())
    assert 0 < len(lines(body)) < 16
    assert lines(body) == list(range(16))[-len(lines(body)) :]
    assert len(str(body["messages"])) / 3 + body["max_tokens"] < 4096


def test_a_single_refused_request_is_refused() -> None:
    async def work() -> None:
        async with FaultyServer({"chat": says(400)}) as server, client(server) as to:
            with pytest.raises(Refused):
                await all_of(ServerPolicy(to, MODEL), 1)
            assert server.count("chat") == 1

    run(work())


def test_a_candidate_cut_off_by_the_limit_is_whole_and_out_of_format() -> None:
    cut = streams(event(delta(0, reply(0), "length")), *one_by_one(2)[1:])

    async def work() -> None:
        async with FaultyServer({"chat": cut}) as server, client(server) as to:
            found = candidates(await all_of(ServerPolicy(to, MODEL), 2))
            assert whole(found) == [1]
            assert found[0].response
            assert server.count("chat") == 1

    run(work())


def test_the_second_policy_writes_only_where_the_first_fails_before_anything_is_whole() -> None:
    async def work(*steps: Any) -> list[Written]:  # noqa: ANN401
        return await all_of(FallbackPolicy(FakePolicy(*steps), FakePolicy(written(1))), 2)

    assert run(work(written(0))) == [written(0)]
    assert run(work(Unreachable(""))) == [StartedOver("Unreachable"), written(1)]
    analysis = AnalysisWritten(0, "a")
    assert run(work(analysis, Broken(""))) == [analysis, StartedOver("Broken"), written(1)]
    with pytest.raises(Broken):
        run(work(written(0), Broken("")))


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_closing_early_ends_every_stream_of_a_server_that_gives_one_choice(steps: int) -> None:
    async def work() -> None:
        slow = streams(*(piece for each in events(1) for piece in (each, 0.02)))
        async with FaultyServer({"chat": first(1, answers)}, most=1) as server, client(server) as to:
            policy = ServerPolicy(to, MODEL)
            await all_of(policy)
            server.faults = {"chat": slow}
            async with aclosing(policy.write(CONTEXT, 4)) as told:
                for _ in range(steps):
                    await anext(told)
            await server.until(lambda: server.working == 0, "a server still works")

    run(work())


def test_a_reader_of_another_form_may_stand_in() -> None:
    class Plain:
        analysis = ""

        def __init__(self) -> None:
            self._text = ""

        def feed(self, text: str) -> bool:
            self._text += text
            return False

        def finish(self) -> Any:  # noqa: ANN401
            return split(f"# Analysis\nnone\n# Response\n{self._text}")

    async def work() -> None:
        plain = streams(event(delta(0, "I hear you.", "stop")), DONE)
        async with FaultyServer({"chat": plain}) as server, Server(server.url, limits=LIMITS) as to:
            told = await all_of(ServerPolicy(to, MODEL, reader=Plain), 1)
            assert candidates(told)[0].response == "I hear you."

    run(work())
