"""ChatGPT, monitored: what Func copies to the startup script when you deploy, with your parameters."""

from typing import Any

from .main import ChatGPTMonitor

DFF: Any  # given by Func

OPENAI_KEY = "<OpenAI key>"
OPENAI_BASE_URL = "<OpenAI base URL>"
DEFAULT_MODEL = "<Default model>"
DATAKIT_URL = "<DataKit URL>"
SERVICE_NAME = "<Service name>"
OPENAI_ADMIN_KEY = "<OpenAI admin key>"

monitor = ChatGPTMonitor(
    DFF,
    # The keys are read here, in the entry script: Func masks a password variable in the log only then.
    openai_key=OPENAI_KEY or DFF.ENV("OPENAI_API_KEY") or "",
    openai_base_url=OPENAI_BASE_URL,
    default_model=DEFAULT_MODEL,
    datakit_url=DATAKIT_URL,
    service_name=SERVICE_NAME,
    openai_admin_key=OPENAI_ADMIN_KEY or DFF.ENV("OPENAI_ADMIN_KEY") or "",
)


@DFF.API("Ask ChatGPT", timeout=180, category="chatgpt", tags=["openai", "chatgpt"])
def chat(**body):
    """Answer a question, or any Chat Completions or Responses request, with OpenAI's own JSON."""
    return monitor.chat(body)


@DFF.API("Deliver what waits", fixed_cron_expr="* * * * *", timeout=60, category="chatgpt", tags=["openai"])
def collect():
    """Deliver the points that DataKit could not take, probe OpenAI, and report on the monitor itself."""
    return monitor.collect()
