"""Whether OpenAI's API is up: GET /v1/models, which costs no token."""

import time
from typing import Callable, Dict, NamedTuple, Optional

from ..core.answers import error_in
from ..core.call import provider_name, without_credentials
from ..core.errors import classify_error, classify_exception, status_code_of
from ..core.fields import parse_json, read_field
from ..core.line_protocol import Point, encode
from ..core.metrics import PROBE_FIELDS, PROBE_MEASUREMENT
from ..core.settings_table import DEFAULT_PROBE_TIMEOUT_S
from ..core.validators import can_be_key
from .openai_client import Sdk, missing_package
from .time_limit import within


class Probed(NamedTuple):
    """What a probe found, also in `words`; `up` is None and `line` empty if there was no probe."""

    up: Optional[bool] = None
    words: str = ""
    line: str = ""


class _Finding(NamedTuple):
    status_code: Optional[int] = None
    error_type: str = ""


class Probe:
    """One request without retries. `up` means that this key gets its list of models."""

    def __init__(
        self,
        api_key: str,
        base_url: str,
        service_name: str,
        timeout_s: float = DEFAULT_PROBE_TIMEOUT_S,
        tags: Optional[Dict[str, str]] = None,
    ) -> None:
        self._api_key = api_key
        self._shown_url = without_credentials(base_url)
        self._timeout_s = timeout_s
        # A tag with a field's name would replace the field.
        self._tags = {name: text for name, text in (tags or {}).items() if name not in PROBE_FIELDS}
        self._tags.update(service_name=service_name, provider_name=provider_name(base_url))

    def run(self, connect: Callable[[], Sdk]) -> Probed:
        """Probe once, within the timeout, with what `connect()` returns.

        `connect()` may raise ImportError.
        """
        if not self._api_key:
            return _not_probed("no OpenAI key is set")
        if not can_be_key(self._api_key):
            return _not_probed("the OpenAI key contains characters that no key has")
        try:
            sdk = connect()
        except ImportError as error:
            return _not_probed(missing_package(error))
        started_s = time.perf_counter()
        try:
            finding = within(self._timeout_s, lambda: _ask(sdk, self._timeout_s))
        except TimeoutError:
            finding = _Finding(error_type="timeout")
        return self._conclude(finding, time.perf_counter() - started_s)

    def _conclude(self, finding: _Finding, response_time_s: float) -> Probed:
        up = not finding.error_type
        status_code = "" if finding.status_code is None else str(finding.status_code)
        tags = {**self._tags, "status_code": status_code, "error_type": finding.error_type}
        fields = {"up": 1.0 if up else 0.0, "response_time": response_time_s}
        line = encode(Point(PROBE_MEASUREMENT, tags, fields, time.time_ns()))
        return Probed(up, self._in_words(finding, response_time_s), line)

    def _in_words(self, finding: _Finding, response_time_s: float) -> str:
        head = f"OpenAI at {self._shown_url}"
        if not finding.error_type:
            return f"{head} is up, it answered in {response_time_s:.2f} s"
        if finding.status_code is None:
            return f"{head} gave no answer: {finding.error_type}"
        return f"{head} answered {finding.status_code}, but with no list of models: {finding.error_type}"


def _not_probed(reason: str) -> Probed:
    return Probed(words=f"OpenAI is not probed: {reason}")


def _ask(sdk: Sdk, timeout_s: float) -> _Finding:
    try:
        answer = sdk.client.get("/models", cast_to=sdk.response_class, options={"timeout": timeout_s})
    except Exception as error:
        return _Finding(status_code_of(error), classify_exception(error))
    return _Finding(int(answer.status_code), _error_in(int(answer.status_code), str(answer.text)))


def _error_in(status_code: int, text: str) -> str:
    """The error type of a 200: it may be a page or an error of something in between."""
    body = parse_json(text)
    if isinstance(read_field(body, "data"), list) and not read_field(body, "error"):
        return ""  # an empty list is fine, too
    return classify_error(status_code, error_in(body))
