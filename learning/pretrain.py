"""Trains the built-in policy from scratch: `python -m learning.pretrain`. Tokenizer, then model, from `learning.texts`.

One readable stage. What it writes is a folder as any Qwen2 model's, so that transformers and vLLM load it as it is.
"""

import json
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import click
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from learning.texts import Text, texts
from rerank.reading import END, special_tokens
from rerank.weights import policy_folder

_IGNORED = -100


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the policy is made."""

    vocabulary: int = 4096
    width: int = 256
    layers: int = 6
    heads: int = 4
    inner: int = 704
    positions: int = 512
    size: int = 32
    """Texts to a step."""
    steps: int = 2800
    rate: float = 1.5e-3
    last: float = 0.05
    """The share of the rate that is left at the end."""
    seed: int = 1
    examples_for_tokenizer: int = 20_000


RECIPE = Recipe()


def tokenizer_for(some: Sequence[Text], recipe: Recipe) -> PreTrainedTokenizerFast:
    """Pieces of words as these texts have them; readings and slots are one token each."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = special_tokens()
    tokenizer.train_from_iterator(
        (each.answer for each in some),
        trainers.BpeTrainer(
            vocab_size=recipe.vocabulary,
            special_tokens=[AddedToken(each, normalized=False) for each in special],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=_with_slots(tokenizer), eos_token=END, pad_token=END)  # type: ignore[no-untyped-call]


def _with_slots(tokenizer: Tokenizer) -> Tokenizer:
    """The same, with slots that belong to the text: training makes all of them special, and those are not shown."""
    made = json.loads(tokenizer.to_str())
    for each in made["added_tokens"]:
        each["special"] = each["content"].startswith("<|")
    return Tokenizer.from_str(json.dumps(made))


def config_for(recipe: Recipe, end: int) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=recipe.vocabulary,
        hidden_size=recipe.width,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads // 2,
        intermediate_size=recipe.inner,
        max_position_embeddings=recipe.positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=end,
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids, and what should come next where the policy writes."""

    ids: Tensor
    wanted: Tensor


def batches(tokenizer: PreTrainedTokenizerFast, recipe: Recipe) -> Iterator[Batch]:
    """Texts of like length together: padding costs as much as words."""
    chance, source = random.Random(recipe.seed), texts(10**9, recipe.seed)
    while True:
        rows = [_row(tokenizer, each) for each in islice(source, 16 * recipe.size)]
        rows.sort(key=lambda row: len(row[0]))
        groups = [rows[at : at + recipe.size] for at in range(0, len(rows), recipe.size)]
        chance.shuffle(groups)
        yield from (_padded(each) for each in groups)


def _row(tokenizer: PreTrainedTokenizerFast, some: Text) -> tuple[list[int], int]:
    prompt = tokenizer.encode(some.prompt, add_special_tokens=False)
    return [*prompt, *tokenizer.encode(some.answer, add_special_tokens=False)], len(prompt)


def _padded(rows: Sequence[tuple[list[int], int]]) -> Batch:
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    wanted = torch.full((len(rows), longest), _IGNORED)
    for at, (tokens, start) in enumerate(rows):
        ids[at, : len(tokens)] = torch.tensor(tokens)
        wanted[at, start - 1 : len(tokens) - 1] = torch.tensor(tokens[start:])
    return Batch(ids, wanted)


def trained(tokenizer: PreTrainedTokenizerFast, recipe: Recipe) -> Qwen2ForCausalLM:
    torch.manual_seed(recipe.seed)
    model: Qwen2ForCausalLM = Qwen2ForCausalLM(config_for(recipe, tokenizer.eos_token_id))
    model.set_attn_implementation("eager")  # a quarter quicker than the fused one on processors, backwards above all
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda at: _rate(at, recipe))
    started, losses = time.perf_counter(), []
    for step, some in enumerate(islice(batches(tokenizer, recipe), recipe.steps), 1):
        with torch.autocast("cpu", torch.bfloat16):
            scores = model(input_ids=some.ids).logits
        loss = functional.cross_entropy(scores.float().flatten(0, 1), some.wanted.flatten(), ignore_index=_IGNORED)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 100 == 0:
            spent = time.perf_counter() - started
            click.echo(f"step {step} of {recipe.steps}: loss {sum(losses[-100:]) / 100:.3f}, {spent:.0f} s")
    return model


def _rate(at: int, recipe: Recipe) -> float:
    warm = 0.02 * recipe.steps
    if at < warm:
        return (at + 1) / warm
    way = (at - warm) / (recipe.steps - warm)
    return recipe.last + (1 - recipe.last) * 0.5 * (1 + math.cos(math.pi * way))


@click.command()
@click.option("--steps", type=int, default=RECIPE.steps, show_default=True)
@click.option("--seed", type=int, default=RECIPE.seed, show_default=True)
@click.option(
    "--to", type=click.Path(path_type=Path), default=None, help="Where to write it; the shipped one's folder."
)
def main(steps: int, seed: int, to: Path | None) -> None:
    """Train the built-in policy and save it."""
    recipe = replace(RECIPE, steps=steps, seed=seed)
    tokenizer = tokenizer_for(list(texts(recipe.examples_for_tokenizer, seed)), recipe)
    model = trained(tokenizer, recipe)
    folder = to or policy_folder()
    torch.nn.Module.half(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    click.echo(f"{sum(each.numel() for each in model.parameters()):,} numbers, in {folder}")


if __name__ == "__main__":
    main()
