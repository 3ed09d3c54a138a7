"""Whether there is a price table: without one, the points have no cost, and all else is as it should be."""

from datetime import date, datetime, timezone
from importlib.util import find_spec
from typing import Any, Iterator

from ...core.prices import load_table
from ..func_client import FuncClient
from ..messages import text
from .finding import OK, Finding, doubtful, good

PACKAGE = "genai-prices"


def check_prices() -> Finding:
    """The table of this Python."""
    table = load_table()
    if table is not None:
        version = getattr(table, "__version__", "")
        return good("prices", "check.prices", version=version, date=_latest_price(table))
    if find_spec("genai_prices") is not None:
        return doubtful("prices", "check.prices_broken")
    return _none("prices", "check.prices_here")


def check_prices_in_func(client: FuncClient) -> Finding:
    """The table of Func's workers. Raises UserError."""
    for row in client.get("python-packages/installed/do/list"):
        # A wheel that was uploaded is listed as `genai-prices @ file:///…`.
        if row["name"].partition(" @ ")[0].replace("_", "-").lower() == PACKAGE:
            version = row.get("userInstalledVersion") or row.get("builtinVersion") or ""
            return Finding("prices_in_func", OK, f"{PACKAGE} {version}".rstrip())
    return _none("prices_in_func", "check.prices_in_func")


def _none(name: str, next_step: str) -> Finding:
    """Not a fault: the cost is an extra."""
    return Finding(name, OK, text("check.prices_none"), text(next_step))


def _latest_price(table: Any) -> str:
    """The date since which its latest price is in force, as ISO text: the table itself has none."""
    try:
        today = datetime.now(timezone.utc).date()
        return max(start for start in _start_dates(table) if start <= today).isoformat()
    except Exception:
        return text("check.unknown_date")  # a version that keeps its prices another way


def _start_dates(table: Any) -> Iterator[date]:
    for provider in table.data_snapshot.get_snapshot().providers:
        for model in provider.models:
            # A list where the price has changed.
            prices = model.prices if isinstance(model.prices, list) else ()
            for price in (*prices, *(getattr(model, "price_variants", None) or ())):
                start = getattr(price.constraint, "start_date", None)
                if start is not None:
                    yield start
