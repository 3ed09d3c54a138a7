"""Answers that the application gets before they are complete: the SDK's streams, and raw responses.

A generator of ours replaces the one that the application reads through (of a stream, the SDK's generator of
chunks; of a raw response, that of the bytes, which all its methods read) and records what it passes on.
An answer that is not read to its end is recorded when its HTTP response is closed or collected.
"""

import functools
import inspect
import os
import sys
import weakref
from functools import partial
from typing import Any, AsyncGenerator, Callable, Dict, Generator, List, Optional

from ..core.fields import read_field
from .failsafe import guarded, report
from .observation import Observation, is_piece
from .raw_body import RawBody

_Note = Callable[[Any], None]


def watch_stream(observation: Observation, stream: Any) -> None:
    """Observe one of the SDK's streams until it ends."""
    _attach(stream, OpenAnswer(observation, stream.response))


def watch_raw(observation: Observation, answer: Any) -> None:
    """Observe a raw response whose body is yet to be read, as bytes or parsed."""
    response = answer.http_response
    open_answer = OpenAnswer(observation, response)
    body = RawBody(observation, response.headers.get("content-type") or "", open_answer.note_chunk)
    open_answer.read_bytes_by(response, body)
    if observation.stream:
        _when_parsed(answer, partial(_attach, open_answer=open_answer))


def hide_usage(answer: Any) -> None:
    """Remove the chunk that is in a stream because we asked for the usage.

    Independent of the observing code: even if that fails, the application did not ask for this chunk.
    """
    if getattr(answer, "http_response", None) is not None:
        _when_parsed(answer, hide_usage)
    else:
        _replace_iterator(answer, _leave_out_usage, _leave_out_usage_async)


def end_open() -> None:
    """End all open answers, at the end of the process."""
    for open_answer in list(_open.values()):
        guarded(open_answer.give_up)


class OpenAnswer:
    """Ends an observation once: when the answer is read, fails, is closed or is collected.

    Whatever closes an answer (`close()`, `with`, the SDK's stream helpers, reading to the end) closes its
    HTTP response. So the methods of that instance are replaced until the end.
    """

    def __init__(self, observation: Observation, response: Any) -> None:
        observation.status_code = response.status_code
        self.observation = observation
        self.is_read = False  # right now: if the response is closed meanwhile, that is part of reading it
        self._read_s = observation.clock()
        self._has_chunks = self._has_ended = False
        self._body: Optional[RawBody] = None
        self._replaced: List[str] = []
        self._response = weakref.ref(response, partial(guarded, _collected))
        self._replace(response, "close", _watch_close(self, response.close))
        self._replace(response, "aclose", _watch_aclose(self, response.aclose))
        _open[id(self._response)] = self

    def read_bytes_by(self, response: Any, body: RawBody) -> None:
        """Record what is read of the response: all methods of httpx read through `iter_bytes()`."""
        self._body = body
        for name, pass_on in (("iter_bytes", _pass_on), ("aiter_bytes", _pass_on_async)):
            self._replace(response, name, _watch_bytes(self, getattr(response, name), pass_on, body.add))

    def read_chunks(self) -> None:
        """It is read as one of the SDK's streams, not as bytes."""
        self._body = None
        self._put_back("iter_bytes", "aiter_bytes")

    def note_chunk(self, chunk: Any) -> None:
        if self._has_ended:
            return
        observation = self.observation
        self._read_s = read_s = observation.clock()
        if observation.content is not None:
            observation.content.add_chunk(chunk)
        if observation.first_content_s is not None and is_piece(chunk):
            return  # as nearly all are
        self._has_chunks = True
        if observation.note_chunk(chunk, read_s):
            self.complete()

    def complete(self) -> None:
        """Everything that matters was read."""
        if not self._take():
            return
        if self._body is not None:
            self._body.complete()
        if self._body is not None and not self._body.is_events:
            self.observation.end()
        else:
            self.observation.end_stream(self._read_s)

    def fail(self, error: BaseException) -> None:
        if self._take():
            self.observation.failed(error)

    def closed(self) -> None:
        """The response is closed by anyone."""
        if self.is_read:
            return
        error = sys.exc_info()[1]
        failed = getattr(error, "request", None)
        # An error of the response, not of the application's `with` block.
        if error is not None and failed and failed is getattr(self._response(), "request", None):
            self.fail(error)
        else:
            self.give_up()

    def give_up(self) -> None:
        """The rest will not be read, which is no error."""
        if self._take():
            if not self._has_chunks and getattr(self._response(), "is_stream_consumed", False):
                self._read_s = self.observation.clock()  # read in a way that is not watched; only its end is
            self.observation.end(self._read_s)

    def _replace(self, response: Any, name: str, method: Any) -> None:
        method.of_monitor = True
        setattr(response, name, method)
        self._replaced.append(name)

    def _put_back(self, *names: str) -> None:
        attributes = getattr(self._response(), "__dict__", {})
        for name in names:
            # Unless somebody has wrapped it in turn; after the end, it only passes calls on.
            if hasattr(attributes.get(name), "of_monitor"):
                del attributes[name]

    def _take(self) -> bool:
        """Whether the call is still to be ended: True for one caller in any thread."""
        if _open.pop(id(self._response), None) is None:
            return False
        self._has_ended = True
        self._put_back(*self._replaced)
        return True


# By the id of their weak reference. Held here, since the response would take them with it.
_open: Dict[int, OpenAnswer] = {}
if hasattr(os, "register_at_fork"):
    # The parent ends those that it has open.
    os.register_at_fork(after_in_child=_open.clear)


def _collected(reference: Any) -> None:
    open_answer = _open.get(id(reference))
    if open_answer is not None:
        open_answer.give_up()


def _attach(stream: Any, open_answer: OpenAnswer) -> None:
    pass_on, note = (_pass_on, _pass_on_async), open_answer.note_chunk
    if _replace_iterator(stream, *(partial(each, open_answer=open_answer, note=note) for each in pass_on)):
        open_answer.read_chunks()


def _replace_iterator(
    stream: Any, pass_on: Callable[[Any], Any], pass_on_async: Callable[[Any], Any]
) -> bool:
    """False if the stream does not take its chunks from a generator."""
    chunks = getattr(stream, "_iterator", None)
    if inspect.isgenerator(chunks):
        stream._iterator = pass_on(chunks)
    elif inspect.isasyncgen(chunks):
        stream._iterator = pass_on_async(chunks)
    else:
        return False
    return True


def _when_parsed(answer: Any, use: Callable[[Any], None]) -> None:
    """Call `use` once with the stream that a raw response is parsed into."""
    original = answer.parse

    def parsed(stream: Any) -> Any:
        answer.__dict__.pop("parse", None)
        guarded(use, stream)
        return stream

    @functools.wraps(original)
    def parse(*args: Any, **kwargs: Any) -> Any:
        return parsed(original(*args, **kwargs))

    @functools.wraps(original)
    async def parse_async(*args: Any, **kwargs: Any) -> Any:
        return parsed(await original(*args, **kwargs))

    answer.parse = parse_async if inspect.iscoroutinefunction(original) else parse


# What follows runs when the application reads: whatever can fail in it is the SDK's, or guarded.


def _pass_on(source: Any, open_answer: OpenAnswer, note: _Note) -> Generator[Any, None, None]:
    try:
        open_answer.is_read = True
        for item in source:
            open_answer.is_read = False
            try:  # not guarded(): saves 0.15 us a chunk
                note(item)
            except Exception as error:
                guarded(report, note, error)
            yield item
            open_answer.is_read = True
    except GeneratorExit:
        guarded(open_answer.give_up)
        source.close()
        raise
    except BaseException as error:
        guarded(open_answer.fail, error)
        raise
    guarded(open_answer.complete)


async def _pass_on_async(source: Any, open_answer: OpenAnswer, note: _Note) -> AsyncGenerator[Any, None]:
    try:
        open_answer.is_read = True
        async for item in source:
            open_answer.is_read = False
            try:  # not guarded(): saves 0.15 us a chunk
                note(item)
            except Exception as error:
                guarded(report, note, error)
            yield item
            open_answer.is_read = True
    except GeneratorExit:
        guarded(open_answer.give_up)
        await source.aclose()
        raise
    except BaseException as error:
        guarded(open_answer.fail, error)
        raise
    guarded(open_answer.complete)


def _leave_out_usage(chunks: Any) -> Generator[Any, None, None]:
    for chunk in chunks:
        if read_field(chunk, "choices") or read_field(chunk, "usage") is None:
            yield chunk


async def _leave_out_usage_async(chunks: Any) -> AsyncGenerator[Any, None]:
    async for chunk in chunks:
        if read_field(chunk, "choices") or read_field(chunk, "usage") is None:
            yield chunk


def _watch_bytes(open_answer: OpenAnswer, original: Any, pass_on: Any, note: _Note) -> Any:
    def iter_bytes(*args: Any, **kwargs: Any) -> Any:
        return pass_on(original(*args, **kwargs), open_answer, note)

    return iter_bytes


def _watch_close(open_answer: OpenAnswer, original: Any) -> Any:
    def close(*args: Any, **kwargs: Any) -> Any:
        guarded(open_answer.closed)
        return original(*args, **kwargs)

    return close


def _watch_aclose(open_answer: OpenAnswer, original: Any) -> Any:
    # A coroutine function like the original: others inspect whether to await it.
    async def aclose(*args: Any, **kwargs: Any) -> Any:
        guarded(open_answer.closed)
        return await original(*args, **kwargs)

    return aclose
