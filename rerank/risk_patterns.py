"""Patterns for what must never be missed, in the languages of `data/risk_patterns.toml`.

A pattern of `floor` true sets the least tier by itself; the others only tell the classifier where to look. Told as a
story, a quotation or a job ("my character"), no pattern sets a tier, and neither does a wording that overlaps an idle
one ("not going to kill myself") or stands near words of long ago: then the classifier decides.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from itertools import groupby
from typing import Any
from unicodedata import normalize

from rerank.types import Category, Tier

_PLAIN = str.maketrans(
    dict.fromkeys("\u2018\u2019\u02bc\uff07`\u00b4", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"')
    | dict.fromkeys("*_\u200b\u200c\u200d\u2060\ufeff\u00ad")
    | {"\u0130": "I"}  # the one letter whose small form has two characters
)
# Letter by letter, so that places in the folded line are places in the line.
_FOLDED = str.maketrans(
    {letter: normalize("NFKD", letter)[0] for letter in map(chr, range(0xC0, 0x250)) if letter not in "\u00d7\u00f7"}
    | dict(zip("\u0131\u0142\u00f8\u0111\u00df\u0451\u0901", "ilods\u0435\u0902", strict=True))
    | dict(zip("\u0623\u0625\u0622\u0649\u0629", "\u0627\u0627\u0627\u064a\u0647", strict=True))
)
_SCRIPTS = {
    "zh": re.compile("[\u3400-\u9fff]"),
    "ja": re.compile("[\u3040-\u9fff]"),
    "hi": re.compile("[\u0900-\u097f]"),
    "ar": re.compile("[\u0600-\u06ff]"),
    "ru": re.compile("[\u0400-\u04ff]"),
}
_WORDED = ("", "ru")
"""Where a pattern matches at the start of a word; the others are written without spaces, or \\b fails in them."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """The wordings of one script for one thing, as one expression."""

    language: str
    """Empty where languages share a script."""
    tier: Tier
    category: Category
    floor: bool
    regex: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Rules:
    """The file, made ready."""

    patterns: tuple[Pattern, ...]
    distant: re.Pattern[str]
    idle: re.Pattern[str]
    past: re.Pattern[str]
    denial: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Hit:
    """A pattern found, with the person's words around it."""

    tier: Tier
    category: Category
    floor: bool
    words: str


def plain(text: str) -> str:
    """One line, plain letters and quotation marks, no invisible characters."""
    return " ".join(normalize("NFKC", text.translate(_PLAIN)).translate(_PLAIN).split())


def hits(text: str) -> list[Hit]:
    """In the order of the file; of one pattern no two whose words overlap and that count alike."""
    line = plain(text)
    folded = _folded(line)
    spared = _Spared(folded)
    last: dict[tuple[Pattern, bool], int] = {}
    kept = []
    for pattern, found in _found(folded):
        floor = pattern.floor and not spared.covers(found)
        if found.start() > last.get((pattern, floor), -1):
            last[pattern, floor] = end = found.end() + _AROUND
            words = line[max(0, found.start() - _AROUND) : end].strip()
            kept.append(Hit(pattern.tier, pattern.category, floor, words))
    return kept


def denials_removed(text: str) -> str:
    """What remains when sentences that deny the danger are taken out: "I won't do anything, don't worry"."""
    denial = _rules().denial
    kept = (each for each in _SENTENCES.findall(plain(text)) if not denial.search(_folded(each)))
    return " ".join(each.strip() for each in kept)


_SENTENCES = re.compile(r"[^.!?\u2026\u3002\uff01\uff1f\u0964]+[.!?\u2026\u3002\uff01\uff1f\u0964]*")
_AROUND = 40
_NEAR = 90


def _folded(line: str) -> str:
    """Small letters without accents."""
    return line.lower().translate(_FOLDED)


class _Spared:
    """What keeps wordings from setting a tier, looked for only when there is one."""

    def __init__(self, folded: str) -> None:
        self._folded = folded

    def covers(self, found: re.Match[str]) -> bool:
        return self._distant or any(start < found.end() and found.start() < end for start, end in self._idle)

    @cached_property
    def _distant(self) -> bool:
        return bool(_rules().distant.search(self._folded))

    @cached_property
    def _idle(self) -> list[tuple[int, int]]:
        """Places: idle wordings, and what stands in a sentence near a word of long ago."""
        found = [each.span() for each in _rules().idle.finditer(self._folded)]
        for sentence in _SENTENCES.finditer(self._folded):
            for each in _rules().past.finditer(self._folded, *sentence.span()):
                start, end = each.start() - _NEAR, each.end() + _NEAR
                found.append((max(start, sentence.start()), min(end, sentence.end())))
        return found


def _found(folded: str) -> Iterator[tuple[Pattern, re.Match[str]]]:
    rules = _rules()
    scripts = {language for language, script in _SCRIPTS.items() if script.search(folded)}
    for pattern in rules.patterns:
        if not pattern.language or pattern.language in scripts:
            yield from ((pattern, found) for found in pattern.regex.finditer(folded))


@cache
def _rules() -> Rules:
    read = tomllib.loads((files("rerank") / "data" / "risk_patterns.toml").read_text(encoding="utf-8"))

    def whole(regex: str) -> str:
        for name, piece in read["pieces"].items():
            regex = regex.replace(f"<{name}>", piece)
        return normalize("NFKC", regex).translate(_FOLDED)

    def wordings(row: dict[str, Any]) -> str:
        either = "|".join(row["regex"])
        return f"{row['after']}(?:{either})" if "after" in row else either

    def kind(row: dict[str, Any]) -> tuple[str, str, str, bool]:
        language = row["lang"] if row["lang"] in _SCRIPTS else ""
        return language, row["tier"], row["category"], row.get("floor", False)

    patterns = []
    for (language, tier, category, floor), rows in groupby(sorted(read["pattern"], key=kind), key=kind):
        regex = "|".join(whole(wordings(row)) for row in rows)
        regex = rf"\b(?:{regex})" if language in _WORDED else regex
        patterns.append(Pattern(language, Tier(tier), Category(category), floor, re.compile(regex)))
    names = ("distant", "idle", "past", "denial")
    return Rules(
        tuple(patterns),
        *(re.compile("|".join(map(whole, read[name]))) for name in names),
    )
