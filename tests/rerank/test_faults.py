"""Whatever a model server does, a turn ends as it should, within its time, and leaves nothing behind."""

import asyncio
import json
import math
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from fakes import CONTEXT, LIMITS, RULES, client, outcome, run, scores, turn
from faulty_server import (
    DONE,
    MARKER,
    MODEL,
    Fault,
    FaultyServer,
    answers,
    answers_and_closes,
    changed,
    closes_after_the_head,
    closes_at_once,
    closes_before_the_length_is_reached,
    closes_in_a_chunk,
    delta,
    event,
    events,
    first,
    forever,
    hangs,
    hangs_after_the_head,
    hangs_in_the_middle,
    late,
    one_by_one,
    reply,
    resets,
    says,
    sends,
    sends_an_endless_head,
    sends_an_endless_line,
    sends_gzip_junk,
    sends_in_a_circle,
    sends_the_wrong_content_type,
    streams,
    talks_nonsense,
    when,
)
from rerank.errors import RerankError
from rerank.judge import ServerJudge, question
from rerank.live import Answered
from rerank.policy import ServerPolicy
from rerank.server import Server
from rerank.types import Perspective

# What no turn can use, whoever it comes from, and the errors that may name it.
DEAD: dict[str, tuple[Fault, set[str]]] = {
    "hangs": (hangs, {"Late"}),
    "hangs after the head": (hangs_after_the_head, {"Late"}),
    "hangs in the middle": (hangs_in_the_middle, {"Late"}),
    "closes at once": (closes_at_once, {"Unreachable"}),
    "closes after the head": (closes_after_the_head, {"Unreachable"}),
    "closes in a chunk": (closes_in_a_chunk, {"Unreachable"}),
    "closes before the length is reached": (closes_before_the_length_is_reached, {"Unreachable"}),
    "resets": (resets, {"Unreachable"}),
    "talks nonsense": (talks_nonsense, {"Unreachable"}),
    "endless head": (sends_an_endless_head, {"Unreachable"}),
    "gzip junk": (sends_gzip_junk, {"Unreachable"}),
    "endless line": (sends_an_endless_line, {"Broken", "Unreachable"}),
    "429 with no time": (says(429), {"Busy"}),
    "429 for a short time": (says(429, "Retry-After: 0.02"), {"Busy"}),
    "429 for a long time": (says(429, "Retry-After: 3600"), {"Busy"}),
    "429 until a date": (says(429, "Retry-After: Wed, 21 Oct 2099 07:28:00 GMT"), {"Busy"}),
    "429 for infinity": (says(429, "Retry-After: inf"), {"Busy"}),
    "429 for no number": (says(429, "Retry-After: nan"), {"Busy"}),
    "503": (says(503), {"Busy"}),
    "500": (says(500), {"Broken"}),
    "400": (says(400), {"Refused"}),
    "401": (says(401), {"Refused"}),
    "404": (says(404), {"Refused"}),
    "413": (says(413), {"Refused"}),
    "too long": (says(400, body="This model's maximum context length is 10 tokens."), {"TooLong"}),
    "redirected in a circle": (sends_in_a_circle, {"Unreachable", "Refused", "Broken"}),
    "nothing at all": (sends(b""), {"Broken"}),
    "204": (sends(b"", status=204), {"Broken"}),
    "a page": (sends(f"<html>{MARKER}</html>".encode()), {"Broken"}),
    "a list": (sends(b"[]"), {"Broken"}),
    "null": (sends(b"null"), {"Broken"}),
    "no choices": (sends(b"{}"), {"Broken"}),
    "choices null": (sends(b'{"choices": null}'), {"Broken"}),
    "choices of text": (sends(b'{"choices": ["a", 1, null, []]}'), {"Broken"}),
    "not unicode": (sends(b'{"choices": "\xff\xfe"}'), {"Broken"}),
    "too deep": (sends(b"[" * 100_000), {"Broken"}),
    "too many digits": (sends(b"1" * 10_000), {"Broken"}),
    "events of nonsense": (streams(b"data: nonsense\n\n"), {"Broken"}),
    "events of lists": (streams(b"data: []\n\n"), {"Broken"}),
    "too deep an event": (streams(b"data: " + b"[" * 100_000 + b"\n\n"), {"Broken"}),
    "an error as event": (streams(event({"error": {"message": MARKER}}), DONE), {"Broken"}),
}
HALF = b"".join(events(4))[:1500]
ONE = one_by_one(4)[0]
TWO = b"".join(one_by_one(4)[:2])


def odd(**fields: object) -> Fault:
    """A stream whose first event is strange and whose rest is right."""
    return streams(
        event({"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": None} | fields]}), *events(4)
    )


def streamed(text: str, finish: object = "stop") -> Fault:
    return streams(*(event(delta(index, text, finish)) for index in range(4)), DONE)


# What spoils a stream only: how many candidates may be shown all the same, and the trouble named.
SPOILT: dict[str, tuple[Fault, int, str | None]] = {
    "error event after one": (streams(ONE, event({"error": {"message": MARKER}})), 1, "policy:Broken"),
    "cut after one": (streams(ONE, then=closes_at_once), 1, "policy:Unreachable"),
    "nonsense after one": (streams(ONE, b"data: {nonsense\n\n"), 1, "policy:Broken"),
    "silent after one": (streams(ONE, then=hangs), 1, "policy:Late"),
    "ended after half": (streams(HALF), 0, "policy:Broken"),
    "ended after two of four begun": (
        streams(event(delta(2, "# Ana")), event(delta(3, "# Ana")), TWO),
        2,
        None,
    ),
    "no [DONE]": (streams(*events(4)[:-1]), 4, None),
    "more after [DONE]": (streams(*events(4), b"data: nonsense\n\n"), 4, None),
    "cut by length": (streamed(reply(0), "length"), 0, None),
    "cut by a filter": (streamed(reply(0), "content_filter"), 0, None),
    "no headings": (streamed("I hear you."), 0, None),
    "empty replies": (streamed(""), 0, None),
    "lone surrogates": (streamed(f"# Analysis\n\ud800 {MARKER}\n# Response\n\udfff \x00 here"), 4, None),
    "finish is a list": (streamed(reply(0), ["stop"]), 4, None),
    "finish is an object": (streamed(reply(0), {"stop": 1}), 4, None),
    "finish is a number": (streamed(reply(0), 1), 4, None),
    "index is text": (odd(index="0"), 4, None),
    "index is negative": (odd(index=-1), 4, None),
    "index is too large": (odd(index=4), 4, None),
    "index is missing": (odd(index=None), 4, None),
    "delta is null": (odd(delta=None), 4, None),
    "delta is text": (odd(delta="text"), 4, None),
    "content is a list": (odd(delta={"content": ["a"]}), 4, None),
    "choices of null": (streams(event({"choices": [None, 1]}), event({"choices": None}), *events(4)), 4, None),
    "usage is a list": (streams(event(delta(0, "", usage=[1])), *events(4)), 4, None),
    "an event with no choices": (streams(event({}), b": comment\n\nevent: ping\n\n", *events(4)), 4, None),
    "twice": (streams(*events(4)[:-1], *events(4)), 4, None),
    "wrong content type": (sends_the_wrong_content_type, 4, None),
    "closes after each answer": (answers_and_closes, 4, None),
    "slow choices": (streams(*(x for each in one_by_one(4) for x in (each, 0.05))), 4, None),
}
TOP = {"token": "5", "logprob": 0.0}
A, NINE, ARABIC = ({"token": each} for each in ("a", "9", "\u0665"))


def logprobs(**fields: object) -> Fault:
    return changed(lambda choice: choice | {"logprobs": {"content": [TOP | {"top_logprobs": [TOP]} | fields] * 5}})


# What makes every judgement fail although the answers look right.
WORTHLESS: dict[str, Fault] = {
    "letters": logprobs(**A, top_logprobs=[{"token": "b", "logprob": -0.1}]),
    "digits out of range": logprobs(**NINE, top_logprobs=[{"token": "7", "logprob": -0.1}]),
    "nan": logprobs(logprob=math.nan, top_logprobs=[{"token": "5", "logprob": math.nan}]),
    "infinite": logprobs(logprob=math.inf, top_logprobs=[{"token": "5", "logprob": math.inf}]),
    "minus infinite": logprobs(logprob=-math.inf, top_logprobs=[{"token": "5", "logprob": -math.inf}]),
    "huge": logprobs(logprob=10**400, top_logprobs=[{"token": "5", "logprob": -(10**400)}]),
    "texts": logprobs(logprob="-0.1", top_logprobs=[{"token": "5", "logprob": "0"}]),
    "true": logprobs(logprob=True, top_logprobs=[{"token": "5", "logprob": True}]),
    "numbers for tokens": logprobs(token=5, top_logprobs=[{"token": 5, "logprob": -0.1}]),
    "other digits": logprobs(**ARABIC, top_logprobs=[{"token": "\uff15", "logprob": -0.1}]),
    "content of null": changed(lambda choice: choice | {"logprobs": {"content": [None]}}),
    "content of lists": changed(lambda choice: choice | {"logprobs": {"content": [[]]}}),
    "content is an object": changed(lambda choice: choice | {"logprobs": {"content": {}}}),
    "no content": changed(lambda choice: choice | {"logprobs": {"content": []}}),
    "logprobs null": changed(lambda choice: choice | {"logprobs": None}),
    "logprobs missing": changed(lambda choice: {"index": choice["index"], "message": choice["message"]}),
    "logprobs a list": changed(lambda choice: choice | {"logprobs": [TOP]}),
}


def repr_short(value: object) -> str:
    return repr(value)[:8]


def ends_in_time(told: Answered) -> None:
    assert told.timings["total"] < (RULES.limit + 0.3) * 1000
    if "first_candidate" in told.timings:
        assert told.timings["total"] < told.timings["first_candidate"] + (RULES.deadline + 0.3) * 1000
    assert MARKER not in "".join(told.troubles)


async def with_faults(
    writing: FaultyServer, judging: FaultyServer, *, writes: bool = True, judges: bool = True
) -> Answered:
    """One turn on two servers; what is false does not even listen."""
    async with writing, judging, client(writing) as policy, client(judging) as judge:
        for server, listens in ((writing, writes), (judging, judges)):
            if not listens:
                await server.kill()
        told = outcome(await turn(policy, judge))
    ends_in_time(told)
    return told


def names(told: Answered, who: str) -> set[str]:
    return {each.removeprefix(who) for each in told.troubles if each.startswith(who)}


@pytest.mark.parametrize("name", DEAD)
def test_a_turn_whose_policy_fails_has_no_reply_and_says_why(name: str) -> None:
    fault, errors = DEAD[name]
    told = run(with_faults(FaultyServer({"chat": fault}), FaultyServer()))
    assert (told.chosen, told.ranking.degraded) == (None, "no_candidate")
    assert names(told, "policy:") <= errors
    assert len(told.troubles) == 1


def test_a_turn_whose_policy_is_not_there_has_no_reply_and_says_why() -> None:
    told = run(with_faults(FaultyServer(), FaultyServer(), writes=False))
    assert (told.chosen, told.ranking.degraded) == (None, "no_candidate")
    assert told.troubles == ("policy:Unreachable",)


@pytest.mark.parametrize("batch", [True, False], ids=["batch", "single"])
@pytest.mark.parametrize("name", DEAD)
def test_a_turn_whose_judge_fails_gives_the_first_valid_candidate(name: str, batch: bool) -> None:  # noqa: FBT001
    fault, errors = DEAD[name]
    told = run(with_faults(FaultyServer(), FaultyServer({"chat": fault, "batch": fault}, batch=batch)))
    assert told.ranking.order == (0, 1, 2, 3)
    assert told.ranking.degraded == "unjudged"
    assert names(told, "judge:") <= errors | {"Resting"}
    assert names(told, "judge:") or told.timings["total"] > RULES.deadline * 1000
    assert all(each.score is None for candidate in told.candidates for each in candidate.judgements)


def test_a_turn_whose_judge_is_not_there_gives_the_first_valid_candidate() -> None:
    told = run(with_faults(FaultyServer(), FaultyServer(), judges=False))
    assert told.ranking.order == (0, 1, 2, 3)
    assert told.ranking.degraded == "unjudged"
    assert names(told, "judge:") <= {"Unreachable", "Resting"}


@pytest.mark.parametrize("name", DEAD)
def test_a_turn_with_one_server_that_fails_at_everything_ends_all_the_same(name: str) -> None:
    fault, _ = DEAD[name]

    async def work() -> Answered:
        async with FaultyServer({"*": fault}) as server, client(server) as both:
            return outcome(await turn(both, both))

    told = run(work())
    ends_in_time(told)
    assert (told.chosen, told.ranking.degraded) == (None, "no_candidate")
    assert names(told, "policy:")


@pytest.mark.parametrize("name", ["hangs", "resets", "500", "404", "a page", "endless head"])
@pytest.mark.parametrize("what", ["models", "version", "tokenize", "look"])
def test_what_a_server_cannot_say_about_itself_raises_nothing_and_leaks_nothing(what: str, name: str) -> None:
    fault, _ = DEAD[name]
    told = run(with_faults(FaultyServer({what: fault}), FaultyServer({what: fault})))
    assert told.ranking.degraded in {"no_candidate", "unjudged", None}
    assert told.troubles or told.ranking.degraded is None


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_whole_in_a_spoilt_stream_is_used(name: str) -> None:
    fault, whole, trouble = SPOILT[name]
    told = run(with_faults(FaultyServer({"chat": fault}), FaultyServer()))
    assert len(told.ranking.order) == whole
    assert told.ranking.degraded == (None if whole else "no_candidate")
    assert told.troubles == (() if trouble is None else (trouble,))


@pytest.mark.parametrize("count", [-1, True, "9", 1.5, 10**400, None, [], {}], ids=repr_short)
def test_a_strange_count_of_tokens_is_not_believed(count: object) -> None:
    strange = [event(delta(index, reply(index), "stop", usage={"completion_tokens": count})) for index in range(4)]
    told = run(with_faults(FaultyServer({"chat": streams(*strange, DONE)}), FaultyServer()))
    assert told.ranking.degraded is None
    assert all(1 < each.tokens < 1000 for each in told.candidates)


@pytest.mark.parametrize("batch", [True, False], ids=["batch", "single"])
@pytest.mark.parametrize("name", WORTHLESS)
def test_a_judgement_that_cannot_be_read_is_none_and_not_zero(name: str, batch: bool) -> None:  # noqa: FBT001
    judging = FaultyServer({"chat": WORTHLESS[name], "batch": WORTHLESS[name]}, batch=batch)
    told = run(with_faults(FaultyServer(), judging))
    assert told.ranking.order == (0, 1, 2, 3)
    assert told.ranking.degraded == "unjudged"
    assert all(set(scores(told, index).values()) == {None} for index in range(4))


def renumbered(numbers: Callable[[int], object]) -> Fault:
    return changed(lambda choice: choice | {"index": numbers(choice["index"])})


@pytest.mark.parametrize(
    ("numbers", "judged"),
    [
        (lambda index: -1 if index == 15 else index, 15),
        (lambda index: 99 if index == 15 else index, 15),
        (lambda index: "15" if index == 15 else index, 15),
        (lambda index: None if index == 15 else index, 15),
        (lambda index: 15.0 if index == 15 else index, 15),
        (lambda index: 10**400 if index == 15 else index, 15),
        (lambda index: index - index % 2, 8),
        (lambda _index: 0, 1),
        (lambda _index: -1, 0),
        (lambda index: 15 - index, 16),
    ],
    ids=["negative", "too large", "text", "none", "float", "huge", "twice", "all the same", "all negative", "turned"],
)
def test_what_a_batch_leaves_out_is_none_and_the_rest_counts(numbers: Callable[[int], object], judged: int) -> None:
    writing = FaultyServer({"chat": streams(b"".join(one_by_one(4)))})
    judging = FaultyServer({"batch": renumbered(numbers)})
    told = run(with_faults(writing, judging))
    found = [each.score for candidate in told.candidates for each in candidate.judgements]
    assert len(found) == 16
    assert sum(score is not None for score in found) == judged
    assert told.chosen is not None
    assert 0 not in found


def test_a_batch_index_of_true_is_no_index() -> None:
    told = run(
        with_faults(
            FaultyServer({"chat": streams(b"".join(one_by_one(4)))}),
            FaultyServer({"batch": renumbered(lambda _: True)}),
        )
    )
    assert all(each.score is None for candidate in told.candidates for each in candidate.judgements)


def test_partly_judged_candidates_come_after_fully_judged_ones_however_high_their_scores() -> None:
    def about_first(exchange: Any) -> bool:  # noqa: ANN401
        return "0, mark 5" in str(exchange.request.body["messages"]) and "Only reception." in str(exchange.request.body)

    judging = FaultyServer({"chat": when(about_first, says(400))}, batch=False)
    told = run(with_faults(FaultyServer(marks=(5, 2, 3, 4)), judging))
    assert told.ranking.order == (3, 2, 1, 0)
    assert told.ranking.degraded is None
    assert scores(told, 0)["reception"] is None
    assert all(score is None or score > 0 for score in scores(told, 0).values())
    assert told.troubles == ("judge:Refused",)


def test_where_nobody_is_fully_judged_the_choice_is_called_partly_judged() -> None:
    def about_reception(exchange: Any) -> bool:  # noqa: ANN401
        return "Only reception." in str(exchange.request.body)

    judging = FaultyServer({"chat": when(about_reception, hangs)}, batch=False)
    told = run(with_faults(FaultyServer(marks=(2, 3, 4, 1)), judging))
    assert told.ranking.order == (2, 1, 0, 3)
    assert told.ranking.degraded == "partly_judged"


async def through_post(server: Server) -> object:
    return await server.post("chat/completions", {"model": MODEL, "messages": asked(), "max_tokens": 1})


async def through_stream(server: Server) -> object:
    body = {"model": MODEL, "messages": asked(), "n": 2, "stream": True, "max_tokens": 1}
    async with aclosing(server.stream("chat/completions", body)) as told:
        return [each async for each in told]


async def through_features(server: Server) -> object:
    return await server.features(MODEL)


async def through_metrics(server: Server) -> object:
    return await server.metrics("vllm:prefix_cache_queries_total")


async def through_policy(server: Server) -> object:
    async with aclosing(ServerPolicy(server, MODEL).write(CONTEXT, 2)) as told:
        return [each async for each in told]


async def through_expected(server: Server) -> object:
    return await ServerJudge(server, MODEL).judge(CONTEXT, questions())


async def through_rationale(server: Server) -> object:
    return await ServerJudge(server, MODEL, "rationale").judge(CONTEXT, questions())


async def error_of(work: Awaitable[object]) -> RerankError | None:
    try:
        await work
    except RerankError as error:
        return error
    return None


def asked() -> list[dict[str, str]]:
    return [{"role": "user", "content": MARKER}]


def questions() -> list[Any]:
    return [question(0, each, f"analysis {MARKER}", f"response {MARKER}") for each in Perspective]


DOORS = [
    through_post,
    through_stream,
    through_features,
    through_metrics,
    through_policy,
    through_expected,
    through_rationale,
]
EVERYTHING = (
    {name: fault for name, (fault, _) in DEAD.items()}
    | {name: fault for name, (fault, *_) in SPOILT.items()}
    | {"junk metrics": sends(b"vllm:prefix_cache_queries_total{a} junk\nvllm:prefix_cache_queries_total {\n")}
    | {"metrics not unicode": sends(b"vllm:prefix_cache_queries_total \xff 1\n")}
    | {"metrics in no charset": sends(b"vllm:prefix_cache_queries_total 1\n", "Content-Type: text/plain; charset=no")}
)


@pytest.mark.parametrize("name", [*EVERYTHING, "refuses the connection"])
def test_nothing_but_the_errors_of_this_package_comes_out_of_a_door_and_they_quote_nobody(name: str) -> None:
    async def knock(fault: str, door: Callable[[Server], Awaitable[object]]) -> None:
        async with FaultyServer({fault: EVERYTHING.get(name, answers)}) as server, client(server) as to:
            if name not in EVERYTHING:
                await server.kill()
            error = await error_of(door(to))
            if error is not None:
                assert MARKER not in "".join(traceback.format_exception(error)) + repr(error) + repr(error.args)
                assert len(str(error)) > 10

    async def all_doors() -> None:
        await asyncio.gather(*(knock(fault, door) for fault in ("*", "chat") for door in DOORS))

    run(all_doors())


def test_an_answer_without_end_is_not_read_to_the_last_byte() -> None:
    sent = 0

    async def never_ends(exchange: Any) -> None:  # noqa: ANN401
        nonlocal sent
        await exchange.head()
        await exchange.send(b'{"choices": "')
        for _ in range(256):
            await exchange.send(b"x" * 2**20)
            sent += 2**20
        await forever()

    async def work() -> None:
        async with FaultyServer({"chat": never_ends}) as server, client(server, replace(LIMITS, attempts=1)) as to:
            with pytest.raises(RerankError):
                await through_post(to)

    run(work())
    assert sent < 2**27


def test_what_a_person_wrote_does_not_follow_a_redirect_to_another_server() -> None:
    async def work() -> int:
        async with FaultyServer() as other:
            there = says(307, f"Location: {other.url}/chat/completions")
            async with FaultyServer({"chat": there}) as server, client(server) as to:
                await turn(to, None)
            return len(other.requests)

    assert run(work()) == 0


def test_a_refusal_that_arrives_in_pieces_is_still_read_as_too_long() -> None:
    async def in_pieces(exchange: Any) -> None:  # noqa: ANN401
        body = b'{"error": "maximum context length is 10"}'
        await exchange.head(f"Content-Length: {len(body)}", status=400)
        await exchange.raw(body[:12])
        await asyncio.sleep(0.05)
        await exchange.raw(body[12:])

    told = run(with_faults(FaultyServer({"chat": in_pieces}), FaultyServer()))
    assert told.troubles == ("policy:TooLong",)


@pytest.mark.parametrize("window", [0, -5, True, "32768", 10**400, 3, None, 4.5], ids=repr_short)
def test_a_window_that_cannot_be_is_not_believed(window: object) -> None:
    listed = sends(json.dumps({"data": [{"id": MODEL, "max_model_len": window}, 7, {"id": None}]}).encode())

    async def work() -> tuple[Answered, list[dict[str, Any]]]:
        async with FaultyServer({"models": listed}) as server, client(server) as both:
            return outcome(await turn(both, both)), server.bodies("chat")

    told, bodies = run(work())
    assert told.ranking.degraded is None
    assert all(type(each["max_tokens"]) is int and each["max_tokens"] > 0 for each in bodies)


@pytest.mark.parametrize(
    "tokens", [[], None, "0123456789", [1] * 10, [None] * 10, [[1]] * 10, list(range(9)), {"a": 1}]
)
def test_without_ten_token_ids_the_likeliest_tokens_are_asked_for(tokens: object) -> None:
    said = sends(json.dumps({"tokens": tokens}).encode())

    async def work() -> tuple[Answered, dict[str, Any]]:
        async with FaultyServer({"tokenize": said}) as server, client(server) as both:
            return outcome(await turn(both, both)), server.bodies("batch")[0]

    told, body = run(work())
    assert told.ranking.degraded is None
    assert body["top_logprobs"] == 20
    assert "logprob_token_ids" not in body


def test_a_judge_that_passes_away_during_the_turn_leaves_what_it_said() -> None:
    judging = FaultyServer({"batch": when(lambda exchange: exchange.number > 0, resets)})
    cut = reply(0).index("I hear")
    halves = [event(delta(index, reply(index)[:cut])) for index in range(4)]
    rests = [event(delta(index, reply(index)[cut:], "stop")) for index in range(4)]
    told = run(with_faults(FaultyServer({"chat": streams(*halves, 0.1, *rests, DONE)}), judging))
    assert told.ranking.degraded == "partly_judged"
    assert set(scores(told, 0)) == set(map(str, Perspective))
    assert scores(told, 0)["resonation"] is not None


def test_a_policy_that_comes_late_is_waited_for_until_the_limit_and_no_longer() -> None:
    slow = replace(LIMITS, read=9.0)

    async def work(seconds: float) -> tuple[Answered, float, FaultyServer]:
        async with FaultyServer({"chat": late(seconds)}) as server, client(server, slow) as policy:
            start = time.monotonic()
            told = outcome(await turn(policy, None, replace(RULES, limit=0.4)))
            spent = time.monotonic() - start
            if told.chosen is None:
                await server.until(lambda: len(server.broken_off) == 1, "the server does not know that nobody waits")
            return told, spent, server

    told, _, _ = run(work(0.2))
    assert told.chosen is not None
    told, spent, _ = run(work(5.0))
    assert told.troubles == ("policy:Late",)
    assert 0.4 <= spent < 0.8


def test_a_passing_fault_is_not_noticed() -> None:
    told = run(with_faults(FaultyServer({"chat": first(2, says(503))}), FaultyServer({"batch": first(2, resets)})))
    assert told.ranking.degraded is None
    assert told.troubles == ()
