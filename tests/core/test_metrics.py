"""Call -> point: its fields and tags, and the bounds on the number of series."""

import os
import tracemalloc
from typing import Any

import pytest

from guance_chatgpt_monitor.core.call import Call
from guance_chatgpt_monitor.core.metrics import FIELDS, TAGS, PointMaker
from guance_chatgpt_monitor.core.response_headers import RATE_LIMIT_FIELDS
from guance_chatgpt_monitor.core.tag_places import MAX_FAILED_VALUES, MAX_TAG_NAMES, MAX_TAG_VALUES
from guance_chatgpt_monitor.core.usage import Usage


def ended(**facts: object) -> Call:
    call = Call("chat", **facts)  # type: ignore[arg-type]
    call.end()
    return call


def test_every_field_and_tag_is_documented() -> None:
    usage = Usage(10.0, 6.0, 4.0, 2.0, 1.0)
    call = ended(
        request_model="m",
        response_model="gpt-4o",
        status_code=200,
        usage=usage,
        time_to_first_token_s=0.1,
        rate_limit=dict(zip(RATE_LIMIT_FIELDS, (1.0, 2.0, 3.0, 4.0), strict=True)),
        processing_time_s=0.2,
        request_id="req_1",
        service_tier="default",
    )
    point = PointMaker(service_name="s").from_call(call)
    # A point of its own, because gpt-4o has no price for audio.
    of_kinds = Usage(
        prompt_audio_tokens=1.0,
        completion_audio_tokens=1.0,
        prompt_image_tokens=1.0,
        completion_image_tokens=1.0,
        audio_duration_s=3.0,
    )
    kinds = PointMaker().from_call(ended(usage=of_kinds))
    assert {*point.fields, *kinds.fields} == set(FIELDS) - {"delay"}
    assert set(point.tags) <= set(TAGS)
    assert "req_1" not in str(point)
    assert point.fields["total_tokens"] == 10.0
    assert point.fields["time_to_first_token"] == 0.1
    assert point.fields["processing_time"] == 0.2
    limits = ("remaining_requests", "remaining_tokens", "limit_requests", "limit_tokens")
    assert [point.fields[name] for name in limits] == [1.0, 2.0, 3.0, 4.0]


def test_unreported_limits_are_absent() -> None:
    call = ended(rate_limit={"remaining_tokens": 0.0})
    fields = PointMaker().from_call(call).fields
    assert fields["remaining_tokens"] == 0.0
    assert not {"remaining_requests", "limit_requests", "limit_tokens", "processing_time"} & set(fields)


def test_an_error_has_0_tokens_and_an_answer_without_usage_none() -> None:
    failed = Call("chat")
    failed.end("timeout")
    assert PointMaker().from_call(failed).fields["total_tokens"] == 0.0
    assert "total_tokens" not in PointMaker().from_call(ended()).fields


def test_a_call_that_failed_late_keeps_its_tokens() -> None:
    call = Call("chat", usage=Usage(7.0))
    call.end("cancelled")
    assert PointMaker().from_call(call).fields["total_tokens"] == 7.0


def us(timestamp_ns: int) -> int:
    return timestamp_ns // 1000


def test_timestamps_increase_by_whole_microseconds() -> None:
    maker = PointMaker()
    call = ended()
    stamps = [maker.from_call(call).timestamp_ns for _ in range(5)]
    assert [us(stamp) for stamp in stamps] == [us(call.ended_at_ns) + n for n in range(5)]
    assert len({stamp % 1000 for stamp in stamps}) == 1


def test_two_processes_do_not_share_a_timestamp() -> None:
    """They may share a series: without a host, or if they run on the same one."""
    call = ended()
    digits = {PointMaker().from_call(call).timestamp_ns % 1000 for _ in range(200)}
    assert len(digits) > 100  # each PointMaker stands for a process


def test_a_forked_process_has_its_own_digits() -> None:
    maker, call = PointMaker(), ended()
    digits = set()
    for _ in range(8):
        readable, writable = os.pipe()
        pid = os.fork()
        if not pid:
            os.write(writable, str(maker.from_call(call).timestamp_ns % 1000).encode())
            os._exit(0)
        os.close(writable)
        os.waitpid(pid, 0)
        digits.add(os.read(readable, 100))
        os.close(readable)
    assert len(digits) > 4


def test_timestamps_follow_a_clock_set_back() -> None:
    maker, early, late = PointMaker(), ended(), ended()
    early.ended_at_ns -= 3600 * 10**9
    stamps = [us(maker.from_call(call).timestamp_ns) for call in (late, early, early)]
    assert stamps == [us(late.ended_at_ns), us(early.ended_at_ns), us(early.ended_at_ns) + 1]


def test_callers_cannot_set_the_tag_host() -> None:
    call = ended(tags={"host": "theirs"})
    assert PointMaker(host="web-1").from_call(call).tags["host"] == "web-1"
    assert "host" not in PointMaker(tags={"host": "theirs"}).from_call(call).tags


def test_the_users_tags_do_not_replace_ours() -> None:
    call = ended(tags={"status": "x", "question": "x", "team": "web"})
    tags = PointMaker(tags={"env": "prod", "stream": "x"}).from_call(call).tags
    assert (tags["status"], tags["stream"]) == ("ok", "false")
    assert (tags["env"], tags["team"]) == ("prod", "web")
    assert "question" not in tags


def test_beyond_200_values_a_tag_is_other() -> None:
    maker = PointMaker()
    for n in range(MAX_TAG_VALUES):
        assert maker.from_call(ended(request_model=f"m{n}")).tags["request_model"] == f"m{n}"
    assert maker.from_call(ended(request_model="one more")).tags["request_model"] == "other"
    assert maker.from_call(ended(request_model="m7")).tags["request_model"] == "m7"


def failed(error_type: str, requests_sent: int, **fields: Any) -> Call:
    call = Call("chat", requests_sent=requests_sent, **fields)
    call.end(error_type)
    return call


def test_refused_calls_do_not_use_up_tag_values() -> None:
    maker = PointMaker(known_models=["gpt-4o-mini"])
    for n in range(MAX_TAG_VALUES + 5):
        tags = {f"tag-{16 * n + i}": "x" for i in range(16)}
        point = maker.from_call(failed("validation", 0, request_model=f"invented-{n}", tags=tags))
        assert point.tags["request_model"] == "other"
        assert (point.tags["error_type"], "tag-0" in point.tags) == ("validation", False)
    point = maker.from_call(ended(request_model="gpt-4o", response_model="gpt-4o-2024", tags={"team": "web"}))
    assert (point.tags["request_model"], point.tags["response_model"]) == ("gpt-4o", "gpt-4o-2024")
    assert point.tags["team"] == "web"


def test_failed_calls_use_up_few_tag_values_and_give_way() -> None:
    maker = PointMaker()
    shown = {
        maker.from_call(failed("not_found", 1, request_model=f"invented-{n}")).tags["request_model"]
        for n in range(MAX_TAG_VALUES * 2)
    }
    assert len(shown) == MAX_FAILED_VALUES + 1
    for n in range(MAX_TAG_VALUES):
        assert maker.from_call(ended(request_model=f"m{n}")).tags["request_model"] == f"m{n}"
    assert maker.from_call(ended(request_model="one more")).tags["request_model"] == "other"


def test_known_models_are_never_other() -> None:
    maker = PointMaker(known_models=["gpt-4o-mini"])
    for n in range(MAX_TAG_VALUES):
        maker.from_call(ended(request_model=f"m{n}", response_model=f"m{n}"))
    assert maker.from_call(ended(request_model="one more")).tags["request_model"] == "other"
    for call in (ended(request_model="gpt-4o-mini"), failed("budget", 0, request_model="gpt-4o-mini")):
        assert maker.from_call(call).tags["request_model"] == "gpt-4o-mini"


def test_a_tag_value_unused_for_an_hour_makes_room() -> None:
    maker = PointMaker()

    def model_at(hours: float, model: str) -> str:
        call = ended(request_model=model)
        call.ended_at_ns += int(hours * 3600e9)
        return maker.from_call(call).tags["request_model"]

    for n in range(MAX_TAG_VALUES):
        model_at(0, f"m{n}")
    for minute in range(0, 100, 5):
        assert model_at(minute / 60, "m7") == "m7"
    assert model_at(0.5, "new") == "other"
    assert model_at(1.7, "new") == "new"
    assert model_at(1.7, "m7") == "m7"


def test_tag_names_are_bounded() -> None:
    maker = PointMaker()
    for n in range(MAX_TAG_NAMES * 2):
        point = maker.from_call(ended(tags={f"t{n}": "x"}))
        assert {"operation_name", "status"} <= set(point.tags)
    assert f"t{n}" not in point.tags


@pytest.mark.slow
def test_memory_stays_flat_over_many_values_and_names() -> None:
    maker = PointMaker()

    def many(start: int, stop: int) -> None:
        for n in range(start, stop):
            maker.from_call(ended(request_model=f"model-{n}", tags={f"tag-{n}": f"value-{n}", "a": str(n)}))

    many(0, 1_000)
    tracemalloc.start()
    many(1_000, 3_000)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 100_000


@pytest.mark.parametrize("memory", [{}, {"last_timestamp_ns": 2**62}])
def test_point_makers_sharing_a_memory_never_repeat_a_timestamp(memory: dict[str, object]) -> None:
    first = PointMaker(memory=memory).from_call(ended())
    second = PointMaker(memory=memory).from_call(ended())
    assert second.timestamp_ns > first.timestamp_ns
