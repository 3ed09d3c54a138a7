"""Whether OpenAI can be reached, accepts the key, and allows the model. Costs no token."""

import json
from typing import Iterator, List, NamedTuple, Optional

from ...core.call import without_credentials
from ...core.settings_table import DEFAULT_MODEL
from ...core.validators import DEFAULT_BASE_URL
from ..http_client import HTTPAnswer, call
from ..messages import text
from ..user_error import UserError, check_http_url, check_secret
from .finding import FAIL, Finding, bad, from_error, good

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
        base_url = check_http_url(target.base_url, text("common.openai_base_url"), DEFAULT_BASE_URL)
        key = check_secret(target.key, text("common.openai_key"))
        shown = without_credentials(base_url)
        if not key:
            yield bad("openai_key", "check.no_key", source=target.key_source)
            return
        headers = {"Authorization": f"Bearer {key}"}
        answer = call("GET", f"{base_url}/models", READ_TIMEOUT_S, headers=headers)
        answer.refuse_redirect(base_url)
    except UserError as error:
        yield from_error("openai_reachable", error)
        return
    models = _models(answer)
    if models is None and not _is_refusal(answer):
        yield _not_openai(answer, shown)
        return
    yield good("openai_reachable", "check.openai_reachable", url=shown)
    if models is None:
        yield bad("openai_key", f"check.key_{answer.status_code}")
        return
    yield good("openai_key", "check.key_accepted", source=target.key_source)
    yield _check_model(target.model, models)


def _models(answer: HTTPAnswer) -> Optional[List[str]]:
    if answer.status_code != 200:
        return None
    try:
        return [str(model["id"]) for model in json.loads(answer.body)["data"]]
    except (ValueError, KeyError, TypeError):
        return None


def _is_refusal(answer: HTTPAnswer) -> bool:
    """Whether the API itself refused; a login page or a gateway answers with HTML."""
    return answer.status_code in (401, 403, 429) and answer.body.lstrip().startswith(b"{")


def _not_openai(answer: HTTPAnswer, shown: str) -> Finding:
    status = answer.status_code
    advice = {407: "407", 404: "404"}.get(status, "5xx" if status >= 500 else "other")
    return Finding(
        "openai_reachable",
        FAIL,
        text("check.no_models", url=shown, status=status),
        text(f"check.no_models_{advice}", official=DEFAULT_BASE_URL),
    )


def _check_model(model: str, models: List[str]) -> Finding:
    if model in models:
        return good("default_model", "check.model_allowed", model=model)
    named = ", ".join(sorted(models)[:MAX_MODELS_NAMED])
    return bad("default_model", "check.model_not_allowed", model=model, named=named)
