"""Reads labelled scenarios: JSON lines, each a context with replies that were graded on the four perspectives."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rerank.errors import RerankError
from rerank.reward import RANGES
from rerank.types import Context, Line, Perspective, Role

_T = TypeVar("_T")


class BadLabels(RerankError):
    """The file is not what it should be; the message says which line and why."""


@dataclass(frozen=True, slots=True)
class LabelledReply:
    """A reply and its grades."""

    analysis: str
    response: str
    labels: Mapping[Perspective, float]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A context and what was answered to it."""

    context: Context
    replies: tuple[LabelledReply, ...]


def read_scenarios(path: Path) -> list[Scenario]:
    return json_lines(path, _scenario, "a scenario with graded replies")


def json_lines(path: Path, parse: Callable[[Any], _T], what: str) -> list[_T]:
    """What each line of a file stands for; `what` says it to people whose file is another."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # JSON may hold other line ends
    except (OSError, UnicodeDecodeError):
        raise BadLabels(f"{path} cannot be read as UTF-8 text.") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(parse(json.loads(line)))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else "it has another shape"
            raise BadLabels(f"{path}, line {number}: {reason}. Each line must be {what}.") from None
    if not found:
        raise BadLabels(f"{path} holds none. Each line must be {what}.")
    return found


def _scenario(found: Any) -> Scenario:  # noqa: ANN401 - any JSON
    if not isinstance(found, dict) or not found["replies"] or not isinstance(found["replies"], list):
        raise TypeError("a scenario has replies")
    history = lines(found.get("history") or [])
    context = Context(text(found["query"]), text(found.get("persona", "")), text(found.get("scenario", "")), history)
    return Scenario(context, tuple(_reply(each) for each in found["replies"]))


def _reply(found: dict[str, Any]) -> LabelledReply:
    labels = {each: float(found["scores"][each.value]) for each in Perspective}
    if not all(low <= labels[each] <= high for each, (low, high) in RANGES.items()):
        raise ValueError("a grade outside its scale")
    return LabelledReply(text(found["analysis"]), text(found["response"]), labels)


def lines(history: Sequence[Mapping[str, Any]]) -> tuple[Line, ...]:
    return tuple(Line(Role(each["role"]), text(each["content"])) for each in history)


def text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text is text")
    return value
