"""What a call cost: its tokens at the prices of the Python package genai-prices.

The package is optional and contains its prices; it is never asked to update them, so nothing here uses the
network. Its import takes 0.03 to 0.2 s and 4 to 8 MB, depending on what the SDK has imported already. That is
once per process: in an application when the monitor is set up, in Func before a worker's first answer.

Finding a model's prices takes 0.1 ms, so they are remembered for a quarter of an hour.
"""

from datetime import datetime, timezone
from typing import Any, Dict, Optional, Tuple

from .call import AZURE_OPENAI, Call
from .usage import Usage

# Prices change at midnight UTC, some daily at a full or half hour.
_REMEMBERED_NS = 15 * 60 * 10**9
# Models per process. Callers may name any, and the package itself remembers each that it is asked for.
_MAX_REMEMBERED = 1000
_MAX_MODEL_CHARS = 128
_MAX_UNPRICED_MODELS = 200  # until Health counts them
_DIGITS = 12  # decimals: a token of the cheapest embedding costs 0.00000002 USD

# The package's names for the prices that can be computed from the tokens of a call. For others, such as those
# of images, the cost is unknown.
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

# By name: a Decimal, in USD per million tokens, or one for each tier of prompt tokens.
_Prices = Dict[str, Any]


def load_table() -> Any:
    """The package; None if it is not installed or does not work."""
    try:
        import genai_prices
    except Exception:
        return None
    # A child forked in the middle of the import keeps half of it for good.
    return genai_prices if hasattr(genai_prices, "calc_price") else None


def preload_table() -> None:
    """Import the package and its prices, which it otherwise imports at first use.

    For callers who would import it on a thread later: a child forked in mid-import would wait for it forever.
    """
    table = load_table()
    try:
        if table is not None:
            table.calc_price(table.Usage(input_tokens=1), "gpt-4o")
    except Exception:
        pass  # a model that it no longer knows


class Prices:
    """Knows the cost of calls. One thread at a time.

    `provider` is whose prices apply to a provider that the table does not know, such as a proxy. `memory` is
    a dict that outlives the object.
    """

    def __init__(self, provider: str = "", memory: Optional[Dict[str, Any]] = None) -> None:
        self._provider = provider
        self._memory: Dict[str, Any] = {} if memory is None else memory
        # Model -> calls without a price, until they are counted. Stays empty without the table.
        self.unpriced: Dict[str, int] = self._memory.setdefault("unpriced", {})

    def cost_usd(self, call: Call) -> Optional[float]:
        """The cost in USD; None if the tokens, their price or the table are unknown.

        0 only for no tokens, or if the price is 0.
        """
        usage = call.usage
        if call.operation_name == "batch":
            return None  # batches have a discount, which is not in the table
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
        """None without a table; empty if the model's prices are unknown."""
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
        # The model that answered counts, unless the provider made up its name. The one requested may be the
        # name of a deployment.
        for model in (call.response_model, call.request_model):
            for provider in (call.provider_name, self._provider):
                try:
                    prices = _prices_of(call, provider, model) if provider and model else {}
                except Exception:
                    prices = {}  # usually not in the table; no failure in there may cost the point
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
    return max(0.0, usage.total_tokens - usage.prompt_tokens)  # 0 for an embedding


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
    # The package takes any name that contains "openai" for OpenAI.
    if "provider_id" in options and found.provider.id != provider_id:
        return {}
    prices = {name: price for name, price in vars(found.model_price).items() if price is not None}
    of_tokens = {name for name in prices if name.endswith("_mtok")}
    # What is billed by the second or the image cannot be computed from tokens, and no price is not price 0.
    return prices if of_tokens & _OF_INPUT_OR_OUTPUT and of_tokens <= _KNOWN else {}


def _cost_usd(prices: _Prices, usage: Usage, prompt: float, completion: float) -> Optional[float]:
    """None if a price of audio is missing, or the number of audio tokens is not reported."""

    def per_million(name: str, otherwise: float) -> float:
        price: Any = prices.get(name)
        if price is None:
            return otherwise
        for tier in reversed(getattr(price, "tiers", ())):
            if prompt > tier.start:  # the tier's price then holds for all tokens
                return float(tier.price)
        return float(getattr(price, "base", price))

    # No part exceeds its whole, whatever the API reports.
    cached = min(usage.cached_tokens or 0.0, prompt)
    written = min(usage.cache_write_tokens or 0.0, prompt - cached)
    reasoning = min(usage.reasoning_tokens or 0.0, completion)
    of_prompt, of_completion = per_million("input_mtok", 0.0), per_million("output_mtok", 0.0)
    usd = prompt * of_prompt + completion * of_completion
    if cached:
        usd += cached * (per_million("cache_read_mtok", of_prompt) - of_prompt)
    if written:
        usd += written * (per_million("cache_write_mtok", of_prompt) - of_prompt)
    if reasoning:
        usd += reasoning * (per_million("output_reasoning_mtok", of_completion) - of_completion)
    for name, audio, whole, of_text in (
        ("input_audio_mtok", usage.prompt_audio_tokens, prompt, of_prompt),
        ("output_audio_mtok", usage.completion_audio_tokens, completion, of_completion),
    ):
        if (audio is None and name in prices and whole) or (audio and name not in prices):
            return None
        if audio:
            usd += min(audio, whole) * (per_million(name, of_text) - of_text)
    if cached and usage.prompt_audio_tokens and "cache_audio_read_mtok" in prices:
        return None  # how much of the audio was cached is unknown
    return round(usd / 1e6 + float(prices.get("requests_kcount", 0)) / 1e3, _DIGITS)
