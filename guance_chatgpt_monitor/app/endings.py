"""The end of an answer that is still open when the application gets it: a stream, or a body not yet read."""

import os
import sys
import time
import weakref
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Tuple

from .failsafe import guarded
from .observation import Observation

_Progress = Tuple[Any, float]


class Ending:
    """Ends an observation once: when the answer was read, was closed, or is collected, whichever is first.

    Whatever closes an answer (`close()`, `with`, the SDK's stream helpers, reading to the end) closes its
    HTTP response. So that one object is watched: its method `closing` is replaced on the instance, until
    the end. `closing` is `close`, or `aclose` for an asynchronous client.
    """

    def __init__(self, observation: Observation, response: Any, closing: str) -> None:
        self.observation = observation
        # Set by who reads in one piece: what closes the response meanwhile is a part of the reading.
        self.reading = False
        # References to the stream and to the SDK's generator of its chunks.
        self.stream: Callable[[], Any] = _nothing
        self.chunks: Callable[[], Any] = _nothing
        self._readers: List[Callable[[], Any]] = []
        # The last chunk that was read, and when: of those who have left, and of each who reads.
        self._left: _Progress = (None, time.perf_counter())
        self._progresses: List[Callable[[], _Progress]] = []
        self._response = weakref.ref(response, partial(guarded, _collected))
        self._replaced: List[str] = []
        watch = _watch_close if closing == "close" else _watch_aclose
        self.replace(response, closing, watch(self, getattr(response, closing)))
        _open[id(self._response)] = self

    def replace(self, response: Any, name: str, method: Any) -> None:
        """Put `method` in the place of the response's own until the end."""
        method.of_monitor = True  # not held here: it holds the response, which is to be collected
        setattr(response, name, method)
        self._replaced.append(name)

    @staticmethod
    def of(response: Any) -> Optional["Ending"]:
        """That of an open response, if it is watched."""
        return next(filter(None, (_open.get(id(each)) for each in weakref.getweakrefs(response))), None)

    def is_read_by(self, generator: Any) -> None:
        """Chunk by chunk: what closes the response while this generator runs is a part of the reading."""
        # Not held: the stream holds it, and is to be collected when nobody else holds that.
        alive = [reader for reader in self._readers if reader() is not None]
        self._readers = [*alive, weakref.ref(generator)]

    def begin(self, progress: Callable[[], _Progress]) -> _Progress:
        """One more reads chunks, and knows of these. Returns the progress before him."""
        before = self._progress()
        if id(self._response) in _open:  # else the call has ended
            self._progresses.append(progress)
        return before

    def leave(self, progress: Callable[[], _Progress]) -> None:
        """He reads no more, but others may."""
        if progress in self._progresses:
            self._progresses.remove(progress)
            self._left = max(progress(), self._left, key=_read_s)

    def _progress(self) -> _Progress:
        return max([*(progress() for progress in self._progresses), self._left], key=_read_s)

    def _take_progress(self) -> _Progress:
        """The last time that it is asked for: from here on, no chunk is held."""
        last = self._progress()
        self._left, self._progresses = (None, last[1]), []
        return last

    def complete(self) -> None:
        """Everything was read."""
        if self._take():
            self.observation.end_stream(*self._take_progress(), complete=True)

    def answered(self, body: Any) -> None:
        """The body was read, in one piece."""
        if self._take():
            self.observation.answered(body)

    def fail(self, error: BaseException) -> None:
        if self._take():
            self.observation.fail_stream(self._take_progress()[0], error)

    def closed(self) -> None:
        """The response is closed, by whomever."""
        if self.reading or any(is_running(reader()) for reader in self._readers):
            return
        error = sys.exc_info()[1]
        if error is not None and self._is_of_this_call(error):
            self.fail(error)
        else:
            self.give_up()

    def give_up(self) -> None:
        """What was not read will not be."""
        if self._take():
            last_chunk, read_s = self._take_progress()
            if last_chunk is None and getattr(self._response(), "is_stream_consumed", False):
                # Read piece by piece, past the SDK's stream: then its end is the only time there is.
                read_s = time.perf_counter()
            self.observation.end_stream(last_chunk, read_s, complete=False)

    def _take(self) -> bool:
        """Whether the call is still to be ended: true for one caller, of all threads."""
        if _open.pop(id(self._response), None) is None:
            return False
        attributes = getattr(self._response(), "__dict__", {})
        for name in self._replaced:
            # Unless somebody has wrapped it in turn: out of use, it only passes on.
            if hasattr(attributes.get(name), "of_monitor"):
                del attributes[name]
        return True

    def _is_of_this_call(self, error: BaseException) -> bool:
        """Whether the response raised it, and not the application, whose `with` block ends with an error."""
        request = getattr(error, "request", None)
        return request is not None and request is getattr(self._response(), "request", None)


def _read_s(progress: _Progress) -> float:
    return progress[1]


def _nothing() -> None:
    """In the place of a reference to what there is not."""


def is_running(generator: Any) -> bool:
    return getattr(generator, "gi_running", False) or getattr(generator, "ag_running", False)


def _watch_close(ending: Ending, original: Any) -> Any:
    def close(*args: Any, **kwargs: Any) -> Any:
        guarded(ending.closed)
        return original(*args, **kwargs)

    return close


def _watch_aclose(ending: Ending, original: Any) -> Any:
    # A coroutine function as the original: by that, others tell whether it is to be awaited.
    async def aclose(*args: Any, **kwargs: Any) -> Any:
        guarded(ending.closed)
        return await original(*args, **kwargs)

    return aclose


# By the id of their reference. Held here, not by the response, which would take them along.
_open: Dict[int, Ending] = {}


def _collected(response: Any) -> None:
    ending = _open.get(id(response))
    if ending is not None:
        ending.give_up()


def end_open() -> None:
    """End what is still open, for the process ends."""
    for ending in list(_open.values()):
        guarded(ending.give_up)


if hasattr(os, "register_at_fork"):
    # What was open in the parent is the parent's to end.
    os.register_at_fork(after_in_child=_open.clear)
