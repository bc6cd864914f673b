"""Where the labelled data of the embedded models lies, and how it is read."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")
DATA = Path(str(files("learning"))) / "data"
HELD_OUT = "held-out"


def labelled(kind: str, *, held_out: bool) -> list[Path]:
    """The files of a kind, in a fixed order: those to learn from, or those that only measure."""
    return [each for each in sorted((DATA / kind).glob("*.jsonl")) if each.name.startswith(HELD_OUT) == held_out]


def parted(rows: Sequence[_T]) -> tuple[list[_T], list[_T]]:
    """Rows to learn from, and an eighth to choose thresholds on. Neighbours, which are often twins, stay together."""
    learned: list[_T] = []
    chosen: list[_T] = []
    for at, row in enumerate(rows):
        (chosen if at // _RUN % _PARTS == _PARTS - 1 else learned).append(row)
    return learned, chosen


_RUN, _PARTS = 24, 8


def threshold(harmless: Sequence[float], most: float) -> float:
    """The lowest value that no more than this share of the harmless reach."""
    ordered = sorted(harmless, reverse=True)
    return ordered[int(most * len(ordered))] + 1e-6
