"""demo。"""

from typing import Dict

from .. import Text

TEXTS: Dict[str, Text] = {
    "running": "正在通过本地 Func 调用 ChatGPT",
    "func": "Func       {url}  （模拟服务；DFF.CACHE 使用{cache}）",
    "in_redis": "真实的 Redis",
    "in_memory": "内存：如需 Redis，请安装 redis-server 并执行 `pip install redis`",
    "datakit": "DataKit    {url}",
    "openai": "OpenAI     {url}",
    "stand_in": "{url}  （模拟服务）",
    "built": "已构建     {n} 个脚本，originMD5 {md5}",
    "deployed": "已部署     {script}；自动触发 {triggers}",
    "link": "授权链接   {url}",
    "stopped": "DataKit 已停止",
    "started": "DataKit 已重新启动；触发自动补发",
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
}
