"""Where the labelled data of the embedded models lies, and how it is read."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

DATA = Path(str(files("learning"))) / "data"
HELD_OUT = "held-out"


def labelled(kind: str, *, held_out: bool) -> list[Path]:
    """The files of a kind, in a fixed order: those to learn from, or those that only measure."""
    return [each for each in sorted((DATA / kind).glob("*.jsonl")) if each.name.startswith(HELD_OUT) == held_out]


def runs(count: int, folds: int) -> list[range]:
    """Folds of neighbouring rows: twins, alike but for what matters, stand side by side and must not be parted."""
    return [range(count * at // folds, count * (at + 1) // folds) for at in range(folds)]


def threshold(harmless: Sequence[float], most: float) -> float:
    """The lowest value that no more than this share of the harmless reach."""
    ordered = sorted(harmless, reverse=True)
    return ordered[int(most * len(ordered))] + 1e-6
