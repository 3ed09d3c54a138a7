"""What a call cost: its tokens at the prices of a table, that of the Python package genai-prices.

The package is optional, has its prices inside, and is never told to update itself: nothing here touches the
network. Its import takes 0.03 to 0.2 s and 4 to 8 MB, depending on how much of it the SDK has imported. That
is once in a process: in an application while the monitor is set up, and in Func before a worker's first
answer, like the import of the SDK.

It takes 0.1 ms to find a model and to price its tokens. So the prices of a model, once found, are remembered
for a quarter of an hour.
"""

import re
from datetime import datetime, timezone
from typing import Any, Dict, Optional, Tuple

from .call import AZURE_OPENAI, Call
from .usage import Usage

# Prices change at midnight UTC, and some at a full or half hour of each day.
_REMEMBERED_NS = 15 * 60 * 10**9
# Models of a process; a caller may name any, and the table, too, remembers each that it is asked for.
_MAX_REMEMBERED = 1000
_MAX_MODEL_CHARS = 128
_MAX_UNPRICED_MODELS = 200  # between two times that they are counted for all
_DIGITS = 12  # behind the point: a token of the cheapest embedding costs 0.00000002 USD

# What the table calls its prices: those that can be told from the tokens of a call's usage. What it has
# others for, images among them, cannot.
_OF_AUDIO = frozenset(["input_audio_mtok", "output_audio_mtok", "cache_audio_read_mtok"])
_OF_INPUT_OR_OUTPUT = frozenset(["input_mtok", "output_mtok"])
_KNOWN = (
    _OF_INPUT_OR_OUTPUT
    | _OF_AUDIO
    | {
        "cache_read_mtok",
        "cache_write_mtok",
        "cache_write_5m_mtok",
        "cache_write_1h_mtok",
        "output_reasoning_mtok",
    }
)
_STANDARD_TIERS = ("", "auto", "default")

_UNNAMED = "other"
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9_.-]{0,252}")

# By name: a Decimal, in USD for a million tokens, or one for each tier of prompt tokens. Objects of the
# table's, whose module stays in the process: a Func task gets new classes of ours, and these as they were.
_Prices = Dict[str, Any]


def check_provider(name: str) -> str:
    """`name`, as a provider that has prices. Raises ValueError."""
    if not _PROVIDER.fullmatch(name):
        raise ValueError("must be a provider, such as openai or azure_openai, or the host of its API")
    return name


def load_table() -> Any:
    """The package, or None: it is not installed, or does not work."""
    try:
        import genai_prices
    except Exception:
        return None
    # A child that was forked in the middle of the import has half of it, for good.
    return genai_prices if hasattr(genai_prices, "calc_price") else None


def preload_table() -> None:
    """Import the package and its prices, which it imports with the first that is asked for.

    For who shall not do so on a thread: a child that is forked in the middle of an import waits for its end,
    which does not come.
    """
    table = load_table()
    try:
        if table is not None:
            table.calc_price(table.Usage(input_tokens=1), "gpt-4o")
    except Exception:
        pass  # a model that it does not know any more


class Prices:
    """Knows the cost of calls. One thread at a time.

    `provider` is whose prices hold for a provider that the table does not know: a proxy that passes on to
    it. `memory` outlives the object, in plain containers.
    """

    def __init__(self, provider: str = "", memory: Optional[Dict[str, Any]] = None) -> None:
        self._provider = provider
        self._memory: Dict[str, Any] = {} if memory is None else memory
        # Model -> calls without a price, until they are counted. Empty where there is no table.
        self.unpriced: Dict[str, int] = self._memory.setdefault("unpriced", {})

    def cost_usd(self, call: Call) -> Optional[float]:
        """USD; None if its tokens, their prices or the table are not known.

        It is 0 only for no tokens, or where the table has a price and that is 0.
        """
        usage = call.usage
        if call.operation_name == "batch":
            return None  # at a discount that the table does not have
        prompt, completion = usage.prompt_tokens, _completion_tokens(usage)
        if prompt is None or completion is None:
            return None
        prices = self._prices(call)
        if prices is None:
            return None
        cost_usd = _cost_usd(prices, usage, prompt, completion) if prices else None
        if cost_usd is None:
            self._count_unpriced(call)
        return cost_usd

    def _prices(self, call: Call) -> Optional[_Prices]:
        """None without a table; empty for a model whose prices it does not know."""
        memory = self._memory
        period = call.ended_at_ns // _REMEMBERED_NS
        if memory.get("period") != period:
            memory.update(period=period, has_table=load_table() is not None)
        if not memory["has_table"]:
            return None
        known: Dict[Any, Tuple[int, _Prices]] = memory.setdefault("prices", {})
        key = (
            call.provider_name,
            self._provider,
            call.response_model,
            call.request_model,
            call.service_tier,
        )
        remembered = known.get(key)
        if remembered is None and len(known) >= _MAX_REMEMBERED:
            return {}
        if remembered is None or remembered[0] != period:
            remembered = known[key] = (period, self._find(call))
        return remembered[1]

    def _find(self, call: Call) -> _Prices:
        # What answered counts, unless that is a name that the provider made up. What was asked for may be the
        # name of a deployment.
        for model in (call.response_model, call.request_model):
            for provider in (call.provider_name, self._provider):
                try:
                    prices = _prices_of(call, provider, model) if provider and model else {}
                except Exception:
                    prices = {}  # not in the table, as a rule; nothing in there may cost the point
                if prices:
                    return prices
        return {}

    def _count_unpriced(self, call: Call) -> None:
        name = (call.response_model or call.request_model)[:_MAX_MODEL_CHARS]
        model = name.encode("utf-8", "replace").decode("utf-8") or _UNNAMED
        if model not in self.unpriced and len(self.unpriced) >= _MAX_UNPRICED_MODELS:
            model = _UNNAMED
        self.unpriced[model] = self.unpriced.get(model, 0) + 1


def _completion_tokens(usage: Usage) -> Optional[float]:
    if usage.completion_tokens is not None or usage.prompt_tokens is None or usage.total_tokens is None:
        return usage.completion_tokens
    return max(0.0, usage.total_tokens - usage.prompt_tokens)  # none, for an embedding


def _prices_of(call: Call, provider: str, model: str) -> _Prices:
    """Raises LookupError, or whatever the table does."""
    table = load_table()
    options: Dict[str, Any] = {
        "genai_request_timestamp": datetime.fromtimestamp(call.ended_at_ns / 1e9, timezone.utc)
    }
    if call.service_tier not in _STANDARD_TIERS:
        options["price_context"] = {"service_tier": call.service_tier}
    provider_id = "azure" if provider == AZURE_OPENAI else provider.lower()
    if "." in provider_id:
        options["provider_api_url"] = "https://" + provider_id
    else:
        options["provider_id"] = provider_id
    found = table.calc_price(table.Usage(input_tokens=0), model, **options)
    # It takes any name that contains "openai" for OpenAI.
    if "provider_id" in options and found.provider.id != provider_id:
        return {}
    prices = {name: price for name, price in vars(found.model_price).items() if price is not None}
    of_tokens = {name for name in prices if name.endswith("_mtok")}
    # What is paid by the second or by the image cannot be told from these tokens; and no price at all is not
    # the price 0.
    return prices if of_tokens & _OF_INPUT_OR_OUTPUT and of_tokens <= _KNOWN else {}


def _cost_usd(prices: _Prices, usage: Usage, prompt: float, completion: float) -> Optional[float]:
    """None where a price of audio is missing, or it is not told how many of the tokens are audio."""

    def per_million(name: str, otherwise: float) -> float:
        price: Any = prices.get(name)
        if price is None:
            return otherwise
        for tier in reversed(getattr(price, "tiers", ())):
            if prompt > tier.start:  # then all tokens have its price
                return float(tier.price)
        return float(getattr(price, "base", price))

    # Every kind within its whole, whatever the API has told.
    cached = min(usage.cached_tokens or 0.0, prompt)
    written = min(usage.cache_write_tokens or 0.0, prompt - cached)
    reasoning = min(usage.reasoning_tokens or 0.0, completion)
    of_prompt, of_completion = per_million("input_mtok", 0.0), per_million("output_mtok", 0.0)
    usd = prompt * of_prompt + completion * of_completion
    usd += cached * (per_million("cache_read_mtok", of_prompt) - of_prompt)
    usd += written * (per_million("cache_write_mtok", of_prompt) - of_prompt)
    usd += reasoning * (per_million("output_reasoning_mtok", of_completion) - of_completion)
    for name, audio, whole, of_text in (
        ("input_audio_mtok", usage.prompt_audio_tokens, prompt, of_prompt),
        ("output_audio_mtok", usage.completion_audio_tokens, completion, of_completion),
    ):
        if (audio is None and name in prices and whole) or (audio and name not in prices):
            return None
        usd += min(audio or 0.0, whole) * (per_million(name, of_text) - of_text)
    if cached and usage.prompt_audio_tokens and "cache_audio_read_mtok" in prices:
        return None  # how much of the audio was cached is not told
    return round(usd / 1e6 + float(prices.get("requests_kcount", 0)) / 1e3, _DIGITS)
