"""The integration pages: complete and consistent with the code."""

import re
from inspect import signature

import yaml
from shipped import DASHBOARDS, ROOT, WRITTEN, both_languages, checkers, dashboard, read

from guance_chatgpt_monitor.assets import SITES
from guance_chatgpt_monitor.core.datakit import DEFAULT_URL
from guance_chatgpt_monitor.core.errors import ERROR_TYPES
from guance_chatgpt_monitor.core.metrics import MEASUREMENT
from guance_chatgpt_monitor.core.settings_table import DEFAULT_MODEL
from guance_chatgpt_monitor.core.validators import DEFAULT_BASE_URL
from guance_chatgpt_monitor.func.main import ChatGPTMonitor
from guance_chatgpt_monitor.func.startup_settings import SERVICE_NAME

EXAMPLE = "guance_chatgpt_monitor/func/example.py"


def tables(language, section):
    """The tables of a section as lists of rows of cells, without the headers."""
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
def test_the_page_uses_the_products_names_for_the_steps(language):
    page = read(f"docs/{language}/openai.md")
    labels = re.findall(r'"<([^>]+)>"', read(EXAMPLE))
    parameters, settings = tables(language, "config")
    assert [row[0] for row in parameters] == labels
    defaults = [DEFAULT_BASE_URL, DEFAULT_MODEL, DEFAULT_URL, SERVICE_NAME]
    assert [row[2].strip("`") for row in parameters[1:5]] == defaults
    arguments = list(signature(ChatGPTMonitor).parameters)[1:]
    of_the_template = re.findall(r"^    (\w+)=", read(EXAMPLE), re.MULTILINE)
    named = [name for row in settings for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(set(arguments) - set(of_the_template))
    for name in (
        yaml.safe_load(read("manifest.yaml"))["title"],
        "ID：`guance_chatgpt_monitor`" if language == "zh" else "ID: `guance_chatgpt_monitor`",
        "`startup__guance_chatgpt_monitor.chat`",
        "`cron-starup-guance_chatgpt_monitor`",
        "`OPENAI_API_KEY`",
        "`[http_api]`",
        'listen = "0.0.0.0:9529"',
        "`ENV_HTTP_LISTEN=0.0.0.0:9529`",
        "`http://datakit-service.datakit:9529`",
        "datakit service -R",
        "/simplified",
        f"path: 'monitor/{language}/openai'",
        f"assets --lang {language} --out",
        f"desc: '{checkers(language)[0]['monitorName']}'",
        *(f"path: 'dashboard/{language}/{name}'" for name in DASHBOARDS),
        *(f"desc: '{dashboard(name, language)['title']}'" for name in DASHBOARDS),
    ):
        assert name in page
    assert "http_listen" not in page


@both_languages
def test_the_front_matter_is_that_of_an_integration(language):
    _, front, _ = read(f"docs/{language}/openai.md").split("---\n", 2)
    matter = yaml.safe_load(front)
    assert matter["title"] == "OpenAI"
    assert matter["tags"]
    for kind in ("dashboard", "monitor"):
        for entry in matter[kind]:
            folder = ROOT / entry["path"]
            assert [path.name for path in folder.iterdir()] == [f"{folder.name}.json"]


@both_languages
def test_the_page_says_which_market_has_the_script_set(language):
    """The official one has a different set with the same ID."""
    page = read(f"docs/{language}/openai.md")
    assert "`script-market`" in page
    assert {"zh": "官方脚本市场", "en": "The official market"}[language] in page
    assert "guance-chatgpt-monitor check --func" in page


@both_languages
def test_the_page_names_every_site(language):
    page = read(f"docs/{language}/openai.md")
    assert [name for name in SITES if f"`{name}`" not in page] == []


@both_languages
def test_the_brand_is_guances_placeholder(language):
    """The same page serves Guance in China and TrueWatch abroad; only sites and the set are named."""
    page = read(f"docs/{language}/openai.md")
    assert page.count("<<< custom_key.brand_name >>>") >= 5
    page = page.replace(yaml.safe_load(read("manifest.yaml"))["title"], "")
    named = re.findall(r"观测云[^。，]{0,3}|Guance[^.,]{0,4}", page)
    assert named == {"zh": ["观测云的站点"], "en": ["Guance are"]}[language]


@both_languages
def test_the_pictures_are_in_the_language_of_the_page(language):
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", read(f"docs/{language}/openai.md"))
    assert pictures == [f"../images/{name}-{language}.png" for name in ("dashboard", "monitors")]
