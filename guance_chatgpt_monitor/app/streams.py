"""Answers that the application gets before they are complete: the SDK's streams, and raw responses.

A stream stays the SDK's own object. Replaced is the generator that it takes its chunks from, by a reader: a
generator that passes them on. Who iterates over the stream gets a reader of his own, in place of the SDK's
`__iter__()`, which does nothing but pass them on, too. So no step is added, and once there was content, a
chunk costs a clock reading and, unless the API is OpenAI's own, a look for the usage, and nothing else:
whether it is being read is asked of the readers themselves.
"""

import functools
import inspect
import time
import weakref
from functools import partial
from types import FunctionType
from typing import Any, AsyncGenerator, Callable, Dict, Generator

from ..core.fields import read_field
from .content import Content
from .endings import Ending, is_running
from .failsafe import guarded
from .observation import Observation

_PassOn = Callable[[Any], Any]
_NONE: Dict[str, Any] = {}


def watch_stream(observation: Observation, stream: Any, closing: str) -> None:
    """Observe a stream of the SDK's until it ends."""
    _attach(stream, _open(observation, stream.response, closing))


def watch_raw_stream(observation: Observation, answer: Any, closing: str) -> None:
    """Observe a raw response whose body is a stream: as what it is parsed into, or to where it is closed."""
    ending = _open(observation, answer.http_response, closing)
    _when_parsed(answer, partial(_attach, ending=ending))


def watch_raw_body(observation: Observation, response: Any, closing: str) -> None:
    """Observe an HTTP response whose body the application is yet to read, if it does."""
    ending = _open(observation, response, closing)
    if closing == "close":
        ending.replace(response, "read", _watch_read(response.read, ending))
    else:
        ending.replace(response, "aread", _watch_aread(response.aread, ending))


def _open(observation: Observation, response: Any, closing: str) -> Ending:
    observation.status_code = response.status_code
    return Ending(observation, response, closing)


def _attach(stream: Any, ending: Ending) -> None:
    content = ending.observation.content
    if content is not None:
        _replace_iterator(stream, partial(_keep, content=content), partial(_keep_async, content=content))
    chunks = getattr(stream, "_iterator", None)
    if _replace_iterator(stream, partial(_pass_on, ending=ending), partial(_pass_on_async, ending=ending)):
        ending.stream, ending.chunks = weakref.ref(stream), weakref.ref(chunks)  # not held: see is_read_by()
        ending.is_read_by(stream._iterator)


def wrap_iter(original: Any) -> Any:
    """Around `__iter__()` of the SDK's stream, or `__aiter__()`: of no effect on one that is not observed."""

    @functools.wraps(original)
    def iterate(self: Any) -> Any:
        reader = guarded(_new_reader, self)
        if reader is None:
            return original(self)
        reader.__name__, reader.__qualname__ = original.__name__, original.__qualname__
        return reader

    return iterate


def only_passes_on(method: Any) -> bool:
    """Whether `method` is the SDK's `__iter__()` or `__aiter__()`, as it is known, and nobody's patch."""
    return (
        type(method) is FunctionType
        and method.__globals__.get("__name__") == "openai._streaming"
        and method.__code__.co_names == ("_iterator",)
    )


def _new_reader(stream: Any) -> Any:
    """One more generator that passes on the chunks of a stream; None for one that is not observed any more.

    Each who iterates has his own, as with the SDK's `__iter__()`: two may do so at the same time, and what
    ends one must not end the other.
    """
    ending = Ending.of(getattr(stream, "response", None))
    chunks = None if ending is None else ending.chunks()
    if ending is None or chunks is None:
        return None
    iterator = stream._iterator
    if not _is_reader(iterator) or getattr(iterator, "gi_frame", getattr(iterator, "ag_frame", None)) is None:
        return None  # somebody has put another in its place, or has closed it
    reader: Any = (_pass_on if inspect.isgenerator(chunks) else _pass_on_async)(chunks, ending)
    ending.is_read_by(reader)
    return reader


def _is_reader(iterator: Any) -> bool:
    code = getattr(iterator, "gi_code", None) or getattr(iterator, "ag_code", None)
    return code in (_pass_on.__code__, _pass_on_async.__code__)


def hide_usage(answer: Any) -> None:
    """Take the chunk out of a stream that is in it because we asked for the usage.

    Apart from all that observes: whatever of that fails, the application did not ask for this chunk.
    """
    if getattr(answer, "http_response", None) is not None:
        _when_parsed(answer, hide_usage)
    else:
        _replace_iterator(answer, _leave_out_usage, _leave_out_usage_async)


def _replace_iterator(stream: Any, pass_on: _PassOn, pass_on_async: _PassOn) -> bool:
    """False for a stream that takes its chunks from something else than a generator."""
    chunks = getattr(stream, "_iterator", None)
    if inspect.isgenerator(chunks):
        stream._iterator = pass_on(chunks)
    elif inspect.isasyncgen(chunks):
        stream._iterator = pass_on_async(chunks)
    else:
        return False
    return True


def _when_parsed(answer: Any, use: Callable[[Any], None]) -> None:
    """Call `use` with the stream that a raw response is parsed into, once: later, it is the same stream."""
    original = answer.parse

    @functools.wraps(original)
    def parse(*args: Any, **kwargs: Any) -> Any:
        stream = original(*args, **kwargs)
        answer.__dict__.pop("parse", None)
        guarded(use, stream)
        return stream

    @functools.wraps(original)
    async def parse_async(*args: Any, **kwargs: Any) -> Any:
        stream = await original(*args, **kwargs)
        answer.__dict__.pop("parse", None)
        guarded(use, stream)
        return stream

    answer.parse = parse_async if inspect.iscoroutinefunction(original) else parse


# What follows is on the application's path: whatever can fail in it is the SDK's, or guarded.


def _pass_on(chunks: Any, ending: Ending) -> Generator[Any, None, None]:
    clock, observation = time.perf_counter, ending.observation
    chunk, read_s = None, 0.0
    progress = lambda: (chunk, read_s)  # noqa: E731
    chunk, read_s = guarded(ending.begin, progress) or (None, 0.0)
    try:
        if observation.first_content_s is None:
            for chunk in chunks:
                read_s = clock()
                has_content = guarded(observation.note_early_chunk, chunk, read_s)
                yield chunk
                if has_content:
                    break
        if guarded(observation.has_usage_last):
            for chunk in chunks:
                read_s = clock()
                yield chunk
        elif "usage" in getattr(chunk, "__dict__", _NONE):
            for chunk in chunks:
                read_s = clock()
                try:
                    if chunk.usage is not None:
                        observation.usage = chunk.usage
                except Exception:
                    pass  # a chunk of another kind
                yield chunk
        else:
            for chunk in chunks:
                read_s = clock()
                if getattr(chunk, "__pydantic_extra__", None):
                    guarded(observation.note_chunk, chunk)  # where the first SDK has the usage
                yield chunk
    except BaseException as error:
        guarded(_leave, ending, chunks, chunks.gi_frame, progress, error)
        raise
    guarded(ending.complete)


def _leave(ending: Ending, chunks: Any, frame: Any, progress: Any, error: BaseException) -> None:
    """A reader ends by `error`; `frame` is that of the SDK's generator, if that goes on."""
    traceback = error.__traceback__
    if frame is None and traceback is not None and traceback.tb_next is not None:
        ending.fail(error)  # it came out of the SDK's generator
        return
    # Thrown in between two chunks: that gives up the reader, and not the stream.
    ending.leave(progress)
    stream = ending.stream()
    iterator = getattr(stream, "_iterator", None)
    if is_running(chunks) and _is_reader(iterator) and is_running(iterator):
        # Another reads at this time. That is an error for who comes second, but must not end what the stream
        # itself reads by.
        stream._iterator = _new_reader(stream) or chunks


async def _pass_on_async(chunks: Any, ending: Ending) -> AsyncGenerator[Any, None]:
    clock, observation = time.perf_counter, ending.observation
    chunk, read_s = None, 0.0
    progress = lambda: (chunk, read_s)  # noqa: E731
    chunk, read_s = guarded(ending.begin, progress) or (None, 0.0)
    try:
        if observation.first_content_s is None:
            async for chunk in chunks:
                read_s = clock()
                has_content = guarded(observation.note_early_chunk, chunk, read_s)
                yield chunk
                if has_content:
                    break
        if guarded(observation.has_usage_last):
            async for chunk in chunks:
                read_s = clock()
                yield chunk
        elif "usage" in getattr(chunk, "__dict__", _NONE):
            async for chunk in chunks:
                read_s = clock()
                try:
                    if chunk.usage is not None:
                        observation.usage = chunk.usage
                except Exception:
                    pass  # a chunk of another kind
                yield chunk
        else:
            async for chunk in chunks:
                read_s = clock()
                if getattr(chunk, "__pydantic_extra__", None):
                    guarded(observation.note_chunk, chunk)  # where the first SDK has the usage
                yield chunk
    except BaseException as error:
        guarded(_leave, ending, chunks, chunks.ag_frame, progress, error)
        raise
    guarded(ending.complete)


def _keep(chunks: Any, content: Content) -> Generator[Any, None, None]:
    for chunk in chunks:
        guarded(content.add_chunk, chunk)
        yield chunk


async def _keep_async(chunks: Any, content: Content) -> AsyncGenerator[Any, None]:
    async for chunk in chunks:
        guarded(content.add_chunk, chunk)
        yield chunk


def _leave_out_usage(chunks: Any) -> Generator[Any, None, None]:
    for chunk in chunks:
        if read_field(chunk, "choices") or read_field(chunk, "usage") is None:
            yield chunk


async def _leave_out_usage_async(chunks: Any) -> AsyncGenerator[Any, None]:
    async for chunk in chunks:
        if read_field(chunk, "choices") or read_field(chunk, "usage") is None:
            yield chunk


def _watch_read(original: Any, ending: Ending) -> Any:
    def read(*args: Any, **kwargs: Any) -> Any:
        ending.reading = True
        try:
            body = original(*args, **kwargs)
        except BaseException as error:
            guarded(ending.fail, error)
            raise
        finally:
            ending.reading = False
        guarded(ending.answered, body)
        return body

    return read


def _watch_aread(original: Any, ending: Ending) -> Any:
    async def aread(*args: Any, **kwargs: Any) -> Any:
        ending.reading = True
        try:
            body = await original(*args, **kwargs)
        except BaseException as error:
            guarded(ending.fail, error)
            raise
        finally:
            ending.reading = False
        guarded(ending.answered, body)
        return body

    return aread
