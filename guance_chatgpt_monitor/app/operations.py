"""Which requests call a model, by their paths, and the value of the tag `operation_name` for each."""

import re
from functools import lru_cache
from typing import Any, Dict, Optional
from urllib.parse import urlsplit

_PATHS: Dict[str, str] = {
    "chat/completions": "chat",
    "responses": "responses",
    "responses/compact": "compaction",
    "embeddings": "embeddings",
    "completions": "text_completion",
    "decisions": "decision",
    "images/generations": "image_generation",
    "images/edits": "image_edit",
    "images/variations": "image_variation",
    "audio/transcriptions": "transcription",
    "audio/translations": "translation",
    "audio/speech": "speech",
    "moderations": "moderation",
}
# As the SDK writes nearly all of them, and as they are posted by hand.
AS_WRITTEN = {f"{slash}{path}": operation for path, operation in _PATHS.items() for slash in ("/", "")}
# Longest first: `chat/completions` ends in `completions`, too.
_ENDS = sorted(_PATHS, key=len, reverse=True)

_RUNS = re.compile(r"threads/(?:[^/]+/)?runs")

# Every value of `operation_name`; the last three have no path of their own.
OPERATIONS = tuple(dict.fromkeys([*_PATHS.values(), "assistant_run", "batch", "realtime"]))

# Their answers have choices, output or data.
GENERATIONS = frozenset(["chat", "responses", "embeddings", "text_completion"])
# Their answers may be plain text, or sound.
MAY_BE_PLAIN = frozenset(["transcription", "translation", "speech"])


def operation_of(url: Any) -> Optional[str]:
    """What a POST to `url`, relative to the base URL or absolute, asks for; None if it uses no model."""
    operation = AS_WRITTEN.get(url)
    return operation if operation is not None or type(url) is not str else _look_up(url)


@lru_cache(maxsize=256)
def _look_up(url: str) -> Optional[str]:
    parts = urlsplit(url)
    path = parts.path.strip("/")
    if not parts.netloc:
        # Azure's deployments in a path written by hand.
        head, found, rest = path.rpartition("deployments/")
        path = rest.partition("/")[2] if found and head in ("", "openai/") else path
        return "assistant_run" if _RUNS.fullmatch(path) else _PATHS.get(path)
    end = next((end for end in _ENDS if path == end or path.endswith("/" + end)), None)
    return None if end is None else _PATHS[end]
