"""The built-in policy's files under a real vLLM server write what they write in this process."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from learning.samples import read_unseen
from rerank.built_in_model import BuiltInModel
from rerank.codec import BuiltInCodec, Message
from rerank.embedded import Engine
from rerank.pieces import Taste
from rerank.sampler import Sampler
from rerank.weights import policy_folder
from small_policy import make_adapter
from vllm_server import PROGRAM, CannotSetUp, VllmServer, ask, set_up

pytestmark = pytest.mark.slow
TOKENS, PROMPTS = 32, 20
UNSEEN = Path("learning/data/policy/unseen-c.jsonl")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(policy_folder(), tmp_path_factory.mktemp("night"), seed=3)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, adapter: Path) -> Iterator[VllmServer]:
    try:
        set_up()
    except CannotSetUp as error:
        pytest.skip(f"vLLM for the CPU cannot be installed here: {error}")
    models = tmp_path_factory.mktemp("models")
    (models / "base").symlink_to(policy_folder())

    def command(model: Path, port: int) -> list[str]:
        return [str(PROGRAM), "serve", str(model), str(port), "--dtype", "float32", "--max-model-len", "512"]

    with VllmServer(models, models / "log", command=command) as running:
        with ask(f"{running.root}/v1/load_lora_adapter", {"lora_name": "night", "lora_path": str(adapter)}):
            pass
        yield running


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    async def read() -> list[Message]:
        engine = Engine()
        try:
            return [await BuiltInCodec(engine).read(each.context) for each in read_unseen(UNSEEN)[:PROMPTS]]
        finally:
            engine.close()

    return asyncio.run(read())


@pytest.mark.parametrize("name", ["base", "night"])
def test_the_same_files_write_the_same_under_vllm(
    server: VllmServer, adapter: Path, messages: list[Message], name: str
) -> None:
    sampler = Sampler(BuiltInModel(policy_folder()), threads=2)
    tokenizer = Tokenizer.from_file(str(policy_folder() / "tokenizer.json"))
    worn = adapter if name == "night" else None
    for message in messages:
        taste = Taste(temperature=0, limit=TOKENS)
        pieces = list(sampler.write(message.prompt, 1, taste, banned=message.banned, adapter=worn))
        body = {
            "model": name,
            "prompt": tokenizer.encode(message.prompt, add_special_tokens=False).ids,
            "max_tokens": TOKENS,
            "temperature": 0,
            "logit_bias": {str(tokenizer.token_to_id(each)): -100 for each in message.banned},
        }
        with ask(f"{server.url}/completions", body) as answer:
            (choice,) = json.load(answer)["choices"]
        assert choice["text"] == "".join(each.text for each in pieces)


def test_an_adapter_changes_what_is_written(adapter: Path, messages: list[Message]) -> None:
    sampler = Sampler(BuiltInModel(policy_folder()), threads=2)
    taste = Taste(temperature=0, limit=TOKENS)
    bare, worn = (
        [list(sampler.write(each.prompt, 1, taste, banned=each.banned, adapter=one)) for each in messages]
        for one in (None, adapter)
    )
    assert bare != worn
