"""check。name_ 开头的名称在 `--json` 中始终为英文。"""

from .. import Texts

_INSTALL = "运行 guance-chatgpt-monitor install"
_RESTART = "然后执行 datakit service -R"
_LISTEN = (
    f'让它监听外部地址：在 datakit.conf 的 [http_api] 中设置 listen = "0.0.0.0:9529"，{_RESTART}；'
    "容器中设置 ENV_HTTP_LISTEN=0.0.0.0:9529；Kubernetes 中使用 http://datakit-service.datakit:9529"
)
_PUBLIC = (
    '放行其他主机：在 datakit.conf 的 [http_api] 中设置 public_apis = ["/v1/write/metric", "/v1/write/logging", '
    f'"/v1/ping"]，{_RESTART}'
)
_RAISE_LIMIT = f"在 datakit.conf 的 [http_api] 中调高请求限速，{_RESTART}"
_EXTRA = "pip install 'guance-chatgpt-monitor[cost]'"

TEXTS: Texts = {
    "ok": "正常",
    "warn": "警告",
    "fail": "失败",
    "waiting": "正在检查",
    "summary": "共 {n} 项检查：{n_warn} 个警告，{n_fail} 个失败；最严重的排在最后",
    "summary_ok": "共 {n} 项检查：一切正常",
    # ---- 链路 ----
    "part_setup": "设置",
    "part_func": "应用或 Func",
    "part_openai": "-> OpenAI",
    "part_datakit": "-> DataKit",
    "part_workspace": "DataKit -> 工作空间",
    "name_settings": "设置来源",
    "name_prices": "价格表",
    "name_func": "Func",
    "name_script_set": "脚本集",
    "name_startup_script": "启动脚本",
    "name_auto_trigger": "自动触发配置",
    "name_links": "授权链接列表",
    "name_task_records": "任务记录",
    "name_prices_in_func": "Func 中的价格表",
    "name_link": "授权链接",
    "name_link_authentication": "链接认证",
    "name_openai_reachable": "OpenAI 连通性",
    "name_openai_key": "OpenAI 密钥",
    "name_default_model": "默认模型",
    "name_openai_from_func": "Func 访问 OpenAI",
    "name_datakit_reachable": "DataKit 连通性",
    "name_datakit_version": "DataKit 版本",
    "name_datakit_write": "DataKit 写入",
    "name_test_point": "测试数据点",
    "name_datakit_logs": "DataKit 日志",
    "name_clock": "时钟",
    "name_rate_limit": "请求限速",
    "name_delivery_from_func": "Func 数据投递",
    "name_uploads": "数据上传",
    # ---- 设置 ----
    "settings": "{sources}",
    "separator": "；",
    "source_func": "Func：使用 Access Key",
    "source_key": "OpenAI：密钥取自 {source}",
    "source_base_url": "OpenAI：地址取自 {source}",
    "source_datakit": "DataKit：{source}",
    "source_datakit_there": "DataKit：位于 Func 主机上，无法从这里检查",
    "source_link": "授权链接：带密钥",
    "source_link_open": "授权链接：不带密钥",
    "startup": "启动脚本",
    "as_given": "命令行指定的地址",
    "default_address": "默认地址",
    "prices": "genai-prices {version}，最新价格日期 {date}",
    "unknown_date": "未知",
    "prices_broken": ("genai-prices 已安装但无法导入：数据点没有费用", f"{_EXTRA} --force-reinstall"),
    "prices_none": "未安装 genai-prices：数据点没有费用",
    "prices_here": f"如需费用：{_EXTRA}（需要 Python 3.9 或更高版本）",
    "prices_in_func": "如需费用：用 Func 的 PIP 工具安装 genai-prices（需要 Python 3.9 或更高版本）",
    # ---- OpenAI ----
    "openai_reachable": "{url}",
    "no_key": ("{source} 中没有密钥", "export OPENAI_API_KEY=…"),
    "key_accepted": "密钥有效（取自 {source}）",
    "key_401": (
        "密钥被拒绝（401）：不正确或已吊销",
        "在 https://platform.openai.com/api-keys 新建密钥，或确认复制完整",
    ),
    "key_403": (
        "不允许访问（403）：密钥权限受限，或 OpenAI 不服务于当前地区",
        "授予密钥列出模型的权限，或从 OpenAI 支持的地区访问",
    ),
    "key_429": ("触发限流（429）", "等待一分钟；如仍出现，检查账号的限额"),
    "no_models": "{url} 返回 {status}，而不是模型列表",
    "no_models_407": "代理需要用户名和密码：写入 HTTPS_PROXY，或把该主机加入 NO_PROXY",
    "no_models_404": "检查 base URL：OpenAI 官方地址是 {official}",
    "no_models_5xx": "稍后再试，可查看 https://status.openai.com；也可能是代理的问题",
    "no_models_other": "检查 base URL；中间可能有代理或登录页",
    "model_allowed": "{model} 可用",
    "model_not_allowed": (
        "该密钥不能使用 {model}",
        "在密钥所属项目中放行该模型，或改用可用的模型：{named}",
    ),
    # ---- DataKit ----
    "datakit_reachable": "{url}，版本 {version}，主机 {host}",
    "datakit_old": ("版本 {version} 低于支持的最低版本 {oldest}", "请升级 DataKit"),
    "dataway_reachable": "{url}（Dataway）",
    "dataway_takes": "Dataway 直接把数据点写入工作空间",
    "dataway_refuses": ("{said}", "检查地址及其中的 token：观测云「管理 / 基础设置」"),
    "socket_refuses": (
        "{said}",
        "确认 DataKit 正在运行并监听该 socket（[http_api] 的 listen_socket），且当前用户有写权限",
    ),
    "not_datakit": ("{url} 有响应，但不是 DataKit", "检查地址；中间可能有代理"),
    "refused_local": (
        "连接被拒绝：{address} 上没有服务在监听",
        f"启动 DataKit：datakit service -S。在容器中 localhost 指容器自身：请改用宿主机地址，并{_LISTEN}",
    ),
    "refused_remote": (
        "连接被拒绝：{address} 上没有服务在监听",
        f"确认 DataKit 已启动；它默认只监听本机：{_LISTEN}",
    ),
    "datakit_publicAccessDisabled": ("{url} 返回 {status}：DataKit 拒绝其他主机访问", _PUBLIC),
    "datakit_reachMaxAPILimit": (
        "{url} 返回 {status} reachMaxAPILimit",
        f"已达到请求限速：{_RAISE_LIMIT}",
    ),
    "datakit_refuses": ("{url} 返回 {status} {reason}", "查看 DataKit 日志"),
    "datakit_wants_tls": ("{url} 返回 {status}：对方要求使用 TLS", "地址应以 https:// 开头"),
    "datakit_redirect": (
        "{url} 返回 {status}，重定向到 {to}",
        "请填写 DataKit 自己的地址；发出重定向的可能是登录页或网关",
    ),
    "datakit_401": (
        "{url} 返回 {status}：DataKit 前面有服务要求密码，DataKit 本身从不要求",
        "填写 DataKit 自己的地址，或让网关放行 /v1/write/metric 和 /v1/ping",
    ),
    "datakit_407": ("{url} 返回 {status}", "中间有代理：请填写 DataKit 自己的地址"),
    "datakit_404": ("{url} 返回 {status}", "检查地址：那里运行的是其他服务"),
    "datakit_gateway": (
        "{url} 返回 {status}：网关或代理连不上它后面的 DataKit",
        "确认 DataKit 正在运行（datakit service -T），以及网关中配置的 DataKit 地址",
    ),
    "datakit_other": ("{url} 返回 {status}", "查看 DataKit 日志；若日志中没有记录，说明响应来自其他服务"),
    "page_instead": (
        "{url} 对写入请求返回了网页：它不是 DataKit，发过去的数据会丢失",
        "填写 DataKit 自己的地址，例如 http://localhost:9529",
    ),
    "no_header": (
        "返回 200 但没有 X-Datakit 响应头：数据点可能丢失",
        "查看 DataKit 日志；也可能是中间的代理去掉了该响应头",
    ),
    "dry_run": "可以写入（试运行）",
    "test_point": "已写入：{measurement}，字段 check",
    "logs_taken": "可以写入（试运行）",
    "clock_ok": "数据点的时间不会被改写；与 DataKit 主机相差 {skew} 秒",
    "clock_overwritten": (
        "DataKit 改写了本机数据点的时间：与它的时间相差超过 2 小时（与其主机相差 {skew} 秒）",
        "校准时钟（NTP），或在 datakit.conf 的 [io] 中设置 auto_timestamp_correction = false",
    ),
    "clock_was_overwritten": (
        "目前时间不会被改写；但 DataKit 启动以来有 {n} 个数据点的时间被改写",
        "这些数据点已超过 2 小时：发生过中断，或时钟曾经不准。如持续出现，请校准时钟（NTP）",
    ),
    "clock_differs": (
        "与 DataKit 主机的时钟相差 {skew} 秒：数据点的时间可能不准",
        "在两台主机上执行 date -u 对比，校准不准的一台（NTP）",
    ),
    "clock_unknown": (
        "无法判断 DataKit 是否会改写时间：从这里不能读取它的 /metrics（与其主机相差 {skew} 秒）",
        '在 DataKit 所在主机上运行 check，或把 "/metrics" 加入 public_apis',
    ),
    "rate_ok": "离上限还远：连续 {n} 个请求均成功{limit}",
    "rate_near": ("接近上限：本机连续 {n} 个请求已超过限速{limit}", _RAISE_LIMIT),
    "rate_is": "；上限为每秒 {limit} 个",
    # ---- 工作空间 ----
    "uploads_ok": "DataKit 启动以来已向工作空间上传 {n} 个数据点，均未被拒绝",
    "uploads_none": (
        "DataKit 尚未向工作空间上传任何数据",
        "它每 10 秒上传一次，请稍后再检查；如仍没有，查看 datakit.conf 的 [dataway] 和 datakit monitor",
    ),
    "uploads_unknown": (
        "无法判断数据是否到达工作空间：从这里不能读取 DataKit 的 /metrics",
        "在 DataKit 所在主机上运行 check，或在那里查看 datakit monitor",
    ),
    "uploads_token": (
        "Dataway 拒绝了 DataKit 的 token：{category} 数据点中 {n} 个返回 {status}，{n_ok} 个成功",
        "更正 datakit.conf 中 [dataway] urls 的 token（观测云「管理 / 基础设置」），然后执行 datakit service -R",
    ),
    "uploads_failed": (
        "{category} 数据点有 {n} 个未被 Dataway 接收（{status}），{n_ok} 个成功",
        "确认 DataKit 主机能访问 [dataway] urls 中的地址（代理、防火墙、DNS）；详见 datakit monitor。失败的数据会重试",
    ),
    "uploads_skipped": (
        "DataKit 跳过了 {n} 个已接收的 {category} 数据点",
        "例如超过 1 MiB 的日志：请调低 log_content_max_chars；详见 DataKit 日志",
    ),
    "uploads_queue_full": (
        "DataKit 队列已满，丢弃了 {n} 个 {category} 数据点",
        "上传太慢或磁盘已满：查看 datakit monitor",
    ),
    # ---- 授权链接 ----
    "link_answers": "有响应，耗时 {seconds} 秒",
    "link_not_ours": (
        "返回 {status}，但不是本脚本的响应",
        "确认授权链接指向 startup__guance_chatgpt_monitor.chat",
    ),
    "link_protected": "需要密钥才能调用",
    "link_open": (
        "授权链接是开放的：拿到地址的人都能消耗您的 OpenAI 额度",
        "在 Func 中为它设置 API 认证，或删除后运行 guance-chatgpt-monitor install",
    ),
    # ---- Func ----
    "func_accepts": "{url} 接受该 Access Key",
    "set_missing": ("没有脚本集 {set}", _INSTALL),
    "set_of_others": (
        "已有 {set}，但属于另一个产品（{title}）：官方脚本市场中有相同 ID 的脚本集",
        f"要用本产品替换它，请{_INSTALL}；如果需要保留它，请把本产品安装到另一个 Func",
    ),
    "set_old": ("与当前版本不一致", f"如需更新，请再次{_INSTALL}"),
    "set_ok": "{set}，与当前版本一致",
    "startup_missing": ("没有 {startup}", _INSTALL),
    "startup_failed": ("函数未注册：部署时执行失败", f"请再次{_INSTALL}"),
    "startup_ok": "{described}",
    "startup_edited": "已被修改，或来自更早的版本",
    "startup_as_deployed": "与部署时一致",
    "trigger_missing": ("没有自动触发配置调用 {collect}", f"请再次{_INSTALL}"),
    "trigger_disabled": ("已被禁用", "请在 Func 中启用"),
    "trigger_not_yet": ("部署后尚未执行", "它每分钟执行一次：等两分钟后再检查"),
    "trigger_late": (
        "上次执行在 {minutes} 分钟前",
        "确认 Func 的 beat 和 worker 正在运行，并对比 Func 与本机的时钟",
    ),
    "trigger_failed": ("{seconds} 秒前执行失败", f"查看它在 Func 中的任务记录，或再次{_INSTALL}"),
    "trigger_ok": "{seconds} 秒前执行成功",
    "no_report": ("自动触发没有返回报告", "查看它在 Func 中的任务记录"),
    "no_words": "未给出原因",
    "n_wait": "{n} 个数据点等待投递",
    "openai_up": "Func 能访问 OpenAI，密钥有效",
    "openai_down": (
        "Func 无法使用 OpenAI：{said}",
        "检查 Func 环境变量 OPENAI_API_KEY 中的密钥、base URL，以及 Func 主机能否访问该地址",
    ),
    "openai_unknown": (
        "Func 没有探测 OpenAI：{said}",
        "若不是您关闭了探测，请查看自动触发在 Func 中的任务日志",
    ),
    "openai_package": (
        "所有调用都会失败：{said}",
        f"再次{_INSTALL} 会补装所需的包，也可使用 Func 的 PIP 工具",
    ),
    "delivery_down": ("{said}", "{n} 个数据点等待投递，DataKit 恢复后会自动补发；请从 Func 主机检查 DataKit"),
    "delivery_dropped": ("有数据点被丢弃：{counts}", "查看自动触发在 Func 中的任务日志"),
    "delivery_grows": (
        "积压在增长：{n} 个数据点等待投递，之前为 {before} 个",
        "数据产生的速度超过 DataKit 的接收速度：调高请求限速，或检查 DataKit 的负载和日志",
    ),
    "delivery_waits": ("{said}", "应会在几分钟内投递：请稍后再检查"),
    "delivery_ok": "DataKit 正常，没有积压，没有丢弃",
    "links_none": ("没有指向 chat() 的授权链接", f"再次{_INSTALL}，或在 Func 中添加"),
    "links_open": ("任何人都能调用：{links}", "在 Func 中为它们设置 API 认证，或删除它们"),
    "links_ok": "{n} 个，均有 API 认证",
    "records_none": "Func 不保留授权链接的问题和回答",
    "records_kept": (
        "Func 以明文保留了问题和回答：{links}",
        "在 Func 中把这些链接的任务记录数设为 0，或运行 guance-chatgpt-monitor install --task-records 0；如仍保留，请在 Func 系统设置中关闭本地函数任务记录",
    ),
}
