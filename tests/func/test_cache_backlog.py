"""Maintaining a long backlog takes few Redis commands and reads no lines."""

import time

from cache_client import MemoryBackend, PuppetBackend, cache_of, line

from guance_chatgpt_monitor.func.cache_backlog import CacheBacklog


def test_a_long_backlog_is_counted_without_reading_it() -> None:
    lengths: list[int] = []
    memory = MemoryBackend()

    class Backend:
        def cache(self, command: str, key: str, *args: object) -> object:
            answer = memory.cache(command, key, *args)
            if command == "lrange":
                lengths.append(len(answer))
            return answer

    backlog = CacheBacklog(cache_of(Backend()))
    now_ns = time.time_ns()
    lines = [line(n, now_ns) for n in range(3000)]
    backlog.push(lines)
    claim = backlog.claim(500)
    assert claim is not None
    backlog.settle(claim, 200, {"replayed": 200})
    lengths.clear()
    size = backlog.size()
    assert size.lines == 2800
    assert size.n_bytes == sum(len(each.encode()) for each in lines[200:])
    assert size.oldest_ns == now_ns + 200
    assert sum(lengths) <= 2


def test_a_lowered_bound_evicts_a_few_lines_per_call() -> None:
    backend = PuppetBackend(MemoryBackend(), lambda _, __: None)
    CacheBacklog(cache_of(backend)).push([line(n) for n in range(2000)])
    lowered = CacheBacklog(cache_of(backend), max_lines=100)
    commands = backend.commands
    dropped = lowered.push([line(2000)])
    assert 0 < dropped < 100
    assert backend.commands - commands < 100
    for n in range(2000):
        dropped += lowered.push([line(2001 + n)])
    assert lowered.size().lines == 100
    assert dropped == 4001 - 100
