"""Reads labelled messages: JSON lines, each what somebody wrote, how much danger they are in, and in what language."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rerank.labelled import json_lines, text
from rerank.types import Category, Tier


@dataclass(frozen=True, slots=True)
class Message:
    """A message with its label."""

    text: str
    history: tuple[str, ...]
    tier: Tier
    category: Category
    hard: bool
    language: str
    note: str


def read_messages(path: Path) -> list[Message]:
    return json_lines(path, _message, 'a labelled message, like {"text": "...", "label": "none", "category": "none"}')


def _message(found: Any) -> Message:  # noqa: ANN401 - any JSON
    if not isinstance(found, dict):
        raise TypeError("a message is an object")
    note = text(found.get("note") or "")
    return Message(
        text=text(found["text"]),
        history=tuple(text(each) for each in found.get("history") or []),
        tier=Tier(found["label"]),
        category=Category(found["category"]),
        hard=bool(found.get("hard", False)),
        language=text(found.get("lang") or "") or _language(note),
        note=note,
    )


def _language(note: str) -> str:
    """The first labelled set has it in the note: "[es] idiom"."""
    return note[1:3] if note.startswith("[") else "en"
