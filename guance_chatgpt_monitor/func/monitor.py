"""What is kept between tasks for one set of settings, and how it answers a request of the link.

It outlives the tasks of its process. What belongs to a task comes with each call, in `task`: `cache`, `store`
and `respond` (DFF's), `say` (print) and `import_openai`. Nothing of that is kept, and nothing here prints or
imports on its own: a kept script's print, DFF and import belong to a task that has ended.
"""

from typing import Any, Callable, Dict, Optional

from ..core.call import Call, provider_name
from ..core.datakit import DataKit
from ..core.delivery import Delivery
from ..core.health import Health
from ..core.host import own_host
from ..core.line_protocol import encode
from ..core.metrics import RESERVED_FROM_CALLERS, PointMaker
from .cache_backlog import SCOPE, CacheBacklog
from .chatgpt import ChatGPT
from .collection import Collection, contained
from .content_logs import Logs
from .daily_tokens import DailyTokens
from .guard_rails import Admission, GuardRails
from .openai_client import Sdk, make_sdk
from .probe import Probe
from .request import Answer, BadRequestError, error_body, read_request
from .taken_lines import TakenLines

# Posted by `guance-chatgpt-monitor check` to see that the link leads here. It is not a call: no point.
CHECK = {"check": True}
# Calls without a price are counted in the process until there are so many, or until it runs collect().
UNPRICED_AT_ONCE = 20


class Monitor:
    """`memory` is a dict that all monitors of the process share.

    `content_log` logs what was said, which `read_conversation` reads, and `reconciliation` is the class that
    reads OpenAI's books; each None if switched off.
    """

    def __init__(
        self,
        settings: Dict[str, Any],
        memory: Dict[str, Any],
        content_log: Any = None,
        read_conversation: Any = None,
        reconciliation: Any = None,
    ) -> None:
        self._settings = settings
        self._memory = memory
        self._content_log = content_log
        self._read_conversation = read_conversation
        self._reconciliation = reconciliation
        self._api_key = settings["openai_key"]
        self._base_url = settings["openai_base_url"]
        self._service_name = settings["service_name"]
        self._provider_name = provider_name(self._base_url)
        self._sdk: Optional[Sdk] = None
        host = own_host(settings["host"])
        self._own_tags = {**settings["tags"], "host": host}
        self._datakit = DataKit(settings["datakit_url"], ca=settings["datakit_ca"], adds_host=bool(host))
        self._chatgpt = ChatGPT(self._api_key, self._base_url, settings["deadline_s"])
        self._points = PointMaker(
            settings["measurement"],
            self._service_name,
            settings["tags"],
            self._memory_of("points"),
            settings["price_provider"],
            {settings["default_model"], *(settings["allowed_models"] or ())},
            host,
        )
        limit = settings["daily_token_limit"]
        self._guard_rails = GuardRails(
            settings["default_model"],
            settings["allowed_models"],
            settings["max_completion_tokens"],
            None if limit is None else DailyTokens(limit, settings["timezone"]),
            settings["allowed_extras"],
        )
        self._probe = Probe(
            self._api_key, self._base_url, self._service_name, settings["probe_timeout_s"], self._own_tags
        )

    def chat(self, task: Any, body: Dict[str, Any]) -> Any:
        """Answer one request of the link with OpenAI's own JSON, as a DFF.RESP; makes one point.

        The point is written before the answer is returned: if a thread wrote it afterwards, a worker that is
        killed would lose it.
        """
        if body == CHECK:
            return task.respond({"object": "check"}, status_code=200, content_type="application/json")
        call = Call("chat", self._settings["default_model"], self._provider_name)
        delivery = self._delivery(task)
        line, recorded = "", False
        try:
            answer = self._answer(task, body, call)
            point = self._points.from_call(call)
            line = encode(point)
            delivered = delivery.deliver([line])
            recorded = True
        finally:
            # Func's time limit cannot be caught, but waits for this. Writing a line twice does no harm.
            if not recorded:
                call.end("timeout")
                delivery.deliver([line or encode(self._points.from_call(call))])
        if sum(self._points.unpriced.values()) >= UNPRICED_AT_ONCE:
            self._count_unpriced(task)
        if self._content_log is not None:
            self._logs(task).record(call, point, body, answer.body, delivered)
        return task.respond(answer.body, status_code=answer.status_code, content_type="application/json")

    def collect(self, task: Any) -> Dict[str, Any]:
        """Deliver what waits, probe OpenAI, report on the monitor itself, and read OpenAI's books.

        Returns and prints what it found; None for what was not asked or could not be counted.
        """
        delivery, backlog = self._delivery(task), self._backlog(task)
        self._count_unpriced(task)
        reconciliation = None
        if self._reconciliation is not None:
            reconciliation = self._reconciliation(
                self._settings["openai_admin_key"],
                self._base_url,
                task.store,
                backlog,
                lambda lines: delivery.deliver(lines, counted=False),
            )
        return Collection(
            self._datakit,
            delivery,
            TakenLines(task.cache, SCOPE),
            Health(backlog, self._service_name, tags=self._own_tags),
            self._logs(task),
            self._run_probe(task) if self._settings["probe"] else None,
            reconciliation,
            task.say,
        ).run()

    def _count_unpriced(self, task: Any) -> None:
        health = Health(self._backlog(task), self._service_name, tags=self._own_tags)
        health.count_unpriced(self._points.unpriced)

    def _run_probe(self, task: Any) -> Callable[[], Any]:
        return lambda: self._probe.run(lambda: self._connect(task))

    # ---- parts made for each task ----

    def _backlog(self, task: Any) -> CacheBacklog:
        return CacheBacklog(
            task.cache,
            self._settings["backlog_max_lines"],
            self._settings["backlog_max_bytes"],
            memory=self._memory_of("backlog"),
        )

    def _delivery(self, task: Any) -> Delivery:
        taken = TakenLines(task.cache, SCOPE)
        memory = self._memory_of("delivery")
        return Delivery(self._datakit, self._backlog(task), task.say, memory, on_taken=taken.note)

    def _logs(self, task: Any) -> Logs:
        return Logs(
            self._datakit,
            task.cache,
            self._settings["backlog_max_lines"],
            self._settings["backlog_max_bytes"],
            self._service_name,
            self._own_tags,
            self._memory_of("logs"),
            self._content_log,
            self._read_conversation,
            task.say,
        )

    def _connect(self, task: Any) -> Sdk:
        """The SDK and its client, made by the first task that needs them. Raises ImportError."""
        if self._sdk is None:
            self._sdk = make_sdk(task.import_openai(), self._api_key, self._base_url)
        return self._sdk

    def _memory_of(self, part: str) -> Dict[str, Any]:
        memory: Dict[str, Any] = self._memory.setdefault(part, {})
        return memory

    # ---- one request ----

    def _answer(self, task: Any, body: Dict[str, Any], call: Call) -> Answer:
        try:
            return self._ask(task, body, call)
        except Exception as error:
            # No 599 with a traceback: it would put the request into the caller's answer and the task record.
            call.end("other")
            message = f"the monitor failed ({type(error).__name__}): please report it"
            return Answer(500, error_body(message, "monitor_error"))

    def _ask(self, task: Any, body: Dict[str, Any], call: Call) -> Answer:
        try:
            request = read_request(body, self._settings["default_model"], RESERVED_FROM_CALLERS)
        except BadRequestError as error:
            model = body.get("model")
            call.request_model = model if isinstance(model, str) else ""
            call.end("validation")
            return Answer(400, error_body(str(error), "invalid_request_error", error.param))
        call.operation_name = request.operation_name
        call.request_model = request.model
        call.tags = request.tags
        admission = contained(
            "the guard rails",
            lambda: self._guard_rails.admit(request, task.cache, task.say),
            Admission(request),
            task.say,
        )
        if admission.refusal is not None:
            call.end("budget")
            return admission.refusal
        try:
            return self._chatgpt.ask(admission.request, call, lambda: self._connect(task))
        finally:  # also at Func's time limit
            self._guard_rails.settle(admission, call.usage.total_tokens, task.cache, task.say)
