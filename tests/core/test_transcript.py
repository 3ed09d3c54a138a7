"""Conversations are read from requests and answers of every form: dicts, SDK objects, JSON, chunks."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

from guance_chatgpt_monitor.core.content.streamed_answer import MAX_CHOICES, MAX_TEXT_CHARS, MAX_TOOL_CALLS
from guance_chatgpt_monitor.core.content.transcript import (
    Conversation,
    read_conversation,
)

QUESTION = [{"role": "user", "content": "What is Guance?"}]


def chat_answer(finish_reason: str = "stop", **message: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, **message}
    choices = [{"index": 0, "message": message, "finish_reason": finish_reason}]
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": choices,
        "usage": None,
    }


def chunk(finish_reason: str | None = None, index: int = 0, **delta: Any) -> dict[str, Any]:
    choices = [{"index": index, "delta": delta, "finish_reason": finish_reason}]
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o",
        "choices": choices,
    }


def function(name: str, arguments: str, **further: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}, **further}


def response(*output: dict[str, Any], status: str = "completed", **further: Any) -> dict[str, Any]:
    return {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "model": "gpt-4o",
        "status": status,
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **further,
    }


def message_item(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": content}


def call_item(arguments: str = '{"city": "\\u4e0a海"}') -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": "f",
        "call_id": "call_1",
        "name": "weather",
        "arguments": arguments,
    }


# -- the request -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"question": "Why?", "system": "Be brief"}, Conversation("Be brief", "Why?", n_messages=1)),
        ({"messages": QUESTION}, Conversation("", "What is Guance?", n_messages=1)),
        ({"input": "Why?", "instructions": "Be brief"}, Conversation("Be brief", "Why?", n_messages=1)),
        ({"input": ["one", "two"]}, Conversation("", "one\ntwo", n_messages=2)),
        ({"input": [[1, 2], [3]]}, Conversation("", "[tokens]", n_messages=2)),
        ({"prompt": "Once"}, Conversation("", "Once", n_messages=1)),
        ({"prompt": [1, 2, 3]}, Conversation("", "[tokens]", n_messages=3)),
        ({}, Conversation()),
    ],
)
def test_the_question_of_any_request_is_read(request_: dict[str, Any], expected: Conversation) -> None:
    assert read_conversation(request_) == expected


def test_of_a_long_chat_the_last_turn_is_read() -> None:
    messages = [
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [{"type": "text", "text": "two"}]},
        {"role": "user", "content": "long ago"},
        {"role": "assistant", "content": None, "tool_calls": [function("old", "{}")]},
        {"role": "tool", "tool_call_id": "x", "content": "old result"},
        {"role": "user", "content": "now"},
        {"role": "assistant", "content": None, "tool_calls": [function("a", "{}"), function("b", "{}")]},
        {"role": "tool", "tool_call_id": "a", "content": "result a"},
        {"role": "tool", "tool_call_id": "b", "content": "result b"},
    ]
    assert read_conversation({"messages": messages}) == Conversation(
        "one\ntwo", "now", "result a\nresult b", n_messages=9
    )


def test_of_responses_items_the_last_turn_is_read() -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "weather?"}]},
        {"type": "reasoning", "summary": []},
        call_item(),
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
    ]
    read = read_conversation({"input": items, "instructions": "short"})
    assert read == Conversation("short", "weather?", "sunny", n_messages=4)


def test_images_audio_and_files_are_named_but_never_read() -> None:
    content = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,SECRET"}},
        {"type": "input_audio", "input_audio": {"data": "SECRET", "format": "wav"}},
        {"type": "file", "file": {"file_data": "SECRET"}},
        {"type": "input_image", "image_url": "data:image/png;base64,SECRET"},
        {"type": "hologram", "hologram": "SECRET"},
    ]
    read = read_conversation({"messages": [{"role": "user", "content": content}]})
    assert read.question == "look\n[image]\n[audio]\n[file]\n[image]\n[other]"


# -- the answer ------------------------------------------------------------------------------------


def as_object(answer: dict[str, Any]) -> Any:
    kind = Response if answer["object"] == "response" else ChatCompletion
    return kind.model_construct(**answer) if answer.get("odd") else kind.model_validate(answer)


FORMS = [lambda answer: answer, as_object, json.dumps, lambda answer: json.dumps(answer).encode()]


@pytest.mark.parametrize("form", FORMS, ids=["dict", "object", "text", "bytes"])
def test_chat_answers_are_read_in_every_form(form: Any) -> None:
    answer = chat_answer(content="An observability platform.")
    read = read_conversation({"messages": QUESTION}, form(answer))
    assert (read.answer, read.finish_reason, read.tool_calls) == ("An observability platform.", "stop", [])
    calls = [function("weather", '{"city": "\\u4e0a海"}'), function("odd", "{not json")]
    read = read_conversation({}, form(chat_answer("tool_calls", tool_calls=calls)))
    assert read.tool_calls == [
        {"name": "weather", "arguments": {"city": "上海"}},
        {"name": "odd", "arguments": "{not json"},
    ]
    assert read.finish_reason == "tool_calls"


@pytest.mark.parametrize("form", FORMS, ids=["dict", "object", "text", "bytes"])
def test_answers_of_the_responses_api_are_read_in_every_form(form: Any) -> None:
    answer = response(
        message_item("It is sunny."),
        call_item(),
        {
            "type": "web_search_call",
            "id": "w",
            "status": "completed",
            "action": {"type": "search", "query": "x"},
        },
    )
    read = read_conversation({}, form(answer))
    assert (read.answer, read.finish_reason) == ("It is sunny.", "completed")
    assert read.tool_calls[0] == {"name": "weather", "arguments": {"city": "上海"}}
    assert read.tool_calls[1]["name"] == "web_search_call"
    assert read.tool_calls[1]["action"]["query"] == "x"
    read = read_conversation(
        {}, form(response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}))
    )
    assert read.finish_reason == "max_output_tokens"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (chat_answer(refusal="I can't help."), {"answer": "I can't help."}),
        (chat_answer(audio={"id": "a", "data": "UklGR", "transcript": "Hi"}), {"answer": "Hi"}),
        (chat_answer(audio={"id": "a", "data": "UklGR"}), {"answer": "[audio]"}),
        (
            chat_answer("function_call", function_call={"name": "f", "arguments": "{}"}),
            {"tool_calls": [{"name": "f", "arguments": {}}]},
        ),
        ({"choices": [{"text": "a"}, {"text": "b", "finish_reason": "length"}]}, {"answer": "a\nb"}),
        ({"error": {"message": "no such model", "code": "x"}}, {"error_message": "no such model"}),
        ({"error": "gone"}, {"error_message": "gone"}),
        ({"object": "list", "data": [{"embedding": [0.1]}]}, {"answer": "", "finish_reason": ""}),
        ("<html>", {"answer": "", "error_message": ""}),
        (None, {"answer": ""}),
    ],
)
def test_refusals_audio_errors_and_others_are_read(answer: Any, expected: dict[str, Any]) -> None:
    read = read_conversation({}, answer)._asdict()
    read["tool_calls"] = [{**call, "arguments": call.get("arguments", {})} for call in read["tool_calls"]]
    assert {name: read[name] for name in expected} == expected


# -- streams ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [dict, ChatCompletionChunk.model_validate], ids=["dict", "object"])
def test_chat_chunks_are_joined(form: Any) -> None:
    chunks = [
        chunk(role="assistant", content=""),
        chunk(content="Hel"),
        chunk(content="lo", index=1),
        chunk(content="lo"),
        chunk(tool_calls=[{"index": 0, "id": "a", "function": {"name": "one", "arguments": ""}}]),
        chunk(tool_calls=[{"index": 1, "id": "b", "function": {"name": "two", "arguments": '{"b"'}}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": '{"a": 1}'}}]),
        chunk(tool_calls=[{"index": 1, "function": {"arguments": ": 2}"}}]),
        chunk("tool_calls"),
        {**chunk(), "choices": []},
    ]
    read = read_conversation({}, [form(part) for part in chunks])
    assert read.answer == "Hello\nlo"
    assert read.tool_calls == [{"name": "one", "arguments": {"a": 1}}, {"name": "two", "arguments": {"b": 2}}]
    assert read.finish_reason == "tool_calls"


def piece(call_id: str | None = None, name: str = "", arguments: str = "", **more: Any) -> dict[str, Any]:
    return {
        "function": {"name": name, "arguments": arguments},
        **({"id": call_id} if call_id else {}),
        **more,
    }


TIME, WEATHER = '{"tz": "UTC"}', '{"city": "x"}'


@pytest.mark.parametrize(
    "pieces",
    [
        [piece("a", "get_time", TIME, index=0), piece("b", "get_weather", WEATHER, index=0)],
        [piece("a", "get_time", TIME), piece("b", "get_weather", WEATHER)],
        [piece(None, "get_time", TIME, index=0), piece(None, "get_weather", WEATHER, index=0)],
        [
            piece("a", "get_", index=0),
            piece(None, "time", TIME, index=0),
            piece("b", "get_weather", WEATHER, index=1),
        ],
        [
            *[piece("a", "get_time", part, index=0) for part in (TIME[:4], TIME[4:])],
            *[piece("b", "get_weather", part, index=0) for part in (WEATHER[:4], WEATHER[4:])],
        ],
        [
            piece("a", "get_time", TIME[:4]),
            piece(None, "", TIME[4:]),
            piece("b", "get_weather", ""),
            piece("b", "", WEATHER, index=None),
        ],
        [
            piece("a", "get_time", "", index=0),
            *[piece(f"other-{n}", "", letter, index=0) for n, letter in enumerate(TIME)],
            piece("b", "get_weather", WEATHER, index=0),
        ],
    ],
)
def test_tool_calls_are_joined_however_gateways_stream_them(pieces: list[dict[str, Any]]) -> None:
    read = read_conversation({}, [chunk(tool_calls=[each]) for each in pieces])
    assert read.tool_calls == [
        {"name": "get_time", "arguments": {"tz": "UTC"}},
        {"name": "get_weather", "arguments": {"city": "x"}},
    ]


def test_content_streamed_in_parts_is_joined() -> None:
    parts = [[{"type": "text", "text": "one "}], [{"type": "text", "text": "two"}, {"type": "thinking"}]]
    assert read_conversation({}, [chunk(content=part) for part in parts]).answer == "one two"


def test_completion_chunks_are_joined() -> None:
    chunks = [{"choices": [{"index": 0, "text": text, "finish_reason": None}]} for text in ("On", "ce")]
    assert read_conversation({}, chunks).answer == "Once"


def test_a_completed_responses_stream_is_read_from_its_last_event() -> None:
    events = [
        {"type": "response.output_text.delta", "output_index": 0, "delta": "ignored"},
        {"type": "response.completed", "response": response(message_item("all of it"))},
    ]
    assert read_conversation({}, events).answer == "all of it"


def test_an_abandoned_responses_stream_is_read_from_its_deltas() -> None:
    events = [
        {"type": "response.created", "response": response(status="in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "content": []}},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "It is "},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "sun"},
        {"type": "response.output_item.added", "output_index": 1, "item": call_item("")},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": '{"city":'},
        {"type": "response.output_item.done", "output_index": 2, "item": call_item()},
        {"type": "response.reasoning_summary_text.delta", "output_index": 3, "delta": "not said"},
    ]
    read = read_conversation({}, events)
    assert read.answer == "It is sun"
    assert read.tool_calls == [
        {"name": "weather", "arguments": '{"city":'},
        {"name": "weather", "arguments": {"city": "上海"}},
    ]


def test_an_error_in_a_stream_is_read() -> None:
    events = [chunk(content="Hel"), {"error": {"message": "overloaded"}}]
    read = read_conversation({}, events)
    assert (read.answer, read.error_message) == ("Hel", "overloaded")
    assert read_conversation({}, [{"type": "error", "message": "gone"}]).error_message == "gone"


# -- arbitrary input -------------------------------------------------------------------------------


def test_everything_read_is_bounded() -> None:
    endless = "x" * (MAX_TEXT_CHARS * 2)
    calls = [function("f", endless)] * (MAX_TOOL_CALLS * 2)
    read = read_conversation(
        {"messages": [{"role": "user", "content": [endless, endless]}], "system": endless},
        chat_answer(content=endless, tool_calls=calls),
    )
    assert len(read.question) == len(read.answer) == len(read.system) == MAX_TEXT_CHARS
    assert len(read.tool_calls) == MAX_TOOL_CALLS
    assert len(read.tool_calls[0]["arguments"]) == MAX_TEXT_CHARS
    assert len(read_conversation({}, [chunk(content=endless)] * 3).answer) == MAX_TEXT_CHARS


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                re.findall(
                    r"\w+",
                    "messages input prompt question system role content text type error choices message "
                    "delta tool_calls function name arguments output finish_reason index response item",
                )
            )
            | st.text(max_size=3),
            children,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(derandomize=True)
@given(ANYTHING, ANYTHING)
def test_anything_sent_or_answered_can_be_read(request_: Any, answer: Any) -> None:
    read = read_conversation(request_, answer)
    assert all(
        isinstance(text, str)
        for name, text in read._asdict().items()
        if name not in ("tool_calls", "n_messages", "secrets")
    )
    assert isinstance(read.n_messages, int)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"error": {"message": "m", "code": "server_error"}}, "m"),
        ({"error": "m"}, "m"),
        ({"object": "error", "message": "m", "code": 404}, "m"),
        ({"code": 500, "msg": "m", "success": False}, "m"),
        ({"choices": None, "base_resp": {"status_code": 1004, "status_msg": "m"}}, "m"),
        ({"choices": [{"error": {"code": 502, "message": "m"}}]}, "m"),
        ([{"choices": [{"delta": {"content": "hi"}}]}, {"choices": [{"error": {"message": "m"}}]}], "m"),
        ([{"type": "error", "message": "m", "code": "server_error"}], "m"),
        ({"choices": [{"message": {"content": "hi"}}], "code": 0, "msg": "success"}, ""),
        (None, ""),
    ],
)
def test_the_message_of_an_error_is_read_in_any_form(answer: Any, message: str) -> None:
    assert read_conversation({}, answer).error_message == message


# -- bounds ----------------------------------------------------------------------------------------


def test_at_most_1000_choices_of_a_stream_are_read() -> None:
    chunks = [{"choices": [{"index": n, "delta": {"content": "x"}}]} for n in range(5000)]
    assert read_conversation({}, chunks).answer == "\n".join("x" * MAX_CHOICES)
    events = [{"type": "response.output_text.delta", "output_index": n, "delta": "x"} for n in range(5000)]
    assert read_conversation({}, events).answer == "\n".join("x" * MAX_CHOICES)


def test_an_integer_of_any_length_is_read() -> None:
    function = {"name": "f", "arguments": '{"n": 12, "long": ' + "1" * 5000 + "}"}
    custom = {"name": "f", "input": {"long": 10**5000}}
    calls = [{"function": function}, {"custom": custom}]
    read = read_conversation({}, {"choices": [{"message": {"tool_calls": calls}}]}).tool_calls
    assert json.loads(json.dumps(read)) == read
    assert read[0]["arguments"] == {"n": 12, "long": "1" * 5000}
