"""A policy as the built-in one is, but small and hardly trained: made in seconds, in the same way."""

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from learning.pretrain import Recipe, tokenizer_for, trained
from learning.texts import texts

SMALL = Recipe(vocabulary=1024, width=64, layers=2, heads=2, inner=128, steps=60, rate=5e-3, size=16)


def make(folder: Path, recipe: Recipe = SMALL, template: str | None = None) -> Path:
    tokenizer = tokenizer_for(list(texts(600, recipe.seed)), recipe)
    tokenizer.chat_template = template
    trained(tokenizer, recipe).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_adapter(base: Path, folder: Path, seed: int) -> Path:
    """An adapter that has learned nothing and changes everything."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    get_peft_model(model, config).save_pretrained(str(folder))
    return folder
