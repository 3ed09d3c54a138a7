"""The local page in a real browser, with points of every kind."""

import os
import subprocess
import sys
import time

import pytest
import requests
from browser import chromium
from viewing import COST, ERROR_RATE, P95, REQUESTS, REQUESTS_LEFT, chart_of

from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
from guance_chatgpt_monitor.local.openai.server import LocalOpenAI
from guance_chatgpt_monitor.local.viewer import shipped

pytestmark = pytest.mark.slow

TIMEOUT_S = 30.0
HOSTILE = "<script>document.title='hacked'</script><img src=x onerror=document.title='hacked'>"
HOSTILE_TAG = HOSTILE.replace(" ", "\\ ").replace("=", "\\=").replace(",", "\\,")


@pytest.fixture(scope="module")
def datakit():
    with LocalDataKit() as datakit:
        write(datakit, "metric", *metric_lines(time.time_ns()))
        write(datakit, "logging", *log_lines(time.time_ns()))
        yield datakit


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def quiet(browser):
    """The browser, which must end without an error in its console."""
    browser.errors()
    browser.emulate()
    yield browser
    assert browser.errors() == []


@pytest.fixture
def page(quiet, datakit):
    """The page in English, showing the dashboard.

    It takes seconds to draw, so the next test finds it as it is left: each undoes all but a change of tab.
    """
    if quiet.run("return window.inEnglish"):
        show(quiet, "openai")
    else:
        quiet.open(datakit.url)
        quiet.run("window.inEnglish = true")
    return quiet


DRAWN = {
    "openai": '[id="openai/0"]',
    "calls": "#calls",
    "monitors": "#monitors",
    "openai_monitor": '[id="openai_monitor/0"]',
}


def show(page, tab):
    """Go to a tab of the page, without loading it again."""
    page.click(f"#tab-{tab}")
    page.wait(f"document.querySelector('{DRAWN[tab]}')")


def write(datakit, category, *lines):
    url = f"{datakit.url}/v1/write/{category}?precision=n"
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(url, "\n".join(lines).encode(), timeout=TIMEOUT_S)
    assert answer.status_code == 200, answer.text


def metric_lines(now_ns):
    """Calls over ten minutes, every tenth of them failed, and all that the second dashboard shows."""
    shop = "host=h,service_name=shop,team=web,operation_name=chat,provider_name=openai,stream=true"
    lines = []
    for n in range(20):
        at = now_ns - (20 - n) * 30 * 10**9
        model = "gpt-4o" if n % 3 else "gpt-4o-mini"
        calls = "question=1,response_time=2,create_time=2"
        if n % 10 == 9:
            failed = "status=error,status_code=429,error_type=rate_limit"
            lines.append(
                f"openai,{shop},request_model={model},{failed} {calls},res_status=1,total_tokens=0 {at}"
            )
            continue
        answered = f"request_model={model},model={model},status=ok,status_code=200,finish_reason=stop"
        tokens = "total_tokens=150,prompt_tokens=100,completion_tokens=50,cached_tokens=40,reasoning_tokens=5"
        left = "remaining_requests=90,limit_requests=100,remaining_tokens=900,limit_tokens=1000"
        times = "processing_time=1,time_to_first_token=0.5,delay=3,cost=0.25"
        lines.append(f"openai,{shop},{answered} {calls},res_status=0,{tokens},{left},{times} {at}")
        lines.append(
            f"openai,{shop.replace('true', 'false')},{answered} {calls},res_status=0,{tokens},{times} {at}"
        )
        health = "backlog_lines=3,backlog_bytes=300,oldest_age=9,delivered=2,replayed=1,datakit_up=1"
        health += ",write_time=0.01"
        lines.append(f"openai_monitor,service_name=shop {health} {at}")
        lines.append(f"openai_monitor,service_name=shop,reason=too_old dropped=1 {at}")
        lines.append(f"openai_monitor,service_name=shop,category=logging {health},dropped=1 {at}")
        lines.append(f"openai_monitor,service_name=shop,model=gpt-9 unpriced_calls=1 {at}")
        lines.append(f"openai_probe,service_name=shop,provider_name=openai up=1,response_time=0.2 {at}")
        books = "requests=3,input_tokens=300,output_tokens=150,cached_tokens=120"
        lines.append(f"openai_usage,model=gpt-4o,project_id=proj_shop {books} {at}")
        lines.append(f"openai_usage,model=gpt-4o,project_id=proj_shop,line_item=input cost=1 {at}")
    hostile = f"service_name={HOSTILE_TAG},request_model={HOSTILE_TAG},team={HOSTILE_TAG},status=ok"
    lines.append(
        f"openai,{hostile},provider_name=openai,operation_name=chat question=1,response_time=1 {now_ns}"
    )
    return lines


def log_lines(now_ns):
    tags = "service_name=shop,request_model=gpt-4o,operation_name=chat,provider_name=openai"
    texts = f'message="{HOSTILE}",request_id="req_1"'
    return [f"openai,{tags},status=error,error_type=timeout {texts} {now_ns - 10**9}"]


def number(dql):
    """The selector of the number in the single-value chart whose query begins with `dql`."""
    place = chart_of(shipped.dashboards("en")["openai"], dql)
    return f'[id="openai/{place}"] b'


def first_name(language):
    return shipped.dashboards(language)["openai"]["main"]["charts"][0]["name"]


def points(datakit, name):
    return sum(point.fields.get(name, 0) for point in datakit.points("openai"))


# --- dashboards


@pytest.mark.parametrize("name", ["openai", "openai_monitor"])
@pytest.mark.parametrize("language", shipped.LANGUAGES)
def test_every_chart_of_both_dashboards_is_drawn_with_data(quiet, datakit, name, language):
    page = quiet
    page.emulate(language)
    page.open(datakit.url, name)
    charts = shipped.dashboards(language)[name]["main"]["charts"]
    page.wait(f"document.querySelectorAll('.panel').length === {len(charts)}")
    n_sequences = sum(chart["type"] == "sequence" for chart in charts)
    drawn = "[...document.querySelectorAll('.sequence')].filter((card) => card.querySelector('.trace path'))"
    page.wait(f"{drawn}.length === {n_sequences}")
    assert page.texts(".panel h3") == [chart["name"] for chart in charts]
    assert page.texts(".panel .empty") == []
    values = page.run("return [...document.querySelectorAll('[data-value]')].map((e) => e.dataset.value)")
    assert all(values)
    # For screen readers.
    labels = page.run("return [...document.querySelectorAll('.canvas')].map((e) => e.ariaLabel)")
    assert len(labels) == n_sequences
    assert all(any(character.isdigit() for character in label) for label in labels)


def test_single_value_charts_show_the_numbers_of_the_points(page, datakit):
    def value(dql):
        return float(page.run("return document.querySelector(arguments[0]).dataset.value", number(dql)))

    questions = points(datakit, "question")
    page.wait(f"Number(document.querySelector('{number(REQUESTS)}').dataset.value) === {questions}")
    assert value(ERROR_RATE) == pytest.approx(100 * points(datakit, "res_status") / questions)
    assert value(COST) == points(datakit, "cost")
    assert value(P95) == 2
    assert value(REQUESTS_LEFT) == 90


def test_a_filter_applies_to_all_charts(page, datakit):
    page.choose("request_model", "gpt-4o-mini")
    wanted = sum(p.tags["request_model"] == "gpt-4o-mini" for p in datakit.points("openai"))
    page.wait(f"document.querySelector('{number(REQUESTS)}').dataset.value === '{wanted}'")
    page.choose("request_model", "*")
    page.wait(f"document.querySelector('{number(REQUESTS)}').dataset.value !== '{wanted}'")


def test_a_chart_can_be_read_as_a_table_with_the_keyboard(page):
    from selenium.webdriver.common.keys import Keys

    page.run("document.querySelector('.sequence .as-table').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.wait("document.querySelectorAll('.sequence table tbody tr').length > 10")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.wait("document.querySelectorAll('.sequence table').length === 0")


def test_a_new_call_appears_without_a_reload(page, datakit):
    before = page.text(number(REQUESTS))
    now_ns = time.time_ns()
    write(datakit, "metric", f"openai,service_name=shop,request_model=o3,status=ok question=1 {now_ns}")
    page.wait(f"document.querySelector('{number(REQUESTS)}').innerText !== '{before}'")


def test_a_charts_link_leads_to_its_tab(page):
    from selenium.webdriver.common.keys import Keys

    page.run("document.querySelector('.panel .links a[href=\"#openai_monitor\"]').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.wait("document.getElementById('tab-openai_monitor').ariaSelected === 'true'")
    page.wait("document.querySelector('[id=\"openai_monitor/0\"]')")


# --- calls


def test_calls_are_listed_and_their_content_is_shown_as_text(page):
    show(page, "calls")
    page.wait("document.querySelector('#calls tbody tr')")
    page.choose("status", "error")
    page.wait("document.querySelectorAll('#calls tbody tr').length === 2")
    assert all("rate_limit 429" in row for row in page.texts("#calls tbody tr"))
    page.choose("status", "*")
    page.choose("service_name", HOSTILE)
    page.wait("document.querySelectorAll('#calls tbody tr').length === 1")
    page.click("#calls tbody tr button")
    page.wait("document.querySelector('.detail')")
    assert HOSTILE in page.text(".detail")
    page.choose("service_name", "*")


def test_hostile_content_is_shown_as_text_everywhere(page):
    page.wait("document.querySelector('.log table') && document.querySelector('.trace path')")
    assert HOSTILE in page.text(".log table")
    assert any(HOSTILE in text for text in page.texts(".sequence .legend"))
    for tab in DRAWN:
        show(page, tab)
        assert page.run("return document.querySelectorAll('main script, main img').length") == 0
        assert page.run("return document.title") == "ChatGPT monitor"


# --- theme, keyboard


def test_the_theme_can_be_switched(page):
    light = page.run("return getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    page.wait(f"getComputedStyle(document.body).backgroundColor !== '{light}'")
    page.click("#theme")
    page.wait(f"getComputedStyle(document.body).backgroundColor === '{light}'")


def test_the_tabs_are_reached_with_the_arrow_keys(page):
    from selenium.webdriver.common.keys import Keys

    page.run("document.querySelector('#tabs [aria-selected=true]').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    page.wait("document.querySelector('#calls')")
    assert page.run("return document.activeElement.id") == "tab-calls"


# --- each with a page of its own


def test_the_language_follows_the_browser_and_can_be_switched(quiet, datakit):
    page = quiet
    page.emulate("zh-CN")
    page.open(datakit.url)
    assert page.texts("#tabs button") == ["仪表板", "调用", "监控器", "监控自身"]
    page.wait("document.querySelector('.panel')")
    assert page.text(".panel h3") == first_name("zh")
    page.click("#language")
    page.wait(f"document.querySelector('.panel h3')?.innerText === '{first_name('en')}'")
    page.open(datakit.url)  # the choice is remembered
    assert page.texts("#tabs button")[0] == "Dashboard"


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800)])
def test_nothing_is_wider_than_the_screen(quiet, datakit, width, height):
    quiet.emulate(width=width, height=height, dark=True)
    quiet.open(datakit.url)
    for tab in ("openai", "calls", "monitors"):
        show(quiet, tab)
        assert quiet.run("return document.documentElement.scrollWidth") <= width, tab


def test_an_unsupported_query_is_reported_on_its_chart(quiet, datakit, monkeypatch):
    page = quiet
    real = shipped.dashboards("en")
    broken = real["openai"]["main"]["charts"][0]
    broken["queries"][0]["query"]["q"] = "M::`openai`:(magic(`question`))"
    monkeypatch.setattr(shipped, "dashboards", lambda language: real)
    page.open(datakit.url)
    page.wait(f"document.querySelector('[aria-label=\"{broken['name']}\"] .empty')")
    assert "magic" in page.text(".panel .empty")


def test_long_and_reordering_strings_are_tamed(quiet):
    with LocalDataKit() as datakit:
        tags = f"service_name=\u202egnp.exe,request_model={'x' * 1000},status=ok"
        write(datakit, "metric", f"openai,{tags} question=1,response_time=1e300 {time.time_ns()}")
        quiet.open(datakit.url, "calls")
        assert "\\u202egnp.exe" in quiet.text("#calls tbody")
        assert "1.00e+300" in quiet.text("#calls tbody")
        assert quiet.run("return document.querySelector('#calls tbody tr').offsetHeight") < 60


def test_monitors_are_listed_with_their_states(quiet, datakit):
    page = quiet
    now_ns = time.time_ns()
    tags = "service_name=shop,request_model=gpt-4o,status=error,error_type=insufficient_quota"
    write(datakit, "metric", f"openai,{tags} question=1,res_status=1,response_time=1 {now_ns - 10**9}")
    page.open(datakit.url, "monitors")
    rows = page.wait("document.querySelectorAll('#monitors tbody tr').length") and page.texts(
        "#monitors tbody tr"
    )
    assert [row.split("\t")[0] for row in rows].count("critical") == 1
    assert rows[0].startswith("critical")
    assert "shop" in rows[0]
    assert any(row.startswith("ok") for row in rows)


APPLICATION = """
import openai
openai.OpenAI().chat.completions.create(model="o3", messages=[{"role": "user", "content": "Hi"}])
"""


def test_calls_of_a_running_application_appear_without_a_reload(quiet):
    with LocalDataKit() as datakit, LocalOpenAI() as openai:
        quiet.open(datakit.url)
        assert quiet.text("main").startswith("Nothing received yet")
        environment = {
            **os.environ,
            "CHATGPT_MONITOR_DATAKIT_URL": datakit.url,
            "OPENAI_BASE_URL": openai.base_url,
            "OPENAI_API_KEY": "sk-local",
        }
        command = [sys.executable, "-m", "guance_chatgpt_monitor", "run", sys.executable, "-c", APPLICATION]
        subprocess.run(command, env=environment, check=True, timeout=TIMEOUT_S)
        quiet.wait(f"document.querySelector('{number(REQUESTS)}')?.innerText === '1'")


# --- without points or DataKit


def test_an_empty_page_shows_the_first_steps(browser):
    with LocalDataKit() as empty:
        browser.open(empty.url)
        shown = browser.text("main")
        assert f"curl {empty.url}/v1/write/metric" in shown
        assert f'monitor(datakit_url="{empty.url}"' in shown
        # The line it shows works.
        line = shown.split("-d '")[1].split("'")[0]
        write(empty, "metric", line)
        browser.wait(f"document.querySelector('{number(REQUESTS)}')?.innerText === '1'")


def test_a_stopped_datakit_is_reported(browser):
    datakit = LocalDataKit().start()
    write(datakit, "metric", f"openai,service_name=shop,status=ok question=1 {time.time_ns()}")
    browser.open(datakit.url)
    datakit.stop()
    browser.wait("document.getElementById('notice').innerText.includes('does not answer')")
    browser.errors()
