"""How the judge asks, in one request or in many, and how it reads probabilities and reasons."""

import json
from dataclasses import replace
from math import log
from typing import Any

import pytest

from fakes import CONTEXT, client, run
from faulty_server import (
    MARKER,
    MODEL,
    Exchange,
    Fault,
    FaultyServer,
    changed,
    closes_at_once,
    first,
    says,
    sends,
    when,
)
from rerank.errors import Broken, Refused, Resting, TooLong, Unreachable
from rerank.judge import Question, ServerJudge, question
from rerank.types import Context, Judgement, Line, Perspective, Role

BOTH = pytest.mark.parametrize("batch", [True, False], ids=["batch", "single"])


def all_four(*marks: int) -> list[Question]:
    """Of each candidate all perspectives."""
    return [
        question(index, each, f"analysis mark {mark}", f"response mark {mark}")
        for index, mark in enumerate(marks)
        for each in Perspective
    ]


def found(judgements: list[Judgement]) -> list[float | None]:
    return [each.score for each in judgements]


def probabilities(*positions: dict[str, float]) -> Fault:
    """An answer whose tokens have these alternatives, the likeliest first."""
    content = [
        {"token": max(each, key=lambda token: each[token]), "logprob": log(max(each.values())), "top_logprobs": top}
        for each in positions
        for top in [[{"token": token, "logprob": log(p)} for token, p in each.items()]]
    ]
    return changed(lambda choice: choice | {"logprobs": {"content": content}})


async def score(fault: Fault, *perspectives: Perspective, batch: bool = False) -> list[float | None]:
    async with FaultyServer({"chat": fault, "batch": fault}, batch=batch) as server, client(server) as to:
        asked = [question(0, each, "analysis", "response") for each in perspectives]
        return found(await ServerJudge(to, MODEL).judge(CONTEXT, asked))


@BOTH
def test_every_perspective_of_every_candidate_is_scored_on_its_own_scale_in_the_order_asked(batch: bool) -> None:  # noqa: FBT001
    async def work() -> None:
        async with FaultyServer(batch=batch) as server, client(server) as to:
            judgements = await ServerJudge(to, MODEL).judge(CONTEXT, all_four(1, 5, 3))
            assert found(judgements) == [1, 1, 1, 0, 5, 5, 5, 100, 3, 3, 3, 50]
            assert [each.perspective for each in judgements] == list(Perspective) * 3
            assert {each.judge for each in judgements} == {f"expected:{MODEL}"}
            assert all(0 <= each.latency_ms < 1000 for each in judgements)
            assert server.count("batch", "chat") == (1 if batch else 12)

    run(work())


@BOTH
def test_reasons_are_kept_beside_the_score_that_they_end_with(batch: bool) -> None:  # noqa: FBT001
    async def work() -> None:
        async with FaultyServer(batch=batch) as server, client(server) as to:
            judgements = await ServerJudge(to, MODEL, "rationale").judge(CONTEXT, all_four(2))
            assert found(judgements) == [2, 2, 2, 82]
            assert all(each.rationale and each.rationale.startswith(MARKER) for each in judgements)
            assert {each.judge for each in judgements} == {f"rationale:{MODEL}"}
            (body,) = server.bodies("batch") if batch else server.bodies("chat")[:1]
            assert "logprobs" not in body
            assert body["max_tokens"] == 400

    run(work())


@pytest.mark.parametrize("message", [None, {}, {"content": None}, {"content": ["4"]}, "4", {"content": ""}])
def test_reasons_that_cannot_be_read_are_no_score(message: object) -> None:
    async def work() -> list[Judgement]:
        fault = changed(lambda choice: choice | {"message": message})
        async with FaultyServer({"batch": fault}) as server, client(server) as to:
            return await ServerJudge(to, MODEL, "rationale").judge(CONTEXT, all_four(2))

    judgements = run(work())
    assert found(judgements) == [None] * 4
    assert [each.rationale for each in judgements] == [None] * 4


@BOTH
def test_resonation_reads_the_analysis_and_the_others_the_response(batch: bool) -> None:  # noqa: FBT001
    async def work() -> None:
        async with FaultyServer(batch=batch) as server, client(server) as to:
            asked = [question(0, each, "analysis mark 2", "response mark 4") for each in Perspective]
            assert found(await ServerJudge(to, MODEL).judge(CONTEXT, asked)) == [2, 4, 4, 75]

    run(work())


def test_a_score_is_the_expectation_over_the_digits() -> None:
    spread = {"1": 0.1, "2": 0.2, "3": 0.3, "4": 0.2, "5": 0.2}
    assert run(score(probabilities(spread), Perspective.EXPRESSION)) == [pytest.approx(3.2)]
    rest = {"4": 0.3, "2": 0.3, "x": 0.2, "9": 0.2}
    assert run(score(probabilities(rest), Perspective.EXPRESSION)) == [pytest.approx(3.0)]


@pytest.mark.parametrize(("digit", "end"), [("5", 5.0), ("1", 1.0)])
def test_a_judge_that_is_nearly_sure_of_an_end_of_the_scale_gives_that_end(digit: str, end: float) -> None:
    async def work() -> list[float | None]:
        chances = [at / 1000 for at in range(500, 1000, 7)]
        got: list[float | None] = []
        async with FaultyServer(batch=False) as server, client(server) as to:
            judge = ServerJudge(to, MODEL)
            for p in chances:
                server.faults = {"chat": probabilities({digit: p, "a": 1 - p})}
                got += found(await judge.judge(CONTEXT, all_four(1)[1:2]))
        return got

    got = run(work())
    assert got == pytest.approx([end] * len(got))
    assert all(each is not None and 1 <= each <= 5 for each in got)


def test_a_bystander_that_is_nearly_sure_of_the_top_stays_within_the_scale() -> None:
    async def work() -> list[float | None]:
        got: list[float | None] = []
        async with FaultyServer(batch=False) as server, client(server) as to:
            judge = ServerJudge(to, MODEL)
            for at in range(500, 1000, 7):
                server.faults = {"chat": probabilities(*[{"4": at / 1000, "a": 1 - at / 1000}] * 5)}
                got += found(await judge.judge(CONTEXT, all_four(1)[3:]))
        return got

    assert all(each is not None and 99.99 < each <= 100 for each in run(work()))


def test_a_bystander_sums_five_digits_to_between_0_and_100() -> None:
    five = [{"4": 0.9, "3": 0.1}, {"0": 0.9, "1": 0.1}, {"2": 0.9}, {"4": 0.9}, {"0": 0.9}]
    assert run(score(probabilities(*five), Perspective.BYSTANDER)) == [pytest.approx(5 * 10.0)]
    assert run(score(probabilities(*[{"0": 0.9}] * 5), Perspective.BYSTANDER)) == [0]
    assert run(score(probabilities(*[{"4": 0.9}] * 4), Perspective.BYSTANDER)) == [None]


def test_a_judge_that_would_rather_say_something_else_has_no_score() -> None:
    unwilling = {"I": 0.9, "4": 0.06, "5": 0.04}
    assert run(score(probabilities(unwilling), Perspective.RECEPTION)) == [None]
    assert run(score(probabilities({" ": 0.9, "4": 0.05}, {"4": 0.9}), Perspective.RECEPTION)) == [4.0]


@BOTH
def test_the_probabilities_of_the_digits_are_asked_for_where_their_tokens_are_known(batch: bool) -> None:  # noqa: FBT001
    async def work(*, known: bool) -> dict[str, Any]:
        faults = {} if known else {"tokenize": says(404)}
        async with FaultyServer(faults, batch=batch) as server, client(server) as to:
            await ServerJudge(to, MODEL).judge(CONTEXT, all_four(4))
            return server.bodies("batch" if batch else "chat")[0]

    known = run(work(known=True))
    assert known["logprob_token_ids"] == [48, 49, 50, 51, 52, 53]
    assert known["logprobs"] is True
    assert known["temperature"] == 0
    assert known["chat_template_kwargs"] == {"enable_thinking": False}
    unknown = run(work(known=False))
    assert unknown["top_logprobs"] == 20
    assert "logprob_token_ids" not in unknown


@pytest.mark.parametrize("status", [400, 404, 405])
def test_a_batch_endpoint_that_is_none_is_given_up_and_not_tried_again(status: int) -> None:
    async def work() -> None:
        async with FaultyServer({"batch": says(status)}) as server, client(server) as to:
            judge = ServerJudge(to, MODEL)
            assert await judge.patience() > 0
            for _ in range(3):
                assert None not in found(await judge.judge(CONTEXT, all_four(3)))
            assert server.count("batch") == 1
            assert server.count("chat") == 12
            assert await judge.patience() == 0

    run(work())


def test_giving_up_the_batch_endpoint_forgets_nothing_else_about_the_server() -> None:
    async def work() -> None:
        async with FaultyServer({"batch": says(404)}) as server, client(server) as to:
            before = await to.features(MODEL)
            await ServerJudge(to, MODEL).judge(CONTEXT, all_four(3))
            assert await to.features(MODEL) == replace(before, batch=False)

    run(work())


@pytest.mark.parametrize("fault", [says(401), says(404)], ids=["401", "404"])
def test_a_refusal_that_meets_single_questions_too_is_not_the_batch_endpoints_fault(fault: Fault) -> None:
    async def work() -> None:
        async with FaultyServer({"batch": fault, "chat": fault}) as server, client(server) as to:
            judge = ServerJudge(to, MODEL)
            with pytest.raises(Refused):
                await judge.judge(CONTEXT, all_four(3))
            server.faults = {}
            await judge.judge(CONTEXT, all_four(3))
            assert server.count("batch") == 2

    run(work())


LONG = replace(CONTEXT, history=tuple(Line(Role.USER, f"line {at} " + "x" * 3000) for at in range(16)))


def too_much(exchange: Exchange) -> bool:
    return len(json.dumps(exchange.request.body["messages"][-1])) > 30_000


def test_a_context_too_long_for_a_batch_is_cut_and_asked_again_in_a_batch() -> None:
    fault = when(too_much, says(400, body="maximum context length"))

    async def work() -> None:
        async with FaultyServer({"batch": fault, "chat": fault}) as server, client(server) as to:
            judge = ServerJudge(to, MODEL)
            assert None not in found(await judge.judge(LONG, all_four(3)))
            await judge.judge(CONTEXT, all_four(3))
            assert await judge.patience() > 0
            assert server.count("chat") == 0
            assert server.count("batch") <= 4

    run(work())


def test_a_context_too_long_for_single_questions_is_cut_and_asked_again() -> None:
    fault = when(too_much, says(400, body="maximum context length"))

    async def work() -> None:
        async with FaultyServer({"chat": fault}, batch=False) as server, client(server) as to:
            assert None not in found(await ServerJudge(to, MODEL).judge(LONG, all_four(3)))

    run(work())


@BOTH
def test_what_stays_too_long_is_given_up_after_three_attempts(batch: bool) -> None:  # noqa: FBT001
    fault = says(400, body="maximum context length")

    async def work() -> None:
        async with FaultyServer({"batch": fault, "chat": fault}, batch=batch) as server, client(server) as to:
            with pytest.raises(TooLong):
                await ServerJudge(to, MODEL).judge(LONG, all_four(3)[:2])
            assert server.count("chat") <= 6

    run(work())


def test_single_questions_fail_one_by_one_and_only_if_all_fail_the_judge_does() -> None:
    def about_reception(exchange: Exchange) -> bool:
        return "Only reception." in str(exchange.request.body)

    async def work(fault: Fault) -> list[float | None]:
        async with FaultyServer({"chat": fault}, batch=False) as server, client(server) as to:
            return found(await ServerJudge(to, MODEL).judge(CONTEXT, all_four(3)))

    assert run(work(when(about_reception, says(400)))) == [3, 3, None, 50]
    assert run(work(when(about_reception, sends(b"{}")))) == [3, 3, None, 50]
    for fault, error in ((says(400), Refused), (sends(b"{}"), Broken), (closes_at_once, (Unreachable, Resting))):
        with pytest.raises(error):
            run(work(fault))


def test_a_batch_that_fails_for_a_moment_is_asked_again() -> None:
    async def work() -> None:
        async with FaultyServer({"batch": first(2, says(503))}) as server, client(server) as to:
            assert None not in found(await ServerJudge(to, MODEL).judge(CONTEXT, all_four(3)))
            assert (server.count("batch"), server.count("chat")) == (3, 0)

    run(work())


def test_one_question_is_not_sent_as_a_batch() -> None:
    async def work() -> None:
        async with FaultyServer() as server, client(server) as to:
            await ServerJudge(to, MODEL).judge(CONTEXT, all_four(3)[:1])
            assert (server.count("batch"), server.count("chat")) == (0, 1)

    run(work())


def test_no_question_has_no_judgement() -> None:
    async def work() -> list[Judgement]:
        async with FaultyServer() as server, client(server) as to:
            return await ServerJudge(to, MODEL).judge(Context("query"), [])

    assert run(work()) == []


def test_company_is_waited_for_only_where_it_saves_a_request() -> None:
    async def work(*, batch: bool) -> float:
        async with FaultyServer(batch=batch) as server, client(server) as to:
            return await ServerJudge(to, MODEL, patience=0.7).patience()

    assert run(work(batch=True)) == 0.7
    assert run(work(batch=False)) == 0.0
