"""The local Func's management API refuses and fails like the real one; its links enforce their limits."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from guance_chatgpt_monitor.cli.build import Built
from guance_chatgpt_monitor.cli.func_client import AccessKey, FuncClient, FuncError, LocalhostToken
from guance_chatgpt_monitor.local.func.server import AccessKey as LocalKey
from guance_chatgpt_monitor.local.func.server import LocalFunc

SET = "guance_chatgpt_monitor"
STARTUP = f"startup__{SET}"
NOW_S = 1_700_000_000.0
SECRET = "local-secret"


class Clock:
    """Seconds since 1970, set by the test."""

    now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[LocalFunc, Clock]]:
    clock = Clock()
    keys = [LocalKey("ak-local", SECRET), LocalKey("ak-reader", SECRET, may_write=False)]
    with LocalFunc(workers=1, clock=clock, access_keys=keys, localhost_token="token-1") as func:
        yield func, clock


@pytest.fixture
def clock(shared: tuple[LocalFunc, Clock]) -> Clock:
    shared[1].now_s = NOW_S
    return shared[1]


@pytest.fixture
def func(shared: tuple[LocalFunc, Clock]) -> LocalFunc:
    shared[0].clear()
    return shared[0]


@pytest.fixture
def client(func: LocalFunc, clock: Clock) -> FuncClient:
    return FuncClient(func.url, AccessKey("ak-local", SECRET), clock)


def add_echo(func: LocalFunc, client: FuncClient, code: str = "return body") -> str:
    """Add a function that by default returns its arguments, and return its ID."""
    func.edit("s__main", f"@DFF.API('echo')\ndef echo(**body):\n    {code}\n")
    client.post("scripts/s__main/do/publish", {})
    return "s__main.echo"


def add_link(func: LocalFunc, client: FuncClient, **settings: Any) -> str:
    func_id = add_echo(func, client)
    data = {"id": "l-1", "funcId": func_id, "funcCallKwargsJSON": {}, **settings}
    client.post("sync-apis/do/add", {"data": data})
    return f"{func.url}/api/v1/al/l-1/simplified"


def add_auth(client: FuncClient, auth_type: str, **config: Any) -> str:
    data = {"type": auth_type, "title": "a", "configJSON": config}
    return str(client.post("api-auth/do/add", {"data": data})["id"])


def refusal(answer: requests.Response) -> tuple[int, float, str]:
    body = answer.json()
    assert body["ok"] is False
    return answer.status_code, body["error"], body["reason"]


# ---- access ----

# The signatures of Func's own SDK for these requests, with this secret and time.
LIST = "/api/v1/env-variables/do/list?id=A%2CB&pageSize=10"
ADD = "/api/v1/env-variables/do/add"
ODD = '观测云 "quoted" back\\slash\nline'
OF_THE_SDK = [
    ("GET", LIST, "nonce-1", "2f8dfa271c33439d13732ee20af105a590e395f2", None),
    (
        "POST",
        ADD,
        "nonce-2",
        "3974b9bdd2fcb7b70748027df18f60fe8d346ede",
        {"data": {"id": "NOTE", "autoTypeCasting": "string", "valueTEXT": ODD, "isPinned": None}},
    ),
]


def headers(nonce: str, sign: str, timestamp: float = NOW_S, key_id: str = "ak-local") -> dict[str, str]:
    return {
        "X-Dff-Ak-Id": key_id,
        "X-Dff-Ak-Timestamp": str(int(timestamp)),
        "X-Dff-Ak-Nonce": nonce,
        "X-Dff-Ak-Sign": sign,
    }


@pytest.mark.parametrize(("method", "path", "nonce", "sign", "body"), OF_THE_SDK)
def test_a_signature_of_funcs_own_sdk_is_accepted_once(
    func: LocalFunc, clock: Clock, method: str, path: str, nonce: str, sign: str, body: Any
) -> None:
    signed = headers(nonce, sign)
    answer = requests.request(method, func.url + path, json=body, headers=signed, timeout=10)
    assert answer.status_code == 200, answer.text
    again = requests.request(method, func.url + path, json=body, headers=signed, timeout=10)
    assert refusal(again) == (401, 401.14, "EUserAuth")


def test_the_signature_of_a_form_covers_its_text_fields(func: LocalFunc, clock: Clock, built: Built) -> None:
    signed = headers("nonce-3", "15b46f2b1f747732db8507a554041eee0468c844")
    answer = requests.post(
        f"{func.url}/api/v1/script-sets/do/import",
        headers=signed,
        data={"checkOnly": "true"},
        files={"files": ("set.zip", built.zip_path.read_bytes())},
        timeout=10,
    )
    assert answer.json()["data"]["diff"]["scriptSets"][0]["id"] == SET


def test_our_clients_signatures_are_accepted(client: FuncClient) -> None:
    value = {"id": "NOTE", "autoTypeCasting": "string", "valueTEXT": ODD}
    client.post("env-variables/do/add", {"data": value})
    assert client.list("env-variables", id="NOTE,OTHER")[0]["valueTEXT"] == ODD


@pytest.mark.parametrize(
    ("credentials", "said", "step"),
    [
        (
            AccessKey("ak-local", "wrong"),
            "401.14 EUserAuth: Invalid Access Key sign",
            "check the access key's ID and secret",
        ),
        (AccessKey("ak-none", SECRET), "404.41 EClientNotFound: No such data", "no access key of this ID"),
        (AccessKey("ak-reader", SECRET), "401.15 EUserPrivilege", "use an administrator's key"),
        (LocalhostToken("wrong"), "401.14 EUserAuth: Invalid Localhost Auth Token", "read the token again"),
    ],
)
def test_refusals_come_with_advice(
    func: LocalFunc, clock: Clock, credentials: Any, said: str, step: str
) -> None:
    client = FuncClient(func.url, credentials, clock)
    with pytest.raises(FuncError) as caught:
        client.post("env-variables/do/add", {"data": {"id": "A", "autoTypeCasting": "string"}})
    assert said in str(caught.value)
    assert step in caught.value.next_step


def test_a_clock_that_differs_is_reported(func: LocalFunc, clock: Clock) -> None:
    with pytest.raises(FuncError, match="Invalid Access Key timestamp") as caught:
        FuncClient(func.url, AccessKey("ak-local", SECRET), lambda: NOW_S + 901).list("scripts")
    assert "the clocks of Func and of this host differ" in caught.value.next_step


def test_the_localhost_token_works_like_a_key(func: LocalFunc) -> None:
    assert FuncClient(func.url, LocalhostToken("token-1")).list("scripts") == []


def test_a_request_without_a_key_is_refused(func: LocalFunc) -> None:
    answer = requests.get(f"{func.url}/api/v1/scripts/do/list", timeout=10)
    assert refusal(answer) == (401, 401.14, "EUserAuth")


# ---- requests ----


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("env-variables/do/add", {"data": {"id": "A", "autoTypeCasting": "string", "x": 1}}, "data.x"),
        ("env-variables/do/add", {"data": {"id": "A", "autoTypeCasting": "secret"}}, "not in the options"),
        ("env-variables/do/add", {"data": {"id": "a b", "autoTypeCasting": "string"}}, "does not match"),
        ("env-variables/do/add", {"data": {"id": "A"}}, "missing: `data.autoTypeCasting`"),
        ("env-variables/do/add", {}, "missing: `data`"),
        (
            "sync-apis/do/add",
            {"data": {"funcId": "f", "funcCallKwargsJSON": {}, "taskRecordLimit": "9"}},
            "int",
        ),
        ("sync-apis/do/add", {"data": {"funcId": "f", "throttlingJSON": {"perMinute": 1}}}, "perMinute"),
        (
            "api-auth/do/add",
            {"data": {"type": "fixedField", "configJSON": {"fields": [{"name": "a"}]}}},
            "fields.location",
        ),
        ("script-sets/a/do/deploy", {"withCronJob": "yes"}, "bool"),
        ("python-packages/do/install", {"packages": ""}, "match"),
    ],
)
def test_invalid_bodies_are_refused(client: FuncClient, path: str, body: Any, said: str) -> None:
    with pytest.raises(FuncError, match=r"400\.43 EClientBadRequest: Invalid request body") as caught:
        client.post(path, body)
    assert said in caught.value.detail["message"]


def test_unknown_queries_and_paths_are_refused(client: FuncClient) -> None:
    with pytest.raises(FuncError, match="Invalid request query"):
        client.get("scripts/do/list", colour="red")
    with pytest.raises(FuncError, match="No such router"):
        client.get("scripts/do/sing")


def test_funcs_errors_repeat_the_request_but_our_clients_do_not(func: LocalFunc, client: FuncClient) -> None:
    body = {"data": {"id": "A", "autoTypeCasting": "password", "valueTEXT": "s3cret"}}
    client.post("env-variables/do/add", body)
    with pytest.raises(FuncError, match="ID of ENV Variable already exists") as caught:
        client.post("env-variables/do/add", body)
    assert "s3cret" not in f"{caught.value!r} {caught.value.detail} {caught.value.next_step}"
    answer = requests.post(f"{func.url}/api/v1/env-variables/do/add", json=body, timeout=10)
    assert "s3cret" in answer.json()["reqDump"]["bodyDump"]


def test_lists_come_in_pages_of_ten(func: LocalFunc, client: FuncClient) -> None:
    for number in range(12):
        func.set_env(f"E{number}", "x", "string")
    assert len(client.get("env-variables/do/list")) == 10
    assert len(client.get("env-variables/do/list", pageNumber=2)) == 2
    assert len(client.list("env-variables")) == 12


def test_lists_hide_passwords_but_show_fixed_fields(client: FuncClient) -> None:
    value = {"id": "A", "autoTypeCasting": "password", "valueTEXT": "s3cret"}
    client.post("env-variables/do/add", {"data": value})
    assert "valueTEXT" not in client.list("env-variables")[0]
    field = {"location": "header", "name": "X-Key", "value": "k"}
    add_auth(client, "fixedField", fields=[field])
    assert client.list("api-auth")[0]["configJSON"]["fields"] == [field]


# ---- script sets, scripts ----


def test_an_import_takes_two_steps(func: LocalFunc, clock: Clock, client: FuncClient, built: Built) -> None:
    def send(path: str, **content: Any) -> Any:
        answer = requests.post(
            f"{func.url}/api/v1/script-sets/do/{path}",
            headers={"X-Localhost-Auth-Token": "token-1"},
            timeout=10,
            **content,
        )
        return answer.json()

    files = {"files": ("set.zip", built.zip_path.read_bytes())}
    checked = send("import", files=files, data={"checkOnly": "true"})["data"]
    assert client.list("script-sets") == []
    confirmed = send("confirm-import", json={"confirmId": checked["confirmId"]})["data"]
    assert confirmed["requirements"] == {"openai": None, "requests": None}
    (row,) = client.list("script-sets", _withScripts="true")
    assert row["originMD5"] == built.origin_md5
    assert {script["id"] for script in row["scripts"]} == set(built.scripts)
    again = send("confirm-import", json={"confirmId": checked["confirmId"]})
    assert again["reason"] == "EBizCondition.ConfirmingImportTimeout"
    assert send("import", files={"files": ("set.zip", b"no zip")})["reason"].endswith("InvalidImportFile")


def deploy(client: FuncClient, **parameters: Any) -> Any:
    body = {"withCronJob": True, "configReplacer": parameters}
    return client.post(f"script-sets/{SET}/do/deploy", body)


def test_a_value_that_is_not_a_string_crashes_deployment(
    func: LocalFunc, client: FuncClient, built: Built
) -> None:
    func.install(str(built.zip_path))
    with pytest.raises(FuncError, match=r"500\.5 ESys: A System error occured"):
        deploy(client, **{"Default model": 1})
    assert STARTUP not in {row["id"] for row in client.list("scripts")}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ('a "b"', r'"a \"b\""'),
        ("a$$b", '"a$b"'),
        ("$&", '"""" # Service name'),
        ("a\\", '"a\\"'),
    ],
)
def test_values_are_written_like_javascript_does(
    func: LocalFunc, client: FuncClient, built: Built, value: str, written: str
) -> None:
    func.install(str(built.zip_path))
    with contextlib.suppress(FuncError):  # some of the scripts do not run, but they stay
        deploy(client, **{"Service name": value})
    assert f"SERVICE_NAME = {written}" in func.script(STARTUP).splitlines()


def test_a_failed_deployment_leaves_a_script_that_the_next_one_keeps(
    func: LocalFunc, client: FuncClient, built: Built
) -> None:
    func.install(str(built.zip_path))
    with pytest.raises(FuncError, match=r"400\.91 EStartupScriptDeployFailed") as caught:
        deploy(client, **{"DataKit URL": "ftp://x"})
    assert "datakit_url must look like" in caught.value.detail["exception"]
    with pytest.raises(FuncError, match=r"400\.91"):
        deploy(client)
    client.get(f"scripts/{STARTUP}/do/delete")
    deployed = deploy(client)
    assert deployed == {"startupScriptId": STARTUP, "startupCronJobId": f"cron-starup-{SET}"}
    assert func.cron_jobs == {f"cron-starup-{SET}": (f"{STARTUP}.collect", "* * * * *")}


def test_publishing_runs_the_draft_first(func: LocalFunc, client: FuncClient) -> None:
    add_echo(func, client)
    before = func.script("s__main")
    script = client.list("scripts", id="s__main")[0]
    draft = {"prevCodeDraftMD5": script["codeDraftMD5"], "data": {"codeDraft": "1 / 0"}}
    client.post("scripts/s__main/do/modify", draft)
    with pytest.raises(FuncError, match=r"400\.9 EScriptPublishFailed"):
        client.post("scripts/s__main/do/publish", {})
    assert func.script("s__main") == before
    with pytest.raises(FuncError, match="Script draft already changed"):
        client.post("scripts/s__main/do/modify", draft)


def test_changes_take_effect_after_a_while(built: Built) -> None:
    clock = Clock()
    with LocalFunc(
        workers=1, clock=clock, visible_after_s=5.0, access_keys=[LocalKey("ak-local", SECRET)]
    ) as func:
        client = FuncClient(func.url, AccessKey("ak-local", SECRET), clock)
        link = add_link(func, client)
        assert requests.post(link, json={}, timeout=10).json()["message"] == "No such Sync API"
        clock.now_s += 5.0
        assert requests.post(link, json={"a": 1}, timeout=10).json() == {"a": 1}
        add_echo(func, client, "return 'new'")
        assert requests.post(link, json={"a": 1}, timeout=10).json() == {"a": 1}
        clock.now_s += 5.0
        assert requests.post(link, json={}, timeout=10).text == "new"


# ---- links ----

FIELD = {"name": "X-Key", "value": "k3y"}


@pytest.mark.parametrize(
    ("auth_type", "config", "request_with"),
    [
        ("fixedField", {"fields": [{"location": "header", **FIELD}]}, {"headers": {"X-Key": "k3y"}}),
        ("fixedField", {"fields": [{"location": "query", **FIELD}]}, {"params": {"X-Key": "k3y"}}),
        ("fixedField", {"fields": [{"location": "body", **FIELD}]}, {"json": {"X-Key": "k3y"}}),
        ("httpBasic", {"users": [{"username": "u", "password": "p"}]}, {"auth": ("u", "p")}),
    ],
)
def test_authentication_is_enforced(
    func: LocalFunc, client: FuncClient, auth_type: str, config: Any, request_with: Any
) -> None:
    auth_id = add_auth(client, auth_type, **config)
    link = add_link(func, client, apiAuthId=auth_id)
    assert refusal(requests.post(link, json={}, timeout=10)) == (401, 401.99, "EAPIAuth")
    answer = requests.post(link, **{"json": {}, "timeout": 10, **request_with})
    assert (answer.status_code, answer.json()) == (200, {})


def test_deleting_the_authentication_of_a_link_opens_it(func: LocalFunc, client: FuncClient) -> None:
    auth_id = add_auth(client, "fixedField", fields=[{"location": "header", **FIELD}])
    link = add_link(func, client, apiAuthId=auth_id)
    client.get(f"api-auth/{auth_id}/do/delete")
    assert requests.post(link, json={}, timeout=10).status_code == 200


def test_throttling_is_enforced_per_window(func: LocalFunc, client: FuncClient, clock: Clock) -> None:
    link = add_link(func, client, throttlingJSON={"byMinute": 2})
    answers = [requests.post(link, json={}, timeout=10) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert refusal(answers[2]) == (429, 429.46, "EClientRateLimit.APIThrottling")
    wait_s = answers[2].json()["detail"]["waitSeconds"]
    clock.now_s += wait_s
    assert requests.post(link, json={}, timeout=10).status_code == 200


def test_a_limit_of_null_refuses_every_call(func: LocalFunc, client: FuncClient) -> None:
    link = add_link(func, client, throttlingJSON={"byDay": None})
    assert requests.post(link, json={}, timeout=10).status_code == 429


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"isDisabled": True}, "EBizCondition.SyncAPIDisabled"),
        ({"expireTime": "2020-01-01T00:00:00Z"}, "EBizCondition.SyncAPIExpired"),
    ],
)
def test_a_disabled_or_expired_link_is_refused(
    func: LocalFunc, client: FuncClient, settings: Any, reason: str
) -> None:
    link = add_link(func, client, **settings)
    assert refusal(requests.post(link, json={}, timeout=10)) == (403, 403.21, reason)


def test_task_records_keep_the_latest_arguments_and_answers(func: LocalFunc, client: FuncClient) -> None:
    link = add_link(func, client, taskRecordLimit=2)
    for number in range(4):
        requests.post(link, json={"question": f"q{number}"}, timeout=10)
    rows = client.list("task-records/func", originId="l-1")
    assert [row["funcCallKwargsJSON"] for row in rows] == [{"question": "q3"}, {"question": "q2"}]
    assert rows[0]["returnValueJSON"] == {"question": "q3"}


def test_a_link_to_an_unknown_function_is_refused(client: FuncClient) -> None:
    data = {"funcId": "s__none.f", "funcCallKwargsJSON": {}}
    with pytest.raises(FuncError, match="No such data"):
        client.post("sync-apis/do/add", {"data": data})


# ---- auto-triggers, packages ----


def test_an_added_auto_trigger_runs_and_reports_its_last_run(
    func: LocalFunc, client: FuncClient, clock: Clock
) -> None:
    data = {"funcId": add_echo(func, client), "funcCallKwargsJSON": {}, "cronExpr": "*/5 * * * *"}
    job_id = client.post("cron-jobs/do/add", {"data": data})["id"]
    assert client.list("cron-jobs")[0]["lastTaskStatus"] is None
    func.fire_cron()
    last = client.list("cron-jobs", funcId="s__main.echo")[0]["lastTaskStatus"]
    assert last == {"status": "success", "timestamp": int(clock.now_s)}
    client.post(f"cron-jobs/{job_id}/do/modify", {"data": {"isDisabled": True}})
    assert func.fire_cron() == []


def test_packages_are_installed_in_turn(func: LocalFunc, client: FuncClient, clock: Clock) -> None:
    def status() -> list[tuple[str, str]]:
        rows = client.get("python-packages/install-status/do/get")
        return [(row["package"], row["status"]) for row in rows]

    func.packages.broken["bad"] = "ERROR: No matching distribution found for bad"
    client.post("python-packages/do/install", {"packages": "openai bad==2.0"})
    assert status() == [("openai", "installing"), ("bad==2.0", "waiting")]
    with pytest.raises(FuncError, match=r"409\.25 EBizRequestConflict"):
        client.post("python-packages/do/install", {"packages": "other"})
    clock.now_s += 1.0
    assert status() == [("openai", "success"), ("bad==2.0", "failure")]
    assert {row["name"] for row in client.get("python-packages/installed/do/list")} == {"requests", "openai"}
