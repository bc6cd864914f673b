"""Any causal language model in this process, by transformers: from a folder, with PEFT's adapters."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, Cache, PreTrainedModel
from transformers.utils import logging

from rerank.pieces import Prompt
from rerank.weights import BadWeights

_ADAPTERS = 3
"""Kept loaded at most: the live one, one that is tried out, and one on its way out."""
logging.disable_progress_bar()  # type: ignore[no-untyped-call] # of loading, which takes a second
logging.disable_default_handler()  # logs have one form, and one place
logging.enable_propagation()


class AnyModel:
    """A loaded model and its tokenizer."""

    def __init__(self, folder: Path) -> None:
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
        self.ends = frozenset(ends if isinstance(ends, list) else [ends]) | {self._tokenizer.eos_token_id}
        self._wardrobe = _Wardrobe(self._model)

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer.backend_tokenizer

    @property
    def window(self) -> int | None:
        return getattr(self._model.config.get_text_config(), "max_position_embeddings", None)

    @property
    def device(self) -> torch.device:
        return self._model.device

    def encoded(self, prompt: Prompt) -> list[int]:
        text = prompt if isinstance(prompt, str) else self._templated(prompt)
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _templated(self, messages: Sequence[Mapping[str, str]]) -> str:
        if self._tokenizer.chat_template is None:
            raise BadWeights("The model in this process has no chat template. Choose an instruct or chat model.")
        chat = [dict(each) for each in messages]
        return str(self._tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))

    def wear(self, adapter: Path | None) -> None:
        self._wardrobe.wear(adapter)

    def read(self, ids: Sequence[int], n: int) -> "_Texts":
        with torch.inference_mode():
            ids_there = torch.tensor([list(ids)], device=self.device)
            out = self._model(input_ids=ids_there, use_cache=True, logits_to_keep=1)
        texts = _Texts(self._model, out.logits[:, -1], out.past_key_values)
        texts.keep([0] * n)
        return texts


class _Texts:
    """Texts being written, all at once."""

    def __init__(self, model: PreTrainedModel, scores: Tensor, cache: Cache) -> None:
        self._model, self.scores, self._cache = model, scores, cache

    def keep(self, rows: Sequence[int]) -> None:
        chosen = torch.tensor(rows, device=self._model.device)
        self._cache.reorder_cache(chosen)  # type: ignore[arg-type] # it is a LongTensor
        self.scores = self.scores[chosen]

    def go_on(self, tokens: Tensor) -> None:
        with torch.inference_mode():
            out = self._model(input_ids=tokens.unsqueeze(1), past_key_values=self._cache, use_cache=True)
        self.scores, self._cache = out.logits[:, -1], out.past_key_values


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
