// What the local page says.
"use strict";

const TEXTS = {
  en: {
    name: "ChatGPT monitor", otherLanguage: "中文", light: "light", dark: "dark", live: "live", paused: "paused", range: "Time range",
    last15: "last 15 min", last60: "last 1 h", last360: "last 6 h", today: "today", all: "all", table: "table",
    tabs: { openai: "Dashboard", calls: "Calls", monitors: "Monitors", openai_monitor: "Health" },
    none: "no data in this range", unknown: "Not supported here: ", showTable: "Show as a table: ", time: "Time", group: "Group",
    last: "last", highest: "highest", noPlotly: "The charts need plotly. Install it, then start this again:",
    lost: "The local DataKit does not answer. Is it still running?", failed: "The local DataKit could not answer: ",
    welcome: "Nothing received yet", curl: "Send a point by hand:", inCode: "Or monitor it in its code:",
    run: "Or run a Python program with its OpenAI calls monitored:",
    noCalls: "No calls in this range match the filters.", tags: "Tags", fields: "Fields", said: "Prompts and answers",
    notSaid: "Set log_content=True to see prompts and answers here.",
    filters: { service_name: "Service", request_model: "Model", status: "Status" },
    calls: ["Time", "Service", "Model", "Operation", "Status", "Response time", "Requests", "Tokens", "Cost"],
    monitors: ["State", "Monitor", "Value", "Since", "Thresholds"], longer: "30 min or longer",
    checked: (every, minutes) => `Checked every ${every} over the last ${minutes} min.`,
    states: { fatal: "fatal", critical: "critical", error: "error", warning: "warning", nodata: "no data", ok: "ok", none: "no data yet" },
  },
  zh: {
    name: "ChatGPT 监控", otherLanguage: "English", light: "浅色", dark: "深色", live: "实时", paused: "已暂停", range: "时间范围",
    last15: "最近 15 分钟", last60: "最近 1 小时", last360: "最近 6 小时", today: "今天", all: "全部", table: "表格",
    tabs: { openai: "仪表板", calls: "调用", monitors: "监控器", openai_monitor: "监控自身" },
    none: "该时间范围内没有数据", unknown: "此处不支持：", showTable: "以表格显示：", time: "时间", group: "分组",
    last: "最新", highest: "最大", noPlotly: "图表需要 plotly。请安装后重新启动：",
    lost: "本地 DataKit 没有响应，是否仍在运行？", failed: "本地 DataKit 无法响应：",
    welcome: "尚未收到数据", curl: "手动发送一个数据点：", inCode: "或在代码中启用监控：",
    run: "或运行一个 Python 程序，并监控其 OpenAI 调用：",
    noCalls: "该时间范围内没有符合筛选条件的调用。", tags: "标签", fields: "字段", said: "对话内容",
    notSaid: "设置 log_content=True 后，此处显示对话内容。",
    filters: { service_name: "服务", request_model: "模型", status: "状态" },
    calls: ["时间", "服务", "模型", "操作", "状态", "响应时间", "请求数", "Token 数", "费用"],
    monitors: ["状态", "监控器", "当前值", "开始时间", "阈值"], longer: "30 分钟或更久",
    checked: (every, minutes) => `每 ${every} 检测一次，检测区间为最近 ${minutes} 分钟。`,
    states: { fatal: "致命", critical: "紧急", error: "重要", warning: "警告", nodata: "无数据", ok: "正常", none: "暂无数据" },
  },
};
