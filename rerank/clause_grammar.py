"""The little grammar that clauses.py needs: words, sentences, where a clause surely opens and where it surely ends.

Lists and rules (data/clauses.toml) instead of a parser. Where they do not know, the answer is None.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

PAUSES = frozenset({",", "-", "\u2013", "\u2014", ":", "(", ")"})
OWN = frozenset({"i", "i'm", "i've"})
_JOINTS = frozenset({"and", "but", "so", "because", "then"})
_SMALL_SHARE, _SHOUTED_SHARE = 0.25, 0.7
_NOUN_PHRASE = 7
_SAYING = frozenset({"say", "says", "said"})
_TELLING = frozenset({"told", "tells", "tell", "telling", "asked", "asks", "texted", "promised", "showed", "reminds"})
_MASK = "\u00a4"
_APOSTROPHES = {0x2019: "'", 0x02BC: "'"}
_QUOTED = re.compile(
    r"\u201c[^\u201d]*(?:\u201d|$)|\u00ab[^\u00bb]*(?:\u00bb|$)|\"[^\"]*(?:\"|$)"
    r"|\u2018(?:[^\u2019]|\u2019(?=\w))*(?:\u2019|$)|(?<!\w)'(?! )(?:[^'\n]|(?<=\w)'(?=\w))*'(?!\w)"
)
_BORDER = re.compile(
    r"[.!?\u2026;]+(?=\s|$|\u00a4)|\n+|[\U0001F000-\U0001FAFF\u2600-\u27BF\uFE0F]+|[:;][-']?[()D/|](?=\s|$)|$"
)
_TOKEN = re.compile(
    r"\u00a4+|[$\u00a3\u20ac]?\d+(?:[.:,]\d+)*[%a-z]*(?:-[^\W_]+)*"
    r"|[^\W_]+(?:['-][^\W_]+)*(?:(?<=s)'(?=\s))?|\S",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word as the lists know it and as it is shown, with its place in the message."""

    word: str
    shown: str
    start: int
    end: int


Tokens = tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words up to a mark that ends a sentence."""

    tokens: Tokens
    mark: str

    @property
    def words(self) -> list[str]:
        return [each.word for each in self.tokens]


# Lists


@cache
def rules() -> dict[str, Any]:
    return tomllib.loads((files("rerank") / "data" / "clauses.toml").read_text(encoding="utf-8"))


@cache
def listed(name: str) -> frozenset[str]:
    return frozenset(rules()[name].split())


@cache
def pattern(name: str) -> re.Pattern[str]:
    parts = {part: rules()[part] for part in ("number", "unit", "day", "month", "season")}
    expression = rules()[name]
    for part, wordings in parts.items():
        expression = expression.replace(f"<{part}>", f"(?:{wordings})")
    return re.compile(expression, re.IGNORECASE | re.VERBOSE)


@cache
def verbs(subject: str) -> frozenset[str]:
    """The finite forms after "I" (own), after one other (other) or after several (many)."""
    forms = [each.split() for each in re.split(r"[|\n]", rules()["irregular"]) if each]
    forms += [[each, _past(each)] for each in rules()["regular"].split()]
    past = {each[1] for each in forms} | listed("past")
    base = {each[0] for each in forms} | {"have", "do", "haven't", "don't"}
    if subject == "own":
        return frozenset(past | base | {"am", "was", "wasn't"}) - {"will", "won't"}
    if subject == "many":
        return frozenset(past | base | {"are", "were", "aren't", "weren't"})
    return frozenset(past | {_with_s(each[0]) for each in forms} | listed("singular"))


def _past(verb: str) -> str:
    if verb in listed("doubled"):
        return f"{verb}{verb[-1]}ed"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return f"{verb[:-1]}ied"
    return f"{verb.removesuffix('e')}ed"


def _with_s(verb: str) -> str:
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return f"{verb[:-1]}ies"
    return f"{verb}es" if verb.endswith(("s", "sh", "ch", "x", "zz", "o")) else f"{verb}s"


# Words and sentences


def masked(text: str) -> str:
    """The message letter for letter, with plain apostrophes, no shouting, and nothing of what is quoted."""
    plain = _QUOTED.sub(lambda found: _MASK * len(found[0]), text.replace("\u02bc", "\u2019")).translate(_APOSTROPHES)
    letters = [each for each in plain if each.isalpha()]
    shouted = sum(each.isupper() for each in letters) > _SHOUTED_SHARE * len(letters)
    return plain.lower() if shouted and len(plain.lower()) == len(plain) else plain


def sentences(plain: str) -> tuple[Sentence, ...]:
    found, start = [], 0
    for border in _BORDER.finditer(plain):
        tokens = tuple(_tokens(plain, start, border.start()))
        found += [Sentence(tokens, border[0])] if tokens else []
        start = border.end()
    return tuple(found)


def _tokens(plain: str, start: int, end: int) -> Iterator[Token]:
    for found in _TOKEN.finditer(plain, start, end):
        spelled = rules()["spelling"].get(found[0].lower(), found[0])
        if spelled.lower() == "its" and plain[found.end() : found.end() + 1] == " ":
            spelled = "it's" if pattern("is_it").match(plain, found.end() + 1) else spelled
        for each in spelled.split():
            yield Token(each.lower(), each, found.start(), found.end())


def english(words: list[str]) -> bool:
    small, foreign = (sum(each in listed(name) for each in words) for name in ("small", "foreign"))
    return small >= _SMALL_SHARE * len(words) and foreign <= small / 8


def with_subjects(read: tuple[Sentence, ...]) -> Iterator[Sentence]:
    """The sentences, with an "I" where it was surely left out ("failed my test")."""
    others = False
    for each in read:
        elided = pattern("elided").match(" ".join(each.words) + " ") and not others
        first = replace(each.tokens[0], shown=each.tokens[0].word)
        yield Sentence((Token("i", "i", 0, 0), first, *each.tokens[1:]), each.mark) if elided else each
        others = not elided and each.tokens[0].word not in OWN and opens(each.tokens, 0) is not None


# Where a clause opens and ends


def opens(tokens: Tokens, at: int) -> int | None:
    """Where the finite verb stands of the clause whose subject begins here."""
    first, second = (tokens[place].word if place < len(tokens) else "" for place in (at, at + 1))
    if first in listed("contracted") | {"i'm", "i've"}:
        return at
    if (first == "i" and second in {"guess", "mean", "suppose"}) or (first == "no" and second != "one"):
        return None
    if first == "there":
        return at + 1 if second in listed("existing") else None
    for subjects, subject in (({"i"}, "own"), (listed("pronouns") | listed("bare_kin"), "other"), ({"people"}, "many")):
        if first in subjects:
            return _verb(tokens, at + 1, verbs(subject))
    return _noun_phrase(tokens, at) if first in listed("determiners") else None


def _verb(tokens: Tokens, at: int, known: frozenset[str]) -> int | None:
    """Where one of these verbs stands, here or past adverbs."""
    while at < len(tokens) and tokens[at].word in listed("adverbs") - known:
        at += 1
    if at >= len(tokens) or tokens[at].word not in known:
        return None
    after = tokens[at + 1].word if at + 1 < len(tokens) else ""
    return at if tokens[at].word not in listed("nounish") or after in listed("objects") else None


def _noun_phrase(tokens: Tokens, at: int) -> int | None:
    """Where the verb stands after a determiner, some words without a verb, and perhaps one preposition with its own."""
    joined, closed = False, listed("small") - listed("inside")
    for place in range(at + 1, min(at + _NOUN_PHRASE, len(tokens))):
        word, head = tokens[place].word, tokens[place - 1].word
        after = tokens[place + 1].word if place + 1 < len(tokens) else ""
        if place > at + 1 and head not in closed:
            verb = _verb(tokens, place, verbs_after(head))
            if verb is not None:
                return verb
        if word.endswith("'s") and (after in listed("clitic") or _going_on(after)):
            return place
        determined = joined and word in listed("determiners")
        if word in listed("prepositions") and place > at + 1 and not joined:
            joined = True
        elif not word[0].isalnum() or _unmarked_owner(head) or (word in closed and not determined):
            return None
    return None


def _going_on(word: str) -> bool:
    stem = word.removesuffix("ing")
    return stem != word and bool({stem, f"{stem}e", stem[:-1]} & verbs("own"))


def _unmarked_owner(head: str) -> bool:
    """Whether an apostrophe is likely missing: "my parents divorce", "my mums boyfriend"."""
    return head.endswith("s") and not head.endswith("ss") and bool({head, head[:-1]} & listed("mine"))


def verbs_after(head: str) -> frozenset[str]:
    many = head in listed("plural") or (head.endswith("s") and not head.endswith(("ss", "'s")))
    return verbs("other") | verbs("many") if many else verbs("other")


def next_opening(tokens: Tokens, at: int) -> int:
    """The sentence's start or the next place past a pause or a joint, past times and openers."""
    while 0 < at < len(tokens) and tokens[at - 1].word not in PAUSES | _JOINTS and tokens[at].word not in PAUSES:
        at += 1
    while at < len(tokens) and opens(tokens, at) is None:
        time = pattern("time").match(" ".join(each.word for each in tokens[at : at + 5]))
        if not time and tokens[at].word not in listed("openers") | PAUSES | _JOINTS:
            break
        at += len(time[0].split()) if time else 1
    return at


def follows_oddly(words: list[str], at: int) -> bool:
    """After what may be a purpose ("so my mum doesn't see") or another subject ("my sister and I slept")."""
    before, joint = words[at - 2 : at] if at > 1 else ("", "")
    return joint == "so" or (joint == "and" and words[at] in listed("nominative") and before in listed("mine"))


def ends(tokens: Tokens, verb: int) -> int | None:
    """Where the clause ends, or nothing where that is unsure."""
    denied = False
    for at in range(verb, len(tokens)):
        word, before, after = tokens[at].word, tokens[at - 1].word, tokens[at + 1].word if at + 1 < len(tokens) else ""
        denied = denied or word in {"not", "never"} or word.endswith("n't")
        if word in PAUSES:
            return None if after in listed("bound") else at
        if word in _JOINTS and before not in {"nothing", "anything", "all", "everything"}:
            if word == "and" and before in listed("mine") and after in listed("nominative"):
                return None
            if word == "but" or opens(tokens, next_opening(tokens, at + 1)) is not None:
                return None if word == "because" and denied else at
        elif at > verb and (
            word in listed("nominative") or (word in listed("determiners") and opens(tokens, at) is not None)
        ):
            if before not in listed("licence") | listed("report") and not (at > 1 and tokens[at - 2].word in _TELLING):
                return at if before in listed("breaks") else None
            if after in {"guess", "suppose"}:
                return at
    return len(tokens)


def fits(before: str, word: str) -> bool:
    """Whether two words can stand together without doubt about who speaks, whose they are and what "'d" is."""
    if before in _SAYING and word not in listed("sayable") and not word[0].isdigit():
        return False
    if (before == "i'd" and word not in {"been", "had"}) or (word == "its" and before in listed("report")):
        return False
    if word == "been" and before not in listed("before_been") and not before.endswith("'ve"):
        return False
    if _unmarked_owner(before) and word not in listed("small") | listed("adverbs") | verbs("own") | verbs("other"):
        return False
    if bare(word) in listed("bare_kin"):
        placed = listed("before_kin") | listed("determined") | listed("adjectives")
        return before in placed | verbs("own") | verbs("other")
    return (before, word) not in {("like", "i"), ("like", "i'm")}


def bare(word: str) -> str:
    return word.removesuffix("'s").removesuffix("'")
