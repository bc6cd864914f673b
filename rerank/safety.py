"""The safety gate: what no candidate may say to a person, however well it is judged.

Plain patterns for what can be seen in the words alone, in English. What needs understanding is `embedded_gate`, behind
the same protocol, `Gate` in `live.py`.
"""

import re
from collections.abc import Mapping, Sequence

from rerank.types import Context

_HARM = (
    r"(?:(?:kill|hurt|cut|harm|starve|poison) (?:yourself|them|him|her)\b(?! (?:some|a little|a bit|off|out|loose)\b)"
    r"|(?:end|take) your (?:own )?life\b|end it all\b)"
)
_DEADLY = r"(?:(?:kill|starve|poison) yourself|(?:end|take) your (?:own )?life|end it all)\b"
_START = r"(?:^|[.!?,;:]\s*|\b(?:please|and|then|so|maybe|don't you|why not|you could|you can|honestly) )"
_CLOSE = r"(?:anyone|anybody|your (?:parents|mother|father|mom|mum|dad|teacher|doctor|partner|friends))\b"
_I_AM = (
    r"(?:\b(?:i am|i'm)(?: (?:really|actually|truly|just|also|only))?|\b(?:speaking|talking|writing|i work) as)"
    r" (?:an? |your )?"
)
_AS = r"(?:^|[.!?,;:]\s*)as (?:an? |your )?"
_AS_I = r"\b,? (?:i|i'm|i've|i'd|i'll|my|let me)\b"
_HUMAN = r"(?:real |actual |living |fellow )?(?:human(?: being)?|person)"
_PROFESSION = (
    r"(?:(?:licen[sc]ed|trained|qualified|certified|registered|clinical|professional|medical) )*"
    r"(?:therapist|psychologist|psychiatrist|doctor|physician|counsell?or|nurse)"
)
_I_WILL = (
    r"\b(?:i (?:will|can|could|would|want to|would (?:love|like) to|wish i could)|i'(?:ll|d)(?: (?:love|like) to)?"
)
_YOU_HAVE = (
    r"\b(?:you (?:clearly |probably |definitely |certainly |may |might |could |must )?(?:have|suffer from)"
    r"|you(?: are|'re) (?:clearly |probably )?suffering from|you've got) "
)
_CHECKS: Mapping[str, Sequence[str]] = {
    "leaked_prompt": (
        r"(?m)^[^\w\n]*(?:analysis|response)[^\w\n]*$",
        r"</?(?:case|person|before|conversation|message|analysis|reply)>|<\|im_",
        r"\bsystem prompt\b|\bmy instructions (?:say|are|were)\b|\bgrade only\b",
    ),
    "claims_human": (
        _I_AM + _HUMAN + r"\b",
        _AS + _HUMAN + _AS_I,
        r"\b(?:i am|i'm) not (?:an? )?(?:ai|bot|machine|program|robot)\b",
    ),
    "claims_profession": (_I_AM + _PROFESSION + r"\b", _AS + _PROFESSION + _AS_I),
    "encourages_harm": (
        r"\b(?:you should|go ahead and) " + _HARM,
        r"\b(?:you could(?: always)?|just) " + _DEADLY,
        r"(?<!\byou )(?<!\bhe )(?<!\bshe )(?<!\bthey )(?<!\bi )\bjust " + _HARM,
        _START + r"try to " + _HARM,
        r"(?:^|[.!?,;:]\s*|\bmight as well )kill yourself\b",
    ),
    "demands_secrecy": (
        r"\b(?:our|a) (?:little )?secret between us\b|\b(?:this|it|that) (?:stays|is|must stay) (?:just )?between us\b",
        r"\bkeep (?:this|it|that) (?:just )?between us\b|\bour little secret\b",
        r"\byou (?:mustn't|must not|must never|shouldn't|should not|should never) tell " + _CLOSE,
    ),
    "demands_dependence": (
        r"\byou (?:only|just) need me\b(?! to\b)|\b(?:i'm|i am) (?:all|the only one) you (?:need|have|can trust)\b",
        r"\b(?:i'm|i am) the only one who (?:really |truly )?(?:understands|gets|knows|cares)\b",
        r"\byou don't need (?:anyone|anybody) (?:else|but me)\b|\bonly i (?:can )?(?:really |truly )?understand you\b",
    ),
    "romance": (
        r"\b(?:i'm|i am) (?:falling )?in love with you\b|\bbe my (?:girlfriend|boyfriend|lover)\b",
        _I_WILL + r"|let me|(?:can|may) i) (?:kiss|make love to|sleep with) you\b",
        _I_WILL + r") be your (?:girlfriend|boyfriend|lover)\b",
    ),
}
_UNLESS_REPORTED: Mapping[str, Sequence[str]] = {
    "encourages_harm": (
        r"\byou(?:'d| would) be better off dead\b|\b(?:they|everyone|the world) would be better (?:off )?without you\b",
    ),
    "agrees_with_self_blame": (
        r"\byou(?: are|'re) (?:right, )?(?:really )?(?:worthless|pathetic|a burden|a failure|disgusting|useless)\b",
        r"\byou deserve (?:to (?:die|suffer|be (?:hit|hurt|punished))|(?:the|this) (?:pain|abuse))\b",
    ),
    "demands_secrecy": (r"(?<!\byou )(?<!\bi )(?<!\bwe )(?<!\bthey )\b(?:don't|do not|never) tell " + _CLOSE,),
    "demands_dependence": (r"\bnobody else (?:will|can|could) (?:ever )?understand you\b",),
    "romance": (r"\bi love you\b",),
    "diagnosis": (
        _YOU_HAVE + r"(?:clinical |major |severe )?(?:depression|bipolar|ptsd|adhd|ocd|autism|schizophrenia|bpd|"
        r"borderline personality|an? (?:anxiety|eating|personality|mood) disorder)\b",
        r"\byou(?: are|'re) (?:clinically depressed|bipolar|schizophrenic|autistic)\b",
    ),
}
"""What a reply may repeat as somebody's words or thoughts, ask about or deny: "You feel you are a burden"."""


def _compiled(checks: Mapping[str, Sequence[str]]) -> list[tuple[str, re.Pattern[str]]]:
    return [(name, re.compile(each, re.IGNORECASE)) for name, patterns in checks.items() for each in patterns]


_ALWAYS, _SELDOM = _compiled(_CHECKS), _compiled(_UNLESS_REPORTED)
_REPORTED = re.compile(
    r"(?<!\bi )\b(?:if|whether|feel\w*|felt|think\w*|thought|believ\w+|sa(?:y|ys|id|ying)|tells?|telling|told|hear\w*"
    r"|fear\w*|afraid|worr\w+|convinced|ask\w*|never|nothing|nobody|no one|not)\b|n't\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"""(?!\A)(?:"[^"\n]{1,300}"|(?<!\w)'[^\n']{1,300}(?:'\w[^\n']{0,300}){0,5}'(?!\w))""")
_PLAIN = str.maketrans(
    dict.fromkeys("\u2018\u2019\u02bc\uff07`", "'")
    | dict.fromkeys("\u201c\u201d", '"')
    | dict.fromkeys("*\u200b\u200c\u200d\u2060\ufeff\u00ad")
)


class PatternGate:
    """Stops a reply by the first pattern that it holds; what the person asked excuses none of them."""

    async def check(self, context: Context, response: str) -> str | None:  # noqa: ARG002
        return by_pattern(response)


def by_pattern(response: str) -> str | None:
    """The check whose pattern the reply holds."""
    lines = response.translate(_PLAIN)
    text = " ".join(lines.split())
    unquoted = _QUOTED.sub('""', text)
    for name, pattern in _ALWAYS:
        if pattern.search(lines) or pattern.search(text):
            return name
    return next((name for name, pattern in _SELDOM if _says(pattern, unquoted)), None)


def _says(pattern: re.Pattern[str], text: str) -> bool:
    """Whether it stands there as the reply's own opinion, in a clause that does not report or deny it."""
    return any(not _REPORTED.search(_clause_before(text, found.start())) for found in pattern.finditer(text))


def _clause_before(text: str, end: int) -> str:
    start = max(end - 200, 0)
    return re.split(r"[.!?,;:\u2013\u2014]", text[start:end])[-1]
