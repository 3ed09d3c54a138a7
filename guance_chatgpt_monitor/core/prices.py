"""What a call cost: its tokens at the rates of a price table, that of the Python package genai-prices.

The package is optional, has its prices inside, and is never told to update itself: nothing here touches the
network. Its import takes 0.03 to 0.2 s and 4 to 8 MB, depending on how much of it the SDK has imported. That
is once in a process: in an application while the monitor is set up, and in Func before a worker's first
answer, like the import of the SDK.

It takes 0.1 ms to price a call. But a price is a straight line in the tokens of each kind, between the
thresholds of its tiers: a few prices tell the rates, which are remembered for a quarter of an hour.
"""

import re
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Optional, Tuple

from .call import Call, Usage

# Prices change at midnight UTC, and some at a full or half hour of each day.
_REMEMBERED_NS = 15 * 60 * 10**9
# Models of a process; a caller may name any, and the table, too, remembers each that it is asked for.
_MAX_REMEMBERED = 1000
_MAX_MODEL_CHARS = 128
_MAX_UNPRICED_MODELS = 200  # between two times that they are counted for all
_SAMPLE_TOKENS = 10**6
_DIGITS = 12  # behind the point: a token of the cheapest embedding costs 0.00000002 USD

# What the table calls its prices for tokens that a call's usage tells apart.
_PRICES_OF_INPUT_OR_OUTPUT = frozenset(["input_mtok", "output_mtok"])
_PRICES_READ = _PRICES_OF_INPUT_OR_OUTPUT | {
    "cache_read_mtok",
    "cache_write_mtok",
    "cache_write_5m_mtok",
    "cache_write_1h_mtok",
    "output_reasoning_mtok",
}
_STANDARD_TIERS = ("", "auto", "default")

_UNNAMED = "other"
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9_.-]{0,252}")

# For calls with more prompt tokens than the first figure: USD for the call, and for each token of the
# prompt, of the completion, and on top of these for each cached, cache-written and reasoning one.
_Rates = Tuple[float, float, float, float, float, float, float]


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
        prompt, completion = usage.prompt_tokens, _completion_tokens(usage)
        if prompt is None or completion is None:
            return None
        rates = self._rates(call)
        if rates is None:
            return None
        if not rates:
            self._count_unpriced(call)
            return None
        cached = min(usage.cached_tokens or 0.0, prompt)
        written = min(usage.cache_write_tokens or 0.0, prompt - cached)
        reasoning = min(usage.reasoning_tokens or 0.0, completion)
        for rates_of_tier in rates:
            if prompt > rates_of_tier[0]:
                break
        _, of_call, of_prompt, of_completion, of_cached, of_written, of_reasoning = rates_of_tier
        cost = of_call + prompt * of_prompt + completion * of_completion
        cost += cached * of_cached + written * of_written + reasoning * of_reasoning
        return round(cost, _DIGITS)

    def _rates(self, call: Call) -> Optional[Tuple[_Rates, ...]]:
        """None without a table; empty for a model whose price it does not know."""
        memory = self._memory
        period = call.ended_at_ns // _REMEMBERED_NS
        if memory.get("period") != period:
            memory.update(period=period, has_table=load_table() is not None)
        if not memory["has_table"]:
            return None
        known: Dict[Any, Tuple[int, Tuple[_Rates, ...]]] = memory.setdefault("rates", {})
        key = (
            call.provider_name,
            self._provider,
            call.response_model,
            call.request_model,
            call.service_tier,
        )
        remembered = known.get(key)
        if remembered is None and len(known) >= _MAX_REMEMBERED:
            return ()
        if remembered is None or remembered[0] != period:
            remembered = known[key] = (period, self._read_rates(call))
        return remembered[1]

    def _read_rates(self, call: Call) -> Tuple[_Rates, ...]:
        for provider in (call.provider_name, self._provider):
            # What answered counts, unless that is a name that the provider made up.
            for model in (call.response_model, call.request_model):
                try:
                    rates = _rates_of(call, provider, model) if provider and model else ()
                except Exception:
                    rates = ()  # not in the table, as a rule; nothing in there may cost the point
                if rates:
                    return rates
        return ()

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


def _rates_of(call: Call, provider: str, model: str) -> Tuple[_Rates, ...]:
    """The rates, the highest tier first. Raises LookupError, or whatever the table does."""
    table = load_table()
    options: Dict[str, Any] = {
        "genai_request_timestamp": datetime.fromtimestamp(call.ended_at_ns / 1e9, timezone.utc)
    }
    if call.service_tier not in _STANDARD_TIERS:
        options["price_context"] = {"service_tier": call.service_tier}
    provider_id = "azure" if provider == "azure_openai" else provider.lower()
    if "." in provider_id:
        options["provider_api_url"] = "https://" + provider_id
    else:
        options["provider_id"] = provider_id

    def quote(**tokens: int) -> Any:
        return table.calc_price(table.Usage(**tokens), model, **options)

    found = quote(input_tokens=0)
    # It takes any name that contains "openai" for OpenAI.
    if "provider_id" in options and found.provider.id != provider_id:
        return ()
    prices = {name: price for name, price in vars(found.model_price).items() if price is not None}
    of_tokens = {name for name in prices if name.endswith("_mtok")}
    # What is paid by the second, or differently for audio and images, cannot be told from these tokens; and
    # no price at all is not the price 0.
    if not of_tokens & _PRICES_OF_INPUT_OR_OUTPUT or of_tokens - _PRICES_READ:
        return ()
    thresholds = {tier.start for price in prices.values() for tier in getattr(price, "tiers", ())}
    bounds = [-1, *sorted(thresholds)]
    has_reasoning = hasattr(table.Usage(), "output_reasoning_tokens")
    tiers = zip(bounds, [*bounds[1:], bounds[-1] + _SAMPLE_TOKENS])
    return tuple(_rates_between(quote, above, up_to, has_reasoning) for above, up_to in tiers)[::-1]


def _rates_between(quote: Callable[..., Any], above: int, up_to: int, has_reasoning: bool) -> _Rates:
    """The rates for prompts of more than `above` and up to `up_to` tokens."""

    def usd(**tokens: int) -> Any:
        return quote(**tokens).total_price  # a Decimal

    n, least = _SAMPLE_TOKENS, above + 1
    at_most = usd(input_tokens=up_to)
    of_prompt = (at_most - usd(input_tokens=least)) / (up_to - least)
    of_cached = (usd(input_tokens=up_to, cache_read_tokens=up_to) - at_most) / up_to
    of_written = (usd(input_tokens=up_to, cache_write_tokens=up_to) - at_most) / up_to
    with_output = usd(input_tokens=up_to, output_tokens=n)
    of_completion = (with_output - at_most) / n
    of_reasoning = at_most * 0
    if has_reasoning:  # as the earlier versions have not
        with_reasoning = usd(input_tokens=up_to, output_tokens=n, output_reasoning_tokens=n)
        of_reasoning = (with_reasoning - with_output) / n
    return (
        float(above),
        float(at_most - of_prompt * up_to),
        float(of_prompt),
        float(of_completion),
        float(of_cached),
        float(of_written),
        float(of_reasoning),
    )
