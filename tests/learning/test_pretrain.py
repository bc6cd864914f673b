"""Properties of the training of the built-in policy."""

from dataclasses import replace

import pytest
import torch

from learning.pretrain import tokenizer_for, trained
from learning.texts import texts
from rerank.reading import special_tokens
from small_policy import SMALL


def test_readings_and_slots_are_one_token_each() -> None:
    tokenizer = tokenizer_for(list(texts(300, 1)), SMALL)
    for each in special_tokens():
        assert len(tokenizer.encode(each, add_special_tokens=False)) == 1, each


def test_a_text_survives_its_tokens() -> None:
    tokenizer = tokenizer_for(list(texts(300, 1)), SMALL)
    for each in texts(200, 2):
        ids = tokenizer.encode(each.answer, add_special_tokens=False)
        assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == each.answer


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers() -> None:
    recipe = replace(SMALL, steps=8)
    tokenizer = tokenizer_for(list(texts(100, 1)), recipe)
    first, second = (trained(tokenizer, recipe).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
