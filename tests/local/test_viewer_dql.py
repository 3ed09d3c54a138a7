"""The DQL evaluator: every form that dashboards and monitors use, checked against numbers worked out by hand.

tests/assets/test_assets_queries.py compares its answers to the shipped queries with those of a real InfluxDB.
"""

import pytest
from viewing import SECOND_NS, START_NS, index_of, index_of_points, point, within

from guance_chatgpt_monitor.local.viewer.dql import parse, series_of
from guance_chatgpt_monitor.local.viewer.dql_tokens import DQLError
from guance_chatgpt_monitor.local.viewer.evaluation import Answer, Query, evaluate, evaluate_all

HOUR_S = 3600


@pytest.fixture
def index():
    """Six calls of two models within an hour, two of them with logs."""
    shop = {"service_name": "shop", "status": "ok"}
    failed = {"service_name": "shop", "status": "error", "error_type": "rate_limit"}
    return index_of_points(
        point(0, {**shop, "request_model": "gpt-4o"}, question=1.0, response_time=1.0, res_status=0.0),
        point(10, {**shop, "request_model": "gpt-4o"}, question=1.0, response_time=3.0, res_status=0.0),
        point(70, {**failed, "request_model": "gpt-4o"}, question=1.0, response_time=2.0, res_status=1.0),
        point(130, {**shop, "request_model": "o3"}, question=1.0, response_time=10.0, res_status=0.0),
        point(190, {**shop, "request_model": "o3"}, question=1.0, response_time=20.0, res_status=0.0),
        point(3599, {"request_model": "o3"}, question=1.0, res_status=0.0),
        point(70, failed, message="no", finish_reason="", response_time=2.0),
        point(130, shop, message="<b>yes</b>", finish_reason="stop", response_time=10.0),
    )


def number(index, dql, seconds=HOUR_S, **variables):
    """The single number of a query."""
    [value] = evaluate(index, dql, within(seconds, **variables)).values()
    return value


def by_group(index, dql):
    values = evaluate(index, dql, within(HOUR_S))
    return {tuple(value for _, value in group): number for (group, _), number in values.items()}


def over_time(index, dql, step_s=0, seconds=HOUR_S):
    """Second from the start -> value."""
    values = evaluate(index, dql, within(seconds), step_s * SECOND_NS)
    return {(start - START_NS) // SECOND_NS: value for (_, start), value in sorted(values.items())}


# --- functions


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("sum(`question`)", 6),
        ("count(`response_time`)", 5),
        ("count(*)", 6),
        ("count(`*`)", 6),
        ("avg(`response_time`)", 7.2),
        ("mean(`response_time`)", 7.2),
        ("AVG(`response_time`)", 7.2),
        ("min(`response_time`)", 1),
        ("max(`response_time`)", 20),
        ("first(`response_time`)", 1),
        ("last(`response_time`)", 20),
        ("median(`response_time`)", 3),
        ("percentile(`response_time`, 50)", 3),
        ("p95(`response_time`)", 20),
        ("count_distinct(`question`)", 1),
    ],
)
def test_each_function_is_computed(index, call, value):
    assert number(index, f"M::`openai`:({call})") == pytest.approx(value)


def test_a_measurement_or_field_without_points_has_no_value(index):
    for dql in ("M::`nothing`:(sum(`question`))", "M::`openai`:(sum(`nothing`))", "M::`openai`:(last(`no`))"):
        assert evaluate(index, dql, within(HOUR_S)) == {}


def test_points_outside_the_range_do_not_count(index):
    assert number(index, "M::`openai`:(count(`question`))", seconds=190) == 4


def test_a_point_of_the_same_series_and_time_replaces_the_first():
    same = {"service_name": "shop"}
    index = index_of_points(point(1, same, cost=1.0), point(1, same, cost=2.0))
    assert number(index, "M::`openai`:(sum(`cost`))") == 2


def test_values_beyond_64_bits_are_harmless():
    index = index_of([f"openai n=18446744073709551615u {START_NS}"])
    assert number(index, "M::`openai`:(max(`n`))") == pytest.approx(2**64)


# --- conditions


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("`request_model` = 'gpt-4o'", 3),
        ("`request_model` != 'gpt-4o'", 3),
        ("`error_type` != 'rate_limit'", 5),  # including those without error_type
        ("`status` = 'ok' and `request_model` = 'o3'", 2),
        ("`status` = 'error' or `request_model` = 'o3'", 4),
        ("(`status` = 'error' or `request_model` = 'o3') and `service_name` = 'shop'", 3),
        ("`request_model` in ['gpt-4o', 'o3']", 6),
        ("`request_model` not in ['gpt-4o']", 3),
        ("`request_model` =~ '^gpt-'", 3),
        ("`request_model` !~ '^gpt-'", 3),
        ("`response_time` > 2.5", 3),
        ("`response_time` <= 2 AND `status` = 'error'", 1),
        ("`service_name` = '#{service_name}'", 6),
    ],
)
def test_conditions_select_points(index, where, count):
    assert number(index, f"M::`openai`:(count(`question`)) {{ {where} }}") == count


def test_variables_filter_unless_they_are_an_asterisk(index):
    dql = "M::`openai`:(count(`question`)) { `request_model` = '#{model}' and `service_name` = '#{service}' }"
    assert number(index, dql) == 6
    assert number(index, dql, model="*", service="shop") == 5
    assert number(index, dql, model="o3") == 3
    assert number(index, dql, model=["o3", "gpt-4o"], service="shop") == 5
    assert series_of(dql)[0].variables == ["model", "service"]


# --- groups and intervals


def test_values_are_grouped_by_tags(index):
    assert by_group(index, "M::`openai`:(sum(`question`)) BY `request_model`") == {("gpt-4o",): 3, ("o3",): 3}
    two = by_group(index, "M::`openai`:(sum(`question`)) by `service_name`, `request_model`")
    assert two == {("gpt-4o", "shop"): 3, ("o3", "shop"): 2, ("o3", ""): 1}


def test_values_are_grouped_by_interval(index):
    per_minute = {0: 2, 60: 1, 120: 1, 180: 1, 3540: 1}
    assert over_time(index, "M::`openai`:(sum(`question`)) [::1m]") == per_minute
    # A chart's own interval applies only if the query has none; `auto` for an hour is a minute.
    assert over_time(index, "M::`openai`:(sum(`question`))", step_s=60) == per_minute
    assert over_time(index, "M::`openai`:(sum(`question`)) [::auto]") == per_minute
    assert over_time(index, "M::`openai`:(sum(`question`)) [::1h]", step_s=60) == {0: 6}
    assert over_time(index, "M::`openai`:(p95(`response_time`)) [::1m]") == {0: 3, 60: 2, 120: 10, 180: 20}


def test_a_range_that_begins_within_an_interval_cuts_it(index):
    late = within(HOUR_S)._replace(start_ns=START_NS + 5 * SECOND_NS)
    values = evaluate(index, "M::`openai`:(sum(`question`)) [::1m]", late)
    assert values[((), START_NS)] == 1


def test_days_begin_at_local_midnight():
    # 1,700,002,800 is 23:00 UTC: midnight of the next day, one hour east of Greenwich.
    index = index_of_points(point(-1, {}, cost=1.0), point(1, {}, cost=2.0), point(HOUR_S + 1, {}, cost=4.0))
    here = within(2 * HOUR_S)._replace(start_ns=START_NS - HOUR_S * SECOND_NS)
    dql = "M::`openai`:(sum(`cost`)) [::1d]"
    assert sorted(evaluate(index, dql, here).values()) == [3, 4]
    assert sorted(evaluate(index, dql, here._replace(utc_offset_ns=HOUR_S * SECOND_NS)).values()) == [1, 6]


@pytest.mark.parametrize(
    ("time", "cost"),
    [("[2h]", 7), ("[1h]", 4), ("[2h:1h]", 3), ("[today]", 4), ("[yesterday]", 3), ("[1h::5m]", 4)],
)
def test_a_query_may_have_its_own_range(time, cost):
    index = index_of_points(point(0, {}, cost=1.0), point(1, {}, cost=2.0), point(HOUR_S + 1, {}, cost=4.0))
    an_hour = within(2 * HOUR_S)._replace(start_ns=START_NS + HOUR_S * SECOND_NS)
    values = evaluate(index, f"M::`openai`:(sum(`cost`)) {time}", an_hour)
    assert sum(values.values()) == cost


@pytest.mark.parametrize(
    ("fill", "minutes"),
    [
        ("0", {0: 4, 60: 0, 120: 8}),
        ("previous", {0: 4, 60: 4, 120: 8}),
        ("linear", {0: 4, 60: 6, 120: 8}),
        ("null", {0: 4, 120: 8}),
    ],
)
def test_intervals_without_points_are_filled(fill, minutes):
    index = index_of_points(point(0, {}, cost=4.0), point(130, {}, cost=8.0))
    dql = f"M::`openai`:(fill(sum(`cost`), {fill}) AS `cost`) [::1m]"
    assert over_time(index, dql, seconds=180) == minutes
    # A single number has no gaps.
    assert number(index, "M::`openai`:(fill(sum(`cost`), 0))") == 12


# --- expressions


def test_expressions_are_computed_by_group(index):
    rate = (
        'eval(A/B*100, A="M::`openai`:(sum(`res_status`)) BY `request_model`",'
        " B=\"M::`openai`:(sum(`question`)) BY `request_model`\", alias='Error rate')"
    )
    assert by_group(index, rate) == {("gpt-4o",): pytest.approx(100 / 3), ("o3",): 0}
    [answer] = evaluate_all(index, [Query(rate)], within(HOUR_S))
    assert [name for name, _ in answer.columns] == ["Error rate"]
    assert parse(rate).alias == "Error rate"


def test_an_expression_is_named_after_its_first_operand(index):
    [answer] = evaluate_all(index, [Query('eval(A+1, A="M::`openai`:(sum(`question`))")')], within(HOUR_S))
    assert answer.columns == [("sum(question)", {((), None): 7})]


def test_a_division_by_no_value_has_no_value(index):
    ratio = (
        'eval(A/B, A="M::`openai`:(sum(`question`))",'
        " B=\"M::`openai`:(sum(`res_status`)) { `status` = 'ok' }\")"
    )
    assert evaluate(index, ratio, within(HOUR_S)) == {}


# --- logs


def test_logs_are_counted_and_listed(index):
    assert number(index, "L::`openai`:(count(*))") == 2
    assert number(index, "L::`openai`:(count(`*`)) { `finish_reason` = 'stop' }") == 1
    [answer] = evaluate_all(
        index, [Query("L::`openai`:(`message`, `status`) { `status` = 'error' }")], within(HOUR_S)
    )
    assert [(row.tags_dict["status"], row.fields_dict["message"]) for row in answer.rows] == [("error", "no")]


def test_logs_are_sorted_and_limited(index):
    def messages(dql):
        [answer] = evaluate_all(index, [Query(dql)], within(HOUR_S))
        return [row.fields_dict["message"] for row in answer.rows]

    assert messages("L::`openai`:(`message`)") == ["<b>yes</b>", "no"]
    assert messages("L::`openai`:(`message`) LIMIT 1") == ["<b>yes</b>"]
    assert messages("L::`openai`:(*) ORDER BY `time` ASC LIMIT 1") == ["no"]


# --- unsupported queries


@pytest.mark.parametrize(
    ("dql", "named"),
    [
        ("", "the end"),
        ("SELECT 1", "SELECT"),
        ("O::`host`:(count(*))", "O::"),
        ("M::`openai`:(sum(`question`) @)", "@"),
        ("M::`openai`:(sum(`question`)) { `a` ~ 'b' }", "~"),
        ("M::`openai`:(sum(`question`)) HAVING 1", "HAVING"),
        ("M::`openai`:(holt_winters(`question`))", "holt_winters"),
        ("M::`openai`:(fill(sum(`question`), magic)) [::1m]", "magic"),
        ("M::`openai`:(sum(`question`)) [::1s]", "2,000 intervals"),
        ("M::`openai`:(sum(`question`)) { `request_model` =~ '(' }", "regular expression"),
        ('eval(A/C, A="M::`openai`:(sum(`question`))")', "C"),
        ('eval(A**9, A="M::`openai`:(sum(`question`))")', "arithmetic"),
        ("eval(__import__('os'))", "eval"),
    ],
)
def test_an_unsupported_query_is_reported_and_affects_no_other(index, dql, named):
    good = "M::`openai`:(sum(`question`))"
    first, error, last = evaluate_all(index, [Query(good), Query(dql), Query(good)], within(HOUR_S))
    assert isinstance(error, DQLError)
    assert named in str(error)
    assert isinstance(first, Answer)
    assert first == last
