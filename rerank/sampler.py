"""Writes with a language model in this process: several texts at once, token by token, with or without an adapter.

A folder as any causal model's of transformers. Left out: everything that a server does better (more than one request at
once); see `rerank.policy` for those.
"""

from collections.abc import Collection, Generator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from tokenizers.decoders import DecodeStream
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, Cache
from transformers.utils import logging

from rerank.errors import TooLong
from rerank.pieces import Piece, Prompt, Taste
from rerank.weights import BadWeights

_ADAPTERS = 3
"""Kept loaded at most: the live one, one that is tried out, and one on its way out."""
logging.disable_progress_bar()  # type: ignore[no-untyped-call] # of loading, which takes a second


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
        self._worn: Any = None
        """The same model as what wears adapters."""
        self._adapters: list[Path] = []

    @property
    def window(self) -> int | None:
        """Tokens of prompt and text together, where the model says it."""
        return getattr(self._model.config, "max_position_embeddings", None)

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
        """Each piece as it comes. Whoever stops asking stops the work."""
        self._wear(adapter)
        chance = torch.Generator(self._model.device)
        chance.seed() if seed is None else chance.manual_seed(seed)
        closed = [token for each in banned if (token := self._token(each)) is not None]
        streams = [DecodeStream(skip_special_tokens=True) for _ in range(n)]
        scores, cache = self._read(prompt, n, taste.limit)
        live = list(range(n))
        for step in range(1, taste.limit + 1):
            chosen = _chosen(scores, taste, closed, chance)
            going = []
            for at, (row, token) in enumerate(zip(live, chosen.tolist(), strict=True)):
                ended = token in self._ends
                if not ended:
                    going.append(at)
                text = "" if ended else streams[row].step(self._tokenizer.backend_tokenizer, token) or ""
                yield Piece(row, text, step, ended)
            if not going or step == taste.limit:
                return
            if len(going) < len(live):
                cache.batch_select_indices(torch.tensor(going, device=self._model.device))
            live, seen = [live[at] for at in going], chosen[going].unsqueeze(1)
            with torch.inference_mode():
                out = self._model(input_ids=seen, past_key_values=cache, use_cache=True)
            scores, cache = out.logits[:, -1], out.past_key_values

    def _read(self, prompt: Prompt, n: int, limit: int) -> tuple[Tensor, Cache]:
        """What may come next after the prompt, which is read once for all texts."""
        text = prompt if isinstance(prompt, str) else self._templated(prompt)
        ids = self._tokenizer.encode(text, add_special_tokens=False, return_tensors="pt")
        if self.window is not None and ids.shape[1] + limit > self.window:
            raise TooLong(f"The model in this process has a window of {self.window} tokens.")
        with torch.inference_mode():
            out = self._model(input_ids=ids.to(self._model.device), use_cache=True, logits_to_keep=1)
        cache: Cache = out.past_key_values
        cache.batch_repeat_interleave(n)
        return out.logits[:, -1].repeat(n, 1), cache

    def _templated(self, messages: Sequence[Mapping[str, str]]) -> str:
        if self._tokenizer.chat_template is None:
            raise BadWeights("The model in this process has no chat template. Choose an instruct or chat model.")
        chat = [dict(each) for each in messages]
        return str(self._tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))

    def _token(self, text: str) -> int | None:
        found: int | None = self._tokenizer.get_vocab().get(text)
        return found

    def _wear(self, adapter: Path | None) -> None:
        """Put this adapter on for the next text, or none."""
        if adapter is None:
            if self._worn is not None:
                self._worn.base_model.disable_adapter_layers()
            return
        if adapter not in self._adapters:
            self._fetch(adapter)
        self._worn.base_model.enable_adapter_layers()
        self._worn.set_adapter(_name(adapter))

    def _fetch(self, adapter: Path) -> None:
        from peft import PeftModel  # noqa: PLC0415 - takes a second, and most models wear none

        if not (adapter / "adapter_config.json").is_file():
            raise BadWeights(f"{adapter} holds no adapter.")  # else it would be looked for on a hub
        if len(self._adapters) == _ADAPTERS:
            self._worn.delete_adapter(_name(self._adapters.pop(0)))
        try:
            if self._worn is None:
                self._worn = PeftModel.from_pretrained(self._model, adapter, adapter_name=_name(adapter))
            else:
                self._worn.load_adapter(adapter, _name(adapter))
        except Exception as error:  # noqa: BLE001 - peft raises anything
            raise BadWeights(f"{adapter} holds no adapter for this model: {type(error).__name__}.") from None
        self._adapters.append(adapter)


def _name(adapter: Path) -> str:
    """Names of modules have no dots."""
    return sha256(str(adapter).encode()).hexdigest()[:16]


@torch.inference_mode()
def _chosen(scores: Tensor, taste: Taste, closed: Sequence[int], chance: torch.Generator) -> Tensor:
    scores[:, list(closed)] = -torch.inf
    if taste.temperature == 0:
        return scores.argmax(-1)
    shares, order = (scores.float() / taste.temperature).softmax(-1).sort(-1, descending=True)
    kept = shares * (shares.cumsum(-1) - shares < taste.top_p)
    return order.gather(-1, torch.multinomial(kept, 1, generator=chance)).squeeze(-1)
