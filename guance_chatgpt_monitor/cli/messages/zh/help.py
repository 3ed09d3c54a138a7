"""帮助。"""

from .. import Texts

TEXTS: Texts = {
    "usage": "用法：",
    "arguments": "参数",
    "options": "选项",
    "example": "示例：",
    "stop": "。",
    "usage_whole": "{program} [选项] 命令 …",
    "commands": "命令：",
    "help": "显示本帮助并退出",
    "version": "显示版本号并退出",
    "lang": "帮助和提示的语言；默认取 $CHATGPT_MONITOR_LANG，未设置时随系统区域设置",
    "no_color": "不使用颜色，等同于 NO_COLOR=1",
    "json": "以 JSON 输出结果，进度信息写到标准错误",
    "about": "用观测云监控 ChatGPT 调用。",
    "examples": """\
示例：
  guance-chatgpt-monitor demo                     用本地模拟服务几秒内跑通全流程
  guance-chatgpt-monitor install --func http://HOST:8088
  guance-chatgpt-monitor check                    检查哪里有问题、该如何处理
  guance-chatgpt-monitor ask "什么是观测云？" --link http://HOST:8088/api/v1/al/ID
  guance-chatgpt-monitor run python app.py        不改代码即可监控一个程序
  guance-chatgpt-monitor build                    生成 dist/：Func 脚本市场和导入包
  guance-chatgpt-monitor assets --lang zh --out . 生成仪表板和监控器
  guance-chatgpt-monitor 命令 --help              查看某个命令的全部选项和示例
""",
    # ---- ask ----
    "ask": "通过授权链接向 ChatGPT 提一个问题",
    "ask_example": 'ask "什么是观测云？" --link http://HOST:8088/api/v1/al/ID',
    "question": "要问的问题",
    "link": "授权链接；默认取 $CHATGPT_MONITOR_LINK",
    "link_secret": "授权链接的密钥；默认取 $CHATGPT_MONITOR_LINK_SECRET",
    "ask_model": "默认使用启动脚本中的模型",
    "system": "系统消息",
    # ---- assets ----
    "assets": "把仪表板和监控器写成文件，或导入到观测云（TrueWatch）工作空间",
    "assets_example": """assets --lang en --out .
  DF_API_KEY=… guance-chatgpt-monitor assets --lang zh --apply --site cn1

观测云站点：cn1 杭州、cn2 宁夏、cn4 广州、cn6 香港、me1 阿联酋；TrueWatch 站点：us1 俄勒冈、eu1 法兰克福、
ap1 新加坡、za1 南非、id1 雅加达。已有同名的仪表板和监控器保持不变。""",
    "assets_lang": "仪表板和监控器的语言；默认 zh",
    "assets_out": "默认为当前目录",
    "apply": "改为通过所在站点的 OpenAPI 导入",
    "site": "所在站点，如 cn1 或 us1",
    "endpoint": "其他站点的 OpenAPI 地址",
    "api_key": "建议用 $DF_API_KEY，不会出现在进程列表中",
    # ---- build ----
    "build": "构建脚本集，供 Func 脚本市场和导入使用",
    "build_example": "build --out dist",
    "out": "默认为 dist",
    "manifest": "默认为安装包自带的 manifest.yaml",
    # ---- check ----
    "check": "检查 OpenAI、Func、DataKit 到工作空间之间哪里有问题、该如何处理",
    "check_example": """check
  guance-chatgpt-monitor check --datakit http://HOST:9529
  guance-chatgpt-monitor check --link http://HOST:8088/api/v1/al/ID --openai
  guance-chatgpt-monitor check --func http://HOST:8088 --json

不指定检查对象时，检查 DataKit 以及环境变量中给出的部分：OPENAI_API_KEY、
CHATGPT_MONITOR_DATAKIT_URL、CHATGPT_MONITOR_LINK 和 CHATGPT_MONITOR_LINK_SECRET、
FUNC_URL 和 FUNC_AK_ID、FUNC_AK_SECRET。没有另行指定地址时，使用 Func 中已安装的启动脚本里的地址。
选项所属的部分一定会被检查，例如给出 --model 就会检查 OpenAI。
检查不消耗任何 token。退出码取最严重的结果：0 正常，1 警告，2 失败。""",
    "check_openai": "检查 OpenAI",
    "check_key_env": "默认为 OPENAI_API_KEY",
    "check_base_url": "默认依次取 $OPENAI_BASE_URL、启动脚本中的地址、OpenAI 官方地址",
    "check_model": "必须可用的模型；默认依次取启动脚本中的模型、gpt-4o-mini",
    "check_datakit": "检查 DataKit（以本机访问它的地址）",
    "check_logs": "同时检查 DataKit 能否接收日志（log_content）",
    # ---- completion ----
    "completion": "输出 bash、zsh 或 fish 的补全脚本",
    "completion_example": """completion bash >> ~/.bashrc
  echo 'eval "$(guance-chatgpt-monitor completion zsh)"' >> ~/.zshrc
  guance-chatgpt-monitor completion fish > ~/.config/fish/completions/guance-chatgpt-monitor.fish""",
    "shell": "您使用的 shell",
    # ---- demo ----
    "demo": "通过本地 Func 调用 ChatGPT，并显示产生的数据点",
    "demo_example": "demo\n  guance-chatgpt-monitor demo --open",
    "demo_open": "保持运行，约每秒调用一次，并打开展示页面；按 Ctrl-C 结束",
    "demo_real": "用 $OPENAI_API_KEY 调用真实的 OpenAI（少量调用，会产生费用）；默认使用模拟服务",
    "demo_datakit": "使用真实的 DataKit；默认使用本机的模拟服务",
    # ---- install, uninstall ----
    "install": "把脚本集安装到运行中的 Func，或更新已安装的脚本集",
    "install_example": """install --func http://HOST:8088 --dry-run
  guance-chatgpt-monitor install --func http://HOST:8088 --datakit http://HOST:9529 --service shop

密钥从环境变量读取，没有时会提示输入：
  export FUNC_AK_ID=ak-…         Func 的 Access Key：「管理 / Access Key」
  export FUNC_AK_SECRET=…
  export OPENAI_API_KEY=sk-…     写入 Func 的环境变量，绝不写进脚本；Func 中已有时，
                                 只有 --openai-key-env NAME 或 --openai-key 才会替换它
在 Func 所在主机上，可用 FUNC_LOCALHOST_TOKEN 代替 Access Key，
其值在 Func 容器的 /data/localhost-auth-token 中。

再次运行会更新有差异的部分，并保留您做过的修改。""",
    "func_url": "Func 的地址，如 http://HOST:8088；默认取 $FUNC_URL",
    "ak_id": "Func 的 Access Key ID；默认取 $FUNC_AK_ID",
    "ak_secret": "默认取 $FUNC_AK_SECRET，未设置时会提示输入",
    "openai_key": "本机其他用户能看到命令行，建议改用环境变量",
    "openai_key_env": "存放密钥的环境变量名",
    "openai_base_url": "默认为 https://api.openai.com/v1",
    "model": "默认模型；默认为 gpt-4o-mini",
    "datakit": "Func 访问 DataKit 的地址；默认为 http://localhost:9529",
    "service": "数据点的 service_name；默认为 dataflux-func",
    "open": "授权链接不设 API 认证：拿到链接的人都能消耗您的 OpenAI 额度",
    "calls_per_minute": "授权链接的每分钟调用上限；默认为 60",
    "task_records": "Func 为授权链接保留的调用条数，问题和回答均为明文；默认为 0，最多 10000",
    "no_packages": "不让 Func 安装 Python 包 openai、requests",
    "pip_index": "Func 安装包所用的 pip 源；默认用 Func 自己的设置",
    "dry_run": "只打印步骤，不做任何改动",
    "uninstall": "从 Func 中移除 install 所安装的内容，且仅移除这些",
    "uninstall_example": "uninstall --func http://HOST:8088 --dry-run",
    # ---- local ----
    "local": "单独运行 Func、DataKit 或 OpenAI 的本地模拟服务",
    "local_example": "local openai --port 9000",
    "local_func": "Func 的模拟服务，已部署好脚本集",
    "local_datakit": "DataKit 的模拟服务",
    "local_openai": "OpenAI 的模拟服务",
    "port": "默认使用空闲端口",
    "local_openai_url": "部署时使用的 OpenAI 地址",
    "local_host": "监听地址，例如供容器访问时用 0.0.0.0；默认 127.0.0.1，仅限本机",
    "database": "将数据点保存到该 SQLite 文件；默认保存在内存中，退出即清空",
    "forgetful": "退出时丢失最近 10 秒收到的数据，与真实的 DataKit 一致（配合 --database 使用）",
    "local_datakit_url": "部署时使用的 DataKit 地址",
    "redis": "供 DFF.CACHE 使用的 Redis；默认放在内存中",
    "empty": "不安装脚本集，用于试用 install",
    # ---- top ----
    "top": "按模型实时显示本地 DataKit 收到的、或积压文件中等待投递的调用",
    "top_example": """top --datakit http://127.0.0.1:9529
  guance-chatgpt-monitor top --once --minutes 60

真实的 DataKit 不保存可供查询的数据点：它停机时，数据点在当前用户各应用的积压文件里
（或 CHATGPT_MONITOR_BACKLOG 指定的文件），这里只读取、不修改。""",
    "top_datakit": "`local datakit` 或 demo 的 DataKit 地址；默认读取积压文件",
    "top_minutes": "统计最近多少分钟；默认 15",
    "top_once": "只输出一次，不刷新",
    # ---- run ----
    "run": "启动一个 Python 程序，并监控其中的 OpenAI 调用",
    "run_example": """run python app.py
  CHATGPT_MONITOR_SERVICE_NAME=shop guance-chatgpt-monitor run gunicorn shop:app""",
    "strict": "设置有误时报错退出；默认仅给出警告，程序照常启动但不被监控",
    "program": "您平时的启动命令",
}
