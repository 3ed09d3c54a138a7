// The local page. Whatever came in as data is put into the page as text, never as HTML.
"use strict";

const TEXTS = {
  en: {
    name: "ChatGPT monitor", range: "Time range", today: "today", min: "min", h: "h", all: "all", language: "中文",
    live: "live", paused: "paused", dark: "dark", light: "light", tabs: { openai: "Dashboard", calls: "Calls", monitors: "Monitors", openai_monitor: "Health" },
    none: "no data in this range", unknown: "This query is not known here: ", untyped: "Not drawn here: a chart of type ",
    asTable: "table", asTableOf: "Show as a table: ", chart: "Chart", highest: "highest", last: "last", time: "Time", group: "Group",
    plotly: "The charts are drawn with plotly, which is not installed. Install it, then start this again:",
    lost: "The local DataKit does not answer. Is it still running?", failed: "The local DataKit could not answer: ",
    welcome: "Nothing has come in yet", curl: "Send a point by hand:", python: "Or run a Python program of yours with its OpenAI calls monitored:",
    inCode: "Or in its code:", noCalls: "No call in this range, or none that the filters let through.",
    columns: ["Time", "Service", "Model", "Operation", "Status", "Response time", "Requests", "Tokens", "Cost"],
    filters: { service_name: "Service", request_model: "Model", status: "Status" }, tags: "Tags", fields: "Fields", said: "What was said",
    notSaid: "What was said is shown here with log_content=True.", monitorColumns: ["State", "Monitor", "Value", "Since", "Thresholds"],
    states: { ok: "ok", warning: "warning", error: "error", critical: "critical", fatal: "fatal", nodata: "no data", none: "no data yet" },
    longer: "30 min or longer", checked: (every, s) => `checked every ${every} over ${s / 60} min`,
  },
  zh: {
    name: "ChatGPT 监控", range: "时间范围", today: "今天", min: "分钟", h: "小时", all: "全部", language: "English",
    live: "实时", paused: "已暂停", dark: "深色", light: "浅色", tabs: { openai: "仪表板", calls: "调用", monitors: "监控器", openai_monitor: "监控自身" },
    none: "该时间范围内没有数据", unknown: "无法识别此查询：", untyped: "此处不支持的图表类型：",
    asTable: "表格", asTableOf: "以表格显示：", chart: "图表", highest: "最大", last: "最新", time: "时间", group: "分组",
    plotly: "图表由 plotly 绘制，当前未安装。请安装后重新启动：",
    lost: "本地 DataKit 没有响应，是否仍在运行？", failed: "本地 DataKit 无法响应：",
    welcome: "还没有收到数据", curl: "手动发送一个数据点：", python: "或运行您的 Python 程序，并监控其 OpenAI 调用：",
    inCode: "或在代码中：", noCalls: "该时间范围内没有调用，或都被筛选条件排除。",
    columns: ["时间", "服务", "模型", "操作", "状态", "响应时间", "请求数", "Token", "费用"],
    filters: { service_name: "服务", request_model: "模型", status: "状态" }, tags: "标签", fields: "字段", said: "对话内容",
    notSaid: "设置 log_content=True 后，此处显示对话内容。", monitorColumns: ["状态", "监控器", "当前值", "开始时间", "阈值"],
    states: { ok: "正常", warning: "警告", error: "错误", critical: "紧急", fatal: "致命", nodata: "数据断档", none: "暂无数据" },
    longer: "30 分钟或更久", checked: (every, s) => `每 ${every} 检测一次，区间 ${s / 60} 分钟`,
  },
};
const COLORS = ["#4c7de0", "#2bae8a", "#e2a33c", "#8b72d6", "#35a7c8", "#d773a2", "#94a23a", "#b9805a", "#8794ab", "#5f6fb0"];
const RED = "#dd5a5f";
const REFRESH_MS = 5000, MINUTE_MS = 60000;
const view = {
  language: localStorage.language || (navigator.language.startsWith("zh") ? "zh" : "en"),
  theme: localStorage.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"),
  tab: location.hash.slice(1) || "openai", range: "60", live: true, chosen: {}, open: new Set(), tables: new Set(), layouts: {}, drawn: {},
};
const $ = (id) => document.getElementById(id);
const t = () => TEXTS[view.language];

// An element with properties (on…: listeners; the rest: attributes) and children, which are elements or text.
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.entries(value).forEach(([key, to]) => element.style.setProperty(key, to));
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

// --- numbers

function digits(value, precision) {
  return value.toLocaleString(view.language, { maximumFractionDigits: precision });
}
function format(value, unit = [], precision = 2) {
  const [kind, name] = unit;
  if (value == null) return "–";
  if (kind === "percent") return digits(value, precision) + "%";
  if (kind === "time" && name === "s") return Math.abs(value) < 1 ? digits(value * 1000, 0) + " ms" : digits(value, precision) + " s";
  if (name === "USD") return "$" + (Math.abs(value) < 1 ? value.toLocaleString(view.language, { maximumSignificantDigits: 2 }) : digits(value, precision));
  const scale = kind === "digital" ? [["GB", 2 ** 30], ["MB", 2 ** 20], ["KB", 1024], ["B", 1]] : [["M", 1e6], ["", 1]];
  const [suffix, size] = scale.find(([, size]) => Math.abs(value) >= size) || scale[scale.length - 1];
  const rest = kind === "digital" || !name || name === "count" || name === "tokens" ? "" : " " + name;
  return digits(value / size, precision) + (suffix && " " + suffix) + rest;
}
const clock = (ms, options = {}) => new Date(ms).toLocaleTimeString(view.language, { hour12: false, ...options });
const label = (group) => group.filter(Boolean).join(" · ") || "–";
const unitOf = (chart, name) => chart.units[name] || chart.unit;

function range() {
  const to = Date.now();
  const from = view.range === "today" ? new Date().setHours(0, 0, 0, 0) : to - view.range * MINUTE_MS;
  return { from: Math.min(from, to - MINUTE_MS), to };
}

// --- charts: what a card's body shows

function drawNumber(body, chart, answer) {
  const [now, before] = [answer.columns.find((c) => !c.comparedWith), answer.columns.find((c) => c.comparedWith)];
  const value = now && now.values.length ? now.values[0][2] : null;
  const level = value != null && chart.levels.find((one) => holds(one, value));
  body.parentElement.classList.toggle("leveled", Boolean(level));
  if (level) body.parentElement.style.setProperty("--level", level.bgColor);
  const was = before && before.values.length && before.values[0][2];
  const change = was && value != null ? `${value >= was ? "+" : "−"}${digits(Math.abs(value / was - 1) * 100, 1)}% · ${before.comparedWith}` : null;
  body.replaceChildren(h("div", { class: "number" }, h("b", { "data-value": value ?? "" }, format(value, unitOf(chart, now && now.name), chart.precision)), change && h("small", {}, change)));
}
function holds(level, value) {
  const [low, high] = [].concat(level.value).map(Number);
  return { between: value >= low && value < high, ">=": value >= low, ">": value > low, "<=": value <= low, "<": value < low, "=": value === low }[level.operation];
}
function tableOf(columns, chart) {
  const groups = [...new Map(columns.flatMap((c) => c.values.map((v) => [label(v[0]), v[0]]))).keys()];
  const heads = [h("th", {}, ""), ...columns.map((c) => h("th", { class: "n" }, c.name))];
  const rows = groups.map((group) => h("tr", {}, h("td", {}, group), ...columns.map((c) => {
    const found = c.values.find((v) => label(v[0]) === group);
    return h("td", { class: "n" }, format(found && found[2], unitOf(chart, c.name), chart.precision));
  })));
  return h("table", {}, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...rows));
}
function drawTop(body, chart, answer) {
  const [column] = answer.columns;
  const values = [...column.values].sort((a, b) => b[2] - a[2]).slice(0, 10);
  const most = Math.max(...values.map((v) => v[2]), 1e-12);
  body.replaceChildren(h("div", { class: "bars" }, ...values.map(([group, , value]) => h("div", {},
    h("span", {}, label(group)), h("span", {}, format(value, unitOf(chart, column.name), chart.precision)),
    h("i", { style: { width: `${Math.max(1, (100 * value) / most)}%` } })))));
}
function drawLog(body, chart, answer) {
  const rows = answer.rows.map((row) => h("tr", {}, h("td", {}, clock(row.time)), ...chart.columns.map(([field]) => h("td", {}, String(row[field] ?? "")))));
  const heads = [t().time, ...chart.columns.map(([, head]) => head)];
  body.replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", {}, head)))), h("tbody", {}, ...rows)));
}
function seriesOf(chart, answer) {
  const series = [];
  for (const column of answer.columns) {
    const groups = new Map();
    for (const [group, ms, value] of column.values) {
      const name = group.length ? label(group) : column.name;
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push([ms, value]);
    }
    for (const [name, points] of groups) series.push({ name: column.comparedWith ? `${name} · ${column.comparedWith}` : name, points, unit: unitOf(chart, column.name), dashed: Boolean(column.comparedWith) });
  }
  let next = 0;
  for (const one of series) one.color = one.dashed ? "#98a2b3" : /^(errors?|错误数?)$/i.test(one.name) ? RED : COLORS[next++ % COLORS.length];
  return series;
}
function drawSequence(body, chart, answer) {
  const series = seriesOf(chart, answer);
  const said = series.map((s) => `${s.name}: ${t().last} ${format(s.points[s.points.length - 1][1], s.unit, chart.precision)}, ${t().highest} ${format(Math.max(...s.points.map((p) => p[1])), s.unit, chart.precision)}`);
  const legend = h("ul", { class: "legend", "aria-hidden": "true" }, ...(series.length > 1 ? series.map((s) => h("li", {}, h("span", { class: "dot", style: { background: s.color } }), s.name)) : []));
  if (!window.Plotly || view.tables.has(chart.key)) {
    const rows = series.flatMap((s) => s.points.map(([ms, value]) => [ms, s.name, format(value, s.unit, chart.precision)])).sort((a, b) => b[0] - a[0]);
    body.replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, t().time), h("th", {}, t().group), h("th", { class: "n" }, chart.name))),
      h("tbody", {}, ...rows.map(([ms, name, value]) => h("tr", {}, h("td", {}, clock(ms)), h("td", {}, name), h("td", { class: "n" }, value))))));
    return;
  }
  let canvas = body.querySelector(".canvas");
  if (!canvas) body.replaceChildren(canvas = h("div", { class: "canvas", role: "img" }), h("div"));
  canvas.setAttribute("aria-label", `${t().chart}: ${chart.name}. ${said.join("; ")}`);
  body.lastChild.replaceWith(legend);
  canvas.style.height = `${body.clientHeight - legend.offsetHeight}px`;
  // Plotly reads some HTML in names: there, too, what came in is text. Its times are UTC: ours are local.
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const local = (ms) => ms - new Date(ms).getTimezoneOffset() * MINUTE_MS;
  const bars = chart.style === "bar";
  const traces = series.map((s) => ({
    type: bars ? "bar" : "scatter", name: plain(s.name), x: s.points.map((p) => local(p[0])), y: s.points.map((p) => p[1]),
    text: s.points.map((p) => plain(format(p[1], s.unit, chart.precision))), textposition: "none", hovertemplate: "%{text}",
    mode: s.points.length < 3 ? "lines+markers" : "lines", line: { color: s.color, width: 2, dash: s.dashed ? "dot" : "solid" },
    marker: { color: s.color, size: 5 }, fill: chart.style === "areaLine" ? "tozeroy" : "none", fillcolor: s.color + "26",
  }));
  const css = getComputedStyle(document.documentElement);
  const [soft, line] = ["--soft", "--line"].map((name) => css.getPropertyValue(name).trim());
  const highest = Math.max(...series.flatMap((s) => s.points.map((p) => p[1])), 0);
  const times = series.flatMap((s) => s.points.map((p) => p[0]));
  const shown = range();
  const percent = series.every((s) => s.unit[0] === "percent");
  Plotly.react(canvas, traces, {
    autosize: true, margin: { l: 46, r: 6, t: 8, b: 22 }, showlegend: false, hovermode: "x unified", barmode: chart.stacked ? "stack" : "group", bargap: 0.25,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: getComputedStyle(document.body).fontFamily, size: 11, color: soft },
    xaxis: { type: "date", range: [Math.min(shown.from, ...times), shown.to].map(local), showgrid: false, fixedrange: true, linecolor: line, nticks: 6, tickformat: shown.to - Math.min(shown.from, ...times) > 1440 * MINUTE_MS ? "%m-%d %H:%M" : "%H:%M" },
    yaxis: { rangemode: "tozero", gridcolor: line, zeroline: false, fixedrange: true, nticks: 5, dtick: highest && highest < 5 && series.every((s) => s.unit[1] === "count") ? 1 : undefined, tickformat: highest < 1000 ? "" : "~s", ticksuffix: percent ? "%" : "", range: highest ? undefined : [0, 1] },
    hoverlabel: { bgcolor: css.getPropertyValue("--card").trim(), bordercolor: line, font: { color: css.getPropertyValue("--text").trim() }, namelength: -1 },
    shapes: chart.levels.filter((one) => one.value <= highest * 1.3).map((one) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: one.value, y1: one.value, line: { color: one.bgColor, width: 1, dash: "dash" } })),
  }, { displayModeBar: false, responsive: true });
}
const DRAW = { singlestat: drawNumber, sequence: drawSequence, toplist: drawTop, pie: drawTop, log: drawLog, table: (body, chart, answer) => body.replaceChildren(tableOf(answer.columns, chart)) };

function drawChart(card, chart, answer) {
  const body = card.querySelector(".body");
  const state = JSON.stringify([answer, view.theme, view.language, view.range, Boolean(window.Plotly), view.tables.has(chart.key), chart.type === "sequence" && Math.floor(Date.now() / 15000)]);
  if (view.drawn[chart.key] === state) return;
  view.drawn[chart.key] = state;
  const empty = !answer.rows.length && !answer.columns.some((c) => c.values.length) && chart.type !== "singlestat";
  const says = answer.error ? t().unknown + answer.error : !DRAW[chart.type] ? t().untyped + chart.type : empty ? t().none : "";
  body.className = "body" + (chart.type === "sequence" && window.Plotly && !view.tables.has(chart.key) ? " chart" : "");
  if (says) body.replaceChildren(h("p", { class: "empty" }, says));
  else DRAW[chart.type](body, chart, answer);
}

// --- tabs

async function drawDashboard(name, first) {
  const layout = view.layouts[name];
  const charts = layout.charts.map((chart) => ({ ...chart, key: `${name}/${chart.id}` }));
  const answers = await ask("data", { dashboard: name, ...chosen(layout.variables.map((one) => one.code)) });
  if (first) {
    view.drawn = {};
    const groups = layout.groups.map((group) => {
      const inside = charts.filter((chart) => chart.group === group);
      const rows = [...new Set(inside.map((chart) => chart.position.y))].sort((a, b) => a - b);
      return h("section", { "aria-label": group }, h("h2", {}, group), ...rows.map((y) => h("div", { class: "row" }, ...inside.filter((chart) => chart.position.y === y).map(panel))));
    });
    $("main").replaceChildren(...groups);
  }
  filters(layout.variables);
  for (const chart of charts) {
    const card = document.getElementById(chart.key);
    if (card) drawChart(card, chart, answers[chart.id]);
    if (chart.id % 6 === 5) await new Promise((done) => setTimeout(done));
  }
}
function panel(chart) {
  const { x, w, h: height } = chart.position;
  const toggle = () => {
    view.tables.has(chart.key) ? view.tables.delete(chart.key) : view.tables.add(chart.key);
    button.setAttribute("aria-pressed", view.tables.has(chart.key));
    refresh();
  };
  const button = h("button", { type: "button", class: "as-table", "aria-pressed": view.tables.has(chart.key), "aria-label": t().asTableOf + chart.name, onclick: toggle }, t().asTable);
  return h("article", { id: chart.key, class: `card panel ${chart.type}`, "aria-label": chart.name, style: { "grid-column": `${x + 1} / span ${w}`, "--height": `${height * 26 - 10}px` } },
    h("div", {}, h("h3", { title: chart.description || chart.name }, chart.name), chart.type === "sequence" ? button : null), h("div", { class: "body" }));
}

async function drawCalls() {
  const { calls, filters: values } = await ask("calls", chosen(Object.keys(t().filters)));
  filters(Object.entries(t().filters).map(([code, name]) => ({ code, name, values: values[code] })));
  const body = h("tbody");
  for (const call of calls) {
    const { tags, fields } = call, key = call.time + JSON.stringify(tags);
    const isOpen = view.open.has(key), failed = tags.status !== "ok";
    const toggle = () => { isOpen ? view.open.delete(key) : view.open.add(key); refresh(key); };
    const time = h("button", { type: "button", "aria-expanded": isOpen, "data-key": key }, clock(call.time));
    const status = h("span", { class: `pill ${failed ? "critical" : "ok"}` }, failed ? [tags.error_type, tags.status_code].filter(Boolean).join(" ") || tags.status : tags.status_code || "ok");
    const numbers = [format(fields.response_time, ["time", "s"]), format(fields.create_time), format(fields.total_tokens), format(fields.cost, ["custom", "USD"])];
    body.append(h("tr", { class: "call", onclick: toggle }, h("td", {}, time), h("td", { class: "optional" }, tags.service_name ?? ""), h("td", {}, tags.request_model ?? ""), h("td", { class: "optional" }, tags.operation_name ?? ""),
      h("td", {}, status), ...numbers.map((text, place) => h("td", { class: place % 3 ? "n optional" : "n" }, text))));
    if (isOpen) body.append(h("tr", {}, h("td", { colspan: 9 }, detail(call))));
  }
  const heads = t().columns.map((head, place) => h("th", { class: [1, 3, 6, 7].includes(place) ? (place > 4 ? "n optional" : "optional") : place > 4 ? "n" : "" }, head));
  $("main").replaceChildren(h("div", { class: "card wide" }, calls.length ? h("table", { id: "calls" }, h("thead", {}, h("tr", {}, ...heads)), body) : h("p", { class: "empty" }, t().noCalls)));
}
function detail(call) {
  const list = (title, pairs) => h("div", {}, h("h4", {}, title), h("dl", {}, ...Object.entries(pairs).sort().flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, typeof value === "number" ? String(+value.toPrecision(6)) : String(value))])));
  const texts = Object.entries(call.said || {}).filter(([, value]) => typeof value === "string" && value).sort(([, a], [, b]) => b.length - a.length);
  const said = texts.length ? texts.flatMap(([name, text]) => [h("h4", {}, name), h("pre", {}, text)]) : [h("p", { class: "soft" }, t().notSaid)];
  return h("div", { class: "detail" }, list(t().tags, call.tags), list(t().fields, call.fields), h("div", { class: "said" }, h("h4", {}, t().said), ...said));
}

async function drawMonitors() {
  filters([]);
  const order = Object.keys(t().states);
  const rows = (await ask("monitors", {})).flatMap((monitor) => (monitor.states.length ? monitor.states : [{ group: {}, status: "none" }]).map((state) => ({ monitor, state })));
  const severity = (row) => ["fatal", "critical", "error", "warning", "nodata", "ok", "none"].indexOf(row.state.status);
  rows.sort((a, b) => severity(a) - severity(b));
  const body = rows.map(({ monitor, state }) => {
    const name = monitor.name.replace(/{{\s*(\w+)\s*}}/g, (_, tag) => state.group[tag] || "–").replace(state.status === "none" ? /\s*[（(].*[)）]$/ : /$^/, "");
    const key = monitor.name + JSON.stringify(state.group), isOpen = view.open.has(key);
    const toggle = () => { isOpen ? view.open.delete(key) : view.open.add(key); refresh(key); };
    const more = isOpen ? h("tr", {}, h("td", { colspan: 5 }, h("div", { class: "detail" }, h("div", { class: "said" }, h("p", { class: "soft" }, t().checked(monitor.every, monitor.interval)), h("pre", {}, monitor.dql), h("pre", {}, monitor.message))))) : null;
    return [h("tr", { class: "call", onclick: toggle }, h("td", {}, h("span", { class: `pill ${state.status}` }, t().states[state.status])),
      h("td", {}, h("button", { type: "button", "aria-expanded": isOpen, "data-key": key, style: { "white-space": "normal" } }, name), monitor.error ? h("div", { class: "soft" }, t().unknown + monitor.error) : null),
      h("td", { class: "n" }, format(state.value)), h("td", { class: "optional" }, state.status === "none" ? "" : state.since ? clock(state.since) : t().longer),
      h("td", { class: "optional soft" }, monitor.levels.map(([status, sign, limit]) => `${t().states[status]} ${{ ">=": "≥", "<=": "≤" }[sign] || sign} ${limit}`).join(", "))), more];
  });
  const heads = t().monitorColumns.map((head, place) => h("th", { class: place === 2 ? "n" : place > 2 ? "optional" : "" }, head));
  $("main").replaceChildren(h("div", { class: "card wide" }, h("table", { id: "monitors" }, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...body.flat().filter(Boolean)))));
}

function drawWelcome() {
  filters([]);
  const url = location.origin;
  const code = (title, text) => [h("p", {}, title), h("pre", { tabindex: 0 }, text)];
  $("main").replaceChildren(h("div", { class: "card welcome" }, h("h2", {}, t().welcome),
    ...code(t().curl, `curl ${url}/v1/write/metric -d 'openai,service_name=demo,request_model=gpt-4o-mini,status=ok question=1,response_time=0.8,create_time=1,res_status=0,total_tokens=42'`),
    ...code(t().python, `CHATGPT_MONITOR_DATAKIT_URL=${url} guance-chatgpt-monitor run python app.py`),
    ...code(t().inCode, `from guance_chatgpt_monitor import monitor\n\nmonitor(datakit_url="${url}", service_name="shop")`)));
}

// --- the page around them

function filters(variables) {
  const known = JSON.stringify([view.language, variables]);
  if (filters.known === known) return;
  filters.known = known;
  $("filters").hidden = !variables.length;
  $("filters").replaceChildren(...variables.map(({ code, name, values }) => {
    const options = [["*", t().all], ...values.map((value) => [value, value])].map(([value, text]) => h("option", { value }, text));
    const select = h("select", { name: code, onchange: () => { view.chosen[code] = select.value; refresh(); } }, ...options);
    select.value = values.includes(view.chosen[code]) ? view.chosen[code] : "*";
    return h("label", {}, name, select);
  }));
}
const chosen = (codes) => Object.fromEntries(codes.filter((code) => view.chosen[code]).map((code) => [`v.${code}`, view.chosen[code]]));

async function ask(what, parameters) {
  const all = { lang: view.language, ...range(), offset: -new Date().getTimezoneOffset(), ...parameters };
  const answer = await fetch(`/_local/view/${what}?${new URLSearchParams(all)}`);
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error);
  return content;
}

let turn = 0;
async function refresh(focus) {
  const mine = ++turn, first = view.shown !== view.tab + view.language;
  try {
    view.layouts = await ask("dashboards", {});
    if (mine !== turn) return;
    const known = Object.values(view.layouts).flatMap((layout) => layout.variables).some((one) => one.values.length);
    tabs();
    if (!known && !(await ask("calls", {})).calls.length) drawWelcome(), view.shown = "";
    else {
      if (view.tab === "calls") await drawCalls();
      else if (view.tab === "monitors") await drawMonitors();
      else await drawDashboard(view.layouts[view.tab] ? view.tab : "openai", first);
      view.shown = view.tab + view.language;
    }
    view.updated = clock(Date.now());
    notice(window.Plotly || !view.noPlotly ? "" : t().plotly, 'pip install "guance-chatgpt-monitor[viewer]"');
    if (focus) document.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
  } catch (error) {
    notice(error instanceof TypeError ? t().lost : t().failed + error.message);
    if (!(error instanceof TypeError)) console.error(error);
  }
  $("main").setAttribute("aria-busy", "false");
  words();
}
function notice(text, code) {
  $("notice").hidden = !text;
  $("notice").replaceChildren(text, ...(text && code ? [" ", h("code", {}, code)] : []));
}
function tabs() {
  const others = Object.keys(view.layouts).filter((name) => !(name in t().tabs));
  const names = [...Object.keys(t().tabs), ...others];
  const known = view.language + view.tab + names;
  if (tabs.known === known) return;
  tabs.known = known;
  const hadFocus = $("tabs").contains(document.activeElement);
  $("tabs").replaceChildren(...names.map((name, place) => h("button", {
    type: "button", role: "tab", id: `tab-${name}`, "aria-selected": name === view.tab, "aria-controls": "main", tabindex: name === view.tab ? 0 : -1,
    onclick: () => { location.hash = name; },
    onkeydown: (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) location.hash = names[(place + step + names.length) % names.length];
    },
  }, t().tabs[name] || view.layouts[name].title)));
  if (hadFocus) $(`tab-${view.tab}`)?.focus();
}
function words() {
  document.documentElement.lang = view.language;
  document.documentElement.dataset.theme = view.theme;
  document.title = t().name;
  document.querySelectorAll("[data-text]").forEach((element) => { element.textContent = t()[element.dataset.text]; });
  $("language").textContent = t().language;
  $("language").lang = view.language === "en" ? "zh" : "en";
  $("theme").textContent = view.theme === "dark" ? t().light : t().dark;
  $("live").textContent = `${view.live ? t().live : t().paused} ${view.updated || ""}`;
  $("live").setAttribute("aria-pressed", view.live);
  const names = { 15: `15 ${t().min}`, 60: `1 ${t().h}`, 360: `6 ${t().h}`, today: t().today };
  if (words.known !== view.language) $("range").replaceChildren(...["15", "60", "360", "today"].map((value) => h("option", { value }, names[value])));
  words.known = view.language;
  $("range").value = view.range;
}

$("range").onchange = () => { view.range = $("range").value; refresh(); };
$("live").onclick = () => { view.live = !view.live; words(); if (view.live) refresh(); };
$("language").onclick = () => { localStorage.language = view.language = view.language === "en" ? "zh" : "en"; words(); refresh(); };
$("theme").onclick = () => { localStorage.theme = view.theme = view.theme === "dark" ? "light" : "dark"; words(); refresh(); };
onhashchange = () => { view.tab = location.hash.slice(1) || "openai"; refresh(); };
document.onvisibilitychange = () => { if (!document.hidden && view.live) refresh(); };
setInterval(() => { if (view.live && !document.hidden) refresh(); }, REFRESH_MS);
words();
tabs();
refresh();
// After the page itself: it is large.
document.head.append(h("script", { src: "/_local/view/plotly.js", onload: () => refresh(), onerror: () => { view.noPlotly = true; refresh(); } }));
