"""The log line of a call: it is complete, DataKit reads it as intended, and it contains no secret."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guance_chatgpt_monitor.app import environment as settings_module
from guance_chatgpt_monitor.core.backlog import timestamp_ns
from guance_chatgpt_monitor.core.call import Call
from guance_chatgpt_monitor.core.content.log_line import (
    DEFAULT_MAX_CHARS,
    LONGEST_MAX_CHARS,
    MAX_LINE_BYTES,
    ContentLog,
)
from guance_chatgpt_monitor.core.content.redaction import CUT_MARK
from guance_chatgpt_monitor.core.content.transcript import MAX_BODY_CHARS, Conversation, read_conversation
from guance_chatgpt_monitor.core.datakit import DataKit
from guance_chatgpt_monitor.core.line_protocol import MAX_KEY_BYTES, Point, encode
from guance_chatgpt_monitor.core.metrics import PointMaker
from guance_chatgpt_monitor.core.usage import Usage
from guance_chatgpt_monitor.local.datakit.line_parser import ParsedPoint, parse_lines
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit

ENDED_AT_NS = 1_790_000_000_000_000_001


@pytest.fixture
def datakit() -> Iterator[LocalDataKit]:
    with LocalDataKit(clock_ns=lambda: ENDED_AT_NS) as started:
        yield started


def a_call(**further: Any) -> Call:
    return Call(
        "chat",
        "gpt-4o",
        response_model="gpt-4o-2024-08-06",
        requests_sent=1,
        status_code=200,
        usage=Usage(30.0, 10.0, 20.0),
        response_time_s=0.5,
        ended_at_ns=ENDED_AT_NS,
        request_id="req_123",
        **further,
    )


def line_of(conversation: Conversation, log: ContentLog | None = None, **tags: str) -> str:
    call = a_call()
    point = PointMaker("openai", "shop", tags).from_call(call)
    return (log or ContentLog()).line(point, call, conversation)


def parsed(line: str) -> ParsedPoint:
    (point,) = parse_lines(line.encode(), "logging")
    return point


# -- the line --------------------------------------------------------------------------------------


def test_a_line_has_the_conversation_and_its_cost(datakit: LocalDataKit) -> None:
    request = {"messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Why?"}]}
    function = {"function": {"name": "search", "arguments": '{"q": "x"}'}}
    message = {"content": "Because.", "tool_calls": [function]}
    answer = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    line = line_of(read_conversation(request, answer), team="web")
    assert DataKit(datakit.url).write([line], "logging")
    (log,) = datakit.points("openai", "logging")
    assert log.tags == {
        "operation_name": "chat",
        "provider_name": "openai",
        "request_model": "gpt-4o",
        "response_model": "gpt-4o-2024-08-06",
        "status": "ok",
        "status_code": "200",
        "stream": "false",
        "service_name": "shop",
        "team": "web",
        "host": "local",
    }
    cost = log.fields.pop("cost", None)
    assert cost is None or isinstance(cost, float)  # if the prices are installed
    assert log.fields == {
        "message": "Why? → Because.",
        "system": "Be brief",
        "question": "Why?",
        "answer": "Because.",
        "tool_calls": '[{"name": "search", "arguments": {"q": "x"}}]',
        "finish_reason": "tool_calls",
        "request_id": "req_123",
        "response_time": 0.5,
        "total_tokens": 30.0,
        "prompt_tokens": 10.0,
        "completion_tokens": 20.0,
        "messages": 2.0,
    }
    assert log.timestamp_ns // 1000 == ENDED_AT_NS // 1000


@pytest.mark.parametrize(
    ("conversation", "message"),
    [
        (Conversation(question="q" * 600, answer="a" * 600), "q" * 500 + " → " + "a" * 500),
        (Conversation(question="Why?", error_message="no such model"), "Why? → no such model"),
        (Conversation(question="Why?", tool_calls=[{"name": "f"}]), 'Why? → [{"name": "f"}]'),
        (Conversation(tool_results="sunny", answer="Nice."), "sunny → Nice."),
        (Conversation(), "chat"),
    ],
)
def test_the_message_has_the_beginnings_of_question_and_answer(
    conversation: Conversation, message: str
) -> None:
    assert parsed(line_of(conversation)).fields["message"] == message


AWKWARD = 'a "quoted" \\ back\\\\slash\\" , = \n#line\r\n\ttab\x00\x1b end\\'


def test_any_string_arrives_unchanged(datakit: LocalDataKit) -> None:
    texts = [AWKWARD, "中文，\n=😀", "#x", "\\", '"', '\\"', "\n\n", "x=1 2\n"]
    lines = [line_of(Conversation(question=text, answer=text)) for text in texts]
    DataKit(datakit.url).write(lines, "logging")
    stored = {point.fields["question"] for point in datakit.points("openai", "logging")}
    cleaned = AWKWARD.replace("\r\n", "\n").replace("\x00", " ").replace("\x1b", " ")
    assert stored == {cleaned, *texts[1:]}


@settings(derandomize=True)
@given(st.lists(st.text(max_size=30) | st.text(alphabet='a"\\\n =,#', max_size=10), min_size=1, max_size=4))
def test_strings_do_not_break_the_lines_of_a_request(texts: list[str]) -> None:
    point = Point("openai", {"t": "v"}, {"f": 1.0}, 5)
    lines = [encode(point, {"s": text, "after": "x"}) for text in texts]
    points = parse_lines("\n".join(lines).encode(), "logging")
    assert [parsed_point.fields["after"] for parsed_point in points] == ["x"] * len(texts)
    for parsed_point, text in zip(points, texts, strict=True):
        kept = text.replace("\r\n", "\n").encode("utf-8", "replace").decode()
        expected = re.sub("[^\n\t -~\x80-\U0010ffff]", " ", kept)
        assert parsed_point.fields["s"] == expected
    assert [timestamp_ns(line) for line in lines] == [5] * len(texts)


def test_half_a_surrogate_pair_is_not_an_error() -> None:
    line = line_of(Conversation(question="x\ud83d"))
    assert parsed(line).fields["question"] == "x?"


def test_a_users_tag_never_replaces_a_string_of_ours() -> None:
    point = parsed(line_of(Conversation(question="Why?"), answer="mine", message="mine", request_id="mine"))
    assert (point.fields["message"], point.fields["request_id"]) == ("Why?", "req_123")
    assert point.tags["answer"] == "mine"  # the conversation has no answer


def test_a_metric_needs_a_number_and_a_log_only_a_string() -> None:
    point = Point("openai", {}, {"f": float("nan")}, 1)
    with pytest.raises(ValueError, match="no finite field"):
        encode(point)
    assert encode(point, {"s": "x"}) == 'openai s="x" 1'
    assert len(encode(point, {"k" * 300: "x"})) == MAX_KEY_BYTES + len('openai ="x" 1')


# -- redaction and length --------------------------------------------------------------------------

SECRETS = {
    "key": "sk-abcdefghijklmnopqrstuvwx",
    "phone": "13800138000",
    "email": "zhang@example.com",
    "card": "4111111111111111",
    "id": "11010519491231002X",
    "own": "CUST-123456",
    "known": "f00dfeedf00dfeed",
}


def test_every_string_is_redacted() -> None:
    said = "；".join(SECRETS.values())
    escaped = json.dumps({"a": said, "n": 13800138000, SECRETS["email"]: [said], "password": 'p"w\\d'})
    calls = [{"function": {"name": said, "arguments": escaped}}, {"function": {"arguments": "{" + said}}]
    request = {
        "messages": [
            {"role": "system", "content": said},
            {"role": "user", "name": said, "content": said},
            {"role": "tool", "content": said},
        ]
    }
    choices = [{"message": {"content": said, "tool_calls": calls}, "finish_reason": said}]
    answer = {"choices": choices, "error": {"message": said}}
    log = ContentLog(patterns=["CUST-[0-9]{6}"], secrets=[SECRETS["known"]])
    line = line_of(read_conversation(request, answer), log)
    for secret in [*SECRETS.values(), "0138"]:
        assert secret not in line
    assert "w\\\\d" not in str(parsed(line).fields["tool_calls"])
    assert set(parsed(line).fields) >= {"system", "question", "tool_results", "answer", "tool_calls"}
    assert parsed(line).fields["question"] == "[key]；[phone]；[email]；[card]；[id-card]；[redacted]；[key]"


def test_every_string_is_cut_to_max_chars(datakit: LocalDataKit) -> None:
    texts = Conversation("s" * 200, "q" * 200, "r" * 200, "a" * 200, [{"name": "t" * 200}], "f" * 200)
    fields = parsed(line_of(texts, ContentLog(max_chars=100))).fields
    for name in ("system", "question", "tool_results", "answer", "tool_calls"):
        assert len(str(fields[name])) == 100 + len(CUT_MARK), name
        assert str(fields[name]).endswith(CUT_MARK)
    assert len(str(fields["finish_reason"])) == 64


@pytest.mark.slow
@pytest.mark.parametrize("chars", ["x", "中", "😀", '"\\'])
def test_a_line_stays_below_the_size_datakit_silently_skips(chars: str) -> None:
    text = (chars * (LONGEST_MAX_CHARS + 1))[: LONGEST_MAX_CHARS + 1]
    log = ContentLog(LONGEST_MAX_CHARS)
    line = line_of(Conversation(answer=text), log)
    assert parsed(line).fields["answer"] == text[:-1] + CUT_MARK  # up to the setting
    line = line_of(Conversation("short", text, text, text, [{"name": text}], "", text), log)
    assert len(line.encode()) <= MAX_LINE_BYTES
    fields = parsed(line).fields
    assert fields["system"] == "short"
    cut = [name for name, value in fields.items() if str(value).endswith(CUT_MARK)]
    assert {"question", "tool_results", "answer", "error_message"} <= set(cut)
    assert len(line.encode()) > 0.9 * min(MAX_LINE_BYTES, 5 * LONGEST_MAX_CHARS)


@pytest.mark.slow
def test_a_huge_answer_takes_bounded_time() -> None:
    """The limit leaves room for a busy machine: unbounded, this takes many times as long."""
    numbers = list(range(500_000))
    arguments = json.dumps({"numbers": numbers})
    many = [{"function": {"name": "f", "arguments": json.dumps(list(range(30_000)))}}] * 100
    answers = [
        json.dumps({"choices": [{"message": {"content": None, "tool_calls": many}}]}),
        {"choices": [{"message": {"tool_calls": many}}]},
        {"choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}}]},
        {"output": [{"type": "web_search_call", "action": {"query": numbers}}] * 50},
        {"choices": [{"message": {"content": [{"type": "text", "text": "x"}] * len(numbers)}}] * 100},
    ]
    messages = [{"role": "tool", "content": [{"type": "text", "text": ""}] * 100_000}] * 100_000
    for answer in answers:
        started_s = time.thread_time()
        line = line_of(read_conversation({"messages": messages}, answer))
        assert time.thread_time() - started_s < 5
        assert len(line) < 200_000


def test_a_body_too_long_to_read_is_described() -> None:
    read = read_conversation({}, "x" * (MAX_BODY_CHARS + 1))
    assert read.answer == f"[{MAX_BODY_CHARS + 1} characters: too long to be read]"


# -- ids, tags and keys ----------------------------------------------------------------------------


def test_ids_and_tags_are_redacted() -> None:
    key = SECRETS["key"]
    call = a_call(tags={"customer": "zhang@example.com"})
    call.request_model, call.response_model, call.request_id = key, f"x-{key}", f"req {key}"
    line = ContentLog().line(
        PointMaker("openai", "shop", {"team": "web"}).from_call(call), call, Conversation()
    )
    assert key not in line
    tags = parsed(line).tags
    assert (tags["request_model"], tags["response_model"], tags["team"]) == ("[key]", "x-[key]", "web")
    assert parsed(line).fields["request_id"] == "req [key]"


def test_the_keys_of_the_call_are_redacted() -> None:
    key = "1234567890abcdef" + "1234567890abcdef.AbCdEfGhIjKlMnOp"
    conversation = Conversation(
        "", key, key, f"it is {key}", [{"name": key}], "", f"refused: {key}.", secrets=(key,)
    )
    assert key[:12] not in line_of(conversation)


# -- waiting lines ---------------------------------------------------------------------------------


def test_a_waiting_line_is_redacted_again() -> None:
    said = 'a "quoted" \\ CUST-123456, x=1 \n密码 and more' + AWKWARD
    old = line_of(Conversation(system="stays", question=said, answer="CUST-654321"), team='CUST-1="x"')
    log = ContentLog(patterns=["CUST-[0-9]{6}"])
    again = parsed(log.redact_again(old))
    before = parsed(old)
    assert again.fields["question"] == str(before.fields["question"]).replace("CUST-123456", "[redacted]")
    assert again.fields["answer"] == "[redacted]"
    assert "CUST-" not in str(again.fields["message"])
    assert again.fields["system"] == "stays"
    assert (again.tags, again.timestamp_ns) == (before.tags, before.timestamp_ns)
    assert log.redact_again(log.redact_again(old)) == log.redact_again(old)
    assert ContentLog().redact_again(old) == old
    for line in ("", "x", "openai f=1 5", 'openai f="', '#"'):
        assert log.redact_again(line) == line


# -- settings --------------------------------------------------------------------------------------


def test_the_rate_applies_only_to_answered_calls() -> None:
    draws = iter([0.05, 0.1, 0.099999, 0.9])
    log = ContentLog(rate=0.1, draw=lambda: next(draws))
    assert [log.wants(a_call()) for _ in range(4)] == [True, False, True, False]
    assert log.wants(a_call(error_type="timeout"))
    assert ContentLog(rate=0.0, draw=lambda: 0.0).wants(a_call()) is False
    assert ContentLog(draw=lambda: 0.999999).wants(a_call()) is True


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"max_chars": 0}, "log_content_max_chars must be a whole number from 1 to 120000"),
        ({"max_chars": LONGEST_MAX_CHARS + 1}, "log_content_max_chars must be"),
        ({"max_chars": True}, "log_content_max_chars must be"),
        ({"rate": 1.5}, "log_content_rate must be a number from 0 to 1"),
        ({"rate": "1"}, "log_content_rate must be a number from 0 to 1"),
        ({"patterns": ["("]}, "redact_patterns must be regular expressions"),
    ],
)
def test_an_invalid_setting_raises(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ContentLog(**wrong)


def test_applications_have_the_same_defaults_and_limits() -> None:
    assert settings_module.Settings().log_content_max_chars == DEFAULT_MAX_CHARS
    read = settings_module.Settings.read
    assert read(log_content_max_chars=LONGEST_MAX_CHARS).log_content_max_chars == LONGEST_MAX_CHARS
    with pytest.raises(ValueError, match="log_content_max_chars"):
        read(log_content_max_chars=LONGEST_MAX_CHARS + 1)
