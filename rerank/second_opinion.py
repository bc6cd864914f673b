"""A language model's opinion of a person's danger, where one judges anyway: it reads what patterns and heads miss."""

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from rerank.ask import Choice, ask
from rerank.errors import Broken, RerankError, TooLong
from rerank.prompts import Message, tagged
from rerank.risk import Assessment
from rerank.server import Server
from rerank.types import Category, Tier

_INSTRUCTIONS = (files("rerank") / "data" / "risk_instructions.txt").read_text(encoding="utf-8").strip()
_LENGTHS, _LINES = (8000, 2000, 500), 8
"""Characters of the message from each end, fewer where they do not fit the model's window, and earlier messages."""
_TIERS = "|".join(Tier)
_CATEGORIES = "|".join(each.replace("_", r"\W{1,2}") for each in Category)
_IS = r"(?:\W{1,8}is)?\W{1,8}"
_ANSWER = re.compile(
    rf"(^[^\w\n]*)?\btier{_IS}({_TIERS})\b(?![^\w.;\n]*(?:or\W+)?(?:{_TIERS})\b)"
    rf"(?:(?:(?!\btier\b).){{0,40}}?\bcategory{_IS}((?:{_CATEGORIES})\b|\w+))?",
    re.MULTILINE | re.DOTALL,
)
"""A tier, unless it is one of several to choose from, whether it begins a line, and the category that belongs to it."""
_CONFIDENCE = 0.8
_CRISIS = {Tier.NONE: 0.1, Tier.CONCERN: 0.5, Tier.CRISIS: 0.9}
"""A model that is asked for one line tells nothing about how sure it is."""


class ServerDetector:
    """A `RiskDetector` behind an OpenAI-compatible server."""

    def __init__(self, server: Server, model: str) -> None:
        self._server, self._model = server, model
        self.name = f"llm:{model}"

    async def assess(self, message: str, history: Sequence[str] = ()) -> Assessment:
        features = await self._server.features(self._model)
        options: dict[str, Any] = {"temperature": 0, "max_tokens": 30}
        options |= {"chat_template_kwargs": {"enable_thinking": False}} if features.vllm else {}
        for longest in _LENGTHS:
            (answer,) = await ask(self._server, self._model, [_conversation(message, history, longest)], options)
            if not isinstance(answer, TooLong):
                break
        if isinstance(answer, RerankError):
            raise answer
        tier, category = _read(answer)
        return Assessment(tier, category, _CONFIDENCE, _CRISIS[tier], (), self.name)


def _read(answer: Choice) -> tuple[Tier, Category]:
    """Of several tiers the one with a category counts, then the one that begins a line, then the last."""
    message = answer.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    said = _without_thoughts(content).lower().replace("_", " ") if isinstance(content, str) else ""
    found = max(
        _ANSWER.finditer(said), key=lambda each: (bool(each[3]), each[1] is not None, each.start()), default=None
    )
    if found is None:
        raise Broken("The model server gave no opinion about the risk.")
    tier, named = Tier(found[2]), re.sub(r"\W+", "_", found[3] or "")
    known = tier != Tier.NONE and named in set(Category)
    return tier, Category(named) if known else Category.NONE


def _without_thoughts(content: str) -> str:
    """What follows them; nothing if they were cut short. Some chat templates leave their beginning out."""
    return content.rpartition("</think>")[2].partition("<think>")[0]


def _conversation(message: str, history: Sequence[str], longest: int) -> list[Message]:
    earlier = "\n".join(f"- {_ends(each, longest // _LINES // 2)}" for each in history[-_LINES:])
    parts = [tagged("before", earlier)] if earlier else []
    body = "\n\n".join([*parts, tagged("message", _ends(message, longest)), "Which tier, and which category?"])
    return [{"role": "system", "content": _INSTRUCTIONS}, {"role": "user", "content": body}]


def _ends(text: str, longest: int) -> str:
    text = text.strip()
    return text if len(text) <= 2 * longest else f"{text[:longest]}\n[...]\n{text[-longest:]}"
