"""The person's own clauses, turned to "you" and to "they", and their telling words: what fills the policy's slots.

Of two minds always the silent one: a sentence that supposes, asks, quotes, or speaks of "we" or "they" gives no clause.
Left out: names that nobody introduced, and clauses that would tell people bad things about themselves as if they were
so ("I'm a failure", "everyone hates me").
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from rerank.clause_grammar import (
    OWN,
    PAUSES,
    Sentence,
    Token,
    Tokens,
    bare,
    ends,
    english,
    fits,
    follows_oddly,
    listed,
    masked,
    next_opening,
    opens,
    pattern,
    rules,
    sentences,
    verbs,
    verbs_after,
    with_subjects,
)

_LENGTH, _SHORT = (3, 14), 5
_QUOTES, _QUOTE_WORDS = 4, 7
_FIRST = re.compile(r"\b(?:i|me|my|mine|myself|we|us|our|ours)\b", re.IGNORECASE)
_BEING = frozenset({"i'm", "am", "was", "be", "been", "being", "like", "as"})


@dataclass(frozen=True, slots=True)
class Clause:
    """The same words as said to the person and about them."""

    second: str
    third: str


@dataclass(frozen=True, slots=True)
class Cuttings:
    """What one message gives, in its own order but for the quotes, of which the most telling come first."""

    events: tuple[Clause, ...] = ()
    selves: tuple[Clause, ...] = ()
    quotes: tuple[str, ...] = ()
    who: tuple[Clause, ...] = ()
    when: tuple[str, ...] = ()


def cut(text: str) -> Cuttings:
    """Everything in a message that can surely be said back."""
    plain = masked(text)
    read = sentences(plain)
    if not english([word for each in read for word in each.words]):
        return Cuttings()
    found = [each for sentence in with_subjects(read) for each in _clauses(sentence)]
    return Cuttings(
        events=tuple(dict.fromkeys(clause for own, clause in found if not own)),
        selves=tuple(dict.fromkeys(clause for own, clause in found if own)),
        quotes=_quotes(text, read),
        who=tuple(dict.fromkeys(each for sentence in read for each in _people(sentence.tokens))),
        when=tuple(dict.fromkeys(_with_capitals(found[0].lower()) for found in pattern("time").finditer(plain))),
    )


# Clauses


def _clauses(sentence: Sentence) -> Iterator[tuple[bool, Clause]]:
    """Each clause that can be said back, and whether it is about the writer."""
    tokens, words = sentence.tokens, sentence.words
    if listed("hypothetical").intersection(words) or words[0] in listed("questions"):
        return
    start = 0
    while (start := next_opening(tokens, start)) < len(tokens):
        if listed("report").intersection(words[:start]):
            return
        verb = None if follows_oddly(words, start) else opens(tokens, start)
        end = None if verb is None else ends(tokens, verb)
        if end is not None and _settled(sentence, end):
            clause = _clause(tokens[start:end], own=words[start] in OWN)
            if clause is not None:
                yield words[start] in OWN, clause
        start = max(start + 1, end or 0)


def _settled(sentence: Sentence, end: int) -> bool:
    """Told rather than asked: a question may begin after the clause."""
    after = sentence.words[end : end + 2]
    return "?" not in sentence.mark or (len(after) > 1 and after[0] in PAUSES and after[1] in listed("asks"))


def _clause(tokens: Tokens, *, own: bool) -> Clause | None:
    tokens = _without_closers(tokens)
    words = [each.word for each in tokens]
    if not words or listed("unsaid").intersection(words) or not _whole(words) or _unkind(words, own=own):
        return None
    second, third = _turned(tokens, 0), _turned(tokens, 1)
    low, high = _LENGTH
    sized = low <= len(second.split()) and len(third.split()) <= high
    return Clause(second, third) if sized and not _FIRST.search(f"{second} {third}") else None


def _without_closers(tokens: Tokens) -> Tokens:
    while tokens and tokens[-1].word in listed("closers"):
        tokens = tokens[:-1]
    return tokens


def _whole(words: list[str]) -> bool:
    """Nothing missing at the end, nothing odd within, no "it" that says nothing alone."""
    last, pairs = words[-1], list(pairwise(words))
    dangling = "it" in {words[0][:2], last} and len(words) < _SHORT
    return (
        (last not in listed("bare_ends") | listed("transitive") or last in listed("particles") or _is_hour(words))
        and all(each[0].isalnum() for each in words)
        and not {"-".join(each) for each in pairs} & listed("loose")
        and not any(pairs.count(each) > 1 for each in pairs if each[0] in OWN)
        and not dangling
        and (words[0] not in {"it", "it's"} or bool({"me", "my"} & set(words)))
        and "its" not in words[:1]
        and "our" not in words[1:]
        and all(fits(before, word) for before, word in pairs)
    )


def _is_hour(words: list[str]) -> bool:
    return words[-1] == "am" and words[-2][:1].isdigit()


def _unkind(words: list[str], *, own: bool) -> bool:
    """What would hurt, or order about, if it came back: guilt, contempt, and what people say they need to do."""
    said = set(words)
    everyone = words[0] in listed("universal")
    names = bool(listed("being") & said) and not any(each in {"not", "never"} or each.endswith("n't") for each in words)
    felt = len(words) > 1 and words[1] in {"feel", "felt"}
    return bool(
        listed("doing") & said
        or (
            own
            and (
                words[1:3] == ["need", "to"] or listed("grave") & said or ("cut" in said and {"again", "myself"} & said)
            )
        )
        or (everyone and listed("judging") & said)
        or (names and (everyone or (own and not felt and _BEING & said)))
    )


def _turned(tokens: Tokens, person: int) -> str:
    """The words with the writer as "you" (0) or "they" (1)."""
    shown: list[str] = []
    for at, token in enumerate(tokens):
        before = tokens[at - 1].word if at else ""
        turned = rules()["turns"].get(token.word, ("", ""))[person]
        if token.word == "am" and before[:1].isdigit():
            turned = "am"
        elif token.word in {"was", "wasn't"} and _subject(tokens, at) == "i":
            turned = token.word.replace("was", "were")
        elif bare(token.word) in listed("bare_kin") and before not in listed("determined") | listed("adjectives"):
            turned = f"{rules()['turns']['my'][person]} {token.word}"
        shown.append(turned or _shown(token, first=not at))
    return _with_capitals(" ".join(shown)).replace("'", "\u2019")


def _subject(tokens: Tokens, verb: int) -> str:
    return next((each.word for each in reversed(tokens[:verb]) if each.word not in listed("adverbs")), "")


def _shown(token: Token, *, first: bool) -> str:
    known = token.word in listed("small") | listed("mine") | verbs("own") | verbs("other")
    loud = token.shown.isupper() and len(token.shown) >= _SHORT - 1 and token.word not in listed("upper")
    return token.word if first or loud or (known and len(token.word) > 1) else token.shown


def _with_capitals(words: str) -> str:
    return pattern("capital_day").sub(lambda found: found[0].capitalize(), words)


# People


def _people(tokens: Tokens) -> Iterator[Clause]:
    """Those whom the message names by what they are to the writer, and names given with that ("my sister Anna")."""
    for at, token in enumerate(tokens):
        end = _kin_end(tokens, at)
        after = tokens[end] if end < len(tokens) else None
        if end == at or (after and not _is_name(after) and after.word not in _followers(tokens[end - 1].word)):
            continue
        if after and _is_name(after) and token.word != "the" and tokens[end - 1].word == bare(tokens[end - 1].word):
            yield Clause(bare(after.shown), bare(after.shown))
        words = [each.word for each in tokens[at + 1 : end - 1] if each.word != "own"] + [bare(tokens[end - 1].word)]
        noun = " ".join(words).replace("'", "\u2019")
        second, third = rules()["turns"].get(token.word, ("the", "the"))
        yield Clause(f"{second} {noun}", f"{third} {noun}")


def _kin_end(tokens: Tokens, at: int) -> int:
    """Where the words for a person end that begin with "my", "our" or "the"; at their start where they are none."""
    known = {"my": listed("mine"), "our": listed("mine"), "the": listed("the")}.get(tokens[at].word)
    if known is None or (at and tokens[at - 1].word == "be"):
        return at
    end = at + 1
    while end < len(tokens) and (bare(tokens[end].word) in known or tokens[end].word in listed("adjectives")):
        end += 1
    inner = [each.word for each in tokens[at + 1 : end - 1]]
    if end == at + 1 or bare(tokens[end - 1].word) not in known:
        return at
    if any(not (each in listed("adjectives") | {"ex", "twin"} or each.endswith("'s")) for each in inner):
        return at
    return end + 2 if [each.word for each in tokens[end : end + 2]] == ["in", "law"] else end


def _is_name(token: Token) -> bool:
    word = bare(token.word)
    plain = listed("small") | listed("capital") | verbs("other") | verbs("own")
    return token.shown[:1].isupper() and token.shown[1:].islower() and word.isalpha() and word not in plain


@cache
def _followers(noun: str) -> frozenset[str]:
    return listed("small") | listed("adverbs") | verbs_after(noun) | PAUSES


# Their own words


def _quotes(text: str, read: tuple[Sentence, ...]) -> tuple[str, ...]:
    """The most telling short pieces: whole sentences and clauses, or phrases that stand alone."""
    found = {}
    for sentence in read:
        if "?" not in sentence.mark and not listed("unquoted").intersection(sentence.words):
            for tokens in (*_pieces(sentence.tokens), *_phrases(sentence.tokens)):
                words, exact = [each.word for each in tokens], text[tokens[0].start : tokens[-1].end]
                if len(exact.split()) <= _QUOTE_WORDS and _quotable(words):
                    found[exact] = _weight(words)
    chosen: list[str] = []
    for each in sorted(found, key=lambda piece: -found[piece]):
        if not any(each in other or other in each for other in chosen):
            chosen.append(each)
    return tuple(chosen[:_QUOTES])


def _pieces(tokens: Tokens) -> Iterator[Tokens]:
    """The sentence, or its parts between pauses where they are clauses."""
    borders = [-1, *(at for at, each in enumerate(tokens) if each.word in PAUSES), len(tokens)]
    for before, at in pairwise(borders):
        piece = _without_closers(tokens[before + 1 : at])
        while piece and piece[0].word in listed("openers") and (piece[0].word != "so" or opens(piece, 1) is not None):
            piece = piece[1:]
        if piece and (len(borders) == len(("start", "end")) or opens(piece, 0) is not None):
            yield piece


def _phrases(tokens: Tokens) -> Iterator[Tokens]:
    """Such as "so lonely" and "falling apart", and what something is like."""
    words = " ".join(each.word for each in tokens)
    for found in pattern("phrase").finditer(words):
        start = words[: found.start()].count(" ")
        if not found[0].startswith("like ") or not (start and tokens[start - 1].word in listed("likers")):
            yield tokens[start : start + found[0].count(" ") + 1]


def _quotable(words: list[str]) -> bool:
    return (
        all(each[0].isalnum() for each in words)
        and words[0] not in listed("bare_starts")
        and words[-1] not in listed("bare_ends") | listed("transitive")
        and not listed("doing").intersection(words)
        and _weight(words) > (len(words) == 1)
    )


def _weight(words: list[str]) -> int:
    """How much the words tell."""
    strong, light = (sum(each in listed(name) for each in words) for name in ("strong", "light"))
    return 2 * strong + light + 2 * ("like" in words and bool({"a", "an"} & set(words)))
