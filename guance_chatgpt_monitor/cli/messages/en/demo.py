"""demo."""

from .. import Texts

TEXTS: Texts = {
    "running": "calling ChatGPT through the local Func",
    "real": "{count} calls, which cost a little, go to the real OpenAI at {url} with $OPENAI_API_KEY",
    "real_without_key": (
        "--real calls the real OpenAI, but OPENAI_API_KEY is not set",
        "export OPENAI_API_KEY=…, or leave out --real to use the stand-in",
    ),
    "open_alone": (
        "--open shows the stand-ins, so it cannot be combined with --datakit, --json or --real",
        "guance-chatgpt-monitor demo --open",
    ),
    # ---- its parts ----
    "func": "Func       {url}  (stand-in; DFF.CACHE in {cache})",
    "in_redis": "a real Redis",
    "in_memory": "memory: for Redis, install redis-server and `pip install redis`",
    "datakit": "DataKit    {url}",
    "openai": "OpenAI     {url}",
    "stand_in": "{url}  (stand-in)",
    "built": "built      {n} scripts, originMD5 {md5}",
    "deployed": "deployed   {script}; auto-trigger {triggers}",
    "link": "link       {url}",
    # ---- the calls ----
    "call_question": "question",
    "call_system_and_model": "question with system and model",
    "call_chat_body": "Chat Completions body",
    "call_responses_body": "Responses body",
    "call_own_tags": "with the caller's own tags",
    "call_unknown_model": "unknown model",
    "call_nothing_to_ask": "bad input: nothing to ask",
    "call_stream": "bad input: stream",
    "call_429_then_answered": "rate limited once, then answered",
    "call_refused_key": "key refused",
    "call_no_quota": "quota used up",
    "call_too_late": "no answer within the deadline",
    "call_resets": "connection reset, three times",
    "call_no_usage": "answer without usage",
    "call_outage": "while DataKit is down",
    "call_answered": "answered",
    "call_500_then_answered": "server error, then answered",
    "call_500s": "server error, three times",
    "call_429s": "rate limited, three times",
    "call_content_filter": "content filter",
    "stopped": "DataKit is stopped",
    "started": "DataKit is started again; the auto-trigger fires",
    # ---- what came of it ----
    "received": "DataKit received {n} points of {n_calls} calls:",
    "took": "DataKit took {n} points of {n_calls} calls",
    "complete": "every point arrived",
    "incomplete": "NOT every point arrived",
    "totals": "totals: {totals}",
    "probe": "probe: OpenAI was up {up} of {n} times, in {seconds} s",
    "rate_limit": "rate limit: {requests} of {max_requests} requests left, {tokens} of {max_tokens} tokens",
    "cost": "cost: {cost} USD",
    "cost_unknown": "cost: unknown without a price table: pip install genai-prices (Python 3.9 or later)",
    "books": "OpenAI's own books: {n} requests, {tokens} tokens, {cost} USD (at the stand-in's prices); answered here: {n_answered} requests, {tokens_answered} tokens",
    "look": "see it drawn: guance-chatgpt-monitor demo --open (in a clone: make demo ARGS=--open)",
    # ---- --open ----
    "page": "look at it: {url}   (Ctrl-C stops it)",
    "ended": "stopped: {calls} calls were made, {failed} of them failed; all stand-ins are stopped",
}
