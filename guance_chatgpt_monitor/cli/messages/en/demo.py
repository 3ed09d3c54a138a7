"""demo."""

from typing import Dict

from .. import Text

TEXTS: Dict[str, Text] = {
    "running": "calling ChatGPT through the local Func",
    "func": "Func       {url}  (stand-in; DFF.CACHE in {cache})",
    "in_redis": "a real Redis",
    "in_memory": "memory: Redis takes redis-server and `pip install redis`",
    "datakit": "DataKit    {url}",
    "openai": "OpenAI     {url}",
    "stand_in": "{url}  (stand-in)",
    "built": "built      {n} scripts, originMD5 {md5}",
    "deployed": "deployed   {script}; auto-trigger {triggers}",
    "link": "link       {url}",
    "stopped": "DataKit is stopped",
    "started": "DataKit is started again; the auto-trigger fires",
    "received": "DataKit received {n} points of {n_calls} calls:",
    "took": "DataKit took {n} points of {n_calls} calls",
    "complete": "every point arrived",
    "incomplete": "NOT every point arrived",
    "totals": "totals: {totals}",
    "probe": "probe: OpenAI was up {up} of {n} times, in {seconds} s",
    "rate_limit": "rate limit: {requests} of {max_requests} requests left, {tokens} of {max_tokens} tokens",
    "cost": "cost: {cost} USD",
    "cost_unknown": "cost: not known without a price table: pip install genai-prices (Python 3.9 or later)",
    "books": "OpenAI's own books: {n} requests, {tokens} tokens, {cost} USD (at the stand-in's prices); answered here: {n_answered} requests, {tokens_answered} tokens",
}
