"""What is said between who samples and who reads: the prompt, how to choose the next token, and the pieces of texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Prompt = str | Sequence[Mapping[str, str]]
"""Text as it is, or the messages of a chat for the model's own template."""


@dataclass(frozen=True, slots=True)
class Taste:
    """How the next token is chosen. A temperature of 0 takes the likeliest."""

    temperature: float = 0.7
    top_p: float = 0.9
    limit: int = 160
    """Tokens to a text at most."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one text has gained."""

    row: int
    text: str
    tokens: int
    """So far."""
    ended: bool
