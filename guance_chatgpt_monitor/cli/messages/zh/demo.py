"""demo。"""

from .. import Texts

TEXTS: Texts = {
    "running": "正在通过本地 Func 调用 ChatGPT",
    "real": "将用 $OPENAI_API_KEY 调用真实的 OpenAI（{url}）{count} 次，会产生少量费用",
    "real_without_key": (
        "--real 会调用真实的 OpenAI，但未设置 OPENAI_API_KEY",
        "请执行 export OPENAI_API_KEY=…，或去掉 --real 以使用模拟服务",
    ),
    "open_alone": (
        "--open 展示的是模拟服务的数据，不能与 --datakit、--json 或 --real 同时使用",
        "guance-chatgpt-monitor demo --open",
    ),
    # ---- 各个部分 ----
    "func": "Func       {url}  （模拟服务；DFF.CACHE 使用{cache}）",
    "in_redis": "真实的 Redis",
    "in_memory": "内存：如需 Redis，请安装 redis-server 并执行 `pip install redis`",
    "datakit": "DataKit    {url}",
    "openai": "OpenAI     {url}",
    "stand_in": "{url}  （模拟服务）",
    "built": "已构建     {n} 个脚本，originMD5 {md5}",
    "deployed": "已部署     {script}；自动触发 {triggers}",
    "link": "授权链接   {url}",
    # ---- 各次调用 ----
    "call_question": "普通提问",
    "call_system_and_model": "指定 system 和 model 的提问",
    "call_chat_body": "Chat Completions 请求体",
    "call_responses_body": "Responses 请求体",
    "call_own_tags": "带自定义标签",
    "call_unknown_model": "模型不存在",
    "call_nothing_to_ask": "输入有误：没有问题",
    "call_stream": "输入有误：要求流式返回",
    "call_429_then_answered": "限流一次，重试后作答",
    "call_refused_key": "密钥被拒绝",
    "call_no_quota": "额度已用完",
    "call_too_late": "超过时限没有作答",
    "call_resets": "连接被重置三次",
    "call_no_usage": "回答中没有用量",
    "call_outage": "DataKit 停止期间",
    "call_answered": "正常作答",
    "call_500_then_answered": "服务端出错，重试后作答",
    "call_500s": "服务端连续三次出错",
    "call_429s": "连续三次限流",
    "call_content_filter": "触发内容过滤",
    "stopped": "DataKit 已停止",
    "started": "DataKit 已重新启动；触发自动补发",
    # ---- 结果 ----
    "received": "DataKit 收到 {n_calls} 次调用的 {n} 个数据点：",
    "took": "DataKit 接收了 {n_calls} 次调用的 {n} 个数据点",
    "complete": "所有数据点均已送达",
    "incomplete": "有数据点没有送达",
    "totals": "合计：{totals}",
    "probe": "探测：{n} 次中 OpenAI 有 {up} 次可用，平均 {seconds} 秒",
    "rate_limit": "限额：剩余请求 {requests}/{max_requests}，剩余 token {tokens}/{max_tokens}",
    "cost": "费用：{cost} 美元",
    "cost_unknown": "费用：没有价格表，无法计算：pip install genai-prices（需要 Python 3.9 或更高版本）",
    "books": "OpenAI 账目：{n} 次请求，{tokens} 个 token，{cost} 美元（按模拟服务的价格）；本次得到回答：{n_answered} 次请求，{tokens_answered} 个 token",
    "look": "查看图表：guance-chatgpt-monitor demo --open（在源码目录中：make demo ARGS=--open）",
    # ---- --open ----
    "page": "查看页面：{url}（按 Ctrl-C 停止）",
    "ended": "已停止：共 {calls} 次调用，其中 {failed} 次失败；所有模拟服务均已停止",
}
