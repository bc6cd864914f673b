"""What a turn weighed: its candidates and their judgements, in and out of the database. `turns.py` calls these."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from rerank.types import Candidate, Judgement, Perspective
from storage.database import Database
from storage.errors import BadInput
from storage.models import CandidateRow, JudgementRow
from storage.text import name, optional_words, words


def check_candidates(candidates: Sequence[Candidate], chosen: int | None) -> None:
    """Refuse what cannot be kept, before anything is written."""
    indexes = [candidate.index for candidate in candidates]
    if len(set(indexes)) != len(indexes) or (chosen is not None and chosen not in indexes):
        raise BadInput("Candidates need different indexes, and the chosen one must be among them.")
    for candidate in candidates:
        words(candidate.analysis, "analysis")
        words(candidate.response, "response")
        if candidate.safety is not None:
            name(candidate.safety, "safety", 40)
        if candidate.index == chosen and candidate.safety is not None:
            raise BadInput("The chosen candidate was stopped by a safety check; choose another.")
        if len({judgement.perspective for judgement in candidate.judgements}) != len(candidate.judgements):
            raise BadInput("A candidate has at most one judgement for each perspective.")
        for judgement in candidate.judgements:
            name(judgement.judge, "judge", 100)
            optional_words(judgement.rationale, "rationale")


def insert_candidates(connection: Connection, database: Database, turn: str, candidates: Sequence[Candidate]) -> None:
    seal = database.seal
    rows = [
        {
            "turn_id": turn,
            "index": c.index,
            "analysis": seal(c.analysis, "candidate.analysis", turn, c.index),
            "response": seal(c.response, "candidate.response", turn, c.index),
            "tokens": c.tokens,
            "format_ok": c.format_ok,
            "safety": c.safety,
            "reward": c.reward,
        }
        for c in candidates
    ]
    judgements = [
        {
            "turn_id": turn,
            "index": c.index,
            "perspective": Perspective(j.perspective),
            "score": j.score,
            "rationale": seal(j.rationale, "judgement.rationale", turn, c.index, j.perspective),
            "judge": j.judge,
            "latency_ms": j.latency_ms,
        }
        for c in candidates
        for j in c.judgements
    ]
    if rows:
        connection.execute(insert(CandidateRow), rows)
    if judgements:
        connection.execute(insert(JudgementRow), judgements)


def candidates_of(connection: Connection, database: Database, turn: str) -> tuple[Candidate, ...]:
    judgements = _judgements_of(connection, database, turn)
    keys = ("analysis", "response", "tokens", "format_ok", "safety", "reward")
    # `index` is a method of a result row, hence the label.
    query = select(CandidateRow.index.label("index_"), *(getattr(CandidateRow, key) for key in keys))
    query = query.where(CandidateRow.turn_id == turn).order_by(CandidateRow.index)
    return tuple(
        Candidate(
            index=c.index_,
            analysis=database.open(c.analysis, "candidate.analysis", turn, c.index_) or "",
            response=database.open(c.response, "candidate.response", turn, c.index_) or "",
            tokens=c.tokens,
            format_ok=c.format_ok,
            safety=c.safety,
            reward=c.reward,
            judgements=tuple(judgements.get(c.index_, ())),
        )
        for c in connection.execute(query)
    )


def _judgements_of(connection: Connection, database: Database, turn: str) -> dict[int, list[Judgement]]:
    found: dict[int, list[Judgement]] = {}
    columns = (getattr(JudgementRow, key) for key in ("perspective", "score", "rationale", "judge", "latency_ms"))
    query = select(JudgementRow.index.label("index_"), *columns).where(JudgementRow.turn_id == turn)
    for j in connection.execute(query.order_by(JudgementRow.index, JudgementRow.perspective)):
        rationale = database.open(j.rationale, "judgement.rationale", turn, j.index_, j.perspective)
        judgement = Judgement(Perspective(j.perspective), j.score, rationale, j.judge, j.latency_ms)
        found.setdefault(j.index_, []).append(judgement)
    return found
