"""Writes with a language model in this process: several texts at once, token by token, with or without an adapter.

Left out: everything that a server does better (more than one request at once); see `rerank.policy` for those.
"""

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream
from torch import Tensor

from rerank.errors import TooLong
from rerank.pieces import Piece, Prompt, Taste

_MOST = 0.3
_NEWLINE = "Ċ"
"""As tokenizers that work on bytes spell it."""


class Texts(Protocol):
    """Texts that go on from one prompt, all at once."""

    scores: Tensor
    """Of every token that may come next, a row for each text."""

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these texts alone."""

    def go_on(self, tokens: Tensor) -> None:
        """Each text has got this token."""


class Model(Protocol):
    """A loaded language model. Not for several threads at once."""

    @property
    def tokenizer(self) -> Tokenizer: ...
    @property
    def window(self) -> int | None:
        """Tokens of prompt and text together, where the model says it."""

    @property
    def device(self) -> torch.device: ...

    ends: frozenset[int]

    def encoded(self, prompt: Prompt) -> list[int]: ...
    def wear(self, adapter: Path | None) -> None:
        """Put this adapter on for the next texts, or none."""

    def read(self, ids: Sequence[int], n: int) -> Texts: ...


class Sampler:
    """Samples from a model. Not for several threads at once."""

    def __init__(self, model: Model, threads: int) -> None:
        torch.set_num_threads(threads)
        self._model = model

    @property
    def window(self) -> int | None:
        return self._model.window

    def most(self, limit: int) -> int:
        """As many tokens of text, or half of the window if that is less."""
        return limit if self.window is None else min(limit, self.window // 2)

    def fits(self, prompt: Prompt, limit: int) -> bool:
        return self.window is None or len(self._model.encoded(prompt)) + self.most(limit) <= self.window

    def write(
        self,
        prompt: Prompt,
        n: int,
        taste: Taste,
        *,
        banned: Collection[str] = (),
        adapter: Path | None = None,
        seed: int | None = None,
    ) -> Generator[Piece, None, None]:
        """Each piece as it comes. Whoever stops asking stops the work.

        Where most of what the model would write next is banned, what it began can't be ended well: it writes that
        sentence anew. So with banned tokens pieces are whole sentences.
        """
        self._model.wear(adapter)
        chance = torch.Generator(self._model.device)
        chance.seed() if seed is None else chance.manual_seed(seed)
        ids = [self._model.tokenizer.token_to_id(each) for each in banned]
        closed = [each for each in ids if each is not None]
        rows = [_Row(each, Speller(self._model.tokenizer)) for each in range(n)]
        if not self.fits(prompt, taste.limit):
            advice = "Set ATTUNE_REPLY_TOKENS lower, or use another model."
            raise TooLong(f"The prompt does not fit the model's window of {self.window} tokens. {advice}")
        read = self._model.encoded(prompt)
        strayed = yield from self._written(read, rows, taste, closed, chance, strict=taste.temperature > 0)
        for row in strayed:
            for strict in (True, True, True, False):
                row.held.clear()
                if not (yield from self._written([*read, *row.kept], [row], taste, closed, chance, strict=strict)):
                    break

    def _written(
        self,
        read: Sequence[int],
        rows: Sequence["_Row"],
        taste: Taste,
        closed: Sequence[int],
        chance: torch.Generator,
        *,
        strict: bool,
    ) -> Generator[Piece, None, list["_Row"]]:
        """Write all rows to their ends; gives those that strayed to where only banned tokens fit."""
        limit, strayed, live = self.most(taste.limit), [], list(rows)
        texts = self._model.read(read, len(rows))
        while live:
            lost = _lost(texts.scores, closed) if strict and closed else [False] * len(live)
            chosen = _chosen(texts.scores, taste, closed, chance)
            going = []
            for at, (row, token) in enumerate(zip(live, chosen.tolist(), strict=True)):
                if lost[at]:
                    strayed.append(row)
                    continue
                ended = token in self._model.ends
                row.held.append(token)
                if ended or not closed or token in self._breaks or len(row.tokens) == limit:
                    yield row.told(ended=ended)
                if not ended and len(row.tokens) < limit:
                    going.append(at)
            if going and len(going) < len(live):
                texts.keep(going)
            live = [live[at] for at in going]
            if live:
                texts.go_on(chosen[going])
        return strayed

    @cached_property
    def _breaks(self) -> frozenset[int]:
        """The tokens after which a sentence may be over."""
        known = self._model.tokenizer.get_vocab()
        return frozenset(token for text, token in known.items() if text.endswith((".", "?", "!", _NEWLINE)))


@dataclass(slots=True)
class _Row:
    """One text being written."""

    index: int
    speller: "Speller"
    kept: list[int] = field(default_factory=list)
    """Told already."""
    held: list[int] = field(default_factory=list)
    """Since the last piece."""

    @property
    def tokens(self) -> list[int]:
        return [*self.kept, *self.held]

    def told(self, *, ended: bool) -> Piece:
        words = self.held[:-1] if ended else self.held
        self.kept, self.held = self.tokens, []
        return Piece(self.index, "".join(self.speller.spelt(each) for each in words), len(self.kept), ended)


class Speller:
    """Makes tokens into text as they come: a character may take several."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)

    def spelt(self, token: int) -> str:
        try:
            return self._stream.step(self._tokenizer, token) or ""
        except Exception:  # noqa: BLE001 - bytes that are no character: only they are lost
            self._stream = DecodeStream(skip_special_tokens=True)
            return ""


@torch.inference_mode()
def _lost(scores: Tensor, closed: Sequence[int]) -> list[bool]:
    """For each row, whether most of what the model would write next is banned."""
    found: list[bool] = (scores.float().softmax(-1)[:, list(closed)].sum(-1) > _MOST).tolist()
    return found


@torch.inference_mode()
def _chosen(scores: Tensor, taste: Taste, closed: Sequence[int], chance: torch.Generator) -> Tensor:
    scores[:, list(closed)] = -torch.inf
    if taste.temperature == 0:
        return scores.argmax(-1)
    shares, order = (scores.float() / taste.temperature).softmax(-1).sort(-1, descending=True)
    kept = shares * (shares.cumsum(-1) - shares < taste.top_p)
    return order.gather(-1, torch.multinomial(kept, 1, generator=chance)).squeeze(-1)
