"""The monitors as files: what they compare, how they recover, and their messages."""

import re

from shipped import CHINESE, DASHBOARDS, both_languages, checkers, dashboard

from guance_chatgpt_monitor.local.viewer.dql import series_of

# Guance's event levels, worst first.
LEVELS = ["fatal", "critical", "error", "warning"]
# From Guance's documentation of threshold detection: check frequency -> ranges in seconds.
INTERVALS = {
    "1m": {60, 300, 900, 1800, 3600, 10800},
    "5m": {300, 900, 1800, 3600, 10800},
    "1h": {3600, 10800, 21600, 43200, 86400},
}
# Filled in by the console, besides the tags a monitor groups by.
FILLED_IN = {"Result", "df_status", "df_event_url"}


def scripts(language):
    return [checker["jsonScript"] for checker in checkers(language)]


def named(text):
    return set(re.findall(r"\{\{\s*(\w+)", text))


def test_there_is_a_monitor_for_each_kind_of_failure():
    assert [script["title"].split(" (")[0] for script in scripts("en")] == [
        "OpenAI error rate too high",
        "OpenAI authentication failures",
        "OpenAI p95 response time too high",
        "OpenAI API unreachable",
        "OpenAI rate limit reached",
        "OpenAI request headroom low",
        "OpenAI token headroom low",
        "OpenAI quota exhausted",
        "OpenAI token usage too high",
        "OpenAI hourly cost too high",
        "OpenAI bills for unmonitored requests",
        "OpenAI monitor records no calls",
        "OpenAI monitor cannot reach DataKit",
        "OpenAI monitor backlog growing",
    ]


@both_languages
def test_each_has_a_frequency_and_range_that_guance_offers(language):
    for script in scripts(language):
        assert script["interval"] in INTERVALS[script["every"]], script["name"]


@both_languages
def test_both_copies_of_query_and_rules_are_the_same(language):
    for checker in checkers(language):
        script, extend = checker["jsonScript"], checker["extend"]
        assert [t["dql"] for t in script["targets"]] == [item["query"]["q"] for item in extend["querylist"]]
        assert script["checkerOpt"]["rules"] == extend["rules"]
        [dql] = [target["dql"] for target in script["targets"]]
        assert all(tuple(script["groupBy"]) == series.groups for series in series_of(dql))
        assert len(script["groupBy"]) <= 3  # Guance's limit


@both_languages
def test_levels_are_adjacent_with_one_comparison_each(language):
    for script in scripts(language):
        rules = script["checkerOpt"]["rules"]
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
def test_each_recovers_when_data_stops(language):
    """Without data, a sum counts as 0 and any other value as recovered."""
    for script in scripts(language):
        [dql] = [target["dql"] for target in script["targets"]]
        series = series_of(dql)
        assert script["noDataInterval"] >= 300
        if script["noDataAction"] == "noDataEvent":
            assert series[0].field == "datakit_up"
            assert script["noDataTitle"]
            assert re.search(r"^> 1\. ", script["noDataMessage"], re.MULTILINE)
        else:
            summed = len(series) == 1 and series[0].function == "sum"
            assert script["noDataAction"] == ("checkAs0" if summed else "okEvent"), script["name"]
            assert script["noDataTitle"] == script["noDataMessage"] == ""
            # 0 itself must not fire.
            [comparison] = {r["conditions"][0]["operator"] for r in script["checkerOpt"]["rules"]}
            assert not (summed and comparison == "<")


@both_languages
def test_messages_give_advice_and_name_only_variables_guance_fills_in(language):
    for script in scripts(language):
        head, trouble, other, recovery, tail = re.split(r"\n(?={%)|(?<=%})\n", script["message"])
        assert (head, other, tail) == ("{% if df_status != 'ok' %}", "{% else %}", "{% endif %}")
        assert re.search(r"^> 1\. ", trouble, re.MULTILINE)
        assert "{{ Result" in trouble or "DataKit" in trouble or "30" in trouble
        for text in (trouble, recovery, script["recoverMessage"], *filter(None, [script["noDataMessage"]])):
            # The console shows it as one quotation.
            assert all(line.startswith("> ") for line in text.split("  \n"))
            assert "{{ df_status | to_status_human }}" in text
            assert "({{ df_event_url }})" in text
            assert named(text) <= {*script["groupBy"], *FILLED_IN}
            assert set(script["groupBy"]) <= named(text)
        assert script["recoverMessage"] == recovery
        assert "Result" not in named(recovery)  # useless after recovery, and possibly missing
        for title in filter(None, (script["title"], script["recoverTitle"], script["noDataTitle"])):
            assert named(title) == set(script["groupBy"])
            assert len(title) <= 128
        assert script["recoverTitle"] != script["title"]


@both_languages
def test_messages_are_whole_sentences(language):
    for script in scripts(language):
        for text in (script["message"], script["recoverMessage"], script["noDataMessage"]):
            ends = "。：])" if language == "zh" else ".:])"
            lines = [line for line in text.splitlines() if line.startswith("> ")]
            told = [
                line.strip() for line in lines if "{{ df_status" not in line and "{{ service_name" not in line
            ]
            assert all(line[-1] in ends for line in told), told
            assert (language == "zh") == bool(CHINESE.search(text)) or not text


@both_languages
def test_the_groups_named_in_messages_exist(language):
    groups = {g["name"] for name in DASHBOARDS for g in dashboard(name, language)["main"]["groups"]}
    titles = {re.split(r" \(|（", script["title"])[0] for script in scripts(language)}
    others = {"zh": {"任务记录", "管理 / 自动触发配置"}, "en": set()}[language]
    quoted = r"「([^」]+)」" if language == "zh" else r'"([A-Z][^"]+)"'
    for script in scripts(language):
        sent_to = set(re.findall(quoted, script["message"] + script["noDataMessage"]))
        assert sent_to <= groups | titles | others, script["name"]


@both_languages
def test_an_unreachable_datakit_comes_with_advice(language):
    [script] = [s for s in scripts(language) if s["noDataAction"] == "noDataEvent"]
    for part in (
        'listen = "0.0.0.0:9529"',
        "[http_api]",
        "ENV_HTTP_LISTEN=0.0.0.0:9529",
        "http://datakit-service.datakit:9529",
    ):
        assert part in script["message"]
    assert "http_listen" not in script["message"]
