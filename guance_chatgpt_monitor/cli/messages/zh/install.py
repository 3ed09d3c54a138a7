"""install、uninstall，以及 Func 返回的信息。"""

from typing import Dict

from .. import Text

_AGAIN = "再次运行 guance-chatgpt-monitor install"

TEXTS: Dict[str, Text] = {
    "step_script_set": "脚本集",
    "step_packages": "Python 包",
    "step_openai_key": "OPENAI_API_KEY",
    "step_startup_script": "启动脚本",
    "step_auto_trigger": "自动触发配置",
    "step_api_auth": "API 认证",
    "step_link": "授权链接",
    "step_test_call": "测试调用",
    "action_make": "新建",
    "action_change": "修改",
    "action_keep": "保留",
    "action_test": "测试",
    "action_remove": "移除",
    "reading": "正在读取 Func 中已有的内容",
    "nothing_changed": "未做任何改动（--dry-run）",
    "nothing": "无",
    "stopped": "已按 Ctrl-C 停止；已完成：{done}；未完成（第一项可能做了一半）：{left}。再次运行会从中断处继续",
    "another_variable": "另一个环境变量",
    # ---- 脚本集 ----
    "import_set": "导入 {n} 个脚本",
    "set_up_to_date": "已是最新（{n} 个脚本）",
    "replace_set": "替换：{total} 个脚本中有 {n} 个不同",
    "imported": "已导入 {n} 个脚本",
    "set_of_others": "Func 中原有相同 ID 的脚本集属于另一个产品（{title}），例如来自官方脚本市场：将由本产品替换",
    # ---- Python 包 ----
    "packages_there": "已安装",
    "add_packages": "用 Func 的安装工具安装 {packages}",
    "packages_added": "已安装 {packages}（{seconds} 秒）",
    "packages_late": (
        "{seconds} 秒后仍未装好：{status}",
        "查看 Func 的 PIP 工具，然后再次运行 install",
    ),
    "packages_failed": (
        "Func 中的 pip 无法安装 {package}：{said}",
        "指定 Func 能访问的 pip 源（--pip-index URL），或在 Func 的 PIP 工具中上传 wheel",
    ),
    "no_reason": "未给出原因",
    # ---- 密钥 ----
    "key_there": "已存在；用 --openai-key-env NAME 可替换密钥",
    "set_key": "写入本次给出的密钥（Func 不显示原有的值）",
    "key_in_script": "无需设置：启动脚本自带密钥来源",
    "add_key": "新增，类型为密码",
    "no_key": ("没有提供 OpenAI 密钥", "export OPENAI_API_KEY=… 后重新运行"),
    "key_set": "已写入",
    "key_added": "已新增，类型为密码",
    # ---- 启动脚本 ----
    "deploy": "部署 {startup} 及其自动触发配置",
    "deployed": "已部署 {startup}，每分钟自动触发",
    "renew": "更新：模板或参数有变化",
    "renewed": "已更新",
    "deploy_again": "保留脚本，用当前脚本集执行一次并注册函数",
    "deployed_again": "已保留，并用当前脚本集运行",
    "startup_left": "保持原样",
    "up_to_date": "已是最新",
    "startup_edited": "{startup} 与模板生成的内容不同：已被修改，或来自更早的版本，因此保持原样。如需更新：备份您的修改，在 Func 中删除该脚本，再次运行 install",
    "trigger_disabled": "自动触发已被禁用：请在 Func 中启用，否则积压的数据不会投递",
    "no_functions": (
        "Func 部署了启动脚本，但没有注册函数",
        "确认 Func 的 worker 是否繁忙，然后再次运行 install",
    ),
    "startup_fails": ("启动脚本执行失败：{said}", "按提示修正后再次运行 install"),
    "startup_package": (
        "启动脚本执行失败：{said}",
        "让 install 安装所需的包（不要加 --no-packages），或使用 Func 的 PIP 工具",
    ),
    "odd_parameter": (
        "参数 {label!r} 中含有{what}，Func 无法原样写入脚本",
        "换一个值，或直接在 Func 的启动脚本中填写",
    ),
    "in_brackets": "首尾的 <…>",
    "control_character": "换行或控制字符",
    # ---- 授权链接与认证 ----
    "auth_none": "无：授权链接是开放的",
    "take_auth_off": "从授权链接上取消（--open）",
    "auth_there": "已存在；可在 Func 的「API 认证」中查看密钥",
    "auth_open": "无（--open）",
    "auth_of_earlier": "已存在，来自上次未完成的安装",
    "make_secret": "为请求头 {header} 生成密钥",
    "made_secret": "已为请求头 {header} 生成密钥",
    "auth_off": "已从授权链接上取消",
    "link_open": "授权链接是开放的：拿到地址的人就能花您 OpenAI 密钥的钱；如需保护，请在 Func 中删除它，再次运行 install 会新建一个",
    "add_link": "新建一个指向 {chat} 的授权链接",
    "link_added": "已新建：每分钟 {limit} 次调用，保留 {kept} 条任务记录",
    "set_link": "设置 {names}",
    "link_disabled": "授权链接已被禁用：请在 Func 中启用",
    "records_kept": "Func 以明文保留该授权链接的问题和回答（任务记录）；如不保留：install --task-records 0",
    # ---- 测试调用 ----
    "ask_one": "通过授权链接提一个问题",
    "not_tried": "未进行：该授权链接的认证不是由 install 创建的",
    "waiting_for_func": "等待 Func 感知变更，需要几秒",
    "answered": "{model} 在 {seconds} 秒内作答",
    "answered_error": "返回 {status}：{error}",
    "no_answer": (
        "已安装，但 OpenAI 没有作答：{problem}",
        "运行 guance-chatgpt-monitor check --openai{further} 查看原因",
    ),
    "secret_once": "密钥仅显示这一次；之后可在 Func 的「API 认证」中查看。",
    # ---- uninstall ----
    "removed": "已移除：{what}",
    "with_its_key": "及其密钥",
    "nothing_there": "该 Func 中没有本产品的内容",
    "left_link": "保留：{link}，不是由 install 创建",
    "left_auth": "保留：另一个授权链接正在使用",
    "left_env": "保留：不是由 install 创建",
    "left_packages": "保留：其他脚本可能也在使用 openai 和 requests",
    "left_imported": "保留：不是由 install 导入",
    "left_edited": "连同它所依赖的内容一并保留：{startup} 已被修改。如需移除，请在 Func 中删除该脚本，再运行 uninstall",
    "left_deployed_by_hand": "连同它所依赖的内容一并保留：{startup} 是手工部署的。如需移除，请在 Func 中删除该脚本，再运行 uninstall",
    # ---- Func 返回的信息 ----
    "not_func": (
        "{url} 返回 {status}，但不是 Func",
        "检查 Func 地址；中间可能有代理或其他服务",
    ),
    "func_redirect": (
        "{url} 返回 {status}，要求转到 {to}",
        "若那正是您要的 Func，请使用该地址；否则中间可能有登录页",
    ),
    "func_clock": (
        "Func 返回 {error} {reason}：{said}",
        "Func 与本机的时钟相差超过 15 分钟：请校准",
    ),
    "func_token": (
        "Func 返回 {error} {reason}：{said}",
        "在 Func 容器中重新读取 token：cat /data/localhost-auth-token",
    ),
    "func_auth": (
        "Func 返回 {error} {reason}：{said}",
        "检查 Access Key 的 ID 和 Secret：Func「管理 / Access Key」",
    ),
    "func_old": (
        "Func 返回 {error} {reason}：{said}",
        "该 Func 版本没有此功能：需要 2024 年或之后的版本",
    ),
    "func_no_key": (
        "Func 返回 {error} {reason}：{said}",
        "没有这个 ID 的 Access Key：请查看「管理 / Access Key」",
    ),
    "func_EUserPrivilege": (
        "Func 返回 {error} {reason}：{said}",
        "该 Access Key 的用户没有权限：请使用管理员的 Access Key",
    ),
    "func_EUserDisabled": ("Func 返回 {error} {reason}：{said}", "该 Access Key 的用户已被禁用：请换一个"),
    "func_EClientBadRequest": (
        "Func 返回 {error} {reason}：{said}",
        "该 Func 要求的请求格式不同：可能是版本不同",
    ),
    "func_EClientNotFound": ("Func 返回 {error} {reason}：{said}", "期间已被他人删除：请重新运行"),
    "func_EBizRequestConflict": (
        "Func 返回 {error} {reason}：{said}",
        "有人正在进行相同的操作：请稍后重新运行",
    ),
    "func_ESys": ("Func 返回 {error} {reason}：{said}", "查看 Func 服务端的日志"),
    "func_other": ("Func 返回 {error} {reason}：{said}", "根据提示并结合 Func 的日志排查"),
    # ---- 授权链接返回的信息 ----
    "no_link": ("这不是授权链接", "请给出完整地址：http://HOST:8088/api/v1/al/ID"),
    "link_not_func": (
        "该链接返回 {status}，既不是 Func 也不是本脚本的响应",
        "检查地址；中间可能有代理或其他服务",
    ),
    "link_throttled": ("授权链接触发限流", "等待 {seconds} 秒，或在 Func 中调高上限"),
    "link_wrong_secret": (
        "授权链接拒绝了该密钥",
        "把 install 输出的密钥写入 CHATGPT_MONITOR_LINK_SECRET（请求头 {header}）",
    ),
    "link_wants_secret": (
        "授权链接需要密钥",
        "把 install 输出的密钥写入 CHATGPT_MONITOR_LINK_SECRET（请求头 {header}）",
    ),
    "link_refuses": ("Func 返回 {reason}：{said}", "查看 Func 的日志"),
    "link_package": (
        "Func 的 worker 缺少 Python 包 {name}",
        "安装它：运行 guance-chatgpt-monitor install，或使用 Func 的 PIP 工具",
    ),
    "link_script_fails": ("启动脚本执行失败：{said}", "在 Func 中查看，或再次运行 install"),
    "link_unknown": ("Func 中没有这个授权链接", f"检查链接，或{_AGAIN}"),
    "link_no_function": ("授权链接指向的函数不存在", f"请{_AGAIN}"),
    "link_is_disabled": ("授权链接已被禁用", "请在 Func 中启用"),
    "link_expired": ("授权链接已过期", "请在 Func 中修改有效期"),
    "link_timeout": ("脚本运行超时", "查看该任务在 Func 中的记录"),
    "link_no_worker": ("Func 没有 worker 及时处理该调用", "确认 Func 的 worker 正在运行"),
}
