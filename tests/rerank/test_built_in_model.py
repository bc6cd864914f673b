"""The network that is written out computes what transformers and PEFT compute."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rerank.any_model import AnyModel
from rerank.built_in_model import BuiltInModel
from rerank.reading import Act, Emotion, Reading, Topic
from rerank.sampler import Model
from rerank.weights import BadWeights, policy_folder
from small_policy import SMALL, make, make_adapter

pytestmark = pytest.mark.slow
PROMPT = Reading(Topic.WORK, Emotion.ANGER, Act.VENTING).prompt()


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return [make_adapter(policy_folder(), folder / str(seed), seed) for seed in range(4)]


def scores(model: Model, adapter: Path | None, steps: int = 24) -> Tensor:
    """Of every step of the likeliest text, written beside another that ends half-way."""
    model.wear(adapter)
    texts, found = model.read(model.encoded(PROMPT), 2), []
    for step in range(steps):
        found.append(texts.scores[-1:].clone())
        if step == steps // 2:
            texts.keep([1])
        texts.go_on(texts.scores.argmax(-1))
    return torch.cat(found)


def test_it_scores_as_transformers_does(adapters: list[Path]) -> None:
    ours, theirs = BuiltInModel(policy_folder()), AnyModel(policy_folder())
    for adapter in (None, *adapters, adapters[0], None, adapters[3]):
        torch.testing.assert_close(scores(ours, adapter), scores(theirs, adapter), rtol=1e-3, atol=1e-3)


def test_an_adapter_changes_the_scores_and_taking_it_off_changes_them_back(adapters: list[Path]) -> None:
    model = BuiltInModel(policy_folder())
    bare = scores(model, None)
    assert not torch.allclose(scores(model, adapters[0]), bare, atol=1e-2)
    assert torch.equal(scores(model, None), bare)


def drop_a_half(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    halves = load_file(path)
    halves.pop(next(each for each in halves if "lora_B" in each))
    save_file(halves, path)


def add_a_bias(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    save_file(load_file(path) | {"base_model.model.model.layers.0.self_attn.q_proj.bias": torch.zeros(256)}, path)


def decompose(folder: Path) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"use_dora": True}))


def of_another_model(folder: Path) -> None:
    make_adapter(make(folder / "small", replace(SMALL, steps=1)), folder, seed=1)


def forget_everything(folder: Path) -> None:
    (folder / "adapter_config.json").unlink()


@pytest.mark.parametrize("spoil", [drop_a_half, add_a_bias, decompose, of_another_model, forget_everything])
def test_an_adapter_that_does_not_fit_is_refused_and_changes_nothing(
    spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    adapter = make_adapter(policy_folder(), tmp_path / "night", seed=1)
    model = BuiltInModel(policy_folder())
    bare = scores(model, None)
    spoil(adapter)
    with pytest.raises(BadWeights, match="holds no adapter for this model"):
        model.wear(adapter)
    assert torch.equal(scores(model, None), bare)


def test_a_model_of_another_kind_is_refused_with_words(tmp_path: Path) -> None:
    for each in policy_folder().iterdir():
        (tmp_path / each.name).write_bytes(each.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "llama"}))
    with pytest.raises(BadWeights, match="holds no model"):
        BuiltInModel(tmp_path)
