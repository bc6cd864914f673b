"""Writes with a small language model in this process: several texts at once, token by token.

A folder as any model's of transformers. Left out: everything that a server does better (more than one request at once,
GPUs); see `rerank.policy` for those.
"""

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream
from torch import Tensor
from transformers import AutoModelForCausalLM

from rerank.weights import BadWeights


@dataclass(frozen=True, slots=True)
class Taste:
    """How the next token is chosen. A temperature of 0 takes the likeliest."""

    temperature: float = 0.9
    top_p: float = 0.95
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


class Sampler:
    """A loaded model. Not for several threads at once."""

    def __init__(self, folder: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        except Exception as error:  # noqa: BLE001 - the tokenizer's library raises nothing more exact
            raise BadWeights(f"{folder} holds no model that can be loaded: {type(error).__name__}.") from None
        torch.nn.Module.train(self._model, mode=False)
        self._end = int(self._model.config.eos_token_id)

    def write(
        self, prompt: str, n: int, taste: Taste, *, banned: Collection[str] = (), seed: int | None = None
    ) -> Generator[Piece, None, None]:
        """Each piece as it comes. Whoever stops asking stops the work."""
        chance = torch.Generator()
        chance.seed() if seed is None else chance.manual_seed(seed)
        ids = torch.tensor([self._tokenizer.encode(prompt, add_special_tokens=False).ids] * n)
        closed = [token for each in banned if (token := self._tokenizer.token_to_id(each)) is not None]
        live, seen, cache = list(range(n)), ids, None
        streams = [DecodeStream(skip_special_tokens=False) for _ in range(n)]
        for step in range(1, taste.limit + 1):
            with torch.inference_mode():
                out = self._model(input_ids=seen, past_key_values=cache, use_cache=True)
                chosen = _chosen(out.logits[:, -1], taste, closed, chance)
            cache = out.past_key_values
            going = []
            for at, (row, token) in enumerate(zip(live, chosen.tolist(), strict=True)):
                ended = token == self._end
                if not ended:
                    going.append(at)
                text = "" if ended else streams[row].step(self._tokenizer, token) or ""
                yield Piece(row, text, step, ended)
            if not going:
                return
            if len(going) < len(live):
                cache.batch_select_indices(torch.tensor(going))
            live, seen = [live[at] for at in going], chosen[going].unsqueeze(1)


def _chosen(scores: Tensor, taste: Taste, closed: Sequence[int], chance: torch.Generator) -> Tensor:
    scores[:, list(closed)] = -torch.inf
    if taste.temperature == 0:
        return scores.argmax(-1)
    shares, order = (scores / taste.temperature).softmax(-1).sort(-1, descending=True)
    kept = shares * (shares.cumsum(-1) - shares < taste.top_p)
    return order.gather(-1, torch.multinomial(kept, 1, generator=chance)).squeeze(-1)
