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
from textwrap import indent
from typing import Literal, get_args

from rerank.types import Context, Line, Perspective, Role, Tier

_DATA = files("rerank") / "data"
_NAMES = ("policy", "concern", "crisis", "judge")
_TEXTS = {name: (_DATA / f"{name}.md").read_text(encoding="utf-8").strip() for name in _NAMES}
_TAG = re.compile(r"<(?=\s*/?\s*(?:case|person|before|conversation|message|analysis|reply)\b)", re.IGNORECASE)
_SPEAKERS = {Role.USER: "Person", Role.ASSISTANT: "Attune"}
Message = dict[str, str]
Mode = Literal["expected", "rationale"]

PARTS = ("effectiveness", "clarity", "efficiency", "objectivity", "accuracy")
READS_ANALYSIS = frozenset({Perspective.RESONATION})

_HOW = {
    "expected": f"""Answer at once, with digits alone. Resonation, expression, reception: one digit from 1 to 5.
Bystander: five digits from 0 to 4, nothing between them, for {", ".join(PARTS)}.""",
    "rationale": f"""Reason in two or three sentences. Then end with one line: Score: N
Resonation, expression and reception: N is 1 to 5. Bystander: before that line, grade each part from 0 to 20, five for
each step above, in a line like `{PARTS[0].title()}: N`, and end with their sum: Total Score: N""",
}
_ASK = {"expected": "Answer with one digit.", "rationale": "Reason, then Score: N"}
_ASK_PARTS = {"expected": "Answer with five digits.", "rationale": "Reason, the five parts, then Total Score: N"}


def policy(context: Context) -> list[Message]:
    return [_message("system", instructions(context)), _message("user", case(context))]


def instructions(context: Context) -> str:
    """What the policy is told first."""
    return "\n\n".join([_TEXTS["policy"]] + ([] if context.tier == Tier.NONE else [_TEXTS[context.tier.value]]))


def handbook(mode: Mode) -> str:
    """What every judge is told first."""
    return f"{_TEXTS['judge']}\n\n## How to answer\n\n{_HOW[mode]}"


def judge(mode: Mode, context: Context, perspective: Perspective, text: str) -> list[Message]:
    """Ask for a score alone, or for reasons and then a score."""
    what = "analysis" if perspective in READS_ANALYSIS else "reply"
    asked = (_ASK_PARTS if perspective == Perspective.BYSTANDER else _ASK)[mode]
    body = f"{case(context)}\n\n{tagged(what, text)}\n\nOnly {perspective.value}. {asked}"
    return [_message("system", handbook(mode)), _message("user", body)]


def case(context: Context) -> str:
    parts = [f"Case {context.seal}".rstrip()]
    parts += [tagged("person", context.persona)] if context.persona else []
    parts += [tagged("before", context.scenario)] if context.scenario else []
    if context.history:
        # Indented, so that no line of a message can look like a speaker's.
        lines = "\n".join(f"{_SPEAKERS[each.role]}: {indent(each.text, '  ').strip()}" for each in context.history)
        parts.append(tagged("conversation", lines))
    return "\n\n".join([*parts, tagged("message", context.query)])


def tagged(name: str, text: str) -> str:
    """Between tags that the text cannot close or imitate."""
    return f"<{name}>\n{_TAG.sub('&lt;', text.strip())}\n</{name}>"


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


_SAMPLE = Context("query", "persona", "scenario", (Line(Role.USER, "a"), Line(Role.ASSISTANT, "b")), seal="seal")
_ASKED = [judge(mode, _SAMPLE, each, "text") for mode in get_args(Mode) for each in Perspective]
VERSION = sha256(repr([_TEXTS, policy(_SAMPLE), _ASKED]).encode()).hexdigest()[:12]
"""Twelve characters that change with any word of any prompt."""
