"""The content of an application's calls: logged if enabled, and otherwise nowhere."""

import asyncio
import gc
import inspect
import json
import weakref

import openai
import pytest
from monitored import CHAT, WAIT_S, canned, chunk, faults, needs, point, restart

import guance_chatgpt_monitor
from guance_chatgpt_monitor import monitor, observe

pytest_plugins = ["monitored_fixtures"]

QUESTION = CHAT["messages"][-1]["content"]  # type: ignore[index]
STREAM = {**CHAT, "stream": True}


def logs(datakit):
    assert guance_chatgpt_monitor.flush(WAIT_S)
    return datakit.points("openai", "logging")


def log(datakit):
    found = logs(datakit)
    assert len(found) == 1
    return found[0]


@pytest.fixture
def logging(datakit, monkeypatch):
    monkeypatch.setenv("CHATGPT_MONITOR_LOG_CONTENT", "true")
    restart()


@pytest.fixture
def client(api, logging):
    return monitor(api.bare())


def test_content_is_not_logged_unless_enabled(api, datakit):
    monitor(api.bare()).chat.completions.create(**CHAT)
    assert logs(datakit) == []
    assert point(datakit)
    assert QUESTION not in repr(datakit.points("openai"))


def test_a_call_is_a_point_and_a_log(client, datakit):
    answer = client.chat.completions.create(**CHAT)
    said = log(datakit)
    assert said.fields["question"] == QUESTION
    assert said.fields["answer"] == answer.choices[0].message.content
    assert said.tags["finish_reason"] == "stop"
    assert said.fields["total_tokens"] == answer.usage.total_tokens
    assert said.fields["request_id"].startswith("req_")
    assert (said.tags, said.timestamp_ns) == (point(datakit).tags, point(datakit).timestamp_ns)
    assert QUESTION not in repr(datakit.points("openai"))


def test_the_answer_to_an_asynchronous_client_is_logged(api, logging, datakit):
    async def ask():
        client = monitor(api.bare_async())
        return await client.chat.completions.create(**CHAT)

    answer = asyncio.run(ask())
    assert log(datakit).fields["answer"] == answer.choices[0].message.content


def test_after_instrument_the_answers_of_every_client_are_logged(api, logging, datakit):
    guance_chatgpt_monitor.instrument()
    answer = api.bare().chat.completions.create(**CHAT)
    assert log(datakit).fields["answer"] == answer.choices[0].message.content


def test_the_answer_of_a_stream_is_logged(client, datakit):
    chunks = list(client.chat.completions.create(**STREAM))
    text = "".join(part.choices[0].delta.content or "" for part in chunks if part.choices)
    said = log(datakit)
    assert (said.fields["question"], said.fields["answer"]) == (QUESTION, text)
    assert said.tags["finish_reason"] == "stop"


def test_the_answer_of_an_asynchronous_stream_is_logged(api, logging, datakit):
    async def ask():
        client = monitor(api.bare_async())
        stream = await client.chat.completions.create(**STREAM)
        return [part.choices[0].delta.content or "" async for part in stream if part.choices]

    text = "".join(asyncio.run(ask()))
    assert log(datakit).fields["answer"] == text


def test_the_part_read_of_an_abandoned_stream_is_logged(client, datakit):
    stream = client.chat.completions.create(**STREAM)
    read = [next(stream) for _ in range(3)]
    stream.response.close()
    text = "".join(part.choices[0].delta.content or "" for part in read)
    assert text
    assert log(datakit).fields["answer"] == text


def test_an_answer_of_the_responses_api_is_logged(client, datakit):
    answer = needs(client, "responses").create(model="gpt-4o-mini", input=QUESTION)
    said = log(datakit)
    assert (said.fields["question"], said.fields["answer"]) == (QUESTION, answer.output_text)


def test_a_streamed_answer_of_the_responses_api_is_logged(client, datakit):
    events = list(needs(client, "responses").create(model="gpt-4o-mini", input=QUESTION, stream=True))
    assert log(datakit).fields["answer"] == events[-1].response.output_text


def test_the_answer_in_a_raw_response_is_logged(client, datakit):
    raw = client.chat.completions.with_raw_response.create(**CHAT)
    assert log(datakit).fields["answer"] == raw.parse().choices[0].message.content


def test_the_answer_in_a_streaming_response_is_logged(client, datakit):
    needs(client, "chat", "completions", "with_streaming_response")
    with client.chat.completions.with_streaming_response.create(**CHAT) as response:
        answer = response.parse()
    assert log(datakit).fields["answer"] == answer.choices[0].message.content


def test_a_tool_call_is_logged_and_redacted(api, logging, datakit):
    called = {"name": "find", "arguments": '{"mail": "zhang@example.com"}'}
    choice = {
        "index": 0,
        "finish_reason": "tool_calls",
        "message": {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": called}],
        },
    }
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    client = monitor(api.bare(**canned(body=body)))
    client.chat.completions.create(**CHAT)
    said = log(datakit)
    assert said.fields["tool_calls"] == '[{"name": "find", "arguments": {"mail": "[email]"}}]'
    assert said.tags["finish_reason"] == "tool_calls"


def test_the_apis_error_message_is_logged(client, datakit):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**{**CHAT, "model": "no-such-model"})
    said = log(datakit)
    assert said.fields["question"] == QUESTION
    assert said.fields["error_message"] in str(caught.value)
    assert said.tags["error_type"] == "not_found"


def test_the_question_of_a_call_without_an_answer_is_logged(client, datakit):
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(**CHAT, **faults("reset"))
    said = log(datakit)
    assert said.fields["question"] == QUESTION
    assert "answer" not in said.fields


def test_messages_appended_after_the_call_are_not_logged(client, datakit):
    messages = [{"role": "user", "content": QUESTION}]
    client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    messages += [{"role": "assistant", "content": "quagga"}, {"role": "user", "content": "And then?"}]
    assert log(datakit).fields["question"] == QUESTION


def test_secrets_do_not_leave_the_process(api, logging, tmp_path, monkeypatch):
    monkeypatch.setenv("CHATGPT_MONITOR_DATAKIT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("CHATGPT_MONITOR_BACKLOG", str(tmp_path / "backlog.sqlite3"))
    monkeypatch.setenv("CHATGPT_MONITOR_REDACT_PATTERNS", '["CUST-[0-9]{6}"]')
    restart()
    client = monitor(api.bare())
    told = "I am zhang@example.com, +86 138 0013 8000, CUST-123456, sk-proj-abcdefghijklmnop1234"
    client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": told}])
    assert guance_chatgpt_monitor.flush(WAIT_S)
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"I am [email]" in kept
    for secret in (b"zhang@", b"138 0013", b"CUST-123456", b"abcdefghijklmnop"):
        assert secret not in kept


@pytest.mark.parametrize("how", ["its own", "a header's"])
def test_the_key_used_for_the_call_is_not_logged(api, logging, datakit, how):
    key = "1234567890abcdef" + "1234567890abcdef/AbCdEfGhIjKlMnOp"  # a format that no rule knows
    client = monitor(api.bare())
    headers = {"api-key": key} if how == "a header's" else {}
    if not headers:
        client = client.with_options(api_key=key)
    messages = [{"role": "user", "content": f"is {key} a key, or {key[:25]}...?"}]
    client.chat.completions.create(model="gpt-4o-mini", messages=messages, extra_headers=headers)
    said = log(datakit)
    assert said.fields["question"] == "is [key] a key, or [key]...?"
    assert key[:12] not in str(said)


def ended(reason):
    return chunk(choices=[{"index": 0, "delta": {}, "finish_reason": reason}])


@pytest.mark.slow
def test_an_answer_after_much_reasoning_is_logged_to_its_end(api, logging, datakit):
    events = [
        *[chunk(reasoning_content="h")] * 10_500,
        chunk(content="yes"),
        ended("stop"),
        chunk(choices=[]),
    ]
    list(monitor(api.bare(**canned(events=events))).chat.completions.create(**STREAM))
    said = log(datakit)
    assert (said.fields["answer"], said.tags["finish_reason"]) == ("yes", "stop")


def test_a_long_answer_is_cut_and_marked(api, logging, datakit):
    events = [*[chunk(content="yes, " * 100)] * 120, ended("length")]
    list(monitor(api.bare(**canned(events=events))).chat.completions.create(**STREAM))
    said = log(datakit)
    assert said.fields["answer"].startswith("yes, yes, ")
    assert said.fields["answer"].endswith("[cut]")
    assert 16_000 < len(said.fields["answer"]) < 16_500
    assert said.tags["finish_reason"] == "length"


def test_events_after_completion_do_not_change_the_logged_answer(api, logging, datakit):
    """The answer is in `response.completed`, which is not the last event."""
    item = {"type": "message", "content": [{"type": "output_text", "text": "done"}]}
    events = [
        {"type": "response.output_text.delta", "output_index": 0, "delta": "do"},
        {"type": "response.completed", "response": {"output": [item], "status": "completed"}},
        {"type": "response.rate_limits.updated", "rate_limits": []},
    ]
    client = monitor(api.bare(**canned(events=events)))
    list(needs(client, "responses").create(model="m", input=QUESTION, stream=True))
    assert log(datakit).fields["answer"] == "done"


def test_an_answer_read_as_raw_lines_is_logged(client, datakit):
    needs(client, "chat", "completions", "with_streaming_response")
    with client.chat.completions.with_streaming_response.create(**STREAM) as response:
        lines = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: {")]
    parts = [each["choices"][0]["delta"].get("content") or "" for each in lines if each["choices"]]
    assert log(datakit).fields["answer"] == "".join(parts)


def test_the_chunks_have_the_types_of_the_bare_sdk(api, client, datakit):
    def seen(stream):
        return [type(part) for part in stream], type(stream), inspect.isgenerator(stream)

    assert seen(client.chat.completions.create(**STREAM)) == seen(
        api.bare().chat.completions.create(**STREAM)
    )


def test_content_is_not_kept_once_it_is_logged(client, datakit):
    answer = client.chat.completions.create(**CHAT)
    kept = weakref.ref(answer)
    assert log(datakit)
    del answer
    gc.collect()
    assert kept() is None


def test_a_log_that_fails_loses_no_point(client, datakit, monkeypatch):
    def raising(*_):
        raise RuntimeError

    monkeypatch.setattr("guance_chatgpt_monitor.core.content.transcript.read_conversation", raising)
    client.chat.completions.create(**CHAT)
    assert logs(datakit) == []
    assert point(datakit).tags["status"] == "ok"


def test_an_observed_block_has_no_log(api, client, datakit):
    with observe(request_model="gpt-4o-mini") as call:
        call.record({"usage": {"total_tokens": 3}})
    assert logs(datakit) == []
    assert point(datakit).fields["total_tokens"] == 3


# ---- failed calls only ----


@pytest.fixture
def log_errors(datakit, monkeypatch):
    monkeypatch.setenv("CHATGPT_MONITOR_LOG_ERRORS", "true")
    restart()


def test_a_failed_call_is_logged_without_content(api, log_errors, datakit):
    client = monitor(api.bare())
    client.chat.completions.create(**CHAT)
    list(client.chat.completions.create(**STREAM))
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(**{**CHAT, "model": "no-such-model"})
    said = log(datakit)
    assert (said.tags["error_type"], said.tags["status_code"]) == ("not_found", "404")
    assert said.fields.keys() <= {"message", "request_id", "response_time", "processing_time", "total_tokens"}
    assert said.fields["request_id"].startswith("req_")
    assert said.fields["message"] == "chat no-such-model failed: not_found (404)"
    assert len(datakit.points("openai")) == 3


def test_the_content_of_failed_streams_and_answers_is_not_logged(api, log_errors, datakit):
    secret = {"error": {"message": "zebra quagga okapi is refused", "code": "content_filter"}}
    with pytest.raises(openai.APIError):
        list(
            monitor(api.bare(**canned(events=[chunk(content="zebra"), secret]))).chat.completions.create(
                **STREAM
            )
        )
    monitor(api.bare(**canned(body=secret))).chat.completions.create(**CHAT)
    assert [each.tags["error_type"] for each in logs(datakit)] == ["content_filter"] * 2
    assert "zebra" not in repr(logs(datakit))


def test_a_failed_observed_block_is_logged_without_content(log_errors, datakit):
    with observe(request_model="llama-3"):
        pass
    with pytest.raises(TimeoutError), observe(request_model="llama-3"):
        raise TimeoutError("zebra quagga okapi")
    said = log(datakit)
    assert (said.tags["error_type"], said.fields["message"]) == ("timeout", "chat llama-3 failed: timeout")


def test_without_either_setting_a_failed_call_is_not_logged(api, datakit):
    with pytest.raises(openai.NotFoundError):
        monitor(api.bare()).chat.completions.create(**{**CHAT, "model": "no-such-model"})
    assert logs(datakit) == []


# ---- the trace ----


def test_the_log_of_a_call_has_the_span_of_opentelemetry(client, datakit):
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    with sdk.TracerProvider().get_tracer("app").start_as_current_span("turn") as span:
        client.chat.completions.create(**CHAT)
    client.chat.completions.create(**CHAT)
    within, without = sorted(logs(datakit), key=lambda each: each.timestamp_ns)
    context = span.get_span_context()
    assert within.fields["trace_id"] == format(context.trace_id, "032x")
    assert within.fields["span_id"] == format(context.span_id, "016x")
    assert not {"trace_id", "span_id"} & {*without.fields, *within.tags}
    assert not any({"trace_id", "span_id"} & {*each.tags, *each.fields} for each in datakit.points("openai"))


def test_the_log_of_a_failed_call_has_the_span_of_ddtrace(api, log_errors, datakit):
    tracing = pytest.importorskip("ddtrace.trace")
    client = monitor(api.bare())
    with tracing.tracer.trace("turn") as span, pytest.raises(openai.NotFoundError):
        client.chat.completions.create(**{**CHAT, "model": "no-such-model"})
    said = log(datakit)
    assert said.fields["trace_id"] == str(span.trace_id & (2**64 - 1))
    assert said.fields["span_id"] == str(span.span_id)
