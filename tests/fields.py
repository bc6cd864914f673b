"""Every text that anybody may hand to the store: how it is written, how it is read back."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import count
from typing import Any

from databases import FakeClock
from rerank.types import Candidate, Category, Judgement, Perspective, Tier
from storage.engine import Transactions
from storage.store import Store
from storage.values import FeedbackKind, NightState, ReviewAction, Role

FOREVER = timedelta(days=10_000)
fresh = (f"fresh-{number}" for number in count())


@dataclass(frozen=True)
class Me:
    """A store with a person who has one of each."""

    store: Store
    below: Transactions
    clock: FakeClock
    user: str
    talk: str
    turn: str
    operator: str
    flag: str
    adapter: str


@dataclass(frozen=True)
class Field:
    """A text that is handed over: how it is written, how it is read back, and what must be there before."""

    name: str
    write: Callable[[Me, Any, str], Any]
    """Takes what `before` made, and the text."""
    read: Callable[[Me, Any, Any], Any]
    """Takes what `before` made, and what `write` gave."""
    before: Callable[[Me], Any] = lambda _me: None
    plain: str = "plain"


def _talk(me: Me) -> str:
    return me.store.conversations.start(me.user).id


def _brief(me: Me) -> None:
    me.store.conversations.start(me.user, temporary=True)
    me.clock.pass_by(days=1)


def _turn(me: Me) -> str:
    return me.store.turns.again(me.user, me.turn).id


def _night(me: Me) -> Any:  # noqa: ANN401
    planned = me.store.nights.plan(next(fresh), {})
    while (night := me.store.nights.claim("w", FOREVER)) is not None and night.id != planned.id:
        pass
    return night


def _one(found: Any, wanted: str) -> Any:  # noqa: ANN401
    return next(each for each in found if each.id == wanted)


def _message(me: Me, message: str) -> Any:  # noqa: ANN401
    return _one(me.store.conversations.open(me.user, me.talk).messages, message)


def _opened(me: Me, conversation: str) -> dict[str, Any]:
    return asdict(me.store.conversations.open(me.user, conversation).conversation)


def _kept(me: Me, night: Any) -> Any:  # noqa: ANN401
    return _one(me.store.nights.newest(30), night.id)


def _actor(me: Me, *_: object) -> str:
    return me.store.audit.newest(1)[0].actor


def _candidate(column: str) -> Field:
    def write(me: Me, turn: str, text: str) -> None:
        filled = {"analysis": "a", "response": "r", "safety": None, column: text}
        me.store.turns.finish(turn, "r", candidates=[Candidate(0, tokens=1, format_ok=True, reward=None, **filled)])  # type: ignore[arg-type]

    return Field(
        f"candidate {column}",
        write,
        lambda me, turn, _: getattr(me.store.turns.get(me.user, turn).candidates[0], column),
        _turn,
    )


def _judgement(column: str) -> Field:
    def write(me: Me, turn: str, text: str) -> None:
        filled = {"rationale": None, "judge": "j", column: text}
        judgement = Judgement(Perspective.RECEPTION, 1.0, latency_ms=1.0, **filled)  # type: ignore[arg-type]
        me.store.turns.finish(turn, "r", candidates=[Candidate(0, "a", "r", 1, True, None, None, (judgement,))])

    return Field(
        f"judgement {column}",
        write,
        lambda me, turn, _: getattr(me.store.turns.get(me.user, turn).candidates[0].judgements[0], column),
        _turn,
    )


def _started(column: str) -> Field:
    return Field(
        f"start {column}",
        lambda me, _, text: me.store.conversations.start(me.user, **{column: text}),  # type: ignore[arg-type]
        lambda me, _, given: _opened(me, given.id)[column],
    )


def _described(column: str) -> Field:
    return Field(
        f"describe {column}",
        lambda me, talk, text: me.store.conversations.describe(me.user, talk, **{column: text}),
        lambda me, talk, _: _opened(me, talk)[column],
        _talk,
    )


def _found_by_night(column: str) -> Field:
    def write(me: Me, night: Any, text: str) -> None:  # noqa: ANN401
        me.store.nights.beat(night, **{column: {"value": [text], text: 1}})

    return Field(f"night {column}", write, lambda me, night, _: getattr(_kept(me, night), column)["value"][0], _night)


FIELDS = [
    Field(
        "handle",
        lambda me, _, t: me.store.people.add(t),
        lambda me, _, given: me.store.people.find(given.handle).handle,
    ),
    Field("actor of add", lambda me, _, t: me.store.people.add(None, Role.ADMIN, actor=t), _actor),
    Field("actor of role", lambda me, _, t: me.store.people.set_role(me.operator, Role.ADMIN, actor=t), _actor),
    Field(
        "country",
        lambda me, _, t: me.store.people.describe(me.user, country=t),
        lambda me, *_: me.store.people.get(me.user).country,
        plain="DE",
    ),
    *(_started(column) for column in ("title", "persona", "scenario")),
    *(_described(column) for column in ("title", "persona", "scenario")),
    Field(
        "message",
        lambda me, _, t: me.store.turns.submit(me.user, me.talk, next(fresh), t),
        lambda me, _, given: _message(me, given.message_id).text,
    ),
    Field(
        "client id",
        lambda me, _, t: me.store.turns.submit(me.user, me.talk, t, "hello"),
        lambda me, _, given: _message(me, given.message_id).client_id,
    ),
    Field(
        "reply",
        lambda me, turn, t: me.store.turns.finish(turn, t),
        lambda me, _, given: _message(me, given.reply_id).text,
        _turn,
    ),
    Field(
        "degraded",
        lambda me, turn, t: me.store.turns.finish(turn, "r", degraded=t),
        lambda me, turn, _: me.store.turns.get(me.user, turn).degraded,
        _turn,
    ),
    Field(
        "reason",
        lambda me, turn, t: me.store.turns.fail(turn, t),
        lambda me, turn, _: me.store.turns.get(me.user, turn).degraded,
        _turn,
    ),
    Field(
        "versions",
        lambda me, turn, t: me.store.turns.finish(turn, "r", versions={"policy": t}),
        lambda me, turn, _: me.store.turns.get(me.user, turn).versions["policy"],
        _turn,
    ),
    Field(
        "timings",
        lambda me, turn, t: me.store.turns.finish(turn, "r", timings={t: 1}),
        lambda me, turn, _: next(iter(me.store.turns.get(me.user, turn).timings)),
        _turn,
    ),
    *(_candidate(column) for column in ("analysis", "response", "safety")),
    *(_judgement(column) for column in ("rationale", "judge")),
    Field(
        "tag",
        lambda me, _, t: me.store.feedback.give(me.user, me.talk, FeedbackKind.TAG, value=t),
        lambda me, _, given: _one(me.store.feedback.of(me.user), given.id).value,
    ),
    Field(
        "thumb",
        lambda me, _, t: me.store.feedback.give(me.user, me.talk, FeedbackKind.THUMB, value=t),
        lambda me, _, given: _one(me.store.feedback.of(me.user), given.id).value,
        plain="down",
    ),
    Field(
        "comment",
        lambda me, _, t: me.store.feedback.give(me.user, me.talk, FeedbackKind.COMMENT, text=t),
        lambda me, _, given: _one(me.store.feedback.of(me.user), given.id).text,
    ),
    Field(
        "evidence",
        lambda me, _, t: me.store.flags.raise_flag(me.talk, None, Tier.CRISIS, Category.ABUSE, t, me.clock.now()),
        lambda me, _, given: me.store.flags.look(me.operator, given.id).flag.evidence,
    ),
    Field(
        "note",
        lambda me, _, t: me.store.flags.review(me.operator, me.flag, ReviewAction.NOTE, t),
        lambda me, _, given: _one(me.store.flags.look(me.operator, me.flag).reviews, given.id).note,
    ),
    Field("name of a night", lambda me, _, t: me.store.nights.plan(t, {}), lambda me, _, night: _kept(me, night).name),
    Field(
        "config",
        lambda me, _, t: me.store.nights.plan(next(fresh), {"k": t}),
        lambda me, _, night: _kept(me, night).config["k"],
    ),
    Field(
        "worker",
        lambda me, _, t: me.store.nights.claim(t, FOREVER),
        lambda me, _, night: _one(me.store.nights.newest(10_000), night.id).claimed_by.rpartition("#")[0],
        lambda me: me.store.nights.plan(next(fresh), {}),
    ),
    *(_found_by_night(column) for column in ("data_summary", "metrics", "gate")),
    Field(
        "end of a night",
        lambda me, night, t: me.store.nights.finish(night, NightState.DONE, gate={"k": t}),
        lambda me, night, _: _kept(me, night).gate["k"],
        _night,
    ),
    Field(
        "path",
        lambda me, _, t: me.store.adapters.add(t),
        lambda me, _, given: _one(me.store.adapters.newest(), given.id).path,
    ),
    Field("actor of promote", lambda me, _, t: me.store.adapters.promote(me.adapter, actor=t), _actor),
    Field("actor of record", lambda me, _, t: me.store.audit.record(t, "a", "s"), _actor),
    Field(
        "action", lambda me, _, t: me.store.audit.record("x", t, "s"), lambda me, *_: me.store.audit.newest(1)[0].action
    ),
    Field(
        "subject",
        lambda me, _, t: me.store.audit.record("x", "a", t),
        lambda me, *_: me.store.audit.newest(1)[0].subject,
    ),
    Field(
        "detail",
        lambda me, _, t: me.store.audit.record("x", "a", "s", k=t),
        lambda me, *_: json.loads(me.store.audit.newest(1)[0].detail)["k"],
    ),
    Field("actor of erase", lambda me, talk, t: me.store.erase.conversation(me.user, talk, actor=t), _actor, _talk),
    Field(
        "actor of forget",
        lambda me, user, t: me.store.erase.person(user, actor=t),
        _actor,
        lambda me: me.store.people.add().id,
    ),
    Field("actor of prune", lambda me, _, t: me.store.erase.prune(None, timedelta(hours=1), actor=t), _actor, _brief),
    Field(
        "actor of export",
        lambda me, user, t: me.store.export.person(user, actor=t),
        _actor,
        lambda me: me.store.people.add().id,
    ),
]
