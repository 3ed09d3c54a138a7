"""The local Func's processes end like the real one's."""

import os
import signal

import pytest
import requests

from guance_chatgpt_monitor.local.func import pool
from guance_chatgpt_monitor.local.func.redis_server import LocalRedis
from guance_chatgpt_monitor.local.func.server import LocalFunc

CODE = "@DFF.API('echo')\ndef echo(**body):\n    return body\n"
TIMEOUT_S = 30.0


def add_link(func: LocalFunc) -> str:
    func.edit("s__main", CODE)
    func.register("s__main", "echo")
    return func.add_link("s__main.echo") + "/simplified"


def test_a_stopped_worker_is_reported_after_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "NO_RESPONSE_AFTER_S", 0.1)
    with LocalFunc(workers=1) as func:
        link = add_link(func)
        func.set_timeout("s__main.echo", 1)
        os.kill(func.worker_pids()[0], signal.SIGSTOP)
        answer = requests.post(link, json={}, timeout=TIMEOUT_S)
        os.kill(func.worker_pids()[0], signal.SIGCONT)
    assert answer.status_code == 599
    assert (answer.json()["error"], answer.json()["reason"]) == (599.99, "EWorkerNoResponse")


def test_sigterm_to_one_process_restarts_all_and_loses_no_task() -> None:
    with LocalFunc(workers=2) as func:
        link = add_link(func)
        before = set(func.worker_pids())
        pid = func.worker_pids()[0]
        os.kill(pid, signal.SIGTERM)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # a task that it still takes would end with it
        while before & set(func.worker_pids()):
            assert requests.post(link, json={"a": 1}, timeout=TIMEOUT_S).json() == {"a": 1}


@pytest.mark.skipif(not LocalRedis.is_available(), reason="no redis-server on this machine")
def test_it_ends_when_its_redis_does() -> None:
    redis = LocalRedis().start()
    try:
        with LocalFunc(workers=1, redis_url=redis.url) as func:
            link = add_link(func)
            assert requests.post(link, json={}, timeout=TIMEOUT_S).status_code == 200
            redis.stop()
            assert func.stopping.wait(TIMEOUT_S)
            with pytest.raises(requests.ConnectionError):
                requests.post(link, json={}, timeout=TIMEOUT_S)
    finally:
        redis.remove()
