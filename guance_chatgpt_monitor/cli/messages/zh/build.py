"""build：生成的内容，以及因 Func 无法运行而拒绝的写法。"""

from .. import Texts

TEXTS: Texts = {
    "market": "脚本市场：用 HTTP 提供该目录，或推送到 git 仓库",
    "zip": "Func：「管理 / 脚本集导入」",
    "built": "{n} 个脚本，originMD5 {md5}",
    "not_built": ("发现 {n} 个问题，未生成任何文件", "修正上面列出的问题后重新构建"),
    "out_not_writable": ("无法写入 {folder}：{reason}", "用 --out 另选一个目录"),
    # ---- manifest ----
    "manifest_unreadable": "无法读取：{said}",
    "manifest_no_yaml": "不是有效的 YAML",
    "manifest_no_text": "不是 UTF-8 文本",
    "manifest_lacks": "manifest 缺少 {names}",
    "manifest_strings": "以下各项必须是字符串：{names}",
    "manifest_id": "manifest 的 `id` 只能包含字母、数字和 _",
    "manifest_requirements": "manifest 的 `requirements` 必须是字符串列表",
    "manifest_scripts": "manifest 的 `scripts` 必须是列表，每一项都要有 `name` 和 `title`",
    # ---- 脚本 ----
    "no_module": "{folder} 中没有模块 {name}",
    "not_python": "不是有效的 Python 3.8 代码：{said}",
    "dunder_import": "Func 中不能使用 __import__()",
    "no_packages": "Func 不支持包：请写成 `from .{name} import …`",
    "importlib": "Func 中 importlib 找不到脚本",
    "star": "Func 中不能使用 `import *`：请逐个写出要导入的名称",
    "no_modules": "Func 不能直接导入模块：请写成 `from .name import A, B`",
    "not_in_manifest": "manifest 中没有模块 {name}",
    "as_name": "不支持 `from .name import A as B`：Func 会同时绑定两个名称",
    "not_defined": "{module} 没有定义 {name}",
    "false_value": "{name} 的值是 {value}：Func 无法导入值为假的名称",
    "future_annotations": "`from __future__ import annotations` 与 dataclass 或 NamedTuple 同时使用会在 Func 中失败",
    "quoted_annotation": "{name} 中有带引号的类型注解：在 Func 中会失败",
    "bare_except": "裸 `except:` 会吞掉 Func 的超时信号",
    "base_exception": "Func 中没有 BaseException：请使用 finally",
    "sys_exit": "sys.exit() 会终止 Func 的 worker",
    "two_placeholders": "一行中有两个占位符：Func 会当成一个",
    "placeholder_twice": "“<{label}>”出现了两次：Func 只填写第一个",
    "circle": "循环导入：{circle}",
}
