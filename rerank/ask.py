"""Puts many short questions to a server at once: in one request where it takes batches, else in concurrent ones."""

import asyncio
from collections.abc import Sequence
from typing import Any

from rerank.errors import Broken, Refused, RerankError, TooLong
from rerank.prompts import Message
from rerank.server import Server

Choice = dict[str, Any]


async def ask(
    server: Server, model: str, conversations: Sequence[list[Message]], options: dict[str, Any]
) -> list[Choice | RerankError]:
    """For each conversation its answer, or why there is none."""
    refused = False
    if len(conversations) > 1 and (await server.features(model)).batch:
        try:
            return await _in_one(server, model, conversations, options)
        except TooLong as error:
            return [error] * len(conversations)
        except Refused:
            refused = True
    each = (_one(server, {"model": model, "messages": messages} | options) for messages in conversations)
    answers = await asyncio.gather(*each)
    if refused and not all(isinstance(answer, RerankError) for answer in answers):
        # Something before the server took the look at the endpoint for it.
        server.forget_batch()
    return answers


async def _in_one(
    server: Server, model: str, conversations: Sequence[list[Message]], options: dict[str, Any]
) -> list[Choice | RerankError]:
    body = {"model": model, "messages": list(conversations)} | options
    answer = await server.post("chat/completions/batch", body)
    missing = Broken("The model server left a question of a batch unanswered.")
    found: list[Choice | RerankError] = [missing] * len(conversations)
    for choice in _choices(answer):
        index = choice.get("index")
        if type(index) is int and 0 <= index < len(found):
            found[index] = choice
    return found


async def _one(server: Server, body: dict[str, Any]) -> Choice | RerankError:
    try:
        return next(iter(_choices(await server.post("chat/completions", body))))
    except StopIteration:
        return Broken("The model server answered with no choice.")
    except RerankError as error:
        return error


def _choices(answer: dict[str, Any]) -> list[Choice]:
    choices = answer.get("choices")
    return [each for each in choices if isinstance(each, dict)] if isinstance(choices, list) else []
