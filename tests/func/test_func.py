"""The local Func behaves as the real one was observed to."""

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

from guance_chatgpt_monitor.local.func.cron import is_due
from guance_chatgpt_monitor.local.func.dff import Backend, Store
from guance_chatgpt_monitor.local.func.server import LocalFunc, TaskResult, as_javascript
from guance_chatgpt_monitor.local.http_server import LocalServer, Request, Response


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalFunc]:
    with LocalFunc(workers=1) as func:
        yield func


class Scripts:
    """Writes scripts of the set `s` and calls them."""

    def __init__(self, func: LocalFunc, folder: Path) -> None:
        self.func = func
        self._folder = folder
        self._meta: list[dict[str, object]] = []

    def add(self, name: str, code: str, **functions: dict[str, object]) -> "Scripts":
        path = self._folder / "script-sets" / "s" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, "utf-8")
        funcs = [
            {"id": f"s__{name}.{function}", "name": function, "extraConfigJSON": config}
            for function, config in functions.items()
        ]
        self._meta.append({"id": f"s__{name}", "type": "python", "funcs": funcs})
        meta = {"version": 2, "scriptSets": [{"id": "s", "scripts": self._meta}]}
        (self._folder / "META.yaml").write_text(yaml.safe_dump(meta), "utf-8")
        self.func.install(str(self._folder))
        return self

    def run(self, code: str, **kwargs: object) -> TaskResult:
        self.add("main", code)
        return self.func.run("s__main.f", kwargs)

    def post(self, code: str, body: object = None, timeout_s: int = 35) -> requests.Response:
        self.add("main", code, f={"timeout": timeout_s})
        link = self.func.add_link("s__main.f")
        return requests.post(f"{link}/simplified", json={} if body is None else body, timeout=30)


@pytest.fixture
def scripts(shared: LocalFunc, tmp_path: Path) -> Scripts:
    return Scripts(shared, tmp_path)


# ---- scripts ----


def test_globals_are_fresh_for_each_task_but_modules_are_not(scripts: Scripts) -> None:
    code = (
        "import sys, types\n"
        "try:\n    n\nexcept NameError:\n    n = 0\n"
        "module = sys.modules.setdefault('kept', types.ModuleType('kept'))\n"
        "module.n = getattr(module, 'n', 0) + 1\n"
        "def f():\n    return [n, module.n, __name__, __name__ in sys.modules]\n"
    )
    first, second = scripts.run(code).data, scripts.run(code).data
    assert first == [0, 1, "s__main", False]
    assert second == [0, 2, "s__main", False]


@pytest.mark.parametrize(
    "line", ["import s__other", "import s__other as x", "from s__other import A, B", "import json"]
)
def test_imports_that_work_in_func_work_here(scripts: Scripts, line: str) -> None:
    scripts.add("other", "A = 1\nB = 2\n")
    assert scripts.run(f"{line}\ndef f():\n    return 'ok'\n").status == "success"


DATACLASS = "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: {}\n"


@pytest.mark.parametrize(
    "line",
    [
        "from .other import A",
        "from s.other import A",
        "from s__other import *",
        "from s__other import ZERO",
        "__import__('s__other')",
        "import importlib; importlib.import_module('s__other')",
        "from s__circle import A",
        "try:\n    pass\nexcept BaseException:\n    pass\nBaseException",
        "from __future__ import annotations\n" + DATACLASS.format("int"),
        DATACLASS.format("'int'"),
        "@DFF.API('f', unknown=1)\ndef g(): pass",
        "@DFF.API('f', timeout=0)\ndef g(): pass",
    ],
)
def test_code_that_fails_in_func_fails_here(scripts: Scripts, line: str) -> None:
    scripts.add("other", "A = 1\nZERO = 0\n").add("circle", "from s__main import f\nA = 1\n")
    assert scripts.run(f"{line}\ndef f():\n    return 'ok'\n").status == "failure"


def test_import_as_binds_both_names(scripts: Scripts) -> None:
    scripts.add("other", "A = 1\n")
    assert scripts.run("from s__other import A as B\ndef f():\n    return A + B\n").data == 2


@pytest.mark.parametrize(
    "code",
    [
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 1\n",
        "from typing import NamedTuple\nclass A(NamedTuple):\n    x: int = 1\n",
        "from enum import Enum\nclass A(Enum):\n    x = 1\n",
        "from abc import ABC\nclass A(ABC):\n    x = 1\n",
    ],
)
def test_classes_that_work_in_func_work_here(scripts: Scripts, code: str) -> None:
    assert scripts.run(f"{code}def f():\n    return bool(A)\n").data is True


def test_print_goes_to_the_task_log_and_logging_does_not(scripts: Scripts) -> None:
    scripts.add("other", "def say():\n    print('from a module')\n")
    code = "import logging\nfrom s__other import say\ndef f():\n    print('a', 1)\n    say()\n"
    code += "    logging.error('x')\n"
    assert scripts.run(code).log == ("a 1", "from a module")


def test_cache_and_store_are_scoped_per_script(scripts: Scripts) -> None:
    scripts.add("other", "def get():\n    return [DFF.CACHE.get('a'), DFF.CACHE.get('a', scope='all')]\n")
    code = (
        "from s__other import get\n"
        "def f():\n"
        "    DFF.CACHE.set('a', 1)\n    DFF.CACHE.set('a', 2, scope='all')\n"
        "    DFF.STORE.set('b', {'x': [1]})\n"
        "    return [DFF.CACHE.get('a'), get(), DFF.STORE.get('b')]\n"
    )
    assert scripts.run(code).data == ["1", [None, "2"], {"x": [1]}]


class Answering(LocalServer):
    """In place of Func's server."""

    def respond(self, _: Request) -> Response:
        return Response(200, {"result": 1})


def test_the_store_is_reached_after_the_server_has_closed_an_idle_connection() -> None:
    with Answering() as server:
        store = Store(Backend(f"127.0.0.1:{server.port}", ""), "any_script")
        assert store.get("a") == 1
        server.stop()  # cuts the connection, as the server does after a minute
        server.start()
        assert store.get("a") == 1


def test_only_env_values_read_by_the_entry_script_are_masked(scripts: Scripts) -> None:
    scripts.func.set_env("SECRET", "s3cret")
    scripts.add("other", "def show():\n    print(DFF.ENV('SECRET'))\n")
    assert scripts.run("from s__other import show\ndef f():\n    show()\n").log == ("s3cret",)
    assert scripts.run("def f():\n    print(DFF.ENV('SECRET'), DFF.ENV('NONE'))\n").log == ("***** None",)


def test_threads_are_awaited(scripts: Scripts) -> None:
    code = (
        "def work(n):\n    print(n)\n    return n * 2\n"
        "def f():\n    key = DFF.THREAD.submit(work, 21)\n    return DFF.THREAD.get_result(key).value\n"
    )
    result = scripts.run(code)
    assert (result.data, result.log) == (42, ("21",))


# ---- the link ----


@pytest.mark.parametrize(
    ("returned", "text", "content_type"),
    [
        ("{'a': 1.0}", '{"a": 1}', "application/json"),
        ("[1]", "[1]", "application/json"),
        ("'text'", "text", "text/html; charset=utf-8"),
        ("7", "7", "text/html; charset=utf-8"),
        ("None", "", "text/html; charset=utf-8"),
        ("False", "", "text/html; charset=utf-8"),
        ("0", "", "text/html; charset=utf-8"),
        ("DFF.RESP('{\"a\": 1.0}', content_type='application/json')", '{"a": 1.0}', "application/json"),
    ],
)
def test_the_type_of_a_result_decides_the_answer(
    scripts: Scripts, returned: str, text: str, content_type: str
) -> None:
    answer = scripts.post(f"def f():\n    return {returned}\n")
    assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (200, text, content_type)


def test_an_exception_is_599_with_a_traceback(scripts: Scripts) -> None:
    answer = scripts.post("def f():\n    raise ValueError('told')\n")
    assert answer.status_code == 599
    body = answer.json()
    assert (body["ok"], body["error"], body["reason"]) == (False, 599.1, "EFuncFailed")
    assert "told" in body["detail"]["exception"]
    assert "Traceback" in body["detail"]["traceback"]


def test_the_time_limit_skips_except_exception_but_runs_finally(scripts: Scripts) -> None:
    code = (
        "import signal\n"
        "def f():\n"
        "    try:\n        signal.pause()\n    except Exception:\n        return 'caught'\n"
        "    finally:\n        print('finally')\n"
    )
    answer = scripts.post(code, timeout_s=1)
    assert (answer.status_code, answer.json()["error"]) == (599, 599.2)
    assert scripts.func.records[-1]["log"] == ("finally",)


def test_unknown_arguments_are_refused(scripts: Scripts) -> None:
    answer = scripts.post("def f(a):\n    return a\n", {"b": 1})
    assert answer.status_code == 599
    assert "TypeError" in answer.json()["detail"]["exception"]


def test_numbers_pass_through_javascript(scripts: Scripts) -> None:
    code = "def f(**body):\n    return [repr(body['a']), repr(body['b'])]\n"
    assert scripts.post(code, {"a": 1.0, "b": 2**53 + 1}).json() == ["1", str(2**53)]
    assert as_javascript([1.5, 2.0, True, None, "1.0"]) == [1.5, 2, True, None, "1.0"]


def test_kwargs_given_as_a_string_are_parsed(scripts: Scripts) -> None:
    code = "def f(**body):\n    return body['kwargs']\n"
    assert scripts.post(code, {"kwargs": '{"a": 1}'}).json() == {"a": 1}
    assert scripts.post(code, {"kwargs": "{"}).status_code == 400


@pytest.mark.parametrize(
    ("body", "status_code", "text"),
    [
        ("[1]", 200, '{"0": 1}'),
        ('"text"', 400, ""),
        ("7", 400, ""),
        ("null", 400, ""),
        ('{"a": {"__proto__": 1}}', 400, ""),
        ('{"a": NaN}', 400, ""),
        ("\ufeff" + '{"a": 1}', 200, '{"a": 1}'),
        ('{"a": "\\ud800"}', 200, '{"a": "\\ud800"}'),
    ],
)
def test_only_json_objects_and_arrays_are_accepted_as_bodies(
    scripts: Scripts, body: str, status_code: int, text: str
) -> None:
    scripts.add("main", "def f(**body):\n    return body\n", f={})
    link = scripts.func.add_link("s__main.f")
    headers = {"Content-Type": "application/json"}
    answer = requests.post(f"{link}/simplified", body.encode(), headers=headers, timeout=30)
    assert answer.status_code == status_code
    assert not text or answer.text == text


def test_the_normal_form_of_a_link_refuses_a_timeout(scripts: Scripts) -> None:
    scripts.add("main", "def f(**body):\n    return body\n", f={})
    link = scripts.func.add_link("s__main.f")
    answer = requests.post(link, json={"kwargs": {"a": 1}}, timeout=30)
    assert (answer.status_code, answer.json()) == (200, {"a": 1})
    answer = requests.post(link, json={"kwargs": {}, "options": {"timeout": 5}}, timeout=30)
    assert answer.status_code == 400


def test_a_body_nested_900_deep_reaches_the_function_and_3000_gets_no_answer(scripts: Scripts) -> None:
    scripts.add("main", "def f(**body):\n    return 'here'\n", f={})
    link = scripts.func.add_link("s__main.f")
    headers = {"Content-Type": "application/json"}
    deep = '{"a": ' + "[" * 900 + "]" * 900 + "}"
    assert requests.post(f"{link}/simplified", deep, headers=headers, timeout=30).text == "here"
    deep = '{"a": ' + "[" * 3000 + "]" * 3000 + "}"
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{link}/simplified", deep, headers=headers, timeout=30)


def test_an_unknown_link_is_404(shared: LocalFunc) -> None:
    answer = requests.post(f"{shared.url}/api/v1/al/nothing/simplified", json={}, timeout=10)
    assert (answer.status_code, answer.json()["message"]) == (404, "No such Sync API")


def test_a_task_whose_worker_dies_gets_no_answer_and_the_next_one_does(scripts: Scripts) -> None:
    with pytest.raises(requests.ConnectionError):
        scripts.post("import os, signal\ndef f():\n    os.kill(os.getpid(), signal.SIGKILL)\n")
    assert scripts.run("def f():\n    return 'alive'\n").data == "alive"


def test_a_function_not_listed_in_the_meta_does_not_exist(scripts: Scripts) -> None:
    scripts.add("main", "def f():\n    return 1\ndef g():\n    return 2\n", f={})
    link = scripts.func.add_link("s__main.g")
    answer = requests.post(f"{link}/simplified", json={}, timeout=10)
    assert (answer.status_code, answer.json()["message"]) == (404, "No such Func")


@pytest.mark.slow
def test_five_workers_run_side_by_side(tmp_path: Path) -> None:
    with LocalFunc() as func:
        pids = func.worker_pids()
        assert len(set(pids)) == 5
        os.kill(pids[0], signal.SIGTERM)
        scripts = Scripts(func, tmp_path).add("main", "import os\ndef f():\n    return os.getpid()\n")
        seen = {scripts.func.run("s__main.f").data for _ in range(20)}
    assert len(seen) >= 2


def test_it_stops_silently_in_the_middle_of_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when Ctrl-C stops the demo."""
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    code = f"import signal\ndef f():\n    open({str(begun)!r}, 'w').close()\n    signal.pause()\n"
    results = []
    func = LocalFunc(workers=1).start()
    try:
        Scripts(func, tmp_path).add("main", code)
        caller = threading.Thread(target=lambda: results.append(func.run("s__main.f").status))
        caller.start()
        begun.open().close()  # waits for the task
    finally:
        func.stop()
    caller.join(20)
    assert (results, failed) == (["lost"], [])


# ---- auto-triggers ----


@pytest.mark.parametrize(
    ("expression", "moment", "due"),
    [
        ("* * * * *", (2026, 11, 23, 9, 28), True),
        ("*/5 * * * *", (2026, 11, 23, 9, 25), True),
        ("*/5 * * * *", (2026, 11, 23, 9, 28), False),
        ("0,28 9-17 * * 1-5", (2026, 11, 23, 9, 28), True),
        ("0,28 9-17 * * 1-5", (2026, 11, 22, 9, 28), False),
        ("* * * * 7", (2026, 11, 22, 9, 28), True),
        ("10-59/9 * * * *", (2026, 11, 23, 9, 28), True),
        ("* * 1 12 *", (2026, 11, 23, 9, 28), False),
    ],
)
def test_a_cron_expression_is_due(expression: str, moment: tuple[int, ...], due: bool) -> None:
    seconds = time.mktime((*moment, 0, 0, 0, -1))  # type: ignore[arg-type]
    assert is_due(expression, time.localtime(seconds)) is due


@pytest.mark.parametrize("expression", ["* * * *", "60 * * * *", "a * * * *", "5-1 * * * *"])
def test_an_invalid_cron_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=re.compile("cron|between|invalid")):
        is_due(expression, time.localtime(0))
