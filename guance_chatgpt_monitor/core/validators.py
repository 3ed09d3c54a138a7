"""What the value of a setting may be.

Each reader returns the value, or raises ValueError with a message that continues after the setting's name.
Values are never quoted: one may be a key in the wrong place.
"""

import json
import math
import os
import re
from datetime import timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

from .datakit import DEFAULT_URL, check_url
from .line_protocol import MAX_TAG_VALUE_BYTES
from .metrics import RESERVED_NAMES, TAGS
from .tag_places import MAX_TAG_NAMES

DEFAULT_BASE_URL = "https://api.openai.com/v1"
MAX_ALLOWED_MODELS = 100
MAX_DIGITS = 20  # Python refuses to convert thousands of them

_MEASUREMENT = re.compile(r"[A-Za-z_][\w.-]{0,127}", re.ASCII)
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9_.-]{0,252}")
_OFFSET = re.compile(r"([+-])([01]\d):?([0-5]\d)")

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


def read_url(value: Any) -> str:
    try:
        return check_url(read_string(value))
    except ValueError:
        raise ValueError(f"must look like {DEFAULT_URL}") from None


def read_service_name(value: Any) -> str:
    name = read_string(value)
    if not name or len(name.encode("utf-8", "replace")) > MAX_TAG_VALUE_BYTES:
        raise ValueError(f"must be a string of 1 to {MAX_TAG_VALUE_BYTES} bytes")
    return name


def read_host(value: Any) -> str:
    name = read_string(value)
    if len(name.encode("utf-8", "replace")) > MAX_TAG_VALUE_BYTES:
        raise ValueError(f"must be a string of up to {MAX_TAG_VALUE_BYTES} bytes")
    return name


def read_file(value: Any) -> str:
    text = read_string(os.fspath(value) if isinstance(value, os.PathLike) else value)
    path = Path(os.path.expanduser(text))  # noqa: PTH111 - without an error, unlike Path
    if text and not os.path.isfile(path):  # noqa: PTH113 - likewise
        raise ValueError("must be the path of an existing file")
    return str(path.absolute()) if text else ""


def read_tags(value: Any) -> Dict[str, str]:
    tags = _split_tags(value) if isinstance(value, str) else value
    if not isinstance(tags, dict) or not all(isinstance(text, str) for item in tags.items() for text in item):
        raise ValueError('must be a dict of strings, such as {"team": "web"}')
    tags = {name.strip(): text.strip() for name, text in tags.items()}
    if not all(tags) or not all(tags.values()):
        raise ValueError("must have a name and a value for each tag")
    reserved = sorted(RESERVED_NAMES.intersection(tags))
    if reserved:
        raise ValueError(f"must not have the name {reserved[0]}, which the monitor itself uses")
    if len(tags) > MAX_TAG_NAMES - len(TAGS):
        raise ValueError(f"must be {MAX_TAG_NAMES - len(TAGS)} at most")
    return tags


def _split_tags(text: str) -> Dict[str, str]:
    tags = {}
    for part in text.split(","):
        if part.strip():
            name, equals, value = part.partition("=")
            if not equals:
                raise ValueError("must look like team=web,region=eu")
            tags[name] = value
    return tags


def read_switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = value.strip().lower() if isinstance(value, str) else ""
    if text not in _TRUE + _FALSE:
        raise ValueError("must be true or false")
    return text in _TRUE


def read_measurement(value: Any) -> str:
    name = read_string(value)
    if not _MEASUREMENT.fullmatch(name):
        raise ValueError("must be a name of letters, digits and _ . -, such as openai")
    return name


def read_price_provider(value: Any) -> str:
    name = read_string(value)
    if not _PROVIDER.fullmatch(name):
        raise ValueError("must be a provider, such as openai or azure_openai, or the host of its API")
    return name


def whole_number(least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        number = value
        if isinstance(value, str):
            number = int(value) if value.strip().isdecimal() and len(value) < MAX_DIGITS else None
        if type(number) is not int or not least <= number <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return number

    return read


def seconds(most: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        number = _number(value)
        if not 0 < number <= most:
            raise ValueError(f"must be a number of seconds above 0, at most {most:g}")
        return number

    return read


def read_rate(value: Any) -> float:
    rate = _number(value)
    if not 0 <= rate <= 1:
        raise ValueError("must be a number from 0 to 1")
    return rate


def read_patterns(value: Any) -> Tuple[str, ...]:
    # Late: only users of patterns pay for this import.
    from .content.redaction_patterns import compile_patterns

    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None  # compile_patterns() asks for a list
    compile_patterns(value)
    return tuple(value)


def can_be_key(text: str) -> bool:
    """Whether an HTTP header can carry `text`. A library that finds that it cannot quotes it in its error."""
    return text.isascii() and text.isprintable()


def read_string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004 - one kind of error for every wrong value
    return value.strip()


def _number(value: Any) -> float:
    """NaN, which is in no range, if it is not a number."""
    try:
        is_number = isinstance(value, (int, float, str)) and not isinstance(value, bool)
        return float(value) if is_number else math.nan
    except (ValueError, OverflowError):
        return math.nan


def read_base_url(value: Any) -> str:
    url = read_string(value).rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"must look like {DEFAULT_BASE_URL}")
    return url


def read_models(value: Any) -> List[str]:
    models = list(value) if isinstance(value, (list, tuple)) else []
    if not models or not all(isinstance(name, str) and name for name in models):
        raise ValueError("must be a list of model names")
    if len(models) > MAX_ALLOWED_MODELS:
        raise ValueError(f"must be {MAX_ALLOWED_MODELS} names at most")
    return models


def read_names(value: Any) -> Tuple[str, ...]:
    names = tuple(value) if isinstance(value, (list, tuple)) else (None,)
    if len(names) > MAX_ALLOWED_MODELS or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"must be a list of at most {MAX_ALLOWED_MODELS} names")
    return names


def read_timezone(value: Any) -> str:
    name = read_string(value)
    timezone_of(name)
    return name


def timezone_of(name: str) -> tzinfo:
    """The time zone of a name such as Asia/Shanghai, or of an offset such as +08:00. Raises ValueError."""
    offset = _OFFSET.fullmatch(name)
    if offset:
        sign, hours, minutes = offset.groups()
        delta = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(-delta if sign == "-" else delta)
    try:
        # Late: Python 3.8 does not have it.
        import zoneinfo

        return zoneinfo.ZoneInfo(name)
    except Exception:
        raise ValueError(
            "must be an offset such as +08:00, or a name that this Python knows, such as Asia/Shanghai"
        ) from None


def read_backlog(value: Any) -> str:
    text = read_string(os.fspath(value) if isinstance(value, os.PathLike) else value)
    if text.lower() in ("", "off"):
        return ""
    if "\0" in text:
        raise ValueError("must be a path")
    # Absolute from the start: an application that goes to the background changes its folder.
    path = os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111 - without an error, unlike Path
    if os.path.isdir(path):  # noqa: PTH112
        raise ValueError("must be a file, not a folder")
    return path
