"""Trains a network on labelled pairs: a LoRA on the encoder and the heads over it, saved as one small file.

One readable stage: examples in, a network out. What the judge, the detector and the gate learn from, and how they are
measured, stands in modules of their own.
"""

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import LoraConfig, inject_adapter_in_model
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from rerank.encoder import TARGETS, Batch, Network, batch, untrained
from rerank.pairs import Pair

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Outputs, targets and groups to what is made small."""


@dataclass(frozen=True, slots=True)
class Example:
    """A pair with what is known about it: a target for each output, NaN where nothing is known."""

    pair: Pair
    targets: tuple[float, ...]
    group: int
    """Examples of a group answer the same message: their order matters, and they stay in one batch."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained."""

    loss: Loss
    outputs: int
    limit: int
    epochs: int = 5
    rate: float = 1e-3
    rank: int = 16
    dropout: float = 0.1
    masked: float = 0.0
    """The share of tokens that are hidden at every step, so that no single word is relied on."""
    averaged: int = 2
    """Over so many of the last epochs the weights are averaged."""
    last: float = 0.2
    """The share of the rate that is left at the end."""
    size: int = 32
    seed: int = 1


def fit(examples: Sequence[Example], recipe: Recipe, tell: Callable[[str], None] = print) -> Network:
    torch.manual_seed(recipe.seed)
    shuffler = random.Random(recipe.seed)
    network = _prepared(examples, recipe)
    parameters = [each for each in network.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.rate, weight_decay=0.01)
    steps = len(list(_batches(examples, recipe.size, random.Random(0)))) * recipe.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda at: min((at + 1) / (0.06 * steps), 1 - (1 - recipe.last) * at / steps)
    )
    average = _Average()
    started = time.perf_counter()
    for epoch in range(recipe.epochs):
        losses = []
        for chosen in _batches(examples, recipe.size, shuffler):
            some = _masked(batch([each.pair for each in chosen], recipe.limit), recipe.masked)
            targets, groups = (torch.tensor(each) for each in zip(*((c.targets, c.group) for c in chosen), strict=True))
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=network.encoder.precision == torch.bfloat16):
                outputs = network(some, recipe.dropout)
            loss = recipe.loss(outputs.float(), targets, groups)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            if epoch >= recipe.epochs - recipe.averaged:
                average.add(parameters)
        spent = time.perf_counter() - started
        tell(f"epoch {epoch + 1} of {recipe.epochs}: loss {sum(losses) / len(losses):.4f}, {spent:.0f} s")
    average.put_into(parameters)
    return network.eval()


def _masked(some: Batch, share: float) -> Batch:
    hidden = (torch.rand(some.ids.shape) < share) & (some.ids > _MASK)
    return replace(some, ids=some.ids.masked_fill(hidden, _MASK))


_MASK = 103
"""Its number in the encoder's vocabulary; the other special tokens stand before it."""


class _Average:
    """The mean of the weights along the end of the way: steadier than where it happens to end."""

    def __init__(self) -> None:
        self._sums: list[Tensor] = []
        self._count = 0

    def add(self, parameters: Sequence[Tensor]) -> None:
        if not self._sums:
            self._sums = [torch.zeros_like(each) for each in parameters]
        self._sums = [total + each.detach() for total, each in zip(self._sums, parameters, strict=True)]
        self._count += 1

    def put_into(self, parameters: Sequence[Tensor]) -> None:
        for total, each in zip(self._sums, parameters, strict=True):
            each.data.copy_(total / self._count)


def grades_in_order(outputs: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
    """Squared error of what is known, and the order of grades within a group; each output counts the same."""
    known = ~targets.isnan()
    squared = (outputs - targets.nan_to_num()) ** 2 * known
    outputs, targets = outputs[:, :-1], targets[:, :-1]
    apart = (targets[:, None] - targets[None, :]).nan_to_num().clamp(min=0)
    weights = apart / (apart + _NEAR) * (groups[:, None] == groups[None, :]).unsqueeze(-1)
    order = functional.softplus(_STEEP * (outputs[None, :] - outputs[:, None])) * weights
    return 2 * _mean(squared.sum(0), known.sum(0)) + 0.5 * _mean(order.sum((0, 1)), weights.sum((0, 1)))


def _mean(sums: Tensor, counts: Tensor) -> Tensor:
    """The mean of each column, and of those the mean: a batch may know nothing of some."""
    some = counts > 0
    return (sums[some] / counts[some]).mean() if some.any() else sums.sum()


_NEAR = 0.3
"""Grades that are so far apart count half as much as those at the ends of the scale."""
_STEEP = 6.0


def questions_and_class(questions: int) -> Loss:
    """For outputs that begin with so many yes-or-no questions and go on with classes; the last target is the class."""

    def loss(outputs: Tensor, targets: Tensor, _groups: Tensor) -> Tensor:
        answers = functional.binary_cross_entropy_with_logits(outputs[:, :questions], targets[:, :questions])
        known = ~targets[:, questions].isnan()
        if not known.any():
            return questions * answers
        classes = functional.cross_entropy(outputs[known, questions:], targets[known, questions].long())
        return questions * answers + _CLASS_SHARE * classes

    return loss


_CLASS_SHARE = 0.3


def classes(sizes: Sequence[int]) -> Loss:
    """For outputs that are several sets of classes, one after the other; each target is the class of its set."""

    def loss(outputs: Tensor, targets: Tensor, _groups: Tensor) -> Tensor:
        parts = torch.split(outputs, list(sizes), dim=1)
        losses = [functional.cross_entropy(part, targets[:, at].long()) for at, part in enumerate(parts)]
        return torch.stack(losses).sum()

    return loss


def _prepared(examples: Sequence[Example], recipe: Recipe) -> Network:
    """The frozen encoder in half precision where that is quicker, an adapter on it, heads, and the features' scale."""
    features = torch.tensor([each.pair.features for each in examples], dtype=torch.float32)
    network = untrained(features.shape[1], recipe.outputs)
    network.mean, network.spread = features.mean(0), features.std(0) + 1e-3
    network.encoder.requires_grad_(requires_grad=False)
    network.encoder.halve()
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=2 * recipe.rank,
        target_modules=list(TARGETS),
    )
    inject_adapter_in_model(config, network.encoder)
    for each in network.encoder.parameters():
        if each.requires_grad:
            each.data = each.data.float()  # what is learned in small steps needs all its bits
    return network


def _batches(examples: Sequence[Example], size: int, shuffler: random.Random) -> Iterator[list[Example]]:
    """Whole groups, those of like length together, in random order."""
    groups: dict[int, list[Example]] = {}
    for each in examples:
        groups.setdefault(each.group, []).append(each)
    lengths = {
        group: max(len(each.pair.before) + len(each.pair.text) for each in some) * shuffler.uniform(0.9, 1.1)
        for group, some in groups.items()
    }
    found: list[list[Example]] = []
    for group in sorted(groups, key=lambda each: lengths[each]):
        if not found or len(found[-1]) + len(groups[group]) > size:
            found.append([])
        found[-1].extend(groups[group])
    shuffler.shuffle(found)
    yield from found


def save(network: Network, path: Path, limit: int, about: Mapping[str, str]) -> None:
    """The adapter as one pair of small matrices for each part it changes, and the heads, in half precision."""
    tensors = {}
    for name, tensor in network.state_dict().items():
        if "lora_" in name:
            part = (
                name.removeprefix("encoder.")
                .replace(".lora_A.default.weight", ".A")
                .replace(".lora_B.default.weight", ".B")
            )
            tensors[part] = tensor * (2 if part.endswith(".B") else 1)  # lora_alpha over r
        elif not name.startswith("encoder."):
            tensors[name] = tensor
    halves = {name: tensor.to(torch.float16).contiguous() for name, tensor in tensors.items()}
    shape = json.dumps([len(network.mean), network.heads.out_features])
    save_file(halves, path, {"shape": shape, "limit": str(limit), **about})


def describe(path: Path, about: Mapping[str, str]) -> None:
    """Write down beside a saved network what was found out about it later."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        known = file.metadata()
    save_file(tensors, path, {**known, **about})
