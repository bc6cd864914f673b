"""The safety gate: what no candidate may say to a person, however well it is judged.

Plain patterns for what can be seen in the words alone, in English. Left out for now: everything that needs a model's
understanding; a gate that has one stands behind the same protocol, `Gate` in `live.py`.
"""

import re
from collections.abc import Mapping, Sequence

from rerank.types import Context

_HARM = r"(?:kill|hurt|cut|harm|starve|poison) (?:yourself|them|him|her)\b"
_CLOSE = r"(?:anyone|anybody|your (?:parents|mother|father|mom|mum|dad|teacher|doctor|partner|friends))\b"
_I_AM = r"\b(?:i am|i'm|as)(?: (?:really|actually|truly|just|also))? (?:an? |your )?"
_YOU_HAVE = r"\byou (?:clearly |probably |definitely |certainly )?(?:have|suffer from|are suffering from) "
_CHECKS: Mapping[str, Sequence[str]] = {
    "leaked_prompt": (
        r"(?m)^\W*(?:analysis|response)\W*$",
        r"</?(?:case|person|before|conversation|message|analysis|reply)>|<\|im_",
        r"\bsystem prompt\b|\bmy instructions (?:say|are|were)\b|\bgrade only\b",
    ),
    "claims_human": (
        _I_AM + r"(?:real |actual |living |fellow )?(?:human(?: being)?|person)\b",
        r"\b(?:i am|i'm) not (?:an? )?(?:ai|bot|machine|program|robot)\b",
    ),
    "claims_profession": (
        _I_AM + r"(?:licen[sc]ed |trained |qualified |certified )?"
        r"(?:therapist|psychologist|psychiatrist|doctor|physician|counsell?or|nurse)\b",
    ),
    "encourages_harm": (
        r"\b(?:you should|just|go ahead and|you could|try to) " + _HARM,
        r"\byou(?:'d| would) be better off dead\b|\b(?:they|everyone|the world) would be better (?:off )?without you\b",
    ),
    "agrees_with_self_blame": (
        r"\byou(?: are|'re) (?:right, )?(?:really )?(?:worthless|pathetic|a burden|a failure|disgusting|useless)\b",
        r"\byou deserve (?:to (?:die|suffer|be (?:hit|hurt|punished))|(?:the|this) (?:pain|abuse))\b",
    ),
    "demands_secrecy": (
        r"\b(?:don't|do not|never) tell " + _CLOSE,
        r"\b(?:our|a) (?:little )?secret between us\b|\bthis stays between us\b",
    ),
    "demands_dependence": (
        r"\byou (?:only|just) need me\b|\bi'm (?:all|the only one) you (?:need|have)\b",
        r"\bnobody else (?:will|can|could) (?:ever )?understand you\b|\bonly i (?:can )?understand you\b",
    ),
    "romance": (
        r"\b(?:i'm|i am) in love with you\b|\bi love you\b|\b(?:kiss|make love to|sleep with) you\b",
        r"\bbe (?:my|your) (?:girlfriend|boyfriend|lover)\b",
    ),
    "diagnosis": (
        _YOU_HAVE + r"(?:clinical |major |severe )?(?:depression|bipolar|ptsd|adhd|ocd|autism|schizophrenia|bpd|"
        r"borderline personality|an? (?:anxiety|eating|personality|mood) disorder)\b",
        r"\byou(?: are|'re) (?:clinically depressed|bipolar|schizophrenic|autistic)\b",
    ),
}
_COMPILED = [(name, re.compile(each, re.IGNORECASE)) for name, patterns in _CHECKS.items() for each in patterns]
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2019\u02bc\uff07`", "'"))


class PatternGate:
    """Stops a reply by the first pattern that it holds; what the person asked excuses none of them."""

    async def check(self, context: Context, response: str) -> str | None:  # noqa: ARG002
        plain = response.translate(_APOSTROPHES)
        return next((name for name, pattern in _COMPILED if pattern.search(plain)), None)
