"""The dashboards, the monitors and the integration pages, as files: fresh, valid, true to the code."""

import json
import re
from collections import Counter
from inspect import signature
from itertools import combinations
from pathlib import Path

import jsonschema
import pytest
import yaml
from referencing import Registry, Resource

from guance_chatgpt_monitor.assets import LANGUAGES, render_assets, write_assets
from guance_chatgpt_monitor.core.datakit import DEFAULT_URL
from guance_chatgpt_monitor.core.errors import ERROR_TYPES
from guance_chatgpt_monitor.core.metrics import (
    FIELDS,
    MEASUREMENT,
    MONITOR_FIELDS,
    MONITOR_MEASUREMENT,
    MONITOR_TAGS,
    PROBE_FIELDS,
    PROBE_MEASUREMENT,
    PROBE_TAGS,
    TAGS,
    USAGE_FIELDS,
    USAGE_MEASUREMENT,
    USAGE_TAGS,
)
from guance_chatgpt_monitor.func.chatgpt import DEFAULT_BASE_URL, DEFAULT_MODEL
from guance_chatgpt_monitor.func.main import ChatGPTMonitor
from guance_chatgpt_monitor.func.startup_settings import SERVICE_NAME
from guance_chatgpt_monitor.local.viewer.dql import parse, series_of

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMAS = ROOT / "tests" / "schemas"
COLUMNS = 24
WRITTEN = {
    MEASUREMENT: (FIELDS, TAGS),
    MONITOR_MEASUREMENT: (MONITOR_FIELDS, MONITOR_TAGS),
    PROBE_MEASUREMENT: (PROBE_FIELDS, PROBE_TAGS),
    USAGE_MEASUREMENT: (USAGE_FIELDS, USAGE_TAGS),
}
# What is a level at a moment, though its unit is "count": its sum over time means nothing.
LEVELS_OF_COUNTS = {
    "backlog_lines",
    "remaining_requests",
    "remaining_tokens",
    "limit_requests",
    "limit_tokens",
}
COUNTS = {
    name
    for fields, _ in WRITTEN.values()
    for name, unit in fields.items()
    if unit == "count" and name not in LEVELS_OF_COUNTS
}
# The group whose charts no variable narrows: what OpenAI books is the whole organization's.
WHOLE = {"zh": "监控与账单", "en": "Monitored against billed"}
# Of Guance's event levels, the worst first.
LEVELS = ["fatal", "critical", "error", "warning"]

CHINESE = re.compile(r"[\u4e00-\u9fff]")

both_languages = pytest.mark.parametrize("language", LANGUAGES)


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def dashboard(language):
    return json.loads(read(f"dashboard/{language}/openai/openai.json"))


def charts(language):
    return dashboard(language)["main"]["charts"]


def checkers(language):
    return json.loads(read(f"monitor/{language}/openai/openai.json"))["checkers"]


def inner_queries(language):
    """Every query that has a `q` and its structured twin: of charts, of monitors, and inside expressions."""
    outer = [query["query"] for chart in charts(language) for query in chart["queries"]]
    outer += [item["query"] for checker in checkers(language) for item in checker["extend"]["querylist"]]
    return outer + [child for query in outer for child in query.get("children", [])]


def all_dql(language):
    return [query["q"] for query in inner_queries(language)]


# --- the files


@both_languages
def test_the_files_are_what_make_assets_writes(language):
    for path, content in render_assets(language).items():
        assert json.loads(read(path)) == content, f"{path} is stale: run make assets"


@both_languages
def test_writing_them_again_gives_the_same_bytes(language, tmp_path):
    written = write_assets(language, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        f"dashboard/{language}/openai/openai.json",
        f"monitor/{language}/openai/openai.json",
    ]
    for path in written:
        assert path.read_bytes() == (ROOT / path.relative_to(tmp_path)).read_bytes()


def test_another_language_is_refused(tmp_path):
    with pytest.raises(ValueError, match="zh, en"):
        write_assets("fr", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_both_languages_are_one_thing_in_two_languages():
    assert "".join(all_dql("zh")) != "".join(all_dql("en"))  # the labels
    in_zh, in_en = ([series_of(dql) for dql in all_dql(language)] for language in LANGUAGES)
    assert without_labels(in_zh) == without_labels(in_en)
    assert [c["pos"] for c in charts("zh")] == [c["pos"] for c in charts("en")]
    assert not CHINESE.search(json.dumps([dashboard("en"), checkers("en")], ensure_ascii=False))
    assert all(CHINESE.search(chart["name"]) for chart in charts("zh"))
    assert all(CHINESE.search(checker["jsonScript"]["message"]) for checker in checkers("zh"))


def without_labels(queries):
    return [
        [s._replace(targets=tuple(target._replace(alias="") for target in s.targets)) for s in query]
        for query in queries
    ]


@both_languages
def test_uuids_are_unique(language):
    ids = [f["id"] for query in inner_queries(language) for f in query["filters"]]
    ids += [item["uuid"] for checker in checkers(language) for item in checker["extend"]["querylist"]]
    assert [uuid for uuid, n in Counter(ids).items() if n > 1] == []


# --- the dashboard


def validator():
    found = [json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.rglob("*.json")]
    schemas = {schema["$id"]: schema for schema in found}
    registry = Registry().with_resources((name, Resource.from_contents(s)) for name, s in schemas.items())
    return jsonschema.Draft7Validator(schemas["dashboard-schema.json"], registry=registry)


@both_languages
def test_the_dashboard_is_valid_by_guances_schema(language):
    assert [error.message for error in validator().iter_errors(dashboard(language))] == []


def test_the_schema_would_notice():
    broken = dashboard("en")
    broken["main"]["charts"][0]["extend"]["settings"]["unitType"] = "none"
    broken["main"]["charts"][1]["queries"][0]["query"]["type"] = "expression"
    assert len(list(validator().iter_errors(broken))) >= 2


def test_the_groups_are_in_the_order_in_which_one_looks():
    names = [group["name"] for group in dashboard("en")["main"]["groups"]]
    assert names == [
        "Overview",
        "By model",
        "Requests and errors",
        "Latency",
        "Tokens and cost",
        "Rate-limit headroom",
        "Monitored against billed",
        "Health of the monitor",
    ]
    assert list(dict.fromkeys(chart["group"]["name"] for chart in charts("en"))) == names
    assert dashboard("en")["dashboardExtend"]["groupUnfoldStatus"] == dict.fromkeys(names, True)


@both_languages
def test_charts_stay_on_the_columns_and_do_not_overlap(language):
    positions = [chart["pos"] for chart in charts(language)]
    for pos in positions:
        assert 0 <= pos["x"] < pos["x"] + pos["w"] <= COLUMNS
        assert pos["y"] >= 0
        assert pos["h"] > 0
    for one, other in combinations(positions, 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y, (one, other)


@both_languages
def test_every_chart_has_units(language):
    for chart in charts(language):
        settings = chart["extend"]["settings"]
        labels = [query["name"] for query in chart["queries"]]
        assert [unit["key"] for unit in settings["units"]] == labels
        assert all(unit["units"][1] for unit in settings["units"])
        if settings["unitType"] == "global":
            assert all(unit["units"] == settings["globalUnit"] for unit in settings["units"])


UNIT_OF_FIELD = {"s": ["time", "s"], "B": ["digital", "B"], "USD": ["custom", "USD"]}


@both_languages
def test_units_are_those_of_the_fields(language):
    for chart in charts(language):
        for query, unit in zip(chart["queries"], chart["extend"]["settings"]["units"]):
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


@both_languages
def test_the_variables_used_are_defined_by_tags_that_the_code_writes(language):
    variables = dashboard(language)["main"]["vars"]
    codes = [variable["code"] for variable in variables]
    assert codes == ["service_name", "request_model", "operation_name", "provider_name"]
    for variable in variables:
        assert f"from=['{MEASUREMENT}'], keyin=['{variable['code']}']" in variable["definition"]["value"]
        assert variable["code"] in TAGS
    for chart in charts(language):
        for query in chart["queries"]:
            for series in series_of(query["query"]["q"]):
                narrowed = chart["group"]["name"] != WHOLE[language]
                wanted = [code for code in codes if narrowed and code in WRITTEN[series.measurement][1]]
                assert series.variables == wanted, chart["name"]


# --- the queries of both


@both_languages
def test_queries_name_only_what_the_code_writes(language):
    for dql in all_dql(language):
        for series in series_of(dql):
            fields, tags = WRITTEN[series.measurement]
            assert series.field in fields, dql
            assert set(series.tags) <= set(tags), dql
            assert {c.value for c in series.conditions if c.tag == "error_type"} <= set(ERROR_TYPES)
            assert {c.value for c in series.conditions if c.tag == "status"} <= {"ok", "error"}


@both_languages
def test_the_query_and_its_structured_twin_say_the_same(language):
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
def test_counts_are_summed_never_averaged(language):
    used = {(s.field, s.function) for dql in all_dql(language) for s in series_of(dql) if s.field in COUNTS}
    assert {function for _, function in used} == {"sum"}
    assert {field for field, _ in used} == COUNTS


@both_languages
def test_what_is_left_of_a_limit_is_summed_only_over_the_sum_of_the_limits(language):
    for dql in all_dql(language):
        series = series_of(dql)
        if len(series) > 1 and any(one.field in LEVELS_OF_COUNTS for one in series):
            left, limit = series
            assert parse(dql).expression == "A/B*100"
            assert (left.function, limit.function) == ("sum", "sum")
            assert left.field.replace("remaining_", "limit_") == limit.field


@both_languages
def test_points_and_content_log_are_never_counted_together(language):
    of_metrics_alone = {"unpriced_calls", "write_time"}
    for dql in all_dql(language):
        for series in series_of(dql):
            if series.measurement != MONITOR_MEASUREMENT or series.field in of_metrics_alone:
                continue
            # The highest or lowest of both is right without.
            if series.function not in ("max", "min"):
                assert [c.value for c in series.conditions if c.tag == "category"] == ["logging"], dql


# --- the monitors

# From Guance's documentation of threshold detection: how often -> over which time, in seconds.
INTERVALS = {
    "1m": {60, 300, 900, 1800, 3600, 10800},
    "5m": {300, 900, 1800, 3600, 10800},
    "1h": {3600, 10800, 21600, 43200, 86400},
}


@both_languages
def test_each_is_checked_as_often_and_over_such_a_time_as_guance_offers(language):
    for checker in checkers(language):
        script = checker["jsonScript"]
        assert script["interval"] in INTERVALS[script["every"]], script["name"]


@both_languages
def test_both_copies_of_query_and_rules_are_the_same(language):
    for checker in checkers(language):
        script, extend = checker["jsonScript"], checker["extend"]
        assert [t["dql"] for t in script["targets"]] == [item["query"]["q"] for item in extend["querylist"]]
        assert script["checkerOpt"]["rules"] == extend["rules"]
        [dql] = [target["dql"] for target in script["targets"]]
        assert all(tuple(script["groupBy"]) == series.groups for series in series_of(dql))
        assert len(script["groupBy"]) <= 3  # Guance takes no more


@both_languages
def test_levels_are_adjacent_with_one_comparison_each(language):
    for checker in checkers(language):
        rules = checker["jsonScript"]["checkerOpt"]["rules"]
        conditions = [condition for rule in rules for condition in rule["conditions"]]
        assert len(conditions) == len(rules)
        statuses = [rule["status"] for rule in rules]
        assert statuses == sorted(set(statuses), key=LEVELS.index)
        assert all(isinstance(operand, str) for c in conditions for operand in c["operands"])
        limits = [float(operand) for c in conditions for operand in c["operands"]]
        [comparison] = {condition["operator"] for condition in conditions}
        assert comparison in (">=", "<")
        assert limits == sorted(limits, reverse=comparison == ">=")
        assert len(set(limits)) == len(limits) == len(rules)
        assert statuses == LEVELS[LEVELS.index(statuses[0]) :][: len(statuses)]


@both_languages
def test_messages_say_what_to_do_and_name_only_what_guance_can_fill_in(language):
    for checker in checkers(language):
        script = checker["jsonScript"]
        message = script["message"]
        assert re.search(r"^> 1\. ", message, re.MULTILINE), message
        # Guance shows the whole message as one quotation, line by line.
        assert all(line.startswith("> ") for line in message.split("  \n"))
        texts = [script["title"], message, script["noDataTitle"], script["noDataMessage"]]
        named = {name for text in texts for name in re.findall(r"\{\{\s*(\w+)", text)}
        assert named <= {*script["groupBy"], "Result", "df_status"}
        assert set(script["groupBy"]) <= set(re.findall(r"\{\{\s*(\w+)", script["title"]))


def test_there_is_a_monitor_for_each_trouble():
    titles = [checker["jsonScript"]["title"] for checker in checkers("en")]
    assert [title.split(" (")[0] for title in titles] == [
        "OpenAI error rate too high",
        "OpenAI rate limit reached",
        "OpenAI request headroom low",
        "OpenAI token headroom low",
        "OpenAI quota used up",
        "OpenAI authentication fails",
        "OpenAI 95th percentile response time too long",
        "OpenAI tokens used too fast",
        "OpenAI cost grows too fast",
        "OpenAI books requests that the monitor does not see",
        "OpenAI API unreachable",
        "OpenAI monitor runs but no call is recorded",
        "OpenAI monitor cannot reach DataKit",
        "OpenAI monitor backlog grows",
    ]


# --- the integration pages


def tables(language, section):
    """The tables of a section, as lists of rows of cells, without their heads."""
    [text] = re.findall(
        rf"^## .*\{{#{section}\}}\n(.*?)(?=^## |\Z)",
        read(f"docs/{language}/openai.md"),
        re.MULTILINE | re.DOTALL,
    )
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[[c.strip() for c in row.strip("|\n").split("|")] for row in b.splitlines()[2:]] for b in blocks]


@both_languages
def test_the_page_names_the_metrics_with_their_units(language):
    listed = tables(language, "metric")
    assert [{row[0].strip("`"): row[3] for row in table} for table in listed] == [
        fields for fields, _ in WRITTEN.values()
    ]
    assert {row[2] for table in listed for row in table} == {"float"}


@both_languages
def test_the_page_names_the_tags_and_the_error_types(language):
    [listed] = tables(language, "tag")
    tags = {row[0].strip("`"): row[1] for row in listed}
    assert set(tags) == {tag for _, written in WRITTEN.values() for tag in written}
    for tag, description in tags.items():
        named = [name for name in WRITTEN if name != MEASUREMENT and f"`{name}`" in description]
        assert named == [name for name in WRITTEN if name != MEASUREMENT and tag in WRITTEN[name][1]], tag
    assert [name for name in re.findall(r"`(\w+)`", tags["error_type"]) if name not in WRITTEN] == list(
        ERROR_TYPES
    )


@both_languages
def test_the_page_names_the_monitors_with_their_levels(language):
    [monitors] = tables(language, "monitor")
    listed = {row[0]: [float(n) for n in re.findall(r"[≥<] (\d+)", row[2])] for row in monitors}
    shipped = {}
    for checker in checkers(language):
        script = checker["jsonScript"]
        name = re.split(r" \(|（", script["title"])[0]
        conditions = [rule["conditions"][0] for rule in script["checkerOpt"]["rules"]]
        shipped[name] = [float(condition["operands"][0]) for condition in conditions]
    assert listed == shipped


@both_languages
def test_the_page_names_the_steps_as_the_product_does(language):
    page = read(f"docs/{language}/openai.md")
    labels = re.findall(r'"<([^>]+)>"', read("guance_chatgpt_monitor/func/example.py"))
    parameters, settings = tables(language, "config")
    assert [row[0] for row in parameters] == labels
    defaults = [DEFAULT_BASE_URL, DEFAULT_MODEL, DEFAULT_URL, SERVICE_NAME]
    assert [row[2].strip("`") for row in parameters[1:5]] == defaults
    arguments = list(signature(ChatGPTMonitor).parameters)[1:]
    of_the_template = re.findall(r"^    (\w+)=", read("guance_chatgpt_monitor/func/example.py"), re.MULTILINE)
    named = [name for row in settings for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(set(arguments) - set(of_the_template))
    for name in (
        yaml.safe_load(read("manifest.yaml"))["title"],
        "ID：`guance_chatgpt_monitor`" if language == "zh" else "ID: `guance_chatgpt_monitor`",
        "`startup__guance_chatgpt_monitor.chat`",
        "`cron-starup-guance_chatgpt_monitor`",
        "`OPENAI_API_KEY`",
        'http_listen = "0.0.0.0:9529"',
        "datakit service -R",
        "/simplified",
        f"path: 'dashboard/{language}/openai'",
        f"path: 'monitor/{language}/openai'",
        f"assets --lang {language} --out",
        f"desc: '{dashboard(language)['title']}'",
        f"desc: '{checkers(language)[0]['monitorName']}'",
    ):
        assert name in page
