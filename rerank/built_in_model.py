"""The built-in policy's network, written out in torch: importing transformers takes longer than a whole reply.

It reads a Qwen2 as `learning.pretrain` saves it, and adapters as PEFT saves a LoRA, which it merges into the weights.
Tests hold it against transformers and PEFT, and against vLLM. Left out: chat templates, graphics cards, every other
kind of model or adapter; those are `rerank.any_model`'s.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from rerank.pieces import Prompt
from rerank.weights import BadWeights

_ADAPTERS = 3
"""Kept merged at most: the live one, one that is tried out, and one on its way out."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the weights alone do not say."""

    layers: int
    heads: int
    shared: int
    """Heads of keys and values."""
    head: int
    """Its width."""
    window: int
    theta: float
    epsilon: float


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer's weights; what reads the same is one matrix."""

    before: Tensor
    attend: Tensor
    bias: Tensor
    out: Tensor
    after: Tensor
    widen: Tensor
    narrow: Tensor


@dataclass(frozen=True, slots=True)
class _Weights:
    words: Tensor
    layers: Sequence[_Layer]
    norm: Tensor


class BuiltInModel:
    """The loaded network and its tokenizer."""

    device = torch.device("cpu")

    def __init__(self, folder: Path) -> None:
        try:
            self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            self._shape = _shape(config)
            self._tensors = _floats(folder / "model.safetensors")
            self._base = _weights(self._tensors, self._shape)
        except Exception as error:  # noqa: BLE001 - the tokenizer's library raises nothing more exact
            raise BadWeights(f"{folder} holds no model that can be loaded: {type(error).__name__}.") from None
        self.window: int = self._shape.window
        self.ends = frozenset([int(config["eos_token_id"])])
        self._worn = self._base
        self._merged: dict[Path, _Weights] = {}
        """The last worn stands last."""
        self._turns = _turns(self._shape)

    def encoded(self, prompt: Prompt) -> list[int]:
        if not isinstance(prompt, str):
            raise BadWeights("The built-in model has no chat template. Choose an instruct or chat model.")
        ids: list[int] = self.tokenizer.encode(prompt, add_special_tokens=False).ids
        return ids

    def wear(self, adapter: Path | None) -> None:
        if adapter is None:
            self._worn = self._base
            return
        self._worn = self._merged.pop(adapter) if adapter in self._merged else self._with(adapter)
        self._merged[adapter] = self._worn
        if len(self._merged) > _ADAPTERS:
            self._merged.pop(next(iter(self._merged)))

    def _with(self, adapter: Path) -> _Weights:
        try:
            return _weights(self._tensors | _changed(self._tensors, adapter), self._shape)
        except Exception as error:  # noqa: BLE001 - whatever is in the folder
            raise BadWeights(f"{adapter} holds no adapter for this model: {type(error).__name__}.") from None

    def read(self, ids: Sequence[int], n: int) -> "_Texts":
        texts = _Texts(self._worn, self._shape, self._turns)
        texts.read(torch.tensor([list(ids)]))
        texts.keep([0] * n)
        return texts


class _Texts:
    """Texts being written, all at once: what was read of each layer is kept."""

    scores: Tensor

    def __init__(self, weights: _Weights, shape: _Shape, turns: tuple[Tensor, Tensor]) -> None:
        self._weights, self._shape, self._turns = weights, shape, turns
        self._kept: list[tuple[Tensor, Tensor]] = []
        self._length = 0

    def keep(self, rows: Sequence[int]) -> None:
        chosen = torch.tensor(rows)
        self._kept = [(keys[chosen], values[chosen]) for keys, values in self._kept]
        self.scores = self.scores[chosen]

    def go_on(self, tokens: Tensor) -> None:
        self.read(tokens.unsqueeze(1))

    @torch.inference_mode()
    def read(self, ids: Tensor) -> None:
        states = functional.embedding(ids, self._weights.words)
        kept = []
        for at, layer in enumerate(self._weights.layers):
            attended, both = self._attended(layer, self._normed(states, layer.before), at)
            states = states + attended @ layer.out.T
            gate, wide = (self._normed(states, layer.after) @ layer.widen.T).chunk(2, -1)
            states = states + (functional.silu(gate) * wide) @ layer.narrow.T
            kept.append(both)
        self._kept, self._length = kept, self._length + ids.shape[1]
        self.scores = self._normed(states[:, -1], self._weights.norm) @ self._weights.words.T

    def _normed(self, states: Tensor, weight: Tensor) -> Tensor:
        return functional.rms_norm(states, weight.shape, weight, self._shape.epsilon)

    def _attended(self, layer: _Layer, states: Tensor, at: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """What each place takes from those before it, and the keys and values of all."""
        shape, (rows, length, _) = self._shape, states.shape
        read = (states @ layer.attend.T + layer.bias).view(rows, length, -1, shape.head).transpose(1, 2)
        query, keys, values = torch.split(read, [shape.heads, shape.shared, shape.shared], 1)
        query, keys = self._turned(query), self._turned(keys)
        if self._kept:
            before_keys, before_values = self._kept[at]
            keys, values = torch.cat([before_keys, keys], 2), torch.cat([before_values, values], 2)
        found = functional.scaled_dot_product_attention(query, keys, values, is_causal=length > 1, enable_gqa=True)
        return found.transpose(1, 2).reshape(rows, length, -1), (keys, values)

    def _turned(self, states: Tensor) -> Tensor:
        """With each place's angle."""
        cosine, sine = (each[self._length : self._length + states.shape[2]] for each in self._turns)
        first, second = states.chunk(2, -1)
        return states * cosine + torch.cat([-second, first], -1) * sine


def _shape(config: Mapping[str, object]) -> _Shape:
    if config["model_type"] != "qwen2" or not config["tie_word_embeddings"] or config["use_sliding_window"]:
        raise ValueError("not as the built-in policy is made")
    known = {name: int(str(config[name])) for name in _NUMBERS}
    layers, heads, shared, width, window = (known[name] for name in _NUMBERS)
    rope = config["rope_parameters"]
    theta = float(rope["rope_theta"]) if isinstance(rope, dict) else float("nan")
    return _Shape(layers, heads, shared, width // heads, window, theta, float(str(config["rms_norm_eps"])))


_NUMBERS = (
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_size",
    "max_position_embeddings",
)


def _turns(shape: _Shape) -> tuple[Tensor, Tensor]:
    """The cosine and the sine of every place's angles."""
    speeds = shape.theta ** (-torch.arange(0, shape.head, 2, dtype=torch.float32) / shape.head)
    angles = torch.outer(torch.arange(shape.window, dtype=torch.float32), speeds).repeat(1, 2)
    return angles.cos(), angles.sin()


def _floats(path: Path) -> dict[str, Tensor]:
    return {name: tensor.float() for name, tensor in load_file(path).items()}


def _weights(tensors: Mapping[str, Tensor], shape: _Shape) -> _Weights:
    layers = [_layer({name: tensors[f"model.layers.{at}.{name}"] for name in _PARTS}) for at in range(shape.layers)]
    return _Weights(tensors["model.embed_tokens.weight"], layers, tensors["model.norm.weight"])


_READERS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_WIDENERS = ("mlp.gate_proj", "mlp.up_proj")
_PARTS = (
    *(f"{each}.{kind}" for each in _READERS for kind in ("weight", "bias")),
    *(f"{each}.weight" for each in (*_WIDENERS, "self_attn.o_proj", "mlp.down_proj")),
    "input_layernorm.weight",
    "post_attention_layernorm.weight",
)


def _layer(parts: Mapping[str, Tensor]) -> _Layer:
    return _Layer(
        before=parts["input_layernorm.weight"],
        attend=torch.cat([parts[f"{each}.weight"] for each in _READERS]),
        bias=torch.cat([parts[f"{each}.bias"] for each in _READERS]),
        out=parts["self_attn.o_proj.weight"],
        after=parts["post_attention_layernorm.weight"],
        widen=torch.cat([parts[f"{each}.weight"] for each in _WIDENERS]),
        narrow=parts["mlp.down_proj.weight"],
    )


def _changed(tensors: Mapping[str, Tensor], adapter: Path) -> dict[str, Tensor]:
    """The matrices that a LoRA changes, with what it adds."""
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    plain = config["peft_type"] == "LORA" and config.get("bias", "none") == "none"
    if not plain or any(config.get(each) for each in _BEYOND):
        raise ValueError("an adapter of a kind that is not merged here")
    scale = config["lora_alpha"] / (config["r"] ** 0.5 if config.get("use_rslora") else config["r"])
    halves = _floats(adapter / "adapter_model.safetensors")
    found = {}
    for name in sorted(each for each in halves if each.endswith(_FIRST)):
        matrix = name.removeprefix("base_model.model.").removesuffix(_FIRST) + ".weight"
        found[matrix] = tensors[matrix] + scale * halves.pop(name.replace("lora_A", "lora_B")) @ halves.pop(name)
    if halves or not found:
        raise ValueError("more than a LoRA, or nothing")
    return found


_FIRST = ".lora_A.weight"
_BEYOND = ("use_dora", "modules_to_save", "rank_pattern", "alpha_pattern", "fan_in_fan_out", "trainable_token_indices")
