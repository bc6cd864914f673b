"""A policy as the built-in one is, but small and hardly trained: made in seconds, in the same way."""

from pathlib import Path

from learning.pretrain import Recipe, tokenizer_for, trained
from learning.texts import texts

SMALL = Recipe(vocabulary=1024, width=64, layers=2, heads=2, inner=128, steps=60, rate=5e-3, size=16)


def make(folder: Path) -> Path:
    tokenizer = tokenizer_for(list(texts(600, SMALL.seed)), SMALL)
    trained(tokenizer, SMALL).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
