"""ask、assets、completion、local、run、top。"""

from .. import Texts

TEXTS: Texts = {
    # ---- ask ----
    "asking": "正在等待 ChatGPT 的回答",
    "tokens": "{n} 个 token",
    "tokens_unknown": "token 数未知",
    "ask_refused": ("{status}：{error}", "运行 guance-chatgpt-monitor check 查找原因"),
    "no_text": ("回答中没有文字", "用 --json 查看完整内容"),
    # ---- assets ----
    "importing": "正在导入到 API Key 所属的工作空间：{endpoint}",
    "item_created": "已新建",
    "item_skipped": "已跳过",
    "item_dashboard": "仪表板",
    "item_monitor": "监控器",
    "imported": "新建 {created} 个，跳过 {skipped} 个（已有同名）",
    "apply_step": "检查 --site（或 --endpoint）和 API Key（DF_API_KEY）：「管理 / API Key 管理」",
    "api_key": " API Key",
    "endpoint": " OpenAPI 地址",
    "only_with_apply": (
        "--site、--endpoint 和 --api-key 需要与 --apply 一起使用",
        "加上 --apply，或去掉它们",
    ),
    "two_addresses": ("--site 和 --endpoint 指定了两个地址", "只指定其中一个"),
    "unknown_site": (
        "没有站点 {site}",
        "可选 {sites}（所在地见 assets --help）；其他站点用 --endpoint 指定地址",
    ),
    "no_site": (
        "未指定站点",
        "用 --site 指定，可选 {sites}（所在地见 assets --help）；其他站点用 --endpoint 指定地址",
    ),
    "plain_http": ("使用 http:// 会在网络上明文传输 API Key", "改用 https://"),
    # ---- completion ----
    "no_shtab": (
        "补全脚本由 Python 包 shtab 生成，但尚未安装",
        "pip install 'guance-chatgpt-monitor[completion]'（需要 Python 3.9 或更高版本）",
    ),
    "old_shtab": ("已安装的 shtab 不支持 {shell}", "pip install --upgrade shtab"),
    # ---- local ----
    "ctrl_c_stops": "按 Ctrl-C 停止",
    "no_database": ("{path} 不能用作数据库：{reason}", "用 --database 换一个路径"),
    "port_taken": ("端口 {port} 已被占用", "用 --port 换一个端口，或不指定以使用空闲端口"),
    "port_not_allowed": (
        "没有权限监听端口 {port}",
        "用 --port 换一个大于 1023 的端口，或不指定以使用空闲端口",
    ),
    "no_redis": ("--redis 需要 Python 包 redis，但尚未安装", "pip install redis"),
    "redis_unusable": (
        "--redis 指定的地址上没有 Redis 响应",
        "指定形如 redis://127.0.0.1:6379/0 的地址，或去掉该选项",
    ),
    "host_not_here": ("无法监听：--host 不是本机的地址", "用 --host 127.0.0.1 或 0.0.0.0"),
    "local_datakit": "DataKit 模拟服务：{url}；查看收到的数据：用浏览器打开 {url}，或 GET {url}/_local/points",
    "local_openai": "OpenAI 模拟服务，base URL {base_url}；注入故障：POST {url}/_local/faults",
    "local_func_key": "管理 API：{access}（每次启动密钥不同）",
    "local_func_empty": "Func 模拟服务（未安装脚本集）：{url}。试一试：",
    "local_func": "Func 模拟服务：{url}，已部署 {script}，使用 $OPENAI_API_KEY 中的密钥。试一试：",
    # ---- run ----
    "run_no_program_step": "用 run --help 查看示例",
    # ---- top ----
    "top_title": "最近 {minutes} 分钟的 ChatGPT 调用，{time}",
    "top_model": "模型",
    "top_calls": "调用",
    "top_errors": "错误",
    "top_p95": "P95",
    "top_tokens": "token 数",
    "top_cost": "费用",
    "top_all": "合计",
    "top_waiting": "{n} 行等待投递到 DataKit",
    "top_ctrl_c": "按 Ctrl-C 停止",
    "top_no_points": (
        "{url} 没有可显示的数据点：它不是本地 DataKit",
        "运行 guance-chatgpt-monitor local datakit，或去掉 --datakit 查看积压",
    ),
    "top_no_backlog": (
        "{path} 没有积压文件",
        "没有积压，或您的应用用的是另一个文件：请按应用设置 CHATGPT_MONITOR_BACKLOG，或指定 --datakit",
    ),
    "top_no_home": (
        "没有积压文件：CHATGPT_MONITOR_BACKLOG 为 off，或没有主目录",
        "请按应用设置 CHATGPT_MONITOR_BACKLOG，或指定 --datakit",
    ),
    "top_backlog_unreadable": (
        "无法读取积压文件 {path}（{said}）",
        "确认您有权读取，且它确实是积压文件",
    ),
}
