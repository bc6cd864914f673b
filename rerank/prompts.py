"""The prompts: what the policy and the judges are told, joined with a context and a candidate.

The texts to read and change are the Markdown files in `rerank/data`: `policy.md` with `concern.md` and `crisis.md`, and
`judge.md`, the handbook that all four judges share. `VERSION` follows from their words, so that a stored turn tells
which it was written with.

What never changes comes first, then the person's seal and context, then the candidate, and the question last. So a
server's prefix cache holds the handbook for everybody, the context for all judgements of a turn, and a reply for the
three perspectives that read it. The seal is a secret of the person's: no other request can share what follows it.
"""

import re
from hashlib import sha256
from importlib.resources import files

from rerank.types import Context, Line, Perspective, Role, Tier

_DATA = files("rerank") / "data"
_NAMES = ("policy", "concern", "crisis", "judge")
_TEXTS = {name: (_DATA / f"{name}.md").read_text(encoding="utf-8").strip() for name in _NAMES}
_TAG = re.compile(r"<(?=\s*/?\s*(?:case|person|before|conversation|message|analysis|reply)\b)", re.IGNORECASE)
_SPEAKERS = {Role.USER: "Person", Role.ASSISTANT: "Attune"}
Message = dict[str, str]

PARTS = ("effectiveness", "clarity", "efficiency", "objectivity", "accuracy")
READS_ANALYSIS = frozenset({Perspective.RESONATION})

_DIGIT = "Answer with one digit from 1 to 5 and nothing else."
_DIGITS = f"""Grade {", ".join(PARTS)}, in this order.
Answer with five digits from 0 to 4, nothing between them, nothing else."""
_REASON = "Reason in two or three sentences. Then end with one line: Score: N (1 to 5)"
_REASON_PARTS = f"""Reason in two or three sentences. Then grade {", ".join(PARTS)}.
Give each 0 to 20, five for each step above, in a line like `{PARTS[0].title()}: N`.
End with their sum in one line: Total Score: N (0 to 100)"""


def policy(context: Context) -> list[Message]:
    return [_message("system", instructions(context)), _message("user", case(context))]


def instructions(context: Context) -> str:
    """What the policy is told first."""
    return "\n\n".join([_TEXTS["policy"]] + ([] if context.tier == Tier.NONE else [_TEXTS[context.tier.value]]))


def handbook() -> str:
    """What every judge is told first."""
    return _TEXTS["judge"]


def expected(context: Context, perspective: Perspective, text: str) -> list[Message]:
    """Ask for nothing but the score."""
    return _judge(context, perspective, text, _DIGITS if perspective == Perspective.BYSTANDER else _DIGIT)


def rationale(context: Context, perspective: Perspective, text: str) -> list[Message]:
    """Ask for reasons, then the score."""
    return _judge(context, perspective, text, _REASON_PARTS if perspective == Perspective.BYSTANDER else _REASON)


def case(context: Context) -> str:
    parts = [f"Case {context.seal}".rstrip()]
    parts += [_tagged("person", context.persona)] if context.persona else []
    parts += [_tagged("before", context.scenario)] if context.scenario else []
    if context.history:
        lines = "\n".join(f"{_SPEAKERS[line.role]}: {line.text}" for line in context.history)
        parts.append(_tagged("conversation", lines))
    return "\n\n".join([*parts, _tagged("message", context.query)])


def _judge(context: Context, perspective: Perspective, text: str, question: str) -> list[Message]:
    what = "analysis" if perspective in READS_ANALYSIS else "reply"
    body = f"{case(context)}\n\n{_tagged(what, text)}\n\nGrade only {perspective.value}. {question}"
    return [_message("system", handbook()), _message("user", body)]


def _tagged(name: str, text: str) -> str:
    """Between tags that the text cannot close or imitate."""
    return f"<{name}>\n{_TAG.sub('&lt;', text.strip())}\n</{name}>"


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


_SAMPLE = Context("query", "persona", "scenario", (Line(Role.USER, "a"), Line(Role.ASSISTANT, "b")), seal="seal")
_ASKED = [ask(_SAMPLE, each, "text") for ask in (expected, rationale) for each in Perspective]
VERSION = sha256(repr([_TEXTS, policy(_SAMPLE), _ASKED]).encode()).hexdigest()[:12]
"""Twelve characters that change with any word of any prompt."""
