"""What keeping one person's prompts apart costs: nothing, the seal, and vLLM's cache_salt, sixteen judgements each.

scripts/vllm-cpu serve MODEL_FOLDER 8000 --served-model-name base
PYTHONPATH=. .venv/bin/python tests/bench/seal.py http://127.0.0.1:8000/v1
"""

import asyncio
import random
import statistics
import sys
import time
from dataclasses import replace
from uuid import uuid4

from rerank import prompts
from rerank.ask import ask
from rerank.bench import Bench
from rerank.server import Server
from rerank.types import Perspective

ANALYSIS = "They carry this alone and call it nothing, as they have for years. Candidate {}."
RESPONSE = "You have been holding all of this together, and nobody asked how you are. What would help? Candidate {}."
COUNTERS = ("vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total")


async def measure(url: str) -> None:
    found: dict[str, list[tuple[float, float]]] = {"nothing": [], "seal": [], "cache_salt": []}
    async with Server(url) as server:
        contexts = Bench(server, "base")
        for _ in range(14):
            for way in random.sample(list(found), 3):
                context = contexts._context()
                fresh = replace(context, query=f"{uuid4()} {context.query}", seal=context.seal if way == "seal" else "")
                salt = {"cache_salt": uuid4().hex} if way == "cache_salt" else {}
                asked = [
                    prompts.judge(
                        "expected", fresh, each, (ANALYSIS if each in prompts.READS_ANALYSIS else RESPONSE).format(at)
                    )
                    for at in range(4)
                    for each in Perspective
                ]
                before = await server.metrics(*COUNTERS) or [0, 0]
                started = time.perf_counter()
                await ask(server, "base", asked, {"max_tokens": 5, "temperature": 0} | salt)
                spent = (time.perf_counter() - started) * 1000
                after = await server.metrics(*COUNTERS) or [0, 0]
                found[way].append((spent, after[0] - before[0] - (after[1] - before[1])))
    for way, measured in found.items():
        spent, computed = (statistics.median(values) for values in zip(*measured[2:], strict=True))
        print(f"{way:<12}{spent:6.0f} ms {computed:6.0f} prompt tokens computed")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(measure(sys.argv[1]))
