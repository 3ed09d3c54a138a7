"""What a body may ask for that does not only cost tokens: billed otherwise, or another user's data.

A link with limits passes only what is known to cost tokens. From OpenAI's API reference, November 2026.
"""

from typing import Any, Collection, Dict, Iterator, List, Optional

# Names of parameters. `allowed_extras` names parameters and types of tools and input items.
_COMMON = (
    "model metadata parallel_tool_calls prompt_cache_key reasoning safety_identifier store temperature "
    "tool_choice top_logprobs top_p user verbosity"
)
_KNOWN = {
    "chat": frozenset(
        f"{_COMMON} frequency_penalty function_call functions logit_bias logprobs max_completion_tokens "
        "max_tokens messages n presence_penalty reasoning_effort response_format seed stop tools".split()
    ),
    "responses": frozenset(
        f"{_COMMON} background include input instructions max_output_tokens max_tool_calls text tools "
        "truncation".split()
    ),
}
# Values that cost no more than leaving the parameter out.
_HARMLESS: Dict[str, List[Any]] = {"service_tier": ["default"], "modalities": [["text"]]}
_HARMLESS_TOOLS = ("function", "custom")


def extras_of(operation_name: str, body: Dict[str, Any]) -> Iterator[str]:
    """The names of everything in `body` that may cost more than tokens."""
    for name, value in body.items():
        if value is None or value in _HARMLESS.get(name, ()):
            continue
        if name not in _KNOWN[operation_name]:
            yield name
    tools = body.get("tools") or []
    for tool in tools if isinstance(tools, list) else ["not a list"]:
        if not isinstance(tool, dict):
            yield "tools"  # a gateway may accept what OpenAI refuses
        elif tool.get("type") not in _HARMLESS_TOOLS:
            yield str(tool.get("type"))
    items = body.get("input")
    if operation_name == "responses" and isinstance(items, list):
        # It refers to what was said before, perhaps to someone else.
        yield from ("item_reference" for item in items if isinstance(item, dict) and _is_reference(item))


def refused_extra(operation_name: str, body: Dict[str, Any], allowed: Collection[str]) -> Optional[str]:
    """The first extra in `body` that is not allowed; None if there is none."""
    return next((name for name in extras_of(operation_name, body) if name not in allowed), None)


def _is_reference(item: Dict[str, Any]) -> bool:
    # The type may be left out.
    return item.get("type") == "item_reference" or ("type" not in item and set(item) == {"id"})
