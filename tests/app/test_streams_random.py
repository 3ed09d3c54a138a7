"""Under random operations, a stream behaves as in the bare SDK and is one point."""

import asyncio
import gc
import random

import pytest
from monitored import CHAT, USAGE, Canned, chunk, httpx

pytestmark = pytest.mark.slow

pytest_plugins = ["monitored_fixtures"]

STREAM = {**CHAT, "stream": True}
N_PLAYS = 30
NO_JSON = "in the place of this event comes the beginning of one"
CHUNKS = [chunk(role="assistant", content=""), *(chunk(content=str(n)) for n in range(6))]
ENDS = {
    "usage": [chunk(usage=USAGE, choices=[])],
    "nothing": [],
    "error": [{"error": {"message": "no more", "type": "server_error", "code": None}}],
    "no JSON": [NO_JSON],
}
STEPS = ["next", "iterate", "advance", "advance", "advance", "close", "throw", "drain", "leave", "end"]


class Pieces(Canned):
    def pieces(self):
        return [b"data: {\n\n" if NO_JSON.encode() in piece else piece for piece in super().pieces()]


class Player:
    """Performs the same operations on a stream for the same seed, and notes the results."""

    def __init__(self, stream, seed):
        self.stream = stream
        self.random = random.Random(seed)
        self.iterators = []
        self.seen = []

    def play(self):
        for _ in range(self.random.randint(1, 15)):
            name = self.random.choice(STEPS)
            try:
                self.seen.append((name, self.step(name)))
            except Exception as error:
                self.seen.append((name, type(error).__name__, str(error)))

    def step(self, name):
        if name == "next":
            return shape(next(self.stream, None))
        if name == "iterate":
            return self.iterators.append(iter(self.stream))
        if name == "leave":
            for each in self.stream:
                return shape(each)
        if name == "end":
            return self.stream.response.close()
        if not self.iterators:
            return None
        iterator = self.random.choice(self.iterators)
        if name == "advance":
            return shape(next(iterator, None))
        if name == "close":
            return iterator.close()
        if name == "throw":
            return iterator.throw(ZeroDivisionError("thrown in"))
        return [shape(each) for each in iterator]

    def failed(self):
        """Whether the stream failed before it was closed, not counting errors thrown into it."""
        until = [entry[0] for entry in self.seen].index("end") if ("end", None) in self.seen else None
        return any(len(entry) == 3 and entry[1] != "ZeroDivisionError" for entry in self.seen[:until])


class AsyncPlayer(Player):
    async def play_async(self):
        for _ in range(self.random.randint(1, 15)):
            name = self.random.choice(STEPS)
            try:
                self.seen.append((name, await self.step_async(name)))
            except Exception as error:
                self.seen.append((name, type(error).__name__, str(error)))

    async def step_async(self, name):
        if name == "next":
            return await advance(self.stream)
        if name == "iterate":
            return self.iterators.append(self.stream.__aiter__())
        if name == "leave":
            async for each in self.stream:
                return shape(each)
        if name == "end":
            return await self.stream.response.aclose()
        if not self.iterators:
            return None
        iterator = self.random.choice(self.iterators)
        if name == "advance":
            return await advance(iterator)
        if name == "close":
            return await iterator.aclose()
        if name == "throw":
            return await iterator.athrow(ZeroDivisionError("thrown in"))
        return [shape(each) async for each in iterator]


async def advance(iterator):
    try:
        return shape(await iterator.__anext__())
    except StopAsyncIteration:
        return None


def shape(each):
    return None if each is None else (type(each).__name__, repr(each))


def events_of(seed):
    return [*CHUNKS, *ENDS[sorted(ENDS)[seed % len(ENDS)]]]


def check(api, monitored, bare):
    assert monitored.seen == bare.seen
    failed = monitored.failed()
    del monitored.stream, monitored.iterators
    for _ in range(3):  # one round frees what kept another alive
        if not api.collector.observations:
            gc.collect()
    assert (api.collector.call().error_type is not None) == failed, bare.seen


@pytest.mark.parametrize("seed", range(N_PLAYS))
def test_a_stream_behaves_as_in_the_bare_sdk(seed, api):
    http_client = httpx.Client(transport=Pieces(events=events_of(seed)), verify=False, trust_env=False)
    players = []
    for client in (api.client(http_client=http_client), api.bare(http_client=http_client)):
        players.append(Player(client.chat.completions.create(**STREAM), seed))
        players[-1].play()
    check(api, *players)


@pytest.mark.parametrize("seed", range(N_PLAYS))
def test_an_asynchronous_stream_behaves_as_in_the_bare_sdk(seed, api):
    async def play(client):
        player = AsyncPlayer(await client.chat.completions.create(**STREAM), seed)
        await player.play_async()
        return player

    players = []
    for new in (api.async_client, api.bare_async):
        http_client = httpx.AsyncClient(
            transport=Pieces(events=events_of(seed)), verify=False, trust_env=False
        )
        players.append(asyncio.run(play(new(http_client=http_client))))
    check(api, *players)
