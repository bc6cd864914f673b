"""Attune's client against vLLM on a GPU: the suite of the tiny models, and a turn on a model as large as people use.

vLLM is that of VLLM_GPU_PYTHON, the Python of an environment with Attune's extra `gpu`, or else the `vllm` on the PATH.
"""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from string import ascii_lowercase

import pytest

from app.commands import bench as command
from rerank.bench import Bench
from rerank.server import Server
from vllm_server import VllmServer, make_models
from vllm_suite import *  # noqa: F403

PATIENCE = 900.0
WEIGHTLESS = ["--load-format", "dummy", "--gpu-memory-utilization", "0.8"]
VOCABULARY = 152064
QWEN_7B = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": VOCABULARY,
    "tie_word_embeddings": False,
}
"""The shape of Qwen2.5-7B."""
DERIVED = ("layer_types", "max_window_layers", "head_dim")
"""What of the tiny model's configuration follows from its own shape."""


@pytest.fixture(scope="session")
def gpu_python() -> Path:
    named, found = os.environ.get("VLLM_GPU_PYTHON"), shutil.which("vllm")
    if named or found:
        return Path(named) if named else Path(str(found)).resolve().with_name("python")
    pytest.skip("There is a GPU but no vLLM for it: set VLLM_GPU_PYTHON, or put `vllm` on the PATH")


@pytest.fixture(scope="session")
def models(gpu_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    make_models(gpu_python, folder)
    return folder


@pytest.fixture(scope="session")
def vllm(gpu_python: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    log = tmp_path_factory.mktemp("vllm") / "log"
    small = ["--gpu-memory-utilization", "0.1", "--enforce-eager"]
    with VllmServer(models, log, PATIENCE, lambda model, port: serve(gpu_python, model, port, small)) as server:
        yield server


def test_a_best_of_4_turn_on_a_7b_shaped_model_is_timed(
    gpu_python: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shaped(models / "base", tmp_path / "base")
    log = tmp_path / "log"
    with VllmServer(tmp_path, log, PATIENCE, lambda model, port: serve(gpu_python, model, port, WEIGHTLESS)) as server:
        work = Bench(Server(server.url), "base")
        result = asyncio.run(work.run(candidates=(1, 4, 8), concurrency=(1, 8, 32), samples=3))
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(command._turns(result)) + "\n")
    judged = [(row["what"], row["judgements"], 4 * row["n"]) for row in result["rows"] if row["what"] != "single"]
    assert len(judged) == 18
    assert [each for each in judged if each[1] != each[2]] == []


def serve(python: Path, model: Path, port: int, options: list[str]) -> list[str]:
    """What starts vLLM there. Adapters come and go while it runs; it tells nobody so and downloads nothing."""
    settings = ["VLLM_ALLOW_RUNTIME_LORA_UPDATING=1", "VLLM_NO_USAGE_STATS=1", "DO_NOT_TRACK=1", "HF_HUB_OFFLINE=1"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--max-model-len", "4096", "--dtype", "bfloat16"]
    return ["env", *settings, str(python.with_name("vllm")), "serve", str(model), *where, *options]


def shaped(tiny: Path, folder: Path) -> None:
    """A folder with the tiny model's tokenizer and a large model's shape; the weights are the server's to invent.

    The tokenizer gets words for all the tokens of so large a vocabulary: it never reads them, but the server says them.
    """
    shutil.copytree(tiny, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config = json.loads((tiny / "config.json").read_text())
    kept = {name: value for name, value in config.items() if name not in DERIVED}
    (folder / "config.json").write_text(json.dumps(kept | QWEN_7B))
    tokenizer = json.loads((tiny / "tokenizer.json").read_text())
    known = tokenizer["model"]["vocab"]
    words = (word for word in map("".join, product(ascii_lowercase, repeat=4)) if word not in known)
    tokenizer["model"]["vocab"] = known | dict(zip(words, range(config["vocab_size"], VOCABULARY), strict=False))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
