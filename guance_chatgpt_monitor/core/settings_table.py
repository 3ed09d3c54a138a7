"""The settings: one table for DataFlux Func and for applications.

`ChatGPTMonitor(…)`, `monitor()`, `instrument()`, the environment, `run --help` and the tables in the
documentation are generated from SETTINGS, or checked against it.
"""

from typing import Any, Callable, Dict, NamedTuple, Tuple

from .backlog import MAX_BYTES, MAX_LINES
from .datakit import DEFAULT_URL
from .metrics import MEASUREMENT, TAGS
from .tag_places import MAX_TAG_NAMES
from .validators import (
    DEFAULT_BASE_URL,
    read_backlog,
    read_base_url,
    read_file,
    read_host,
    read_measurement,
    read_models,
    read_names,
    read_patterns,
    read_price_provider,
    read_rate,
    read_service_name,
    read_string,
    read_switch,
    read_tags,
    read_timezone,
    read_url,
    seconds,
    whole_number,
)

FUNC = "func"
APP = "app"
DEFAULT_MODEL = "gpt-4o-mini"
DEFAULT_DEADLINE_S = 170.0
MAX_DEADLINE_S = 180.0  # Func waits no longer for a synchronous answer
DEFAULT_PROBE_TIMEOUT_S = 5.0
MAX_PROBE_TIMEOUT_S = 10.0  # collect() has a minute for everything
# The least max_output_tokens of the Responses API, from OpenAI's API reference.
MIN_COMPLETION_TOKENS = 16
DEFAULT_MAX_CHARS = 16_384
MAX_MAX_CHARS = 120_000
# Operations on the file take as long with a million lines as with a thousand.
FILE_MAX_LINES = 1_000_000
FILE_MAX_BYTES = 256 * 1024 * 1024
MAX_QUEUE = 10_000
MAX_QUEUE_BYTES = 64 * 1024 * 1024


class Setting(NamedTuple):
    """One setting.

    `shown_default` is how the documentation describes `default`; empty for its value. `worlds` are FUNC, APP
    or both. `help` and `help_zh` are a line of the documentation each. `default_in_app` is the default in
    applications, if it differs.
    """

    name: str
    default: Any
    read: Callable[[Any], Any]
    worlds: Tuple[str, ...]
    help: str
    help_zh: str
    shown_default: str = ""
    default_in_app: Any = None

    def default_in(self, world: str) -> Any:
        return self.default_in_app if world == APP and self.default_in_app is not None else self.default


_BOTH = (FUNC, APP)

_TABLE = (
    Setting(
        "openai_key",
        "",
        read_string,
        (FUNC,),
        "the OpenAI key that the link's calls use",
        "授权链接调用 OpenAI 所用的密钥",
        "Func's variable `OPENAI_API_KEY`",
    ),
    Setting(
        "openai_base_url",
        DEFAULT_BASE_URL,
        read_base_url,
        (FUNC,),
        "the address of OpenAI, or of a gateway that speaks its API",
        "OpenAI 或兼容网关的地址",
    ),
    Setting(
        "default_model",
        DEFAULT_MODEL,
        read_string,
        (FUNC,),
        "the model of requests that name none",
        "请求未指定模型时使用的模型",
    ),
    Setting(
        "openai_admin_key",
        "",
        read_string,
        (FUNC,),
        "reads OpenAI's own books of usage and cost; set it in one Func only",
        "用于读取 OpenAI 账目（用量与费用），只应配置在一套 Func 上",
        "Func's variable `OPENAI_ADMIN_KEY`",
    ),
    Setting(
        "datakit_url",
        DEFAULT_URL,
        read_url,
        _BOTH,
        "where DataKit listens: `http://`, `https://`, `unix:///path.sock`, or Dataway's `https://…?token=…`",
        "DataKit 的监听地址：`http://`、`https://`、`unix:///path.sock`，或 Dataway 的 `https://…?token=…`",
    ),
    Setting(
        "datakit_ca",
        "",
        read_file,
        _BOTH,
        "a file of CA certificates (PEM) to verify an `https://` DataKit with",
        "校验 `https://` DataKit 所用的 CA 证书文件（PEM）",
        "the usual authorities",
    ),
    Setting(
        "service_name",
        "",
        read_service_name,
        _BOTH,
        "tag that tells applications apart; up to 1,024 bytes",
        "区分应用的标签，最长 1024 字节",
        "Func: `dataflux-func`; application: the program's name",
    ),
    Setting(
        "tags",
        {},
        read_tags,
        _BOTH,
        f"tags of every point, up to {MAX_TAG_NAMES - len(TAGS)}; in the environment `team=web,region=eu`",
        f"附加到每个数据点的标签，最多 {MAX_TAG_NAMES - len(TAGS)} 个；环境变量写作 `team=web,region=eu`",
        "none",
    ),
    Setting(
        "host",
        "",
        read_host,
        _BOTH,
        "tag of every point: the host that made the call; `none` for no such tag",
        "每个数据点的标签：发起调用的主机；`none` 表示不带该标签",
        "the host's name; Kubernetes: `NODE_NAME` if set; other containers: none",
    ),
    Setting(
        "measurement",
        MEASUREMENT,
        read_measurement,
        _BOTH,
        "the name of the points' measurement: letters, digits and `_ . -`, up to 128",
        "数据点的指标集名称：字母、数字和 `_ . -`，最长 128 个字符",
    ),
    Setting("enabled", True, read_switch, (APP,), "false: nothing is monitored", "false 表示不监控"),
    Setting(
        "price_provider",
        "",
        read_price_provider,
        _BOTH,
        "whose prices apply to a base URL that the price table does not know, such as `openai`",
        "价格表不认识该地址时按谁的价格计费，例如 `openai`",
        "none",
    ),
    Setting(
        "stream_usage",
        False,
        read_switch,
        (APP,),
        "ask the API for the usage of streams, and hide the chunk that carries it",
        "为流式请求索取用量，并隐藏携带用量的数据块",
    ),
    Setting(
        "deadline_s",
        DEFAULT_DEADLINE_S,
        seconds(MAX_DEADLINE_S),
        (FUNC,),
        f"how long a call may take, retries included; seconds, at most {MAX_DEADLINE_S:g}",
        f"一次调用（含重试）的最长时间，单位秒，上限 {MAX_DEADLINE_S:g}",
    ),
    Setting(
        "allowed_models",
        None,
        read_models,
        (FUNC,),
        "exact names of the models that the link allows, the default model among them",
        "授权链接允许的模型（精确名称），须包含默认模型",
        "all",
    ),
    Setting(
        "max_completion_tokens",
        None,
        whole_number(MIN_COMPLETION_TOKENS, 2**31 - 1),
        (FUNC,),
        f"limits each answer, all `n` choices together; at least {MIN_COMPLETION_TOKENS}",
        f"每次回答的 token 上限（`n` 个候选合计），至少 {MIN_COMPLETION_TOKENS}",
        "none",
    ),
    Setting(
        "daily_token_limit",
        None,
        whole_number(1, 2**53),
        (FUNC,),
        "tokens per day, all workers together",
        "每日 token 总额，所有 worker 合计",
        "none",
    ),
    Setting(
        "timezone",
        "",
        read_timezone,
        (FUNC,),
        "time zone whose midnight resets `daily_token_limit`: `+08:00`; from Python 3.9 also `Asia/Shanghai`",
        "`daily_token_limit` 在哪个时区的零点清零：`+08:00`，Python 3.9 起也可写 `Asia/Shanghai`",
        "Func's own",
    ),
    Setting(
        "allowed_extras",
        (),
        read_names,
        (FUNC,),
        "parameters and tool types that a link with limits accepts although they may cost more than tokens",
        "设有限制的链接仍允许的、可能产生 token 以外费用的参数名和工具类型",
        "none",
    ),
    Setting(
        "probe",
        True,
        read_switch,
        (FUNC,),
        "ask `GET /v1/models` each minute, which costs no tokens",
        "每分钟请求一次 `GET /v1/models`，不消耗 token",
    ),
    Setting(
        "probe_timeout_s",
        DEFAULT_PROBE_TIMEOUT_S,
        seconds(MAX_PROBE_TIMEOUT_S),
        (FUNC,),
        f"how long the probe waits; seconds, at most {MAX_PROBE_TIMEOUT_S:g}",
        f"探测的超时，单位秒，上限 {MAX_PROBE_TIMEOUT_S:g}",
    ),
    Setting(
        "backlog",
        "",
        read_backlog,
        (APP,),
        "the file where points wait for DataKit; `off`: in memory only",
        "等待上报的数据点所在文件；`off` 表示只放在内存中",
        "a file under `~/.local/state/guance_chatgpt_monitor/`",
    ),
    Setting(
        "backlog_max_lines",
        MAX_LINES,
        whole_number(1, 10_000_000),
        _BOTH,
        "how many points wait there at most; beyond that the oldest are dropped and counted",
        "积压的最大行数，超出后丢弃最旧的并计数",
        f"Func: {MAX_LINES:,}; application: {FILE_MAX_LINES:,}",
        FILE_MAX_LINES,
    ),
    Setting(
        "backlog_max_bytes",
        MAX_BYTES,
        whole_number(1, 2**40),
        _BOTH,
        "how many bytes of line protocol wait there at most",
        "积压的最大字节数（行协议）",
        "Func: 64 MiB; application: 256 MiB",
        FILE_MAX_BYTES,
    ),
    Setting(
        "max_queue",
        MAX_QUEUE,
        whole_number(2, 1_000_000),
        (APP,),
        "calls that wait in memory for the exporter's thread; more are dropped and counted",
        "内存队列的最大调用数，超出的丢弃并计数",
    ),
    Setting(
        "max_queue_bytes",
        MAX_QUEUE_BYTES,
        whole_number(1, 2**40),
        (APP,),
        "bytes of what was said that wait in memory to be logged; further calls have a point and no log",
        "等待写日志的对话内容在内存中的最大字节数，超出的调用只有数据点、没有日志",
        "64 MiB",
    ),
    Setting(
        "log_content",
        False,
        read_switch,
        _BOTH,
        "also log what was said, redacted",
        "同时把对话内容脱敏后写入日志",
    ),
    Setting(
        "log_content_max_chars",
        DEFAULT_MAX_CHARS,
        whole_number(1, MAX_MAX_CHARS),
        _BOTH,
        f"the length of each string of a log, in characters; up to {MAX_MAX_CHARS:,}",
        f"日志中每段文本的最大字符数，上限 {MAX_MAX_CHARS:,}",
    ),
    Setting(
        "log_content_rate",
        1.0,
        read_rate,
        _BOTH,
        "the share of answered calls that are logged, 0 to 1; failed calls always are",
        "成功调用写日志的比例（0 到 1）；失败的调用总会记录",
    ),
    Setting(
        "log_errors",
        False,
        read_switch,
        (APP,),
        "also log failed calls, with nothing that was said; `log_content` logs them with it",
        "仅把失败的调用写入日志，不含任何对话内容；开启 `log_content` 时已包含失败的调用",
    ),
    Setting(
        "redact_patterns",
        (),
        read_patterns,
        _BOTH,
        'regular expressions of what else to redact; in the environment a JSON list, `["CUST-[0-9]{6}"]`',
        '额外需要脱敏的正则表达式；环境变量写作 JSON 列表，如 `["CUST-[0-9]{6}"]`',
        "none",
    ),
)

SETTINGS: Dict[str, Setting] = {setting.name: setting for setting in _TABLE}
