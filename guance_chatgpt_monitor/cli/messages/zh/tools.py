"""ask、build、completion、local、run。"""

from typing import Dict

from .. import Text

TEXTS: Dict[str, Text] = {
    # ---- ask ----
    "asking": "正在等待 ChatGPT 的回答",
    "tokens": "{n} 个 token",
    "tokens_unknown": "token 数未知",
    "ask_refused": ("{status}：{error}", "用 guance-chatgpt-monitor check 查看是哪一环出了问题"),
    "no_text": ("回答中没有文字", "用 --json 查看完整内容"),
    # ---- build ----
    "market": "脚本市场：用 HTTP 提供该目录，或推送到 git 仓库",
    "zip": "Func：「管理 / 脚本集导入」",
    "built": "{n} 个脚本，originMD5 {md5}",
    "not_built": ("发现 {n} 个问题，未生成任何文件", "修正上面列出的问题后重新构建"),
    "out_not_writable": ("无法写入 {folder}：{reason}", "用 --out 另选一个目录"),
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
    "local_datakit": "DataKit 模拟服务：{url}；查看收到的数据：用浏览器打开 {url}，或 GET {url}/_local/points",
    "local_openai": "OpenAI 模拟服务，base URL {base_url}；设置故障：POST {url}/_local/faults",
    "demo_page": "查看页面：{url}（按 Ctrl-C 结束）",
    "demo_look": "查看图表：guance-chatgpt-monitor demo --open（在源码目录中：make demo ARGS=--open）",
    "demo_ended": "已结束：共 {calls} 次调用，其中 {failed} 次失败；所有模拟服务均已停止",
    "demo_real": "将用 $OPENAI_API_KEY 调用真实的 OpenAI（{url}）{count} 次，会产生少量费用",
    "demo_real_without_key": (
        "--real 会调用真实的 OpenAI，但未设置 OPENAI_API_KEY",
        "请执行 export OPENAI_API_KEY=…，或去掉 --real 以使用模拟服务",
    ),
    "demo_open_alone": (
        "--open 展示的是模拟服务的数据，不能与 --datakit、--json 或 --real 同时使用",
        "guance-chatgpt-monitor demo --open",
    ),
    "local_func_key": "管理 API：{access}（每次启动密钥不同）",
    "local_func_empty": "Func 模拟服务（未安装脚本集）：{url}。试一试：",
    "local_func": "Func 模拟服务：{url}，已部署 {script}，其 OpenAI 密钥取自 $OPENAI_API_KEY。试一试：",
    # ---- run ----
    "run_setting_step": "请改正，或取消该设置",
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
    "top_ctrl_c": "按 Ctrl-C 结束",
    "top_no_points": (
        "{url} 没有可显示的数据点：它不是本地 DataKit",
        "运行 guance-chatgpt-monitor local datakit，或去掉 --datakit 查看积压",
    ),
    "top_no_backlog": (
        "{path} 没有积压文件",
        "没有积压，或您的应用用的是另一个文件：请按应用设置 CHATGPT_MONITOR_BACKLOG，或指定 --datakit",
    ),
    "top_backlog_unreadable": (
        "无法读取积压文件 {path}（{said}）",
        "确认当前用户有权读取，且它确实是积压文件",
    ),
}
