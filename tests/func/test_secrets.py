"""No key, prompt or answer in any of our logs, points, errors or records, whatever goes wrong."""

import pytest
from stack import KEY, STARTUP, Stack

pytestmark = pytest.mark.slow

PROMPT = "my very private zebra"
ANSWER = "local answer"


def everything_but_the_answer(stack: Stack) -> str:
    records = [
        {key: value for key, value in record.items() if key not in ("kwargs", "data")}
        for record in stack.func.records
    ]
    points = [*stack.points(), *stack.points("openai_monitor")]
    return f"{records} {points} {stack.func.worker_stderr()}"


ALL_FAULTS = [
    *([fault] * 3 for fault in ("ok", "500", "503", "429+0.01", "reset", "cut", "html502", "408")),
    *([fault] for fault in ("400", "401", "403", "404", "insufficient_quota", "content_filter", "hang")),
    *([fault] for fault in ("html200", "empty200", "error200", "null_fields", "no_usage", "drip:0.1")),
]


DATAKIT_FAULTS = ["500", "400", "403", "429", "reset", "crash200", "hang"]


@pytest.mark.parametrize(
    ("faults", "mode"),
    [
        *((faults, None) for faults in ALL_FAULTS),
        *((["ok"], mode) for mode in DATAKIT_FAULTS),
        (["401"], "400"),
    ],
)
def test_nothing_leaks(stack: Stack, faults: list[str], mode: str | None) -> None:
    stack.configure(deadline_s=0.5)
    stack.datakit.mode = mode
    stack.openai.faults.extend(faults)
    answer = stack.ask(PROMPT)
    stack.collect()
    assert KEY not in answer.text
    seen = everything_but_the_answer(stack)
    for secret in (KEY, PROMPT, "zebra", ANSWER):
        assert secret not in seen


def test_a_key_quoted_by_the_api_is_removed(stack: Stack) -> None:
    stack.func.edit(STARTUP, stack.func.script(STARTUP).replace(KEY, "sk-refused"))
    answer = stack.ask(PROMPT)
    assert answer.status_code == 401
    assert "sk-refused" not in answer.text
    assert answer.json()["error"]["message"].startswith("Incorrect API key provided: ***")


# The startup script is the user's, who may hand us more than JSON.
ODD_BODY = """
class OddBody(dict):
    def items(self):
        raise KeyError(self["question"])

"""


def test_a_failure_inside_is_not_a_traceback(stack: Stack) -> None:
    code = stack.func.script(STARTUP).replace("monitor.chat(body)", "monitor.chat(OddBody(body))")
    stack.func.edit(STARTUP, ODD_BODY + code)
    answer = stack.ask(PROMPT)
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "the monitor failed (KeyError): please report it"
    assert stack.point().tags["error_type"] == "other"
    assert PROMPT not in everything_but_the_answer(stack)
