"""Writes with a language model in this process: several texts at once, token by token, with or without an adapter.

A folder as any causal model's of transformers. Left out: everything that a server does better (more than one request at
once); see `rerank.policy` for those.
"""

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, Cache, PreTrainedModel
from transformers.utils import logging

from rerank.errors import TooLong
from rerank.pieces import Piece, Prompt, Taste
from rerank.weights import BadWeights

_MOST = 0.3
_NEWLINE = "Ċ"
"""As tokenizers that work on bytes spell it."""
_ADAPTERS = 3
"""Kept loaded at most: the live one, one that is tried out, and one on its way out."""
logging.disable_progress_bar()  # type: ignore[no-untyped-call] # of loading, which takes a second
logging.disable_default_handler()  # logs have one form, and one place
logging.enable_propagation()


class Sampler:
    """A loaded model. Not for several threads at once."""

    def __init__(self, folder: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", local_files_only=True)
        except Exception as error:  # noqa: BLE001 - the tokenizer's library raises nothing more exact
            raise BadWeights(f"{folder} holds no model that can be loaded: {type(error).__name__}.") from None
        if torch.cuda.is_available():
            torch.nn.Module.cuda(self._model)
        elif self._model.dtype == torch.float16:
            torch.nn.Module.float(self._model)  # processors are slow with half numbers
        torch.nn.Module.train(self._model, mode=False)
        ends = self._model.generation_config.eos_token_id
        self._ends = frozenset(ends if isinstance(ends, list) else [ends]) | {self._tokenizer.eos_token_id}
        self._wardrobe = _Wardrobe(self._model)

    @property
    def window(self) -> int | None:
        """Tokens of prompt and text together, where the model says it."""
        return getattr(self._model.config.get_text_config(), "max_position_embeddings", None)

    def most(self, limit: int) -> int:
        """As many tokens of text, or half of the window if that is less."""
        return limit if self.window is None else min(limit, self.window // 2)

    def fits(self, prompt: Prompt, limit: int) -> bool:
        return self.window is None or self._encoded(prompt).shape[1] + self.most(limit) <= self.window

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
        self._wardrobe.wear(adapter)
        chance = torch.Generator(self._model.device)
        chance.seed() if seed is None else chance.manual_seed(seed)
        closed = [token for each in banned if (token := self._token(each)) is not None]
        rows = [_Row(each, Speller(self._tokenizer.backend_tokenizer)) for each in range(n)]
        read, limit = self._encoded(prompt), self.most(taste.limit)
        if not self.fits(prompt, limit):
            advice = "Set ATTUNE_REPLY_TOKENS lower, or use another model."
            raise TooLong(f"The prompt does not fit the model's window of {self.window} tokens. {advice}")
        strayed = yield from self._written(read, rows, taste, closed, chance, strict=taste.temperature > 0)
        for row in strayed:
            for strict in (True, True, True, False):
                row.held.clear()
                if not (yield from self._written(row.after(read), [row], taste, closed, chance, strict=strict)):
                    break

    def _written(
        self,
        read: Tensor,
        rows: Sequence["_Row"],
        taste: Taste,
        closed: Sequence[int],
        chance: torch.Generator,
        *,
        strict: bool,
    ) -> Generator[Piece, None, list["_Row"]]:
        """Write all rows to their ends; gives those that strayed to where only banned tokens fit."""
        limit, strayed, live = self.most(taste.limit), [], list(rows)
        scores, cache = self._read(read, len(rows))
        while live:
            lost = _lost(scores, closed) if strict and closed else [False] * len(live)
            chosen = _chosen(scores, taste, closed, chance)
            going = []
            for at, (row, token) in enumerate(zip(live, chosen.tolist(), strict=True)):
                if lost[at]:
                    strayed.append(row)
                    continue
                ended = token in self._ends
                row.held.append(token)
                if ended or not closed or token in self._breaks or len(row.tokens) == limit:
                    yield row.told(ended=ended)
                if not ended and len(row.tokens) < limit:
                    going.append(at)
            if going and len(going) < len(live):
                self._keep(cache, going)
            live = [live[at] for at in going]
            if live:
                with torch.inference_mode():
                    out = self._model(input_ids=chosen[going].unsqueeze(1), past_key_values=cache, use_cache=True)
                scores, cache = out.logits[:, -1], out.past_key_values
        return strayed

    def _read(self, ids: Tensor, n: int) -> tuple[Tensor, Cache]:
        """What may come next after these tokens, which are read once for all texts."""
        with torch.inference_mode():
            out = self._model(input_ids=ids.to(self._model.device), use_cache=True, logits_to_keep=1)
        cache: Cache = out.past_key_values
        self._keep(cache, [0] * n)
        return out.logits[:, -1].repeat(n, 1), cache

    @cached_property
    def _breaks(self) -> frozenset[int]:
        """The tokens after which a sentence may be over."""
        known = self._tokenizer.get_vocab()
        return frozenset(token for text, token in known.items() if text.endswith((".", "?", "!", _NEWLINE)))

    def _keep(self, cache: Cache, rows: Sequence[int]) -> None:
        cache.reorder_cache(torch.tensor(rows, device=self._model.device))  # type: ignore[arg-type] # it is a LongTensor

    def _encoded(self, prompt: Prompt) -> Tensor:
        text = prompt if isinstance(prompt, str) else self._templated(prompt)
        ids: Tensor = self._tokenizer.encode(text, add_special_tokens=False, return_tensors="pt")
        return ids

    def _templated(self, messages: Sequence[Mapping[str, str]]) -> str:
        if self._tokenizer.chat_template is None:
            raise BadWeights("The model in this process has no chat template. Choose an instruct or chat model.")
        chat = [dict(each) for each in messages]
        return str(self._tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))

    def _token(self, text: str) -> int | None:
        found: int | None = self._tokenizer.backend_tokenizer.token_to_id(text)
        return found


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

    def after(self, read: Tensor) -> Tensor:
        return torch.cat([read, torch.tensor([self.kept], dtype=read.dtype)], dim=1)


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


class _Wardrobe:
    """The adapters of a model: loaded when first worn, the few last ones kept."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._worn: Any = None
        """The same model, once it can wear adapters."""
        self._adapters: list[Path] = []
        """The last worn stands last."""

    def wear(self, adapter: Path | None) -> None:
        """Put this adapter on for the next text, or none."""
        if adapter is None:
            if self._worn is not None:
                self._worn.base_model.disable_adapter_layers()
            return
        if adapter in self._adapters:
            self._adapters.remove(adapter)
        else:
            self._fetch(adapter)
        self._adapters.append(adapter)
        self._worn.base_model.enable_adapter_layers()
        self._worn.set_adapter(_name(adapter))
        if len(self._adapters) > _ADAPTERS:
            self._worn.delete_adapter(_name(self._adapters.pop(0)))

    def _fetch(self, adapter: Path) -> None:
        from peft import PeftConfig, PeftModel  # noqa: PLC0415 - takes a second, and most models wear none

        if not all((adapter / each).is_file() for each in ("adapter_config.json", "adapter_model.safetensors")):
            raise BadWeights(f"{adapter} holds no adapter.")  # else it would be looked for on a hub
        name = _name(adapter)
        try:
            if self._worn is None:
                config = PeftConfig.from_pretrained(str(adapter))
                self._worn = PeftModel(self._model, config, adapter_name=name)
            self._worn.load_adapter(str(adapter), name)
        except Exception as error:  # noqa: BLE001 - peft raises anything
            if self._worn is not None and name in self._worn.peft_config:
                self._worn.delete_adapter(name)  # half loaded, it would be worn by everybody
            raise BadWeights(f"{adapter} holds no adapter for this model: {type(error).__name__}.") from None


def _name(adapter: Path) -> str:
    """Names of modules have no dots."""
    return sha256(str(adapter).encode()).hexdigest()[:16]


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
