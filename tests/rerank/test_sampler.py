"""Properties of the sampling in this process, with a small real model."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor

from rerank.any_model import AnyModel
from rerank.built_in_model import BuiltInModel
from rerank.errors import TooLong
from rerank.pieces import Piece, Prompt, Taste
from rerank.reading import END, WRITE, Act, Emotion, Reading, Topic
from rerank.sampler import Model, Sampler, Speller
from rerank.weights import BadWeights
from small_policy import SMALL, make

pytestmark = pytest.mark.slow
PROMPT = Reading(Topic.WORK, Emotion.ANGER, Act.VENTING).prompt()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module", params=[AnyModel, BuiltInModel])
def sampler(request: pytest.FixtureRequest, folder: Path) -> Sampler:
    return Sampler(request.param(folder), threads=2)


def texts(pieces: list[Piece], n: int) -> list[str]:
    return ["".join(each.text for each in pieces if each.row == row) for row in range(n)]


def test_every_text_comes_in_pieces_and_ends_or_reaches_the_limit(sampler: Sampler) -> None:
    pieces = list(sampler.write(PROMPT, 4, Taste(limit=40), seed=1))
    for row in range(4):
        own = [each for each in pieces if each.row == row]
        assert [each.tokens for each in own] == list(range(1, len(own) + 1))
        assert own[-1].ended or len(own) == 40
        assert not any(each.ended for each in own[:-1])
    assert END not in "".join(texts(pieces, 4))


def test_without_temperature_company_does_not_matter(sampler: Sampler) -> None:
    alone = texts(list(sampler.write(PROMPT, 1, Taste(temperature=0, limit=32))), 1)
    assert texts(list(sampler.write(PROMPT, 3, Taste(temperature=0, limit=32))), 3) == alone * 3


def test_the_same_seed_gives_the_same_texts(sampler: Sampler) -> None:
    first, second, other = (list(sampler.write(PROMPT, 2, Taste(limit=24), seed=seed)) for seed in (5, 5, 6))
    assert first == second
    assert first != other


def test_a_banned_token_is_never_written(sampler: Sampler) -> None:
    without = list(sampler.write(PROMPT, 4, Taste(limit=48), banned=["#", WRITE, "{quote}"], seed=2))
    assert not any("#" in each or WRITE in each or "{quote}" in each for each in texts(without, 4))


def test_no_text_takes_more_than_half_of_the_window(sampler: Sampler) -> None:
    pieces = list(sampler.write(PROMPT, 1, Taste(limit=1000), banned=[END], seed=3))
    assert pieces[-1].tokens == SMALL.positions // 2


def test_a_prompt_that_does_not_fit_is_refused_with_words(sampler: Sampler) -> None:
    assert sampler.fits(PROMPT, 10)
    assert not sampler.fits(PROMPT * SMALL.positions, 10)
    with pytest.raises(TooLong, match="ATTUNE_REPLY_TOKENS"):
        next(sampler.write(PROMPT * SMALL.positions, 1, Taste(limit=10)))


def test_bytes_that_are_no_character_are_left_out(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    word, broken = (tokenizer.encode(each, add_special_tokens=False).ids for each in ("be", "é"))
    speller = Speller(tokenizer)
    said = "".join(speller.spelt(each) for each in (*word, *broken[:1] * 9, *word, *word))
    assert said.startswith("be")
    assert said.endswith("be")


@pytest.mark.parametrize("kind", [AnyModel, BuiltInModel])
def test_a_folder_without_a_model_is_refused_with_words(kind: Callable[[Path], Model], tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match="holds no model"):
        kind(tmp_path)


class Scripted:
    """A model of five tokens: `well` ends well, after `badly` only a slot makes sense."""

    _NEXT: ClassVar[dict[str, dict[str, float]]] = {
        "<start>": {"well": 0.5, "badly": 0.5},
        "well": {".": 1},
        ".": {END: 1},
        "badly": {"{self}": 1},
    }
    window, device = 64, torch.device("cpu")

    def __init__(self) -> None:
        words = [END, "<start>", "well", "badly", ".", "{self}"]
        self.tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(words)}, unk_token=END))
        self.ends = frozenset([0])
        self.adapter: Path | None = None
        self.reads = 0

    def encoded(self, _: Prompt) -> list[int]:
        return [1]

    def wear(self, adapter: Path | None) -> None:
        self.adapter = adapter

    def read(self, ids: Sequence[int], n: int) -> "ScriptedTexts":
        self.reads += 1
        return ScriptedTexts(self, [ids[-1]] * n)

    def scores(self, last: Sequence[int]) -> Tensor:
        found = torch.full((len(last), 6), -20.0)
        for row, token in enumerate(last):
            for word, share in self._NEXT.get(str(self.tokenizer.id_to_token(token)), {".": 1}).items():
                found[row, self.tokenizer.token_to_id(word)] = math.log(share)
        return found


class ScriptedTexts:
    def __init__(self, model: Scripted, last: Sequence[int]) -> None:
        self._model, self.scores = model, model.scores(last)

    def keep(self, rows: Sequence[int]) -> None:
        self.scores = self.scores[list(rows)]

    def go_on(self, tokens: Tensor) -> None:
        self.scores = self._model.scores(tokens.tolist())


def test_a_sentence_that_can_only_go_on_with_a_banned_token_is_written_anew() -> None:
    model = Scripted()
    written = texts(list(Sampler(model, 1).write("", 12, Taste(limit=20), banned=["{self}"], seed=1)), 12)
    assert written == ["well ."] * 12
    assert model.reads > 1


def test_without_a_ban_nothing_is_written_anew() -> None:
    model = Scripted()
    written = texts(list(Sampler(model, 1).write("", 12, Taste(limit=20), seed=1)), 12)
    assert set(written) == {"well .", "badly {self} ."}
    assert model.reads == 1
