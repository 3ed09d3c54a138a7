"""assets。"""

from typing import Dict

from .. import Text

TEXTS: Dict[str, Text] = {
    "importing": "正在导入到 API Key 所属的工作空间：{endpoint}",
    "total": "新建 {created} 个，跳过 {skipped} 个；已有同名的保持不变",
    "apply_step": "检查 --site（或 --endpoint）和 API Key（DF_API_KEY）：「管理 / API Key 管理」",
    "api_key": "API Key",
    "endpoint": "OpenAPI 地址",
    "only_with_apply": ("--site、--endpoint 和 --api-key 仅用于导入", "加上 --apply；只写文件时请去掉它们"),
    "two_addresses": ("--site 和 --endpoint 指定了两个地址", "只指定其中一个"),
    "unknown_site": ("没有站点 {site}", "可选 {sites}；其他站点用 --endpoint 指定地址"),
    "no_site": ("未指定站点", "用 --site 指定，可选 {sites}；其他站点用 --endpoint 指定地址"),
    "plain_http": (
        "OpenAPI 地址是 http://，API Key 会在网络上明文传输",
        "改用 https://",
    ),
}
