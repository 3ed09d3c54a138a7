"""Calls of the synchronous client: each is one point, with the values from the API."""

import copy
import dataclasses
import functools
import gc
import importlib
import inspect
import json
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest
from monitored import (
    CHAT,
    USAGE,
    WAIT_S,
    Canned,
    canned,
    faults,
    httpx,
    monitor_environment,
    needs,
    point,
    points,
)
from openai.types.chat import ChatCompletion
from preloaded import with_sdk

import guance_chatgpt_monitor
from guance_chatgpt_monitor import instrument, monitor, uninstrument
from guance_chatgpt_monitor.local.openai.server import LocalOpenAI

pytest_plugins = ["monitored_fixtures"]


# ---- through the whole stack, as an application uses it ----


OPERATIONS = {
    "chat": lambda client: client.chat.completions.create(**CHAT),
    "responses": lambda client: needs(client, "responses").create(model="gpt-4o-mini", input="one two"),
    "embeddings": lambda client: client.embeddings.create(model="text-embedding-3-small", input="one two"),
    "text_completion": lambda client: client.completions.create(
        model="gpt-3.5-turbo-instruct", prompt="one two"
    ),
}


@pytest.mark.parametrize("operation_name", OPERATIONS)
def test_each_operation_is_one_point_with_the_values_from_the_api(operation_name, api, datakit):
    client = monitor(api.bare())
    answer = OPERATIONS[operation_name](client)

    found = point(datakit)
    assert found.tags == {
        "operation_name": operation_name,
        "provider_name": "127.0.0.1",
        **({} if operation_name == "embeddings" else {"finish_reason": "stop"}),
        "request_model": answer.model[: -len("-2024-07-18")],
        "response_model": answer.model,
        "status": "ok",
        "status_code": "200",
        "stream": "false",
        "service_name": "shop",
        "host": "web-1",
    }
    assert found.fields["question"] == 1
    assert found.fields["create_time"] == 1
    assert found.fields["res_status"] == 0
    assert found.fields["total_tokens"] == answer.usage.total_tokens > 0
    assert 0 < found.fields["response_time"] < WAIT_S
    assert "time_to_first_token" not in found.fields


def test_every_client_of_an_instrumented_process_is_monitored(api, datakit):
    existing = api.bare()
    instrument()
    existing.chat.completions.create(**CHAT)
    api.bare().chat.completions.create(**CHAT)
    assert len(points(datakit)) == 2


def test_the_module_level_client_is_monitored(api, datakit, monkeypatch):
    monkeypatch.setattr(openai, "api_key", "sk-local")
    monkeypatch.setattr(openai, "base_url", api.server.base_url + "/")
    instrument()
    answer = openai.chat.completions.create(**CHAT)
    assert point(datakit).fields["total_tokens"] == answer.usage.total_tokens


def test_the_settings_are_arguments_of_monitor(api, datakit):
    guance_chatgpt_monitor.shutdown()  # otherwise, the first settings stay
    client = monitor(api.bare(), service_name="checkout", tags={"team": "web"}, measurement="ai")
    client.chat.completions.create(**CHAT)
    assert points(datakit) == []
    (found,) = datakit.points("ai")
    assert (found.tags["service_name"], found.tags["team"]) == ("checkout", "web")


def test_an_error_is_a_point_and_reaches_the_application(api, datakit):
    with pytest.raises(openai.RateLimitError):
        monitor(api.bare()).chat.completions.create(**CHAT, **faults("insufficient_quota"))
    found = point(datakit)
    assert found.fields["res_status"] == 1
    assert found.fields["total_tokens"] == 0
    assert found.tags["error_type"] == "insufficient_quota"
    assert (found.tags["status"], found.tags["status_code"]) == ("error", "429")


@pytest.mark.slow
def test_beyond_two_hundred_models_the_model_tag_is_other(api, datakit):
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    body = {"choices": [choice], "usage": USAGE}
    client = monitor(api.bare(**canned(body=body)))
    for n in range(300):
        client.chat.completions.create(**{**CHAT, "model": f"model-{n}"})
    models = {found.tags["request_model"] for found in points(datakit)}
    assert len(models) == 201
    assert "other" in models


# ---- wrong use is an error at once ----


@pytest.mark.parametrize("wrong", [openai, "client", None, openai.OpenAI])
def test_anything_but_a_client_is_refused(wrong, datakit):
    with pytest.raises(TypeError, match="OpenAI client"):
        monitor(wrong)


def test_a_wrong_setting_is_refused(api):
    client = api.bare()
    with pytest.raises(ValueError, match="max_queue"):
        monitor(client, max_queue=0)
    with pytest.raises(ValueError, match="datakit_url"):
        instrument(datakit_url="ftp://nowhere")
    with pytest.raises(TypeError, match="datakit_uri"):
        monitor(client, datakit_uri="http://127.0.0.1")


def test_nothing_is_patched_when_disabled(api, datakit):
    client = api.bare()
    attributes, request = set(vars(client)), openai.OpenAI.request
    assert monitor(client, enabled=False) is client
    instrument(enabled=False)
    assert set(vars(client)) == attributes
    assert openai.OpenAI.request is request
    client.chat.completions.create(**CHAT)
    assert points(datakit) == []


# ---- one call, one point ----


def test_a_monitored_client_is_the_same_object_of_the_same_type(api):
    client = api.bare()
    assert monitor(client) is client
    assert type(client) is openai.OpenAI


def test_a_client_monitored_twice_counts_once(api):
    client = api.client()
    api.watch(client)
    client.chat.completions.create(**CHAT)
    assert api.collector.call().requests_sent == 1


@pytest.mark.parametrize("first", ["monitor", "instrument"])
def test_a_client_both_monitored_and_instrumented_counts_once(first, api):
    if first == "instrument":
        api.instrument()
    client = api.client(max_retries=1)
    if first == "monitor":
        api.instrument()
    api.server.faults.append("429+0.01")
    client.chat.completions.create(**CHAT)
    assert api.collector.call().requests_sent == 2
    for _ in client.chat.completions.create(**CHAT, stream=True):
        pass
    assert api.collector.call().stream


def test_parse_counts_once(api):
    from pydantic import BaseModel

    class Answer(BaseModel):
        animals: int

    client = api.client(**canned(body=_chat_answer('{"animals": 3}')))
    completions = needs(client, "beta", "chat", "completions")
    parsed = needs(completions, "parse")(**CHAT, response_format=Answer)
    assert parsed.choices[0].message.parsed == Answer(animals=3)
    assert api.collector.call().operation_name == "chat"

    needs(client, "chat", "completions", "parse")(**CHAT, response_format=Answer)
    assert api.collector.call().usage.total_tokens == 30


def test_an_answer_cut_short_is_an_error_with_its_tokens(api):
    body = _chat_answer("{", finish_reason="length")
    client = api.client(**canned(body=body))
    parse = needs(client, "beta", "chat", "completions", "parse")
    with pytest.raises(openai.LengthFinishReasonError):
        parse(**CHAT)
    call = api.collector.call()
    assert call.error_type in ("other", None)  # older SDKs read the answer after the call
    assert call.status_code == 200
    assert call.usage.total_tokens == 30


def _chat_answer(text, finish_reason="stop"):
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "finish_reason": finish_reason, "message": message}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini-2024-07-18"}
    return {**head, "choices": [choice], "usage": USAGE}


def test_an_answer_that_fails_validation_keeps_its_tokens(api):
    """`parse()` rejects it after it was paid for."""
    pydantic = pytest.importorskip("pydantic", "2")
    client = api.client(**canned(body=ANSWER))
    completions = client.chat.completions
    parse = getattr(completions, "parse", None) or needs(client, "beta", "chat", "completions", "parse")

    class Weather(pydantic.BaseModel):
        city: str

    with pytest.raises(pydantic.ValidationError):
        parse(**CHAT, response_format=Weather)
    call = api.collector.call()
    assert (call.error_type, call.usage.total_tokens, call.response_model) == ("validation", 30, "m")


ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "one two"}}
    ],
    "usage": USAGE,
}


def test_responses_parse_counts_once(api):
    parse = needs(api.client(), "responses", "parse")
    parse(model="gpt-4o-mini", input="one two")
    assert api.collector.call().operation_name == "responses"


def test_beta_responses_count(api):
    create = needs(api.client(), "beta", "responses", "create")
    create(model="gpt-4o-mini", input="one two")
    assert api.collector.call().operation_name == "responses"


def test_a_hand_written_post_counts(api):
    answer = api.client().post("/chat/completions", cast_to=openai.types.chat.ChatCompletion, body=CHAT)
    assert api.collector.call().usage.total_tokens == answer.usage.total_tokens


def test_a_hand_written_path_may_lack_the_slash(api):
    api.client(**canned(body={"usage": USAGE})).post("chat/completions", cast_to=ChatCompletion, body=CHAT)
    assert api.collector.call().operation_name == "chat"


def test_a_post_returning_an_http_response_has_its_usage(api):
    answer = api.client().post("/chat/completions", cast_to=httpx.Response, body=CHAT)
    assert type(answer) is httpx.Response
    assert api.collector.call().usage.total_tokens == 16


def test_usage_is_copied_before_others_add_to_it(api):
    """Libraries that retry for structured output add up the usage in place."""
    for _ in range(3):
        answer = api.client().chat.completions.create(**CHAT)
        answer.usage.total_tokens += 1000
    assert [call.usage.total_tokens for call in api.collector.calls()] == [16] * 3


def test_a_stream_of_another_class_counts(api):
    client = api.client(**canned(body={"usage": USAGE}))
    streaming = {"stream": True, "stream_cls": openai.Stream[str]}
    client.post("/chat/completions", cast_to=httpx.Response, body=CHAT, **streaming)
    gc.collect()
    assert len(api.collector.calls()) == 1


def test_copies_of_a_monitored_client_are_monitored(api):
    client = api.client()
    client.with_options(timeout=5).chat.completions.create(**CHAT)
    client.copy().with_options(max_retries=1).chat.completions.create(**CHAT)
    assert len(api.collector.calls()) == 2
    assert type(client.copy()) is openai.OpenAI


def test_a_copy_has_the_given_options(api):
    client = api.client()
    copied = client.with_options(timeout=5, max_retries=7)
    assert (copied.timeout, copied.max_retries) == (5, 7)
    assert copied.api_key == client.api_key


def test_a_shallow_copy_uses_its_own_key_url_and_retries(api):
    """Applications make a copy for each tenant."""
    seen = []

    class Noting(httpx.BaseTransport):
        def handle_request(self, request):
            seen.append((str(request.url), request.headers["authorization"]))
            return httpx.Response(200, json={"usage": USAGE})

    def ask(client):
        copied = copy.copy(client)
        copied.api_key = "sk-other"
        copied.base_url = "http://other/v1"
        copied.max_retries = 5
        copied.post("/chat/completions", cast_to=ChatCompletion, body=CHAT)
        assert type(copied) is openai.OpenAI
        assert copied.with_options(timeout=1).max_retries == 5
        return seen.pop()

    http_client = httpx.Client(transport=Noting())
    bare = ask(api.bare(http_client=http_client))
    assert ask(api.client(http_client=http_client)) == bare
    assert bare[1] == "Bearer sk-other"
    api.collector.call()


def test_nested_calls_are_separate_calls(api):
    """An application may call itself through an in-process transport."""
    inner = api.client()

    class Proxy(httpx.BaseTransport):
        def handle_request(self, request):
            answer = inner.chat.completions.create(**json.loads(request.content))
            return httpx.Response(200, json=answer.model_dump(mode="json"))

    outer = api.client(http_client=httpx.Client(transport=Proxy()))
    outer.chat.completions.create(**CHAT)
    calls = api.collector.calls()
    assert [call.requests_sent for call in calls] == [1, 1]
    assert calls[0].response_time_s < calls[1].response_time_s


def test_other_requests_are_not_calls(api):
    client = api.client()
    client.models.list()
    client.models.retrieve("gpt-4o")
    assert api.collector.calls() == []


def test_threads_do_not_mix_up_their_calls(api):
    client = api.client(max_retries=1, http_client=httpx.Client(transport=_Flaky()))
    models = ["sound", "flaky"] * 20

    def ask(n):
        client.chat.completions.create(**{**CHAT, "model": f"{models[n]}-{n}"})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(len(models))))
    calls = api.collector.calls()
    assert len({call.request_model for call in calls}) == len(calls) == len(models)
    assert all(call.requests_sent == (2 if "flaky" in call.request_model else 1) for call in calls)


class _Flaky(Canned):
    """Refuses the first request for each model with `flaky` in its name."""

    def __init__(self):
        super().__init__(body={"usage": USAGE})
        self.refused = set()

    def handle_request(self, request):
        model = json.loads(request.content)["model"]
        if "flaky" in model and model not in self.refused:
            self.refused.add(model)
            return httpx.Response(429, headers={"retry-after": "0.01"}, json={})
        return self.respond()


# ---- uninstrument ----


METHODS = """
import openai, guance_chatgpt_monitor
def methods():
    classes = {base for cls in (openai.OpenAI, openai.AsyncOpenAI, openai.Stream) for base in cls.__mro__}
    return {(cls, name): value for cls in classes for name, value in vars(cls).items()}
before = methods()
guance_chatgpt_monitor.instrument(backlog="off")
assert methods() != before
guance_chatgpt_monitor.uninstrument()
assert methods() == before
"""


@pytest.mark.slow
def test_uninstrument_restores_the_classes(datakit):
    run_script(METHODS, datakit)


def run_script(script, datakit, **environment):
    done = with_sdk().run(script, monitor_environment(datakit, **environment))
    assert done.returncode == 0, done.stderr


TWICE = """
import importlib, os, sys, openai
def imported_anew():
    for name in [name for name in sys.modules if name.startswith("guance_chatgpt_monitor")]:
        del sys.modules[name]
    return importlib.import_module("guance_chatgpt_monitor")
asked = dict(model="gpt-4o-mini", messages=[{"role": "user", "content": "zebra"}])
options = dict(api_key="sk-local", base_url=os.environ["API_URL"], max_retries=0)
first, second = imported_anew(), imported_anew()
assert first is not second
for package in (first, second):
    package.instrument()
client = second.monitor(openai.OpenAI(**options))
client.chat.completions.create(**asked)
openai.OpenAI(**options).chat.completions.create(**asked)
"""


@pytest.mark.slow
def test_a_call_counts_once_if_the_package_was_imported_twice(api, datakit):
    run_script(TWICE, datakit, API_URL=api.server.base_url)
    assert len(datakit.points("openai")) == 2


def test_ignored_settings_cause_one_warning(api, datakit, caplog):
    for _ in range(3):
        monitor(api.bare(), service_name="shop")
        monitor(api.bare(), service_name="other")
    assert caplog.text.count("no effect of service_name") == 1


def test_instrument_works_again_after_uninstrument(api):
    for _ in range(2):
        api.instrument()
        api.bare().chat.completions.create(**CHAT)
        assert len(api.collector.calls()) == 1
        uninstrument()
    uninstrument()  # has no effect a second time


@pytest.mark.parametrize("name", ["request", "_process_response", "_build_request"])
@pytest.mark.parametrize("of_class", [True, False])
def test_earlier_wrappers_of_other_libraries_are_called(name, of_class, api, monkeypatch):
    """With wrapt, which other monitors use."""
    wrapt = pytest.importorskip("wrapt")
    seen = []

    def note(wrapped, instance, args, kwargs):
        seen.append(name)
        return wrapped(*args, **kwargs)

    client = api.bare()
    owner = openai.OpenAI if of_class else client
    monkeypatch.setattr(owner, name, wrapt.FunctionWrapper(getattr(owner, name), note))
    api.watch(client).chat.completions.create(**CHAT)
    assert seen == [name]
    assert api.collector.call().usage.total_tokens == 16


def test_a_client_whose_request_is_a_plain_function_is_monitored(api):
    client = api.bare()
    send = client.request
    client.request = lambda *args, **kwargs: send(*args, **kwargs)
    api.watch(client).chat.completions.create(**CHAT)
    assert api.collector.call().requests_sent == 1


def test_a_client_whose_request_is_anothers_method_is_monitored(api):
    class Recorder:
        seen = 0

        def request(self, *args, **kwargs):
            self.seen += 1
            return send(*args, **kwargs)

    client, recorder = api.bare(), Recorder()
    send = client.request
    client.request = recorder.request
    api.watch(client).chat.completions.create(**CHAT)
    assert recorder.seen == 1
    assert api.collector.call().requests_sent == 1


def test_instrumenting_over_a_patch_that_hides_ours_counts_once(api, monkeypatch):
    api.instrument()
    owner = next(cls for cls in openai.OpenAI.__mro__ if "request" in vars(cls))
    ours = owner.request
    monkeypatch.setattr(owner, "request", lambda self, *args, **kwargs: ours(self, *args, **kwargs))
    api.instrument()
    api.bare().chat.completions.create(**CHAT)
    api.collector.call()


class Secretive(openai.OpenAI):
    """A client that decides for itself what a copy gets."""

    def __getstate__(self):
        return {**self.__dict__, "api_key": "sk-hidden"}


@pytest.mark.parametrize("monitored", [True, False])
def test_a_shallow_copy_respects_the_class_getstate(monitored, api):
    api.client()  # patches the class
    client = Secretive(**api.options(http_client=api.http_client))
    if monitored:
        api.watch(client)
    copied = copy.copy(client)
    assert (type(copied), copied.api_key) == (Secretive, "sk-hidden")
    copied.chat.completions.create(**CHAT)
    assert len(api.collector.calls()) == monitored


def test_another_librarys_patch_of_stream_iteration_stays(api, monkeypatch):
    seen = []  # type: ignore[var-annotated]
    see = seen.append

    def theirs(self):
        for each in self._iterator:
            see(each)
            yield each

    monkeypatch.setattr(openai.Stream, "__iter__", theirs)
    stream = api.client().chat.completions.create(**CHAT, stream=True)
    assert len(list(stream)) == len(seen) == 15
    api.collector.call()


def test_instrument_works_again_after_another_patch_was_undone(api):
    """The other patch came before ours and is undone after it."""
    owner = next(cls for cls in openai.OpenAI.__mro__ if "request" in vars(cls))
    original = owner.request
    owner.request = functools.wraps(original)(lambda *args, **kwargs: original(*args, **kwargs))
    api.instrument()
    owner.request = original
    api.instrument()
    api.bare().chat.completions.create(**CHAT)
    api.collector.call()


def test_a_later_wrapper_of_another_library_outlives_ours(api, monkeypatch):
    api.instrument()
    owner = next(cls for cls in openai.OpenAI.__mro__ if "request" in vars(cls))
    ours, seen = owner.request, []

    def theirs(self, *args, **kwargs):
        seen.append(self)
        return ours(self, *args, **kwargs)

    monkeypatch.setattr(owner, "request", theirs)
    uninstrument()
    client = api.bare()
    client.chat.completions.create(**CHAT)
    assert seen == [client]
    assert api.collector.calls() == []
    monkeypatch.undo()
    monkeypatch.setattr(owner, "request", ours.__wrapped__)


@pytest.mark.parametrize("further", [{}, {"priority": 3}])
def test_an_sdk_whose_methods_take_more_arguments_is_monitored(further, api):
    """The first SDK's do, and a later one's may."""
    passed_on = []

    class Client(openai.OpenAI):
        def request(self, cast_to, options, *args, stream=False, stream_cls=None, **more):
            passed_on.append((args, more))
            return super().request(cast_to, options, stream=stream, stream_cls=stream_cls)

        def _build_request(self, *args, **more):
            return super()._build_request(*args, **more)

        def _process_response(self, **more):
            return super()._process_response(**more)

        def post(self, path, **options):
            return self.request(
                openai.types.chat.ChatCompletion, post_options(path, options["body"]), *further, **further
            )

    client = api.watch(Client(**api.options(http_client=api.http_client)))
    assert client.chat.completions.create(**CHAT).model == "gpt-4o-mini-2024-07-18"
    assert passed_on == [(tuple(further), further)]
    call = api.collector.call()
    assert (call.requests_sent, call.status_code, call.usage.total_tokens) == (1, 200, 16)
    assert call.rate_limit


def post_options(path, body):
    return openai._models.FinalRequestOptions.construct(method="post", url=path, json_data=body)


def test_a_monitored_client_stays_monitored_after_uninstrument(api):
    api.instrument()
    client = api.client()
    uninstrument()
    client.chat.completions.create(**CHAT)
    api.collector.call()


# ---- errors and retries ----


ERRORS = {
    "400": ("bad_request", 400),
    "401": ("authentication", 401),
    "403": ("permission", 403),
    "404": ("not_found", 404),
    "422": ("bad_request", 422),
    "429": ("rate_limit", 429),
    "500": ("server_error", 500),
    "503": ("server_error", 503),
    "insufficient_quota": ("insufficient_quota", 429),
    "content_filter": ("content_filter", 400),
    "html502": ("server_error", 502),
    "reset": ("connection", None),
    "cut": ("connection", None),
    "empty200": ("validation", 200),
}


@pytest.mark.parametrize("fault", ERRORS)
def test_each_error_has_its_error_type(fault, api):
    with pytest.raises(Exception) as bare:  # which one is up to the SDK
        api.bare().chat.completions.create(**CHAT, **faults(fault))
    with pytest.raises(type(bare.value)):
        api.client().chat.completions.create(**CHAT, **faults(fault))
    call = api.collector.call()
    assert (call.error_type, call.status_code) == ERRORS[fault]
    assert call.requests_sent == 1


def test_no_answer_in_time_is_a_timeout(api):
    with pytest.raises(openai.APITimeoutError):
        api.client(timeout=0.1).chat.completions.create(**CHAT, **faults("hang"))
    call = api.collector.call()
    assert (call.error_type, call.status_code) == ("timeout", None)
    assert call.response_time_s >= 0.1


def test_no_connection_is_a_connection_error(api):
    with LocalOpenAI() as stopped:
        url = stopped.base_url
    with pytest.raises(openai.APIConnectionError):
        api.client(base_url=url).chat.completions.create(**CHAT)
    assert api.collector.call().error_type == "connection"


def test_retries_are_part_of_one_call(api):
    api.server.faults.extend(["429+0.01", "429+0.01"])
    api.client(max_retries=3).chat.completions.create(**CHAT)
    call = api.collector.call()
    assert call.requests_sent == len(api.server.requests) == 3
    assert (call.status_code, call.error_type) == (200, None)


def test_failed_retries_are_counted(api):
    api.server.faults.extend(["429+0.01", "429+0.01"])
    with pytest.raises(openai.RateLimitError):
        api.client(max_retries=1).chat.completions.create(**CHAT)
    assert api.collector.call().requests_sent == len(api.server.requests) == 2


def test_a_call_that_could_not_be_sent_counts_no_request(api):
    with pytest.raises(TypeError):
        api.client().chat.completions.create(**CHAT, extra_body={"seed": object()})
    call = api.collector.call()
    assert (call.requests_sent, call.error_type) == (0, "validation")


def test_ctrl_c_is_a_cancelled_call(api):
    class Interrupted(httpx.BaseTransport):
        def handle_request(self, request):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.client(http_client=httpx.Client(transport=Interrupted())).chat.completions.create(**CHAT)
    assert api.collector.call().error_type == "cancelled"


# ---- answers of every kind ----


def test_an_error_with_status_200_is_an_error(api):
    answer = api.client().chat.completions.create(**CHAT, **faults("error200"))
    assert answer.choices is None
    call = api.collector.call()
    assert (call.error_type, call.status_code) == ("server_error", 200)


def test_a_page_with_status_200_is_an_error(api):
    assert "<html>" in api.client().chat.completions.create(**CHAT, **faults("html200"))
    call = api.collector.call()
    assert (call.error_type, call.status_code) == ("other", 200)


@pytest.mark.parametrize("fault", ["no_usage", "null_fields"])
def test_unknown_usage_is_absent(fault, api):
    api.client().chat.completions.create(**CHAT, **faults(fault))
    call = api.collector.call()
    assert call.error_type is None
    assert call.usage.total_tokens is None


@pytest.mark.parametrize(
    ("body", "error_type"),
    [
        ({}, "other"),
        ({"usage": "many", "model": 7}, "other"),
        ({"usage": {"total_tokens": "12"}, "model": None, "error": None}, "other"),
        ({"usage": [], "choices": [None]}, None),
        ({"result": {"text": "a gateway's own format"}}, "other"),
        ({"code": 1113, "msg": "余额不足", "success": False}, "insufficient_quota"),
        ({"base_resp": {"status_code": 1002, "status_msg": "slow down"}}, "rate_limit"),
        ({"object": "error", "message": "no such model", "code": 404}, "not_found"),
    ],
)
@pytest.mark.parametrize("way", ["plain", "raw", "stream", "stream of events"])
def test_an_answer_without_choices_is_an_error(way, body, error_type, api):
    if way == "stream of events":
        client = api.client(**canned(events=[body]))
    else:
        client = api.client(**canned(body=body))
    if way == "raw":
        client.chat.completions.with_raw_response.create(**CHAT)
    elif way == "plain":
        client.chat.completions.create(**CHAT)
    else:
        list(client.chat.completions.create(**CHAT, stream=True))
    call = api.collector.call()
    if way == "stream":  # the SDK reads no event from a page
        error_type = "other"
    assert (call.error_type, call.usage.total_tokens, call.response_model) == (error_type, None, "")


@pytest.mark.parametrize("body", [None, [], "text", 7])
def test_an_answer_that_is_not_an_object_is_an_error(body, api):
    try:
        api.bare(**canned(body=body)).chat.completions.create(**CHAT)
    except Exception as error:  # which one is up to the SDK
        with pytest.raises(type(error)):
            api.client(**canned(body=body)).chat.completions.create(**CHAT)
    else:
        api.client(**canned(body=body)).chat.completions.create(**CHAT)
    assert api.collector.call().error_type is not None


def test_cached_and_reasoning_tokens_are_read(api):
    usage = {
        **USAGE,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    api.client(**canned(body={"usage": usage})).chat.completions.create(**CHAT)
    usage = api.collector.call().usage
    assert (usage.total_tokens, usage.cached_tokens, usage.reasoning_tokens) == (30, 4, 5)


def test_a_call_has_all_its_fields(api):
    api.client().chat.completions.create(**CHAT)
    call = api.collector.call()
    assert {field.name for field in dataclasses.fields(call)} == set(vars(call))


def test_rate_limits_timing_and_id_are_read_from_the_headers(api):
    raw = api.client().chat.completions.with_raw_response.create(**CHAT)
    call = api.collector.call()
    told = raw.headers
    assert call.rate_limit["remaining_requests"] == float(told["x-ratelimit-remaining-requests"])
    assert call.rate_limit["limit_tokens"] == float(told["x-ratelimit-limit-tokens"])
    assert call.processing_time_s == float(told["openai-processing-ms"]) / 1000
    assert call.request_id == told["x-request-id"]


@pytest.mark.parametrize("unknown", [{}, {"x_gateway": "g"}])
def test_an_error_inside_an_answer_is_an_error(unknown, api):
    error = {"code": "server_error", "message": "no more"}
    body = {"id": "r", "object": "response", "model": "gpt-4o-mini", "error": error, **unknown}
    responses = needs(api.client(**canned(body=body)), "responses")
    responses.create(model="gpt-4o-mini", input="zebra")
    assert api.collector.call().error_type == "server_error"


def test_the_headers_of_an_error_are_read(api):
    with pytest.raises(openai.RateLimitError) as caught:
        api.client().chat.completions.create(**CHAT, **faults("429"))
    call = api.collector.call()
    assert call.rate_limit["remaining_requests"] == 0
    assert call.request_id == caught.value.response.headers["x-request-id"]


def test_the_headers_of_a_stream_are_read(api):
    stream = api.client().chat.completions.create(**CHAT, stream=True)
    assert list(stream)
    limit = stream.response.headers["x-ratelimit-limit-requests"]
    assert api.collector.call().rate_limit["limit_requests"] == float(limit)


def test_without_these_headers_their_values_are_absent(api):
    api.client(**canned(body={"usage": USAGE})).chat.completions.create(**CHAT)
    call = api.collector.call()
    assert (call.rate_limit, call.processing_time_s, call.request_id) == ({}, None, "")


# ---- raw responses ----


def test_a_raw_response_has_its_usage(api):
    raw = api.client().chat.completions.with_raw_response.create(**CHAT)
    bare = api.bare().chat.completions.with_raw_response.create(**CHAT)
    assert type(raw) is type(bare)
    call = api.collector.call()
    assert call.usage.total_tokens == raw.parse().usage.total_tokens
    assert call.response_model == "gpt-4o-mini-2024-07-18"
    assert call.status_code == 200
    assert api.collector.calls() == []  # parse() is not a call


@pytest.mark.parametrize(("fault", "error_type"), [("error200", "server_error"), ("html200", "other")])
def test_a_raw_response_with_an_error_is_an_error(fault, error_type, api):
    api.client().chat.completions.with_raw_response.create(**CHAT, **faults(fault))
    assert api.collector.call().error_type == error_type


def test_a_large_raw_response_keeps_the_usage_at_its_end(api):
    data = [{"object": "embedding", "index": n, "embedding": "A" * 8192} for n in range(200)]
    body = {"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 7, "total_tokens": 7}}
    client = api.client(**canned(body=body))
    client.embeddings.with_raw_response.create(model="m", input="one two")
    (observation,) = api.collector.observations
    assert observation.body is None  # more than a megabyte is not kept
    assert api.collector.call().usage.total_tokens == 7


STREAMING_RESPONSES = {
    "parse": lambda response: response.parse(),
    "read": lambda response: response.read(),
    "json": lambda response: response.json(),
    "text": lambda response: response.text(),
}


@pytest.mark.parametrize("read", STREAMING_RESPONSES)
def test_a_streaming_response_is_recorded_when_read(read, api):
    create = needs(api.client(), "chat", "completions", "with_streaming_response").create
    with create(**CHAT) as response:
        assert api.collector.calls() == []
        STREAMING_RESPONSES[read](response)
        call = api.collector.call()
        assert (call.status_code, call.error_type) == (200, None)
        assert call.usage.total_tokens == 16
    assert api.collector.calls() == []


def test_the_methods_of_a_watched_response_are_restored(api):
    create = needs(api.client(), "chat", "completions", "with_streaming_response").create
    with create(**CHAT) as response:
        response.read()
    assert not {"read", "close"} & vars(response.http_response).keys()


def test_a_response_closed_by_a_hook_is_recorded(api):
    hooks = {"response": [lambda response: response.close()]}
    client = api.client(http_client=httpx.Client(verify=False, trust_env=False, event_hooks=hooks))
    create = needs(client, "chat", "completions", "with_streaming_response").create
    with create(**CHAT):
        pass
    assert api.collector.call().status_code == 200


def test_an_unread_streaming_response_is_recorded_when_closed(api):
    create = needs(api.client(), "chat", "completions", "with_streaming_response").create
    with create(**CHAT):
        pass
    assert api.collector.call().error_type is None
    with create(**CHAT) as response:
        lines = list(response.iter_lines())
    assert "chat.completion" in lines[0]
    assert api.collector.call().usage.total_tokens == 16


@pytest.mark.parametrize("read", ["read", "iter_lines"])
def test_a_streaming_response_that_breaks_off_is_an_error(read, api):
    create = needs(api.client(), "chat", "completions", "with_streaming_response").create
    with pytest.raises(httpx.TransportError), create(**CHAT, **faults("cut")) as response:
        list(getattr(response, read)())
    assert api.collector.call().error_type == "connection"


def test_an_error_of_the_application_is_not_an_error_of_the_call(api):
    create = needs(api.client(), "chat", "completions", "with_streaming_response").create
    with pytest.raises(ZeroDivisionError), create(**CHAT):
        _ = 1 / 0
    assert api.collector.call().error_type is None


# ---- Azure ----


class LocalAzure(LocalOpenAI):
    """OpenAI's API under the paths of Azure's deployments."""

    def respond(self, request):
        _, _, rest = request.path.partition("/deployments/")
        request.path = "/v1/" + rest.partition("/")[2]
        request.headers["Authorization"] = "Bearer sk-local"
        return super().respond(request)


def test_an_azure_clients_provider_and_model_are_recorded(api, monkeypatch):
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-06-01")  # the first SDKs lose the argument in a copy
    with LocalAzure() as azure:
        client = openai.AzureOpenAI(azure_endpoint=azure.url, api_key="k", max_retries=1)
        api.watch(client)
        azure.faults.append("429+0.01")
        answer = client.chat.completions.create(**CHAT)
        call = api.collector.call()
        assert call.operation_name == "chat"
        assert call.request_model == "gpt-4o-mini"  # Azure's deployment
        assert call.provider_name == "azure_openai"  # from the class of the client: the host may be any
        assert call.usage.total_tokens == answer.usage.total_tokens
        assert call.requests_sent == 2
        client.with_options(timeout=5).chat.completions.create(**CHAT)
        assert type(client.copy()) is openai.AzureOpenAI
        assert len(api.collector.calls()) == 1


@pytest.mark.parametrize(
    ("base_url", "provider_name"),
    [
        (None, "openai"),
        ("https://shop.openai.azure.com/openai", "azure_openai"),
        ("http://gateway.local:8080/v1", "gateway.local"),
    ],
)
def test_the_provider_is_derived_from_the_base_url(base_url, provider_name, api):
    client = api.client(base_url=base_url, **canned(body={"usage": USAGE}))
    client.chat.completions.create(**CHAT)
    assert api.collector.call().provider_name == provider_name


# ---- nothing is kept ----


def test_an_observation_keeps_neither_answer_nor_prompt_nor_client(api):
    kept = _ask_and_forget(api.client())
    kept_by_the_sdk = _ask_and_forget(api.bare())
    assert kept == kept_by_the_sdk
    assert kept[:2] == ["freed", "freed"]
    api.collector.call()


def _ask_and_forget(client):
    prompt = _Prompt("zebra")
    answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
    references = weakref.ref(answer), weakref.ref(prompt), weakref.ref(client)
    del answer, prompt, client
    gc.collect()
    return ["freed" if reference() is None else "kept" for reference in references]


class _Prompt(str):
    """A string that allows weak references."""


def test_an_error_keeps_no_frame_of_the_application(api):
    class Local:
        pass

    def fail():
        local = Local()
        with pytest.raises(openai.APIStatusError):
            api.client().chat.completions.create(**CHAT, **faults("400"))
        return weakref.ref(local)

    reference = fail()
    gc.collect()
    assert reference() is None
    api.collector.call()


# ---- the package ----


def test_the_public_api_is_unchanged():
    lines = []
    for name in sorted([*guance_chatgpt_monitor.__all__, "__version__"]):
        value = getattr(guance_chatgpt_monitor, name)
        lines.append(f"{name}{inspect.signature(value) if callable(value) else ''}")
    expected = (Path(__file__).parent.parent / "public_api.txt").read_text(encoding="utf-8").split("\n")
    if sys.version_info >= (3, 11):  # earlier ones print signatures differently
        assert lines == expected[:-1]
    assert [line.partition("(")[0] for line in lines] == [line.partition("(")[0] for line in expected[:-1]]


def test_importing_a_module_does_not_hide_the_function_of_its_name():
    for name in ("instrument", "observe"):
        importlib.import_module(f"guance_chatgpt_monitor.app.{name}")
        assert not inspect.ismodule(getattr(guance_chatgpt_monitor, name))


def test_an_unknown_sdk_is_left_alone(api, monkeypatch):
    owner = next(cls for cls in openai.OpenAI.__mro__ if "request" in vars(cls))
    monkeypatch.setattr(owner, "request", lambda self, everything: everything)
    client = openai.OpenAI(api_key="k")
    monitor(client, backlog="off")
    assert client.request("as it was") == "as it was"
    assert vars(client).keys() == vars(openai.OpenAI(api_key="k")).keys()


def take_anything(self, *args, **kwargs):
    return super(type(self), self).request(*args, **kwargs)


def take_other_names(self, kind, opts, *, stream=False, stream_cls=None):
    return super(type(self), self).request(kind, opts, stream=stream, stream_cls=stream_cls)


@pytest.mark.parametrize("request_", [take_anything, take_other_names])
def test_a_class_with_its_own_request_method_is_monitored(request_, api):
    cls = type("Derived", (openai.OpenAI,), {"request": request_})
    client = api.watch(cls(**api.options(http_client=api.http_client)))
    client.chat.completions.create(**CHAT)
    assert api.collector.call().usage.total_tokens == 16


def test_a_patched_request_method_is_monitored(api, monkeypatch):
    owner = next(cls for cls in openai.OpenAI.__mro__ if "request" in vars(cls))
    original = owner.request
    monkeypatch.setattr(owner, "request", lambda self, *args, **kwargs: original(self, *args, **kwargs))
    api.client().chat.completions.create(**CHAT)
    assert api.collector.call().usage.total_tokens == 16


NO_PRIVATE_METHODS = """
import importlib, os, openai, guance_chatgpt_monitor
patched = importlib.import_module("guance_chatgpt_monitor.app.instrument")._WRAPPERS
del patched["_build_request"], patched["_process_response"]
client = guance_chatgpt_monitor.monitor(openai.OpenAI(api_key="sk-local", base_url=os.environ["API_URL"]))
client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "zebra okapi"}])
"""


@pytest.mark.slow
def test_an_sdk_without_the_private_methods_is_still_monitored(api, datakit):
    run_script(NO_PRIVATE_METHODS, datakit, API_URL=api.server.base_url)
    assert point(datakit).fields["total_tokens"] == 15
