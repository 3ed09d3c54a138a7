"""A FastAPI application whose ChatGPT calls are monitored.

pip install fastapi uvicorn openai guance-chatgpt-monitor
CHATGPT_MONITOR_SERVICE_NAME=shop uvicorn fastapi_app:app
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from openai import AsyncOpenAI

from guance_chatgpt_monitor import monitor, shutdown


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    shutdown()  # uvicorn ends with a signal, so exit handlers do not run


app = FastAPI(lifespan=lifespan)
client = monitor(AsyncOpenAI(), tags={"team": "shop"})


@app.get("/ask")
async def ask(question: str) -> dict[str, str | None]:
    """Ask ChatGPT; the call is one point, with its time, tokens and cost."""
    answer = await client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": question}]
    )
    return {"answer": answer.choices[0].message.content}
