"""Typed uses of the public API. Nothing runs them: `make lint` has mypy --strict read them."""

from __future__ import annotations

from typing import Any

from openai import AsyncAzureOpenAI, AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion
from typing_extensions import assert_type

import guance_chatgpt_monitor
from guance_chatgpt_monitor import flush, instrument, monitor, observe, shutdown, uninstrument


class Client(OpenAI):
    """An application's own client class."""


def a_monitored_client_keeps_its_type() -> None:
    assert_type(monitor(OpenAI()), OpenAI)
    assert_type(monitor(AsyncOpenAI(), service_name="shop", tags={"team": "web"}), AsyncOpenAI)
    assert_type(monitor(AsyncAzureOpenAI(api_version="2024-06-01")), AsyncAzureOpenAI)
    assert_type(monitor(Client(), datakit_url="http://127.0.0.1:9529"), Client)
    monitor(OpenAI(), "http://127.0.0.1:9529")  # type: ignore[call-arg]


def answers_keep_their_type(client: OpenAI) -> None:
    answer = monitor(client).chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}]
    )
    assert_type(answer, ChatCompletion)


def these_return_nothing() -> None:
    instrument(service_name="shop", max_queue=1000)
    uninstrument()
    shutdown(timeout_s=1.5)
    shutdown("soon")  # type: ignore[arg-type]


def flush_returns_whether_it_was_in_time() -> None:
    assert_type(flush(), bool)
    assert_type(flush(0.5), bool)


def a_block_is_observed(response: object) -> None:
    with observe("embeddings", request_model="m", provider_name="dashscope", tags={"team": "web"}) as call:
        call.record(response)
        call.record({"model": "m", "usage": {"total_tokens": 30}})
    observe(operation_name=1)  # type: ignore[arg-type]
    observe(tags={"team": 1})  # type: ignore[dict-item]


async def a_block_is_observed_asynchronously(response: object) -> None:
    async with observe() as call:
        call.record(response)


@observe("chat", "gpt-4o-mini")
def ask(question: str, retries: int = 0) -> str:
    return question * retries


@observe()
async def ask_async(question: str) -> dict[str, Any]:
    return {"question": question}


async def a_decorated_function_keeps_its_type() -> None:
    assert_type(ask("Hello", retries=1), str)
    assert_type(await ask_async("Hello"), "dict[str, Any]")
    ask(1)  # type: ignore[arg-type]


def the_version_is_a_string() -> None:
    assert_type(guance_chatgpt_monitor.__version__, str)
