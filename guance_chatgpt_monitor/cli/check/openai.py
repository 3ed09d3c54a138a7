"""Whether OpenAI can be reached, accepts the key, and allows the model. Costs no token."""

import json
from typing import Iterator, List, NamedTuple, Optional

from ...core.call import without_credentials
from ...func.chatgpt import DEFAULT_BASE_URL, DEFAULT_MODEL
from ..http_client import HTTPAnswer, call
from ..user_error import UserError, check_http_url, check_secret
from .finding import Finding, bad, from_problem, good

READ_TIMEOUT_S = 20.0
# A Func that serves one team has a handful of models; api.openai.com lists about a hundred.
MAX_MODELS_NAMED = 8


class OpenAITarget(NamedTuple):
    """`key_source` is where the key came from, as it is shown."""

    key: str
    key_source: str
    base_url: str = DEFAULT_BASE_URL
    model: str = DEFAULT_MODEL

    def __repr__(self) -> str:
        return f"OpenAITarget({without_credentials(self.base_url)})"


def check_openai(target: OpenAITarget) -> Iterator[Finding]:
    """The chain, up to the first thing that is wrong."""
    try:
        base_url = check_http_url(target.base_url, "OpenAI base URL", DEFAULT_BASE_URL)
        key = check_secret(target.key, "OpenAI key")
        shown = without_credentials(base_url)
        if not key:
            yield bad("OpenAI key", f"there is none in {target.key_source}", "export OPENAI_API_KEY=…")
            return
        headers = {"Authorization": f"Bearer {key}"}
        answer = call("GET", f"{base_url}/models", READ_TIMEOUT_S, headers=headers)
    except UserError as problem:
        yield from_problem("OpenAI reachable", problem)
        return
    models = _models(answer)
    if models is None and answer.status_code not in (401, 403, 429):
        yield _not_openai(answer.status_code, shown)
        return
    yield good("OpenAI reachable", shown)
    if models is None:
        yield _refused_key(answer.status_code)
        return
    yield good("OpenAI key", f"accepted (from {target.key_source})")
    yield _check_model(target.model, models)


def _models(answer: HTTPAnswer) -> Optional[List[str]]:
    if answer.status_code != 200:
        return None
    try:
        return [str(model["id"]) for model in json.loads(answer.body)["data"]]
    except (ValueError, KeyError, TypeError):
        return None


def _not_openai(status_code: int, shown: str) -> Finding:
    if status_code == 407:
        step = "a proxy wants a name and password: put them into HTTPS_PROXY, or the host into NO_PROXY"
    elif status_code == 404:
        step = f"check the base URL: OpenAI's own is {DEFAULT_BASE_URL}"
    elif status_code >= 500:
        step = "wait; https://status.openai.com tells more. A proxy may stand in the way, too"
    else:
        step = "check the base URL; a proxy or a login page may stand in the way"
    return bad("OpenAI reachable", f"{shown} answers {status_code}, but not with its models", step)


def _refused_key(status_code: int) -> Finding:
    if status_code == 401:
        step = "make a new key at https://platform.openai.com/api-keys, or check that it was copied whole"
        return bad("OpenAI key", "refused (401): wrong, or withdrawn", step)
    if status_code == 403:
        step = "give the key the permission to list models, or call from a country that OpenAI serves"
        return bad(
            "OpenAI key", "not allowed (403): a restricted key, or OpenAI does not serve this place", step
        )
    return bad("OpenAI key", "rate limited (429)", "wait a minute; if it stays, check the account's limits")


def _check_model(model: str, models: List[str]) -> Finding:
    if model in models:
        return good("default model", f"{model} is allowed")
    named = ", ".join(sorted(models)[:MAX_MODELS_NAMED])
    step = f"allow it for the key's project, or choose one that is allowed: {named}"
    return bad("default model", f"the key does not allow {model}", step)
