"""Makes a context fit a model's window: the oldest messages go first, for the running summary stands for them.

Lengths are estimated, for no server tells its tokens before it is asked; a server that says "too long" all the same is
asked again with half of the room. What the person writes now is never cut.
"""

from dataclasses import replace

from rerank.types import Context

_BYTES_A_TOKEN = 3
"""English has four to five, Chinese three: rather too many tokens than too few."""
_PERSONA_SHARE = 3
_A_SMALL_WINDOW = 4096


def tokens(text: str) -> int:
    return len(text.encode("utf-8", "replace")) // _BYTES_A_TOKEN + 8


def rooms(window: int | None, taken: int) -> tuple[int | None, int, int]:
    """How many tokens to give a context at the first attempt, and at two more if the server finds it too long."""
    room = (window or _A_SMALL_WINDOW) - taken
    return (None if window is None else room), room // 2, room // 4


def fit(context: Context, room: int | None) -> Context:
    """The context with as much of its history, summary and persona as `room` tokens hold, the query whole."""
    if room is None or _size(context) <= room:
        return context
    left = room - tokens(context.query)
    persona = _start(context.persona, left // _PERSONA_SHARE)
    left -= tokens(persona) if persona else 0
    scenario = _end(context.scenario, left // 2 if context.history else left)
    left -= tokens(scenario) if scenario else 0
    first = len(context.history)
    while first > 0 and (left := left - tokens(context.history[first - 1].text)) >= 0:
        first -= 1
    return replace(context, persona=persona, scenario=scenario, history=context.history[first:])


def _size(context: Context) -> int:
    parts = [context.persona, context.scenario, *(line.text for line in context.history)]
    return tokens(context.query) + sum(tokens(each) for each in parts if each)


def _start(text: str, room: int) -> str:
    return text if tokens(text) <= room else _cut(text.encode("utf-8", "replace")[: max(0, room - 8) * _BYTES_A_TOKEN])


def _end(text: str, room: int) -> str:
    """A summary's newest part is its end."""
    kept = max(0, room - 8) * _BYTES_A_TOKEN
    return text if tokens(text) <= room else _cut(text.encode("utf-8", "replace")[-kept:] if kept else b"")


def _cut(piece: bytes) -> str:
    return piece.decode("utf-8", "ignore").strip()
