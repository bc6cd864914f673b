"""The moves that replies are made of: one thought each, with the messages that it fits. Written by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any

from learning.labels import DATA
from rerank.labelled import json_lines, text
from rerank.reading import Act, Emotion, Reading, Slot, Topic, slots_of
from rerank.types import Category


class Part(StrEnum):
    """Where a move stands in a reply."""

    OPEN = "open"
    MIDDLE = "middle"
    CLOSE = "close"
    WHOLE = "whole"
    ANALYSIS = "analysis"


GOOD = "good"


@dataclass(frozen=True, slots=True)
class Move:
    """A sentence or two, and the messages that it is right for. No topics: any."""

    text: str
    part: Part
    topics: frozenset[Topic]
    emotions: frozenset[Emotion]
    acts: frozenset[Act]
    danger: Category
    good: bool
    slots: frozenset[Slot]

    def fits(self, reading: Reading) -> bool:
        return (
            reading.act in self.acts
            and (not self.topics or reading.topic in self.topics)
            and (not self.emotions or reading.emotion in self.emotions)
            and self.danger in {Category.NONE, reading.danger}
            and self.slots <= reading.slots
        )

    @property
    def made_for(self) -> bool:
        """For some topics or dangers, not for any."""
        return bool(self.topics) or self.danger != Category.NONE

    @property
    def closeness(self) -> float:
        """How much else of the message it takes up."""
        return (1 + bool(self.emotions)) * (1 + bool(self.slots))


def read_moves() -> list[Move]:
    paths = [*(DATA / "policy").glob("moves-*.jsonl"), *(DATA / "policy").glob("analyses-*.jsonl")]
    return list(chain.from_iterable(_moves(path) for path in sorted(paths)))


def _moves(path: Path) -> list[Move]:
    return json_lines(path, _move, "a move with `text`, `part`, `topics`, `emotions`, `acts` and `quality`")


def _move(found: Mapping[str, Any]) -> Move:
    words = text(found["text"])
    return Move(
        words,
        Part(found["part"]),
        frozenset(map(Topic, found["topics"])),
        frozenset(map(Emotion, found["emotions"])),
        frozenset(map(Act, found["acts"])),
        Category(found.get("danger", Category.NONE)),
        found["quality"] == GOOD,
        slots_of(words),
    )
