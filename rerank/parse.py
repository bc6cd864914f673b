"""Reads what the models wrote: the two parts of a reply while it streams, and the numbers in a judge's rationale.

A wrong reading is worse than none, so what could mean two things is no score. Left out: headings in other languages
than the prompt's, numbers written out in other languages than English, and mending a malformed reply.
"""

import re
from dataclasses import dataclass
from math import nan

_BOTH = _ANALYSIS, _RESPONSE = ["analysis", "response"]
_TITLE = rf"\s*+(?:\#{{1,6}}\s*+)?(?P<bold>\*{{1,3}}|__|)(?P<name>(?ai:{_ANALYSIS}|{_RESPONSE}))\s*+"
_BARE = re.compile(rf"\s*+(?=[#*_]){_TITLE}(?P=bold)\s*+\#*+(?P<text>\s*+)")
_COLON = "[:\uff1a\ufe55\u2236]"
_WITH_COLON = re.compile(rf"{_TITLE}(?:(?P=bold)\s*+{_COLON}|{_COLON}\s*+(?P=bold))\s*+(?P<text>.*)")
_THINK_TAG = re.compile(r"(</?think>)")
_FENCE = re.compile(r"\s*+(?:```|~~~)[`~]*+\w*+\s*+")
_LONGEST_START = 64  # deltas of one line among which its heading must have come


@dataclass(frozen=True, slots=True)
class Parts:
    """A reply's inner analysis and the response: well formed if both came once, in order, not empty and not cut."""

    analysis: str
    response: str
    well_formed: bool


class _Reader:
    """Sorts a reply's lines into its parts. The first of each name counts; another one only spoils the form."""

    def __init__(self) -> None:
        self.headings: list[str] = []
        self._parts: dict[str, list[str]] = {_ANALYSIS: [], _RESPONSE: []}
        self._part: list[str] = []
        self._thinking = self._fenced = False

    def read(self, line: str) -> None:
        if self._thinking or not self.headings:
            line = self._without_thoughts(line)
        if heading := _WITH_COLON.fullmatch(line) or _BARE.fullmatch(line):
            self._start(heading["name"].lower(), heading["text"])
        elif self.headings:
            self._part.append(line.removesuffix("\r"))
        elif _FENCE.fullmatch(line):
            self._fenced = not self._fenced

    def _without_thoughts(self, line: str) -> str:
        said = []
        for piece in _THINK_TAG.split(line):
            if _THINK_TAG.fullmatch(piece):
                self._thinking = piece == "<think>"
            elif not self._thinking:
                said.append(piece)
        return "".join(said)

    def _start(self, name: str, text: str) -> None:
        self._part = [] if name in self.headings else self._parts[name]
        self._part.append(text)
        self.headings.append(name)

    def starts_response(self, unfinished: str) -> bool:
        """Whether this line is the second heading whatever follows: text after its colon makes it certain."""
        heading = None if self._thinking else _WITH_COLON.match(unfinished)
        return heading is not None and heading["text"] != "" and [*self.headings, heading["name"].lower()] == _BOTH

    def analysis(self) -> str:
        return "\n".join(self._parts[_ANALYSIS]).strip()

    def parts(self) -> Parts:
        analysis, response = self.analysis(), "\n".join(self._parts[_RESPONSE]).strip()
        before, _, last = response.rpartition("\n")
        closed = self._fenced and _FENCE.fullmatch(last) is not None
        response = before.rstrip() if closed else response
        whole = self._fenced == closed and self.headings == _BOTH and not _THINK_TAG.search(response)
        return Parts(analysis, response, whole and bool(analysis and response))


class ReplyStream:
    """Reads one candidate while it streams: each line once, and nothing more when the analysis is complete."""

    def __init__(self) -> None:
        self._deltas: list[str] = []
        self._line: list[str] = []
        self._reader: _Reader | None = _Reader()
        self._analysis = ""

    def feed(self, text: str) -> bool:
        """Take the next delta. True exactly once, when the analysis is complete."""
        self._deltas.append(text)
        if self._reader is None:
            return False
        start, *lines = text.split("\n")
        self._line.append(start)
        for line in lines:
            self._reader.read("".join(self._line))
            self._line = [line]
        early = len(self._line) <= _LONGEST_START and self._reader.starts_response("".join(self._line))
        if early or len(self._reader.headings) >= len(_BOTH):
            self._analysis = self._reader.analysis() if early or self._reader.headings[:2] == _BOTH else ""
            self._reader = None
        return self._analysis != ""

    @property
    def analysis(self) -> str:
        """The complete analysis; empty before."""
        return self._analysis

    @property
    def text(self) -> str:
        return "".join(self._deltas)

    def finish(self) -> Parts:
        return split(self.text)


def split(text: str) -> Parts:
    """Split a whole reply into its parts."""
    reader = _Reader()
    for line in text.split("\n"):
        reader.read(line)
    return reader.parts()


_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_WORDS = {word: float(value) for value, word in enumerate(_NUMBERS)} | dict.fromkeys(("n/a", "nan", "none"), nan)
_ANY_WORD = rf"(?:{'|'.join(_WORDS)})\b"
_NUMBER = (
    rf"(?P<number>(?<![\d.,])-?\d++(?:[.,]\d++)?|\b{_ANY_WORD})"
    rf"(?P<unclear> ?(?:[-~]|to|or|and) ?\d| (?:to|or|and) {_ANY_WORD}| and a half|-?[a-z]|[½+]| ?\+|,? ?\d|[.:]+\d)?"
    r"(?: ?(?:(?P<percent>%|percent)|(?:/|out of|of|von|sur|de|из) ?(?P<whole>\d++(?:[.,]\d++)?)))?"
)
_FINAL, _SCORE = "final|overall|total", "score|rating|grade"
_OTHERS = (
    "punktzahl|bewertung|note|nota|puntuación|puntaje|calificación|pontuação|punteggio|voto|оценка|балл"
    "|评分|評分|分数|分數|得分|スコア|点数|評価|점수|평점"
)
# The first label that is there decides, by what it says last. "Note: 3 sentences drag" is English: others come last.
_LABELS = (_FINAL, _SCORE, _OTHERS)
_AFTER_LABEL = (
    r"(?: (?!-)[^\s\d:=,.;]+){0,3} ?(?:[:=→]|-(?=[ >]))[:=> ]*+(?:\n(?=[\d\W]{1,12}(?:\n|\Z)))?(?:level )?" + _NUMBER
)
_IN_A_SENTENCE = rf"\b(?:score|rating|rate|boxed|give (?:it|this))(?: (?!level)[^\W\d]+){{0,3}} ?{_NUMBER}"
_ALONE = rf"(?m)^(?:[^\w\n]*[^\w\n-])?{_NUMBER}(?: ?(?:points?|stars?|分|点))?[^\w\n]*$"
_PARTS = ("effectiveness", "clarity", "efficiency", "objectivity", "accuracy")
_AFTER_PART = rf"(?:[^\d\n:=]{{0,40}}?(?:[:=]|- ))?[:= ]*+(?:\n?score[:= ]*+|\n)?(?=-?\d){_NUMBER}"
_LIST_NUMBER = re.compile(r"(?m)^[ \t#>*]*+\d{1,2}[.)](?=[ \t]++\S)")
_PLAIN = dict.fromkeys(map(ord, "*`#\\$'\"\u2018\u2019\u201c\u201d")) | dict.fromkeys(map(ord, "()[]{}_"), " ")
_PLAIN |= {ord("|"): ":"} | dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212\u301c"), "-")
_PLAIN |= {0xFEE0 + ascii_: _PLAIN.get(ascii_, chr(ascii_)) for ascii_ in range(0x21, 0x7F)}


def score(text: str, low: int, high: int) -> float | None:
    """The one score that a judge's rationale gives; None without one, or if it is unclear or out of range."""
    plain = _plain(text, low, high)
    return _value(_last_labelled(plain, _LABELS) or _only_unlabelled(plain, high), low, high)


def parts_total(text: str) -> float | None:
    """The bystander's score: the sum of five parts of 0 to 20 each if all are clear, else the total they came with."""
    plain = _plain(text, 0, 20)
    parts = [{_value(found, 0, 20) for found in re.finditer(rf"\b{part}{_AFTER_PART}", plain)} for part in _PARTS]
    values = [value for part in parts if len(part) == 1 for value in part if value is not None]
    if len(values) == len(_PARTS):
        return sum(values)
    # Beside parts, only a final score is the total: another one may be a part's own.
    return _value(_last_labelled(_plain(text, 0, 100), (_FINAL,)), 0, 100) if any(parts) else score(text, 0, 100)


def _plain(text: str, low: int, high: int) -> str:
    """The text without thoughts, markup, list numbers and mentions of the scale, in lower case."""
    said = text.rpartition("</think>")[2].partition("<think>")[0]
    said = _LIST_NUMBER.sub("", re.sub(r"</?(\w{1,20})>", r"\n\1:\n", said)).translate(_PLAIN).lower()
    said = re.sub(r"\s++", lambda run: "\n" if "\n" in run[0] else " ", said)
    scale = rf"\b{low} ?(?:[-~]|to|through|and) ?{high}\b|(?<!\d)(?<!\d )(?:/|out of|scale of) ?{high}\b|\b{high}-point"
    return re.sub(scale, "", said).replace("  ", " ")


def _last_labelled(plain: str, labels: tuple[str, ...]) -> re.Match[str] | None:
    for label in labels:
        if found := list(re.finditer(rf"(?:{label}){_AFTER_LABEL}", plain)):
            return found[-1]
    return None


def _only_unlabelled(plain: str, high: int) -> re.Match[str] | None:
    fraction = rf"(?=[\w.,]{{1,9}} ?(?:/|out of) ?{high}\b){_NUMBER}"
    matches = (match for way in (_IN_A_SENTENCE, _ALONE, fraction) for match in re.finditer(way, plain))
    found = {match.start("number"): match for match in matches}
    return found.popitem()[1] if len(found) == 1 else None


def _value(found: re.Match[str] | None, low: int, high: int) -> float | None:
    if found is None or found["unclear"]:
        return None
    number, whole = found["number"], "100" if found["percent"] else found["whole"]
    value = _WORDS[number] if number in _WORDS else float(number.replace(",", "."))
    return value if low <= value <= high and (whole is None or float(whole.replace(",", ".")) == high) else None
