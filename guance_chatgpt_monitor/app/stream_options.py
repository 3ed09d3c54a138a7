"""`stream_usage`: asks the API for the usage of a stream, and goes without if a gateway refuses."""

import copy
from typing import Any, Mapping, Set

from ..core.fields import fields_of
from .observation import Observation

_OPERATIONS = ("chat", "text_completion")  # the Responses API sends its usage unasked
# The header by which the SDK's `with_streaming_response` informs its client.
_RAW_RESPONSE_HEADER = "X-Stainless-Raw-Response"
# The base URLs of gateways that refuse to be asked.
_refusing: Set[str] = set()
_MAX_REFUSING = 1000


def can_go_without_usage(observation: Observation, error: BaseException) -> bool:
    """Whether the call failed because we asked for the usage.

    Then it is made again without, and the application does not see the refusal.
    """
    response = getattr(error, "response", None)
    if not observation.asks_for_usage or getattr(response, "status_code", None) not in (400, 422):
        return False
    if "stream_options" not in _text_of(response) + repr(getattr(error, "body", "")):
        return False
    if len(_refusing) < _MAX_REFUSING:
        _refusing.add(str(observation.client.base_url))
    observation.options = observation.options_given
    observation.asks_for_usage = False
    return True


def _text_of(response: Any) -> str:
    try:
        text: str = response.text
        return text
    except Exception:
        return ""  # it was not read


def ask_for_usage(observation: Observation) -> None:
    """Add the option, unless the caller has set it either way."""
    options = observation.options
    if observation.operation_name not in _OPERATIONS or str(observation.client.base_url) in _refusing:
        return
    headers = options.headers
    if isinstance(headers, Mapping) and headers.get(_RAW_RESPONSE_HEADER) == "stream":
        return  # the application may read the bytes, from which the usage cannot be hidden
    given = fields_of(options.json_data).get("stream_options")
    if not isinstance(options.json_data, dict) or fields_of(given).get("include_usage") is not None:
        return
    if "stream_options" in fields_of(options.extra_json):
        return
    # A copy: the caller may use the same options for another call.
    options = copy.copy(options)
    options.json_data = {**options.json_data, "stream_options": {**(given or {}), "include_usage": True}}
    observation.options_given, observation.options = observation.options, options
    observation.asks_for_usage = True
