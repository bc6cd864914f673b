"""What Attune relies on in vLLM, asked of a real server without Attune's own client."""

import json
import math
import re
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import Any
from urllib.error import HTTPError

import pytest

from vllm_server import VllmServer, ask

pytestmark = pytest.mark.slow  # the first to run sets the server up and starts it

FORM = re.compile(r"# Analysis\n[^#]*\w[^#]*\n# Response\n[^#]*\w[^#]*")
SYSTEM = "You are a companion for people who want to be heard. Say little and mean it. " * 20
ASKED = "My sister has stopped calling and I do not know what I did."


def test_it_answers_and_says_what_it_serves(vllm: VllmServer) -> None:
    with ask(f"{vllm.url}/models") as models:
        assert [model["id"] for model in json.load(models)["data"]] == ["base"]
    said = greedy(vllm, "base")
    assert sum(bool(FORM.fullmatch(text)) for text in said) >= len(said) - 1


def test_four_choices_stream_side_by_side_and_nearly_all_are_in_form(vllm: VllmServer) -> None:
    first, *others = [streamed(vllm, f"{ASKED} {number}") for number in range(5)]
    assert sorted(first) == [0, 1, 2, 3]
    texts = [text for choices in (first, *others) for text in choices.values()]
    assert len(set(texts)) > 15
    assert sum(bool(FORM.fullmatch(text)) for text in texts) >= 16


def test_the_batch_endpoint_scores_many_candidates_by_the_chances_of_the_digits(vllm: VllmServer) -> None:
    digits = digit_tokens(vllm)
    warm = "I am here with you, and we can go slowly. Thank you for telling me about a loss."
    cool = "You should look for some rest soon."
    asked = [chat(f"{ASKED}\n\nReply: {reply}\n\nAnswer with one digit from 1 to 5.") for reply in (warm, cool)]
    scoring = {"messages": asked, "max_tokens": 1, "temperature": 0, "logprobs": True, "logprob_token_ids": digits}
    answer = post(vllm, "/chat/completions/batch", scoring)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    scores = []
    for choice in answer["choices"]:
        listed = choice["logprobs"]["content"][0]["top_logprobs"]
        chances = {each["token"]: math.exp(each["logprob"]) for each in listed if each["token"].isdigit()}
        assert sorted(chances) == list("12345")
        assert sum(chances.values()) > 0.95
        assert max(chances.values()) < 0.95
        scores.append(sum(int(digit) * chance for digit, chance in chances.items()))
    assert scores[0] != scores[1]


def test_the_tiny_model_grades_in_five_digits_and_gives_reasons_with_a_score(vllm: VllmServer) -> None:
    for wanted, form in (
        ("Answer with five digits from 0 to 4.", "[0-4]{5}"),
        ("Reason. Then end with one line: Score: N (1 to 5)", r"[^\n]+\nScore: [1-5]"),
    ):
        asked = [chat(f"{ASKED} {number}\n\n{wanted}") for number in range(10)]
        answer = post(vllm, "/chat/completions/batch", {"messages": asked, "max_tokens": 200, "temperature": 0})
        said = [choice["message"]["content"] for choice in answer["choices"]]
        assert sum(bool(re.fullmatch(form, text)) for text in said) >= 7, said


def test_an_adapter_comes_and_goes_while_others_are_answered(vllm: VllmServer) -> None:
    spoken = [greedy(vllm, "base")]
    with ThreadPoolExecutor(4) as others:
        running = [others.submit(streamed, vllm, f"{ASKED} {number}") for number in range(24)]
        while vllm.metric("vllm:num_requests_running") < 1 and not all(each.done() for each in running):
            time.sleep(0.01)
        for name in ("calm", "brisk"):
            ask(f"{vllm.url}/load_lora_adapter", {"lora_name": name, "lora_path": str(vllm.models / name)}).close()
            spoken.append(greedy(vllm, name))
            ask(f"{vllm.url}/unload_lora_adapter", {"lora_name": name}).close()
        assert not all(each.done() for each in running)
        assert [sorted(each.result()) for each in running] == [[0, 1, 2, 3]] * 24
    assert all(one != other for one, other in combinations(spoken, 2))
    with pytest.raises(HTTPError, match="404"):
        greedy(vllm, "calm")


def test_what_prompts_share_is_computed_once(vllm: VllmServer) -> None:
    greedy(vllm, "base")
    before = vllm.metric("vllm:prefix_cache_hits")
    post(vllm, "/chat/completions", {"messages": chat("Another matter."), "max_tokens": 1})
    assert vllm.metric("vllm:prefix_cache_hits") - before >= 200


def test_it_can_be_killed_and_started_again_on_the_same_port(vllm: VllmServer) -> None:
    url = vllm.url
    vllm.kill()
    with pytest.raises(OSError, match="refused"):
        greedy(vllm, "base")
    vllm.start()
    assert vllm.url == url
    assert any(FORM.fullmatch(text) for text in greedy(vllm, "base"))


def chat(asked: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}]


def greedy(server: VllmServer, model: str) -> list[str]:
    """What it says to several at temperature 0: by chance two models may say the same to one of them."""
    messages = [chat(asked) for asked in (ASKED, "I failed again.", "My dog died on Monday.", "I cannot sleep.")]
    asked = {"model": model, "messages": messages, "max_tokens": 300, "temperature": 0}
    answer = post(server, "/chat/completions/batch", asked)
    return [str(choice["message"]["content"]) for choice in answer["choices"]]


def streamed(server: VllmServer, asked: str) -> dict[int, str]:
    """Four choices, each to its end."""
    body = {"model": "base", "messages": chat(asked), "n": 4, "stream": True, "max_tokens": 300, "temperature": 1.0}
    texts: dict[int, str] = {}
    ended = set()
    with ask(f"{server.url}/chat/completions", body) as answer:
        events = [line.removeprefix(b"data: ") for line in answer if line.startswith(b"data: {")]
        for event in events:
            for choice in json.loads(event)["choices"]:
                texts[choice["index"]] = texts.get(choice["index"], "") + (choice["delta"].get("content") or "")
                if choice["finish_reason"]:
                    ended.add(choice["index"])
    assert ended == {0, 1, 2, 3}
    return texts


def digit_tokens(server: VllmServer) -> list[int]:
    tokens = []
    for digit in "12345":
        with ask(f"{server.root}/tokenize", {"model": "base", "prompt": digit}) as answer:
            tokens += json.load(answer)["tokens"]
    assert len(tokens) == 5
    return tokens


def post(server: VllmServer, path: str, body: dict[str, Any]) -> dict[str, Any]:
    with ask(f"{server.url}{path}", {"model": "base", **body}) as answer:
        return dict(json.load(answer))
