"""An upstream of fixed latency that behaves as vLLM's server does towards Attune: for measuring Attune itself.

`python -m rerank.mock_server --latency-ms 50` prints its address and serves until its standard input closes. It answers
always the same; there is no model in it, and nothing but benchmarks and tests may take it for one.
"""

import argparse
import asyncio
import json
import re
import sys
import time
from functools import cache
from math import log
from typing import Any

from aiohttp import web

MODEL = "mock"
_ANALYSIS = "They carry this alone and call it nothing, since asking for help would feel like being a burden once more."
_RESPONSE = (
    "You have been holding all of this together with nobody asking how you are, and you noticed that before anybody "
    "else did. That you are tired of it is no failing of yours. What would it be to say it to your sister in just "
    "those words, before the weekend?"
)
_REPLY = f"# Analysis\n{_ANALYSIS}\n\n# Response\n{_RESPONSE}"
_TOKEN = re.compile(r"\s*\S{1,5}|\s+")
_DIGITS = {"1": 0.05, "2": 0.1, "3": 0.3, "4": 0.4, "5": 0.1, "0": 0.05}
_LATENCY: web.AppKey[float] = web.AppKey("latency", float)


def application(latency: float) -> web.Application:
    app = web.Application(client_max_size=64 * 2**20)
    app[_LATENCY] = latency
    app.add_routes(
        [
            web.get("/v1/models", _models),
            web.get("/version", _version),
            web.post("/tokenize", _tokenize),
            web.post("/v1/chat/completions", _chat),
            web.post("/v1/chat/completions/batch", _batch),
        ]
    )
    return app


async def _models(_request: web.Request) -> web.Response:
    return web.json_response({"data": [{"id": MODEL, "max_model_len": 32768}]})


async def _version(_request: web.Request) -> web.Response:
    return web.json_response({"version": MODEL})


async def _tokenize(request: web.Request) -> web.Response:
    prompt = (await request.json())["prompt"]
    return web.json_response({"tokens": [ord(each) for each in prompt]})


async def _chat(request: web.Request) -> web.StreamResponse:
    arrived = time.perf_counter()
    body = await request.json()
    if not body.get("stream"):
        answer = _judged(1, body["max_tokens"])
        await _wait(request, arrived)
        return web.Response(body=answer, content_type="application/json")
    events = _events(body["n"], body.get("stream_interval", 1))
    await _wait(request, arrived)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(events)
    return response


async def _batch(request: web.Request) -> web.Response:
    arrived = time.perf_counter()
    body = await request.json()
    answer = _judged(len(body["messages"]), body["max_tokens"])
    await _wait(request, arrived)
    return web.Response(body=answer, content_type="application/json")


async def _wait(request: web.Request, arrived: float) -> None:
    await asyncio.sleep(max(0.0, request.app[_LATENCY] - (time.perf_counter() - arrived)))


@cache
def _events(n: int, interval: int) -> bytes:
    """The whole stream, the choices taking turns as vLLM's do."""
    tokens = _TOKEN.findall(_REPLY)
    pieces = ["".join(tokens[at : at + interval]) for at in range(0, len(tokens), interval)]
    last = len(pieces) - 1
    written = [
        {
            "choices": [{"index": index, "delta": {"content": piece}, "finish_reason": "stop" if at == last else None}],
            "usage": {"completion_tokens": min((at + 1) * interval, len(tokens))},
        }
        for at, piece in enumerate(pieces)
        for index in range(n)
    ]
    return "".join(f"data: {json.dumps(each)}\n\n" for each in written).encode() + b"data: [DONE]\n\n"


@cache
def _judged(conversations: int, tokens: int) -> bytes:
    return json.dumps({"choices": [_judgement(index, tokens) for index in range(conversations)]}).encode()


def _judgement(index: int, count: int) -> dict[str, Any]:
    top = [{"token": token, "logprob": log(p)} for token, p in _DIGITS.items()]
    content = [{"token": "4", "logprob": log(_DIGITS["4"]), "top_logprobs": top}] * count
    message = {"role": "assistant", "content": "4" * count}
    return {"index": index, "message": message, "logprobs": {"content": content}, "finish_reason": "length"}


async def _serve(latency: float) -> None:
    runner = web.AppRunner(application(latency), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    sys.stdout.write(f"http://127.0.0.1:{runner.addresses[0][1]}/v1\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    asyncio.run(_serve(parser.parse_args().latency_ms / 1000))
