"""Properties of the sampling in this process, with a small real model."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from rerank.any_model import AnyModel
from rerank.built_in_model import BuiltInModel
from rerank.errors import TooLong
from rerank.pieces import Piece, Taste
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
