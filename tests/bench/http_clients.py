"""What a streamed reply of four candidates costs the client in CPU, with three HTTP clients.

    PYTHONPATH=. .venv-vllm/bin/python tests/bench/http_clients.py

It runs where all three are installed, which vLLM's environment happens to be.
"""

import asyncio
import json
import statistics
import time
from typing import Any

import aiohttp
import httpx
import openai  # type: ignore[import-not-found]

from rerank.bench import mock

BODY = {"model": "mock", "messages": [{"role": "user", "content": "x" * 1500}], "n": 4, "stream": True}


async def by_aiohttp(url: str, session: aiohttp.ClientSession) -> None:
    async with session.post(f"{url}/chat/completions", json=BODY) as answer:
        async for line in answer.content:
            if line.startswith(b"data: {"):
                json.loads(line[6:])


async def by_httpx(url: str, client: Any) -> None:  # noqa: ANN401
    async with client.stream("POST", f"{url}/chat/completions", json=BODY) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                json.loads(line[6:])


async def by_openai(package: Any) -> None:  # noqa: ANN401
    async for _ in await package.chat.completions.create(**BODY):
        pass


async def measure(url: str) -> None:
    spent: dict[str, list[float]] = {}
    async with aiohttp.ClientSession() as session, httpx.AsyncClient() as client:
        package = openai.AsyncOpenAI(base_url=url, api_key="none")
        for _ in range(25):
            for name, way in (
                ("aiohttp", by_aiohttp(url, session)),
                ("httpx", by_httpx(url, client)),
                ("openai", by_openai(package)),
            ):
                started = time.process_time()
                await way
                spent.setdefault(name, []).append((time.process_time() - started) * 1000)
    for name, times in spent.items():
        print(f"{name:<8}{statistics.median(times[5:]):6.1f} ms")  # noqa: T201


if __name__ == "__main__":
    with mock(0) as url:
        asyncio.run(measure(url))
