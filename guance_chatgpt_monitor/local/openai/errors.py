"""When OpenAI's API refuses a request, and what it then says.

The forms are those of OpenAI's API reference and of the errors that its users report.
"""

from typing import Any, Dict, Optional, Tuple

Body = Dict[str, Any]

UNKNOWN_MODEL_PREFIX = "no-such-model"

_KEYS_URL = "https://platform.openai.com/account/api-keys"

# What the API says with a status, as message, type, code.
_STATUS_ERRORS: Dict[int, Tuple[str, str, Optional[str]]] = {
    401: (
        f"Incorrect API key provided: sk-local**************0000. You can find your API key at {_KEYS_URL}.",
        "invalid_request_error",
        "invalid_api_key",
    ),
    403: (
        "Country, region, or territory not supported",
        "request_forbidden",
        "unsupported_country_region_territory",
    ),
    404: (
        "The model does not exist or you do not have access to it.",
        "invalid_request_error",
        "model_not_found",
    ),
    408: ("Request timed out.", "server_error", None),
    429: (
        "Rate limit reached for requests per min (RPM): Limit 3, Used 3, Requested 1. "
        "Please try again in 20s.",
        "requests",
        "rate_limit_exceeded",
    ),
    500: (
        "The server had an error while processing your request. Sorry about that!",
        "server_error",
        None,
    ),
    502: ("Bad gateway.", "server_error", None),
    503: ("The engine is currently overloaded, please try again later.", "server_error", None),
    504: ("The server timed out while processing your request.", "server_error", None),
}


class RefusalError(Exception):
    """An answer that is an error, in OpenAI's form."""

    def __init__(
        self,
        status_code: int,
        message: str,
        code: Optional[str] = None,
        param: Optional[str] = None,
        type_: Optional[str] = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.body: Body = {"error": {"message": message, "type": type_, "param": param, "code": code}}


def refuse_status(status_code: int) -> RefusalError:
    """What the API says with an error's status, 400 to 599."""
    message, type_, code = _STATUS_ERRORS.get(
        status_code,
        ("The request could not be processed.", "invalid_request_error", None)
        if status_code < 500
        else ("The server had an error while processing your request.", "server_error", None),
    )
    return RefusalError(status_code, message, code, type_=type_)


def refuse_quota() -> RefusalError:
    return RefusalError(
        429,
        "You exceeded your current quota, please check your plan and billing details. For more "
        "information on this error, read the docs: "
        "https://platform.openai.com/docs/guides/error-codes/api-errors.",
        code="insufficient_quota",
        type_="insufficient_quota",
    )


def refuse_content() -> RefusalError:
    """Azure OpenAI's form: OpenAI itself has no such code."""
    return RefusalError(
        400,
        "The response was filtered due to the prompt triggering the content management policy. "
        "Please modify your prompt and retry.",
        code="content_filter",
        param="prompt",
        type_=None,
    )


def refuse_path(method: str, path: str) -> RefusalError:
    return RefusalError(404, f"Invalid URL ({method} {path})")


def check_key(authorization: str) -> None:
    """Accept any key but an empty one and one with "refused" in it. Raises RefusalError."""
    scheme, _, key = authorization.partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise RefusalError(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization header "
            "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from "
            f"{_KEYS_URL}.",
        )
    if "refused" in key:
        # As the API does: a key of up to 12 characters is repeated whole.
        shown = key if len(key) <= 12 else key[:8] + "*" * (len(key) - 12) + key[-4:]
        raise RefusalError(
            401,
            f"Incorrect API key provided: {shown}. You can find your API key at {_KEYS_URL}.",
            code="invalid_api_key",
        )


def check_request(request: Optional[Body], prompt_field: str) -> Body:
    """The request, if the API would accept it. Raises RefusalError.

    None is a body that was no JSON object.
    """
    if request is None:
        raise RefusalError(
            400,
            "We could not parse the JSON body of your request. The OpenAI API expects a JSON payload, "
            "but what was sent was not valid JSON.",
        )
    model = request.get("model")
    if not isinstance(model, str) or not model:
        raise RefusalError(400, "you must provide a model parameter")
    prompt = request.get(prompt_field)
    if prompt is None:
        raise RefusalError(
            400,
            f"Missing required parameter: '{prompt_field}'.",
            code="missing_required_parameter",
            param=prompt_field,
        )
    if not isinstance(prompt, list if prompt_field == "messages" else (list, str)):
        raise RefusalError(
            400,
            f"Invalid type for '{prompt_field}': expected an array.",
            code="invalid_type",
            param=prompt_field,
        )
    if prompt == []:
        raise RefusalError(
            400,
            f"Invalid '{prompt_field}': empty array. Expected an array with minimum length 1, but got an "
            "empty array instead.",
            code="empty_array",
            param=prompt_field,
        )
    if model.startswith(UNKNOWN_MODEL_PREFIX):
        raise RefusalError(
            404,
            f"The model `{model}` does not exist or you do not have access to it.",
            code="model_not_found",
        )
    return request
