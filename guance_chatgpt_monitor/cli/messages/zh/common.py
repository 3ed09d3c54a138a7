"""所有命令共用的提示：命令行和设置有误、服务没有响应。"""

from .. import Texts

TEXTS: Texts = {
    "error": "错误：",
    "warning": "警告：",
    "next": "下一步：",
    "stopped": "已按 Ctrl-C 停止",
    "os_error_step": "请确认路径存在且您有权限，然后重试",
    "unforeseen": "发生意外错误（{name}）",
    "unforeseen_step": "请设置 CHATGPT_MONITOR_DEBUG=1 后重新运行，查看出错位置并反馈给我们",
    # ---- 命令行 ----
    "unknown_command": "没有 {word} 这个命令",
    "unknown_option": "没有 {word} 这个选项",
    "unknown_word": "多了一个参数 {word}",
    "not_a_choice": "{word} 不是可选值 {choices} 之一",
    "did_you_mean": "是否想输入 {near}？详见 {program} --help",
    "see_help": "详见 {program} --help",
    "quote_spaces": "带空格的内容请加引号；详见 {program} --help",
    "no_value": ("{name} 缺少值", "详见 {program} --help"),
    "no_argument": ("缺少 {name}", "详见 {program} --help"),
    "ambiguous": ("{name} 有歧义，可能是 {matches}", "请写完整"),
    "takes_no_value": ("{name} 不接受值", "请去掉等号及其后面的内容"),
    "not_a_number": ("{name} 的值类型不对", "详见 {program} --help"),
    "usage": ("命令行有误：{message}", "详见 {program} --help"),
    "no_port": ("{value!r} 不是有效端口", "请输入 0 到 65535 之间的数字；0 表示自动选择空闲端口"),
    "no_count": ("{value!r} 不是不小于 {least} 的整数", "请输入整数，例如 10"),
    "count_too_large": ("{value} 超过上限 {most}", "请输入不超过 {most} 的数"),
    # ---- 设置 ----
    "no_http_address": ("{name}不是有效的 HTTP 地址", "正确的地址形如 {example}"),
    "odd_secret": ("{name}中含有空格、换行或非 ASCII 字符", "请重新完整复制"),
    "no_datakit_address": (
        "DataKit 地址应形如 http://localhost:9529",
        "用 --datakit http://localhost:9529 指定，或换成您的 DataKit 地址",
    ),
    "setting_step": "请改正，或取消该设置",
    "missing": ("没有提供{name}", "用 {option} 指定，或 export {variable}=…"),
    "ask_secret": "请输入{name}（不回显）：",
    "func_address": " Func 地址",
    "func_token": " Func 的 localhost token",
    "access_key": " Access Key ID",
    "access_secret": " Access Key Secret",
    "link": "授权链接",
    "link_secret": "授权链接的密钥",
    "openai_key": " OpenAI 密钥",
    "openai_base_url": " OpenAI 地址",
    "key_on_command_line": "本机其他用户能看到命令行中的 {option}：建议改用 export {variable}=…",
    # ---- 没有响应 ----
    "proxy": (
        "代理不允许访问 {shown}",
        "修正 HTTP_PROXY、HTTPS_PROXY 和 ALL_PROXY，或绕过代理：export NO_PROXY={host}",
    ),
    "no_socks": (
        "环境变量为 {shown} 设置了 SOCKS 代理，但该 Python 没有支持它的包",
        "执行 pip install PySocks，或绕过代理：export NO_PROXY={host}",
    ),
    "connect_timeout": ("连接 {address} 超时", "检查地址，以及中间的防火墙"),
    "read_timeout": ("{shown} 接受了连接但没有响应", "查看该服务的日志"),
    "no_such_host": ("无法解析主机名 {host}", "检查地址，或本机的 DNS"),
    "refused": ("连接被拒绝：{address} 上没有服务在监听", "检查主机和端口，并确认服务已启动"),
    "redirect": (
        "{url} 返回 {status}，重定向到 {to}",
        "若那正是您要的地址，请改用它；否则中间可能有登录页",
    ),
    "broken": ("与 {address} 的连接在收到响应前中断", "确认对方使用 HTTP，然后查看该服务的日志"),
    "wants_tls": ("{address} 要求使用 TLS", "地址应以 https:// 开头"),
    "no_tls": ("{shown} 不支持 TLS", "若对方使用明文 HTTP，地址应以 http:// 开头"),
    "no_ca_file": (
        "校验 {shown} 所用的 CA 证书文件不存在，或不是 PEM 文件",
        "修正 REQUESTS_CA_BUNDLE 中的路径；DataKit 则为 CHATGPT_MONITOR_DATAKIT_CA",
    ),
    "certificate_name": ("{shown} 的 TLS 证书不是签发给 {host} 的", "请使用证书中的名称作为地址"),
    "certificate_expired": ("{shown} 的 TLS 证书已过期", "更新证书，或校准时钟"),
    "certificate_untrusted": (
        "本机不信任 {shown} 的 TLS 证书",
        "指定签发机构的证书文件：export REQUESTS_CA_BUNDLE=/path/to/ca.pem",
    ),
}
