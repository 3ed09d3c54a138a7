"""The cost of a call by the real price table, with any version of genai-prices on any Python."""

import inspect
import subprocess
import sys
import tracemalloc
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, Optional

import genai_prices
import pytest
from genai_prices import data_snapshot

from guance_chatgpt_monitor.core.call import Call
from guance_chatgpt_monitor.core.metrics import PointMaker
from guance_chatgpt_monitor.core.prices import Prices
from guance_chatgpt_monitor.core.usage import NO_USAGE, Usage
from guance_chatgpt_monitor.core.validators import read_price_provider

AT = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
KNOWS_TIERS = "price_context" in inspect.signature(genai_prices.calc_price).parameters
KNOWS_REASONING = hasattr(genai_prices.Usage(), "output_reasoning_tokens")
PROVIDERS = {provider.id: provider for provider in data_snapshot.get_snapshot().providers}


def made(
    model: str = "gpt-4o-mini-2024-07-18",
    usage: Usage = Usage(1500.0, 1000.0, 500.0, 400.0, 100.0),  # noqa: B008 - never changed
    at: datetime = AT,
    **facts: Any,
) -> Call:
    return Call("chat", response_model=model, usage=usage, ended_at_ns=int(at.timestamp() * 1e9), **facts)


def cost(*args: Any, **kwargs: Any) -> Optional[float]:
    return Prices().cost_usd(made(*args, **kwargs))


def of(
    prompt: float, completion: float, cached: float = 0.0, reasoning: float = 0.0, written: float = 0.0
) -> Usage:
    return Usage(prompt + completion, prompt, completion, cached, reasoning, written)


# ---- the figures ----


@pytest.mark.parametrize(
    ("model", "usage", "usd_per_million"),
    [
        # Published, in USD per million tokens: prompt 0.15, half of that if cached; completion 0.60.
        ("gpt-4o-mini-2024-07-18", of(1000, 500), 1000 * 0.15 + 500 * 0.60),
        ("gpt-4o-mini-2024-07-18", of(1000, 500, cached=400), 600 * 0.15 + 400 * 0.075 + 500 * 0.60),
        ("gpt-4o-mini-2024-07-18", of(1000, 500, reasoning=300), 1000 * 0.15 + 500 * 0.60),
        ("gpt-4o-mini-2024-07-18", of(1, 0), 0.15),
        ("gpt-5-2025-08-07", of(1000, 500, cached=1000, reasoning=500), 1000 * 0.125 + 500 * 10),
        # Without a price of their own, cached tokens cost as much as others.
        ("gpt-4-turbo-2024-04-09", of(1000, 500, cached=400), 1000 * 10 + 500 * 30),
        # A fine-tuned model, an embedding.
        ("ft:gpt-4o-mini-2024-07-18:shop::abc", of(1000, 500), 1000 * 0.30 + 500 * 1.20),
        ("text-embedding-3-small", of(1000, 0), 1000 * 0.02),
        # Above 272,000 prompt tokens, all tokens are more expensive.
        ("gpt-5.4", of(272_000, 500, cached=1000), 271_000 * 2.5 + 1000 * 0.25 + 500 * 15),
        ("gpt-5.4", of(272_001, 500, cached=1000), 271_001 * 5 + 1000 * 0.5 + 500 * 22.5),
    ],
)
def test_the_cost_follows_the_published_rates(model: str, usage: Usage, usd_per_million: float) -> None:
    assert cost(model, usage) == pytest.approx(usd_per_million / 1e6, rel=1e-9)


def test_a_changed_price_applies_from_its_day() -> None:
    usage = of(1000, 500)
    before = cost("o3", usage, at=datetime(2025, 6, 9, 23, 59, tzinfo=timezone.utc))
    after = cost("o3", usage, at=datetime(2025, 6, 10, 0, 1, tzinfo=timezone.utc))
    assert before == pytest.approx((1000 * 10 + 500 * 40) / 1e6)
    assert after == pytest.approx((1000 * 2 + 500 * 8) / 1e6)


def test_a_changed_price_replaces_the_remembered_one() -> None:
    prices, usage = Prices(), of(1000, 0)
    for minute, rate in ((50, 10), (59, 10)):
        call = made("o3", usage, at=datetime(2025, 6, 9, 23, minute, tzinfo=timezone.utc))
        assert prices.cost_usd(call) == pytest.approx(1000 * rate / 1e6)
    call = made("o3", usage, at=datetime(2025, 6, 10, 0, 0, tzinfo=timezone.utc))
    assert prices.cost_usd(call) == pytest.approx(1000 * 2 / 1e6)


def test_reasoning_costs_its_own_rate() -> None:
    found = cost(
        "perplexity/sonar-deep-research", of(1000, 500, reasoning=200), provider_name="openrouter.ai"
    )
    of_reasoning = 3 if KNOWS_REASONING else 8  # earlier versions have no such price
    assert found == pytest.approx((1000 * 2 + 300 * 8 + 200 * of_reasoning) / 1e6)


@pytest.mark.parametrize(("tier", "factor"), [("default", 1), ("auto", 1), ("flex", 0.5), ("priority", 1.75)])
def test_the_cost_depends_on_the_service_tier(tier: str, factor: float) -> None:
    found = cost("o3", of(1000, 500), service_tier=tier)
    if KNOWS_TIERS or factor == 1:
        assert found == pytest.approx(factor * (1000 * 2 + 500 * 8) / 1e6)
    else:  # earlier versions have no such prices
        assert found is None


def table_cost(provider: str, model: str, tokens: Dict[str, int]) -> float:
    usage = genai_prices.Usage(**tokens)
    found = genai_prices.calc_price(usage, model, provider_id=provider, genai_request_timestamp=AT)
    return float(found.total_price)


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["openai", "azure", "deepseek", "groq", "openrouter"])
def test_costs_agree_with_genai_prices(provider: str) -> None:
    prices = Prices()
    usages: List[Dict[str, int]] = [
        {"input_tokens": 0, "output_tokens": 1},
        {"input_tokens": 7, "output_tokens": 3, "cache_read_tokens": 5},
        {"input_tokens": 128_001, "output_tokens": 999, "cache_read_tokens": 64, "cache_write_tokens": 1024},
        {"input_tokens": 1_000_000, "output_tokens": 64_000, "cache_read_tokens": 900_000},
    ]
    compared = 0
    for model in PROVIDERS[provider].models:
        for tokens in usages:
            usage = of(
                tokens["input_tokens"],
                tokens["output_tokens"],
                tokens.get("cache_read_tokens", 0),
                written=tokens.get("cache_write_tokens", 0),
            )
            found = prices.cost_usd(made(model.id, usage, provider_name=provider))
            if found is not None:
                assert found == pytest.approx(table_cost(provider, model.id, tokens), abs=1e-11), model.id
                compared += 1
    assert compared >= 12


# ---- unknown is not 0 ----


@pytest.mark.parametrize(
    ("usage", "known"),
    [
        (NO_USAGE, False),
        (Usage(total_tokens=12.0), False),  # prompt or completion?
        (Usage(completion_tokens=12.0), False),
        (Usage(total_tokens=12.0, prompt_tokens=12.0), True),  # an embedding
        (of(0, 0), True),
        (
            of(10, 5, cached=50, reasoning=50, written=50),
            True,
        ),  # more cached tokens than tokens: nonsense, but no negative cost
    ],
)
def test_unknown_tokens_have_no_cost(usage: Usage, known: bool) -> None:
    prices = Prices()
    found = prices.cost_usd(made(usage=usage))
    assert (found is not None) == known
    assert found is None or found >= 0.0
    assert prices.unpriced == {}


@pytest.mark.parametrize(
    "model",
    [
        "no-such-model",
        "",
        "gpt-realtime",  # audio has its own price, but is not reported separately
        "whisper-1",  # priced per second
        "omni-moderation-latest",  # without a price in the table, it is not free
        "gpt-\ud800",
    ],
)
def test_a_model_without_a_price_has_no_cost_and_is_counted(model: str) -> None:
    prices = Prices()
    for _ in range(3):
        assert prices.cost_usd(made(model)) is None
    assert prices.unpriced == {model.replace("\ud800", "?") or "other": 3}


def test_the_answering_model_counts_before_the_requested_one() -> None:
    usd = cost("gpt-4o-mini-2024-07-18", of(1000, 0))
    assert cost("gpt-4o-mini-2024-07-18", of(1000, 0), request_model="gpt-4o") == usd
    assert cost("", of(1000, 0), request_model="gpt-4o-mini") == usd
    assert cost("made-up-name", of(1000, 0), request_model="gpt-4o-mini") == usd
    # An Azure deployment may have any name.
    azure = {"provider_name": "azure_openai", "request_model": "our-deployment"}
    assert cost("gpt-4o-mini-2024-07-18", of(1000, 0), **azure) == usd
    # Even that of another model.
    azure = {"provider_name": "azure_openai", "request_model": "gpt-4"}
    assert cost("gpt-4o-mini-2024-07-18", of(1000, 0), **azure) == usd


@pytest.mark.parametrize("request_model", ["our-deployment", "gpt-4", "gpt-4o-mini"])
@pytest.mark.parametrize("price_provider", ["openai", "azure_openai"])
@pytest.mark.parametrize(
    "provider_name", ["azure_openai", "llm.example.org", "127.0.0.1", "front.azure-api.cn"]
)
def test_a_deployment_is_priced_behind_any_host(
    provider_name: str, price_provider: str, request_model: str
) -> None:
    call = made("gpt-4o-mini-2024-07-18", provider_name=provider_name, request_model=request_model)
    assert Prices(price_provider).cost_usd(call) == cost()
    # If the answer names no model, the requested one counts, if it exists.
    call = made("", provider_name=provider_name, request_model=request_model)
    found = Prices(price_provider).cost_usd(call)
    assert (found is None) == (request_model == "our-deployment")


def table_prices(model: str) -> object:
    usage = genai_prices.Usage(input_tokens=1)
    return genai_prices.calc_price(usage, model, provider_id="openai").model.prices


@pytest.mark.parametrize(
    ("model", "prompt_audio", "completion_audio", "known"),
    [
        ("gpt-4o-mini-2024-07-18", 0.0, 0.0, True),
        ("gpt-4o-mini-2024-07-18", None, None, True),
        # The table has only the price of text, a sixteenth of that of audio.
        ("gpt-4o-audio-preview", 5.0, 0.0, False),
        ("gpt-4o-audio-preview", 0.0, 5.0, False),
        ("gpt-4o-audio-preview", 0.0, 0.0, True),
    ],
)
def test_audio_without_a_price_has_no_cost(
    model: str, prompt_audio: Optional[float], completion_audio: Optional[float], known: bool
) -> None:
    if prompt_audio and "input audio" in str(table_prices(model)):
        pytest.skip("this version of the price table has a price for audio")
    usage = of(1000, 500)._replace(prompt_audio_tokens=prompt_audio, completion_audio_tokens=completion_audio)
    prices = Prices()
    assert (prices.cost_usd(made(model, usage)) is not None) == known
    assert prices.unpriced == ({} if known else {model: 1})


def test_audio_costs_its_own_rate() -> None:
    usage = of(1000, 500)._replace(prompt_audio_tokens=400.0, completion_audio_tokens=0.0)
    found = cost("gemini-2.5-flash", usage, provider_name="google")
    assert found == pytest.approx((600 * 0.30 + 400 * 1.00 + 500 * 2.50) / 1e6)
    # It is unknown how much is audio, or how much of the audio was cached.
    assert cost("gemini-2.5-flash", of(1000, 500), provider_name="google") is None
    cached = usage._replace(cached_tokens=100.0)
    assert cost("gemini-2.5-flash", cached, provider_name="google") is None


@pytest.mark.parametrize(
    ("provider", "model", "known"),
    [
        ("openai", "gpt-4o-mini", True),
        ("azure_openai", "gpt-4o-mini", True),
        ("api.deepseek.com", "deepseek-chat", True),
        ("deepseek", "deepseek-chat", True),
        ("api.deepseek.com", "gpt-4o-mini", False),
        ("127.0.0.1", "gpt-4o-mini", False),
        ("openai.example.org", "gpt-4o-mini", False),
        ("my-openai-gateway", "gpt-4o-mini", False),
        ("litellm", "gpt-4o-mini", False),
        ("localhost", "gpt-4o-mini", False),
        ("", "gpt-4o-mini", False),
    ],
)
def test_only_a_known_provider_has_a_price(provider: str, model: str, known: bool) -> None:
    prices = Prices()
    assert (prices.cost_usd(made(model, provider_name=provider)) is not None) == known
    assert prices.unpriced == ({} if known else {model: 1})


def test_price_provider_prices_the_calls_of_a_proxy() -> None:
    call = made(provider_name="proxy.example.org")
    assert Prices("openai").cost_usd(call) == cost()
    assert Prices("azure_openai").cost_usd(call) == cost()
    assert Prices("api.openai.com").cost_usd(call) == cost()
    assert Prices("no-such-provider").cost_usd(call) is None
    # The table's own entry for the provider takes precedence.
    call = made("deepseek-chat", provider_name="api.deepseek.com")
    assert Prices("openai").cost_usd(call) == Prices().cost_usd(call) is not None


@pytest.mark.parametrize("name", ["https://api.openai.com", "OpenAI", "a b", "", "-", "a" * 254, "open\nai"])
def test_an_impossible_provider_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must be a provider, such as openai"):
        read_price_provider(name)


# ---- on the point, and across objects ----


def test_the_point_has_the_cost_if_known() -> None:
    points = PointMaker(price_provider="")
    assert points.from_call(made()).fields["cost"] == cost()
    assert "cost" not in points.from_call(made("no-such-model")).fields
    assert "cost" not in points.from_call(made(usage=NO_USAGE)).fields
    late = made(error_type="cancelled")
    assert points.from_call(late).fields["cost"] == cost()
    assert points.unpriced == {"no-such-model": 1}


def test_prices_are_remembered_across_objects_without_our_classes() -> None:
    memory: Dict[str, Any] = {}
    Prices("", memory).cost_usd(made("no-such-model"))
    Prices("", memory).cost_usd(made())
    assert Prices("", memory).unpriced == {"no-such-model": 1}
    assert "guance_chatgpt_monitor" not in str([type(price) for price in _values_in(memory)])
    # A different price_provider in the same process has its own prices.
    call = made(provider_name="proxy.example.org")
    assert Prices("", memory).cost_usd(call) is None
    assert Prices("openai", memory).cost_usd(call) == cost()


def _values_in(memory: Any) -> List[Any]:
    if isinstance(memory, (dict, tuple)):
        values = memory.values() if isinstance(memory, dict) else memory
        return [memory, *(found for value in values for found in _values_in(value))]
    return [memory]


def test_memory_stays_flat_over_many_models() -> None:
    prices = Prices()

    def many(start: int, stop: int) -> None:
        for n in range(start, stop):
            assert prices.cost_usd(made(f"model-{n}")) is None

    many(0, 1500)
    tracemalloc.start()
    many(1500, 6000)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 50_000
    assert len(prices.unpriced) <= 201
    assert sum(prices.unpriced.values()) == 6000


# ---- the package: imported late, offline, and possibly missing ----

SHOW = """
import sys, threading
from guance_chatgpt_monitor.core.call import Call
from guance_chatgpt_monitor.core.usage import NO_USAGE, Usage
from guance_chatgpt_monitor.core.metrics import PointMaker
import guance_chatgpt_monitor.app.exporter

def point(model, usage):
    call = Call("chat", response_model=model, usage=usage)
    call.end()
    return points.from_call(call).fields

points = PointMaker()
usage = Usage(1500.0, 1000.0, 500.0)
"""


def run(code: str, *paths: Path) -> List[str]:
    """Return what `code` prints in a process of its own, with `paths` first in sys.path."""
    path = f"import sys\nsys.path[:0] = {list(map(str, paths))!r}\n"
    command = [sys.executable, "-W", "error", "-c", path + SHOW + code]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_the_package_is_imported_by_the_first_call_with_tokens() -> None:
    code = """
point("gpt-4o", NO_USAGE)
print("genai_prices" in sys.modules)
point("gpt-4o", usage)
print("genai_prices" in sys.modules)
"""
    assert run(code) == ["False", "True"]


def test_pricing_uses_no_network_and_starts_no_thread() -> None:
    code = """
import socket
def refuse(*_, **__):
    raise SystemExit("the network")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
print(point("gpt-4o", usage)["cost"], threading.active_count())
"""
    assert run(code) == ["0.0075 1"]


def test_without_the_package_points_have_no_cost() -> None:
    code = """
sys.modules["genai_prices"] = None
print(sorted(point("gpt-4o", usage)), points.unpriced)
"""
    (line,) = run(code)
    assert "total_tokens" in line
    assert "cost" not in line
    assert line.endswith(" {}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "unpriced"),
    [
        ("raise RuntimeError('odd')", "{}"),
        ("import no_such_dependency", "{}"),
        ("", "{}"),
        ("calc_price = None\nUsage = None", "{'gpt-4o': 1}"),
        (
            "class Usage:\n  def __init__(self, **_): pass\ndef calc_price(*_, **__): return 5",
            "{'gpt-4o': 1}",
        ),
    ],
)
def test_with_a_broken_package_only_the_cost_is_missing(package: str, unpriced: str, tmp_path: Path) -> None:
    (tmp_path / "genai_prices.py").write_text(package)
    (line,) = run('print(sorted(point("gpt-4o", usage)), points.unpriced)', tmp_path)
    assert "total_tokens" in line
    assert "cost" not in line
    assert line.endswith(f" {unpriced}")
