"""The dashboards as files: up to date, valid, consistent with the code, and readable."""

import json
from collections import Counter
from itertools import combinations

import jsonschema
import pytest
from referencing import Registry, Resource
from shipped import (
    CHINESE,
    COUNTS,
    DASHBOARDS,
    LEVELS_OF_COUNTS,
    NOT_SHOWN,
    ROOT,
    USERS_TAG,
    WRITTEN,
    all_charts,
    all_dql,
    both_dashboards,
    both_languages,
    charts,
    checkers,
    dashboard,
    inner_queries,
    number_charts,
    read,
)

from guance_chatgpt_monitor.assets import LANGUAGES, render_assets, write_assets
from guance_chatgpt_monitor.core.errors import ERROR_TYPES
from guance_chatgpt_monitor.core.metrics import MEASUREMENT, MONITOR_MEASUREMENT, USAGE_MEASUREMENT
from guance_chatgpt_monitor.local.viewer.dql import Expression, parse, series_of

SCHEMAS = ROOT / "tests" / "schemas"
COLUMNS = 24
# Rows of Guance's grid on a laptop's screen.
SCREEN_ROWS = 16
MOST_CHARTS = 26
# The group that no variable filters: OpenAI's books cover the whole organization.
WHOLE = {"zh": "监控与账单", "en": "Monitored against billed"}


# --- the files


@both_languages
def test_the_files_are_up_to_date(language):
    for path, content in render_assets(language).items():
        assert json.loads(read(path)) == content, f"{path} is stale: run make assets"


@both_languages
def test_writing_them_again_gives_the_same_bytes(language, tmp_path):
    written = write_assets(language, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        f"dashboard/{language}/openai/openai.json",
        f"dashboard/{language}/openai_monitor/openai_monitor.json",
        f"monitor/{language}/openai/openai.json",
    ]
    for path in written:
        assert path.read_bytes() == (ROOT / path.relative_to(tmp_path)).read_bytes()


def test_no_other_files_are_committed_beside_them():
    committed = {
        path.relative_to(ROOT).as_posix()
        for kind in ("dashboard", "monitor")
        for path in (ROOT / kind).rglob("*")
        if path.is_file()
    }
    assert committed == {path for language in LANGUAGES for path in render_assets(language)}


def test_an_unknown_language_is_refused(tmp_path):
    with pytest.raises(ValueError, match="zh, en"):
        write_assets("fr", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_languages_differ_only_in_their_labels():
    assert "".join(all_dql("zh")) != "".join(all_dql("en"))  # the labels
    in_zh, in_en = ([series_of(dql) for dql in all_dql(language)] for language in LANGUAGES)
    assert without_labels(in_zh) == without_labels(in_en)
    assert [c["pos"] for c in all_charts("zh")] == [c["pos"] for c in all_charts("en")]
    english = [*(dashboard(name, "en") for name in DASHBOARDS), checkers("en")]
    assert not CHINESE.search(json.dumps(english, ensure_ascii=False))
    assert all(CHINESE.search(chart["name"]) for chart in all_charts("zh"))


def without_labels(queries):
    return [
        [s._replace(targets=tuple(target._replace(alias="") for target in s.targets)) for s in query]
        for query in queries
    ]


# --- the dashboards


def validator():
    found = [json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.rglob("*.json")]
    schemas = {schema["$id"]: schema for schema in found}
    # Missing in the schema, but all of Guance's own dashboards use it.
    query = schemas["charts/query/query-item-schema.json"]["properties"]["query"]
    query["properties"]["type"]["enum"].append("expression")
    registry = Registry().with_resources((name, Resource.from_contents(s)) for name, s in schemas.items())
    return jsonschema.Draft7Validator(schemas["dashboard-schema.json"], registry=registry)


@both_languages
@both_dashboards
def test_it_is_valid_under_guances_schema(name, language):
    assert [error.message for error in validator().iter_errors(dashboard(name, language))] == []


def test_the_schema_rejects_mistakes():
    broken = dashboard("openai", "en")
    broken["main"]["charts"][0]["extend"]["settings"]["unitType"] = "none"
    broken["main"]["charts"][1]["queries"][0]["query"]["type"] = "sum"
    assert len(list(validator().iter_errors(broken))) >= 2


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        (
            "openai",
            [
                "Overview",
                "Models, services and teams",
                "Errors and finish reasons",
                "Latency and speed",
                "Tokens and cost",
                "Rate-limit headroom",
            ],
        ),
        ("openai_monitor", ["Overview", "Delivery", "Probe and prices", "Monitored against billed"]),
    ],
)
def test_the_groups_are_in_reading_order(name, groups):
    shipped = dashboard(name, "en")
    assert [group["name"] for group in shipped["main"]["groups"]] == groups
    assert list(dict.fromkeys(chart["group"]["name"] for chart in charts(name, "en"))) == groups
    assert shipped["dashboardExtend"]["groupUnfoldStatus"] == dict.fromkeys(groups, True)


def test_the_daily_dashboard_is_short():
    assert len(charts("openai", "en")) <= MOST_CHARTS


def test_the_first_screen_answers_the_first_questions():
    first = [
        chart for chart in charts("openai", "en") if chart["pos"]["y"] + chart["pos"]["h"] <= SCREEN_ROWS
    ]
    asked = {(s.field, s.groups) for c in first for q in c["queries"] for s in series_of(q["query"]["q"])}
    assert asked >= {
        ("question", ()),  # how many calls
        ("res_status", ()),  # how many failed
        ("res_status", ("error_type", "status_code")),  # and why
        ("response_time", ()),  # how slow
        ("cost", ()),  # what it costs
        ("remaining_requests", ()),  # how much of the limits is left
        ("remaining_tokens", ()),
    }


@both_languages
@both_dashboards
def test_no_two_charts_show_the_same(name, language):
    shown = [
        (
            chart["type"],
            tuple(map(tuple, without_labels(series_of(q["query"]["q"]) for q in chart["queries"]))),
        )
        for chart in charts(name, language)
        if "compareType" not in chart["extend"]["settings"]
    ]
    assert [chart for chart, n in Counter(shown).items() if n > 1] == []
    titles = [chart["name"] for chart in charts(name, language)]
    assert len(titles) == len(set(titles))


@both_languages
def test_there_are_charts_for_common_questions(language):
    asked = [(s.field, s.groups) for dql in all_dql(language) for s in series_of(dql)]
    assert ("question", ("finish_reason",)) in asked
    assert ("time_to_first_token", ("request_model",)) in asked
    assert ("cached_tokens", ("request_model",)) in asked
    assert ("question", (USERS_TAG,)) in asked
    [logs] = [chart for chart in all_charts(language) if chart["type"] == "log"]
    assert series_of(logs["queries"][0]["query"]["q"])[0].category == "logging"


@both_languages
@both_dashboards
def test_charts_stay_within_the_grid_and_do_not_overlap(name, language):
    positions = [chart["pos"] for chart in charts(name, language)]
    for pos in positions:
        assert 0 <= pos["x"] < pos["x"] + pos["w"] <= COLUMNS
        assert pos["y"] >= 0
        assert pos["h"] > 0
    for one, other in combinations(positions, 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y, (one, other)


@both_languages
def test_uuids_are_unique(language):
    ids = [chart["uuid"] for chart in all_charts(language)]
    ids += [f["id"] for query in inner_queries(language) for f in query["filters"]]
    ids += [item["uuid"] for checker in checkers(language) for item in checker["extend"]["querylist"]]
    assert [uuid for uuid, n in Counter(ids).items() if n > 1] == []


@both_languages
def test_each_chart_names_its_group_in_all_three_places(language):
    of_group = {}  # type: ignore[var-annotated]
    for name in DASHBOARDS:
        for chart in charts(name, language):
            assert chart["prevGroupName"] == chart["group"]["name"]
            assert len(chart["uuid"]) == len("chrt_") + 32
            assert len(chart["chartGroupUUID"]) == len("chtg_") + 32
            of_group.setdefault(chart["chartGroupUUID"], set()).add((name, chart["group"]["name"]))
    assert all(len(names) == 1 for names in of_group.values())
    assert len(of_group) == 10


@both_languages
@both_dashboards
def test_it_has_the_integrations_icon(name, language):
    icons = dashboard(name, language)["iconSet"]
    assert icons == {
        "icon": "https://static-res.guance.com/dataflux-template/dashboard/openai/icon.svg",
        "url": "https://static-res.guance.com/dataflux-template/dashboard/openai/openai.png",
    }


# --- names, units, thresholds, links


@both_languages
def test_the_result_of_an_expression_is_named(language):
    """Otherwise, the console names it after the first operand, and finds neither its unit nor its alias."""
    for chart in number_charts(language):
        for query in chart["queries"]:
            parsed = parse(query["query"]["q"])
            name = parsed.alias if isinstance(parsed, Expression) else parsed.targets[0].alias
            assert name == query["name"] == query["query"]["alias"]
            assert (query["query"]["type"] == "expression") == isinstance(parsed, Expression)
    for checker in checkers(language):
        [query] = [item["query"] for item in checker["extend"]["querylist"]]
        assert query["alias"] == "Result"
        assert query["type"] in ("simple", "expression")


@both_languages
def test_every_chart_has_units(language):
    for chart in number_charts(language):
        settings = chart["extend"]["settings"]
        labels = [query["name"] for query in chart["queries"]]
        assert [unit["key"] for unit in settings["units"]] == labels
        assert [alias["key"] for alias in settings["alias"]] == labels
        assert all(unit["units"][1] for unit in settings["units"])
        if settings["unitType"] == "global":
            assert all(unit["units"] == settings["globalUnit"] for unit in settings["units"])


UNIT_OF_FIELD = {"s": ["time", "s"], "B": ["digital", "B"], "USD": ["custom", "USD"]}


@both_languages
def test_units_match_the_fields(language):
    for chart in number_charts(language):
        for query, unit in zip(chart["queries"], chart["extend"]["settings"]["units"], strict=True):
            parsed = parse(query["query"]["q"])
            operands = series_of(query["query"]["q"])
            field_unit = WRITTEN[operands[0].measurement][0][operands[0].field]
            if getattr(parsed, "expression", "").endswith("*100"):
                assert unit["units"] == ["percent", "percent"], chart["name"]
            elif field_unit in UNIT_OF_FIELD:
                assert unit["units"] == UNIT_OF_FIELD[field_unit], chart["name"]
            else:
                assert unit["units"][0] == "custom", chart["name"]
                wanted = "tokens" if operands[0].field.endswith("_tokens") else "count"
                assert unit["units"][1].startswith(wanted), chart["name"]


def test_whatever_can_go_wrong_has_thresholds():
    with_thresholds = {c["name"]: c["extend"]["settings"]["levels"] for c in charts("openai", "en")}
    for name in (
        "Error rate",
        "Error rate by model",
        "p95 response time",
        "p95 response time by model",
        "Requests left",
        "Tokens left",
        "Requests left by model",
        "Tokens left by model",
    ):
        assert with_thresholds[name], name
    # One colour per number.
    assert [(level["operation"], level["value"]) for level in with_thresholds["Error rate"]] == [
        ("between", ["5", "10"]),
        ("between", ["10", "20"]),
        (">=", ["20"]),
    ]
    assert [(level["operation"], level["value"]) for level in with_thresholds["Tokens left"]] == [
        ("between", ["5", "15"]),
        ("<", ["5"]),
    ]


@both_languages
def test_thresholds_match_the_monitors(language):
    """A chart turns red where a monitor fires."""
    of_monitors = {}  # type: ignore[var-annotated]
    for checker in checkers(language):
        [dql] = [target["dql"] for target in checker["jsonScript"]["targets"]]
        limits = {float(rule["conditions"][0]["operands"][0]) for rule in checker["extend"]["rules"]}
        for series in series_of(dql):
            of_monitors.setdefault(series.field, set()).update(limits)
    for chart in charts("openai", language):
        for level in chart["extend"]["settings"]["levels"]:
            value = level["value"]
            numbers = value if isinstance(value, list) else [value]
            fields = [s.field for q in chart["queries"] for s in series_of(q["query"]["q"])]
            known = set().union(*(of_monitors.get(field, set()) for field in fields))
            assert {float(number) for number in numbers} <= known, chart["name"]


@both_languages
def test_links_lead_to_the_logs_and_to_the_other_dashboard(language):
    titles = {name: dashboard(name, language)["title"] for name in DASHBOARDS}
    for name, other in (("openai", "openai_monitor"), ("openai_monitor", "openai")):
        links = [link for chart in charts(name, language) for link in chart["extend"]["links"]]
        custom = [link for link in links if link["type"] == "custom"]
        assert custom
        assert {link["alias"] for link in custom} == {titles[other]}
        assert all(f"name={titles[other]}&time=#{{TR}}" in link["url"] for link in custom)
        assert titles[other] in dashboard(name, language)["summary"]
    for chart in charts("openai", language):
        [logs] = [link for link in chart["extend"]["links"] if link["type"] == "logging"]
        assert logs["url"] == "/logIndi/log/all?time=#{TR}&query=source:openai #{T}"


def test_the_cost_is_compared_with_yesterdays():
    compared = {c["name"]: c["extend"]["settings"] for c in charts("openai", "en")}
    for name in ("Cost", "Cost: last 24 hours and the day before"):
        assert compared[name]["openCompare"] is True
        assert compared[name]["compareType"] == ["dayCompare"]
    assert compared["Cost: last 24 hours and the day before"]["fixedTime"] == "1d"
    assert "compareType" not in compared["Requests"]


@both_languages
def test_a_long_range_has_a_bounded_number_of_intervals(language):
    for chart in all_charts(language):
        settings = chart["extend"]["settings"]
        for query in chart["queries"]:
            for series in series_of(query["query"]["q"]):
                # The console chooses, except for days, and for hours in a chart of a single day.
                assert series.interval in ("", "1d") or (series.interval, settings["fixedTime"]) == (
                    "1h",
                    "1d",
                )
                assert settings["timeInterval"] == (series.interval or "auto")


@both_languages
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("openai", ["service_name", "request_model", "operation_name", "provider_name"]),
        ("openai_monitor", ["service_name", "provider_name"]),
    ],
)
def test_variables_take_their_values_from_tags_the_code_writes(name, wanted, language):
    variables = dashboard(name, language)["main"]["vars"]
    codes = [variable["code"] for variable in variables]
    assert codes == wanted
    for variable in variables:
        [measurement] = [m for m in WRITTEN if f"from=['{m}']" in variable["definition"]["value"]]
        assert f"keyin=['{variable['code']}']" in variable["definition"]["value"]
        assert variable["code"] in WRITTEN[measurement][1]
    for chart in charts(name, language):
        for query in chart["queries"]:
            for series in series_of(query["query"]["q"]):
                narrowed = chart["group"]["name"] != WHOLE[language]
                tags = WRITTEN[series.measurement][1]
                assert series.variables == [c for c in codes if narrowed and c in tags], chart["name"]


# --- the queries of dashboards and monitors


@both_languages
def test_queries_name_only_fields_and_tags_the_code_writes(language):
    for dql in all_dql(language):
        for series in series_of(dql):
            fields, tags = WRITTEN[series.measurement]
            assert series.field in fields, dql
            assert set(series.tags) <= {*tags, USERS_TAG}, dql
            assert {c.value for c in series.conditions if c.tag == "error_type"} <= set(ERROR_TYPES)
            assert {c.value for c in series.conditions if c.tag == "status"} <= {"ok", "error"}


@both_languages
def test_every_field_the_code_writes_is_shown(language):
    shown = {(s.measurement, s.field) for dql in all_dql(language) for s in series_of(dql)}
    written = {(measurement, field) for measurement, (fields, _) in WRITTEN.items() for field in fields}
    assert written - shown == {(MEASUREMENT, field) for field in NOT_SHOWN}


@both_languages
def test_each_query_agrees_with_its_structured_twin(language):
    for query in inner_queries(language):
        series = series_of(query["q"])
        assert all(tuple(query["groupBy"]) == one.groups for one in series)
        assert all(query["groupByTime"] == one.interval for one in series)
        filters = [(f["name"], f["op"], f["value"]) for f in query["filters"]]
        assert filters == [c for c in series[0].conditions if all(c in one.conditions for one in series)]
        if query["type"] == "simple":
            [one] = series
            assert (query["dataSource"], query["field"]) == (one.measurement, one.field)
            function = f"p{one.argument}" if one.function == "percentile" else one.function
            assert query["fieldFunc"] == function
            assert query["alias"] == one.alias
        else:
            parsed = parse(query["q"])
            children = {child["code"]: parse(child["q"]) for child in query["children"]}
            assert (query["expression"], children) == (parsed.expression, parsed.operands)


@both_languages
def test_the_log_query_agrees_with_its_structured_twin(language):
    [chart] = [chart for chart in all_charts(language) if chart["type"] == "log"]
    [query] = [query["query"] for query in chart["queries"]]
    [series] = series_of(query["q"])
    assert (query["namespace"], query["dataSource"]) == (series.category, series.measurement)
    assert [field["field"] for field in query["fields"]] == [target.field for target in series.targets]
    assert [(f["name"], f["op"], f["value"]) for f in query["filters"]] == list(series.conditions)
    settings = chart["extend"]["settings"]
    columns = [column["field"] for column in settings["inColumns"] + settings["addColumns"]]
    assert columns == ["time", *(field["field"] for field in query["fields"])]


@both_languages
def test_counts_are_summed_never_averaged(language):
    used = {(s.field, s.function) for dql in all_dql(language) for s in series_of(dql) if s.field in COUNTS}
    # A count is only the divisor of an average per point.
    assert {field for field, function in used if function == "count"} == {
        "prompt_tokens",
        "completion_tokens",
    }
    assert {function for _, function in used} == {"sum", "count"}
    assert {field for field, _ in used} == COUNTS


@both_languages
def test_remaining_limits_are_summed_only_to_divide_by_the_summed_limits(language):
    for dql in all_dql(language):
        series = series_of(dql)
        if len(series) > 1 and any(one.field in LEVELS_OF_COUNTS for one in series):
            left, limit = series
            assert parse(dql).expression == "A/B*100"
            assert (left.function, limit.function) == ("sum", "sum")
            assert left.field.replace("remaining_", "limit_") == limit.field


@both_languages
def test_points_and_content_log_are_never_counted_together(language):
    of_metrics_alone = {"unpriced_calls"}
    for dql in all_dql(language):
        for series in series_of(dql):
            if series.measurement != MONITOR_MEASUREMENT or series.field in of_metrics_alone:
                continue
            # The maximum or minimum of both is right without a condition.
            if series.function not in ("max", "min"):
                assert [c.value for c in series.conditions if c.tag == "category"] == ["logging"], dql


@both_languages
def test_the_two_dashboards_share_no_subject(language):
    """One shows the calls, the other the monitor and OpenAI's books."""
    of = {
        name: {
            s.measurement
            for c in charts(name, language)
            for q in c["queries"]
            for s in series_of(q["query"]["q"])
        }
        for name in DASHBOARDS
    }
    assert of["openai"] == {MEASUREMENT}
    assert USAGE_MEASUREMENT in of["openai_monitor"]
