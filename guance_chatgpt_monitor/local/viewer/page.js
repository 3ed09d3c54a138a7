// The local page. Whatever came in as data is put into the page as text, never as HTML.
"use strict";

// What has not changed is redrawn, too, now and then: its time axis moves.
const REFRESH_MS = 5000, REDRAW_MS = 15000, MINUTE_MS = 60000;
const view = {
  language: localStorage.language || (navigator.language.startsWith("zh") ? "zh" : "en"),
  theme: localStorage.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"),
  tab: location.hash.slice(1) || "openai", live: true, chosen: {}, open: new Set(), tables: new Set(), drawn: {}, layouts: {},
};
const $ = (id) => document.getElementById(id);
const t = () => TEXTS[view.language];

// --- elements

// Marks that would reorder what stands around a text are shown instead of obeyed.
const visible = (text) => text.replace(/[\u202a-\u202e\u2066-\u2069]/g, (mark) => `\\u${mark.charCodeAt(0).toString(16)}`);
// Properties that begin with "on" are listeners, the rest attributes; children are elements or text.
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null).map((child) => (typeof child === "string" ? visible(child) : child)));
  return element;
}
const button = (properties, text) => h("button", { type: "button", ...properties }, text);
// A cell is its content, or [content, class].
const cells = (tag, row) => row.map((cell) => (Array.isArray(cell) ? h(tag, { class: cell[1] }, cell[0]) : h(tag, {}, cell)));
function table(heads, rows, id) {
  const body = rows.map((row) => (row instanceof Element ? row : h("tr", {}, ...cells("td", row))));
  return h("table", { id }, h("thead", {}, h("tr", {}, ...cells("th", heads))), h("tbody", {}, ...body));
}
// A row that opens when it is clicked; one cell holds the button for the keyboard.
function opening(key, row, place, detail) {
  const isOpen = view.open.has(key);
  const toggle = () => { view.open[isOpen ? "delete" : "add"](key); refresh(key); };
  row[place] = button({ "aria-expanded": isOpen, "data-key": key }, row[place]);
  const shown = h("tr", { class: "call", onclick: toggle }, ...cells("td", row));
  return isOpen ? [shown, h("tr", {}, h("td", { colspan: row.length }, detail()))] : [shown];
}

// --- times

const clock = (ms) => new Date(ms).toLocaleTimeString(view.language, { hour12: false });
function range() {
  const to = Date.now(), chosen = $("range").value;
  const from = chosen === "today" ? new Date().setHours(0, 0, 0, 0) : to - chosen * MINUTE_MS;
  return { from: Math.min(from, to - MINUTE_MS), to };
}

// --- tabs

async function drawDashboard(name, first) {
  const layout = view.layouts[name];
  const charts = layout.charts.map((chart) => ({ ...chart, key: `${name}/${chart.id}` }));
  const answers = await ask("data", { dashboard: name, ...chosen(layout.variables.map((variable) => variable.code)) });
  if (first) {
    view.drawn = {};
    $("main").replaceChildren(...layout.groups.map((group) => {
      const rows = Map.groupBy(charts.filter((chart) => chart.group === group), (chart) => chart.position.y);
      const inOrder = [...rows].sort((a, b) => a[0] - b[0]);
      return h("section", { "aria-label": group }, h("h2", {}, group), ...inOrder.map(([, row]) => h("div", { class: "row" }, ...row.map(panel))));
    }));
  }
  filters(layout.variables);
  for (const chart of charts) {
    const answer = answers[chart.id], how = [view.theme, Boolean(window.Plotly), view.tables.has(chart.key), $("range").value];
    const state = JSON.stringify([answer, how, Math.floor(Date.now() / REDRAW_MS)]);
    if (view.drawn[chart.key] !== state) drawChart(chart, answer);
    view.drawn[chart.key] = state;
  }
}
function panel(chart) {
  const { x, w, h: height } = chart.position;
  const toggle = (event) => {
    const isTable = !view.tables.delete(chart.key);
    if (isTable) view.tables.add(chart.key);
    event.target.setAttribute("aria-pressed", isTable);
    refresh();
  };
  const asTable = { class: "as-table", "aria-pressed": view.tables.has(chart.key), "aria-label": t().showTable + chart.name, onclick: toggle };
  const links = chart.links.map(({ tab, name }) => h("a", { href: `#${tab}` }, name || t().tabs[tab]));
  if (chart.type === "sequence") links.push(button(asTable, t().table));
  const card = h("article", { id: chart.key, class: `card panel ${chart.type}`, "aria-label": chart.name },
    h("h3", { title: chart.description || chart.name }, chart.name), h("div", { class: "links" }, ...links), h("div", { class: "body" }));
  card.style.gridColumn = `${x + 1} / span ${w}`;
  card.style.setProperty("--height", `${height * 26 - 10}px`);
  return card;
}
function drawChart(chart, answer) {
  const body = $(chart.key).querySelector(".body");
  const isEmpty = chart.type !== "singlestat" && !answer.rows.length && !answer.columns.some((column) => column.values.length);
  const says = answer.error ? t().unknown + answer.error : !DRAW[chart.type] ? t().unknown + chart.type : isEmpty ? t().none : "";
  if (says) body.replaceChildren(h("p", { class: "empty" }, says));
  else DRAW[chart.type](body, chart, answer);
}

async function drawCalls() {
  const { calls, filters: values } = await ask("calls", chosen(Object.keys(t().filters)));
  filters(Object.entries(t().filters).map(([code, name]) => ({ code, name, values: values[code] })));
  const rows = calls.flatMap((call) => {
    const { tags, fields } = call, failed = tags.status !== "ok";
    const says = failed ? [tags.error_type, tags.status_code].filter(Boolean).join(" ") || tags.status : tags.status_code;
    const row = [
      clock(call.time), [tags.service_name ?? "", "optional"], tags.request_model ?? "", [tags.operation_name ?? "", "optional"],
      h("span", { class: `pill ${failed ? "critical" : "ok"}` }, says || "ok"), [format(fields.response_time, ["time", "s"]), "n"],
      [format(fields.create_time), "n optional"], [format(fields.total_tokens), "n optional"], [format(fields.cost, ["custom", "USD"]), "n"],
    ];
    return opening(call.time + JSON.stringify(tags), row, 0, () => detail(call));
  });
  const styles = ["", "optional", "", "optional", "", "n", "n optional", "n optional", "n"];
  const heads = t().calls.map((head, place) => [head, styles[place]]);
  const content = calls.length ? table(heads, rows, "calls") : h("p", { class: "empty" }, t().noCalls);
  $("main").replaceChildren(h("div", { class: "card wide" }, content));
}
function detail(call) {
  const text = (value) => (typeof value === "number" ? String(+value.toPrecision(6)) : String(value));
  const list = (title, pairs) => h("div", {}, h("h4", {}, title),
    h("dl", {}, ...Object.entries(pairs).sort().flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, text(value))])));
  const texts = Object.entries(call.said || {}).filter(([, value]) => typeof value === "string" && value).sort((a, b) => b[1].length - a[1].length);
  const said = texts.flatMap(([name, value]) => [h("h4", {}, name), h("pre", {}, value)]);
  if (!said.length) said.push(h("p", { class: "soft" }, t().notSaid));
  return h("div", { class: "detail" }, list(t().tags, call.tags), list(t().fields, call.fields),
    h("div", { class: "said" }, h("h4", {}, t().said), ...said));
}

async function drawMonitors() {
  filters([]);
  const order = Object.keys(t().states), nothing = [{ group: {}, status: "none" }];
  const monitors = await ask("monitors", {});
  const judged = monitors.flatMap((monitor) => (monitor.states.length ? monitor.states : nothing).map((state) => ({ monitor, state })));
  judged.sort((a, b) => order.indexOf(a.state.status) - order.indexOf(b.state.status));
  const rows = judged.flatMap(({ monitor, state }) => {
    // Without data there is no group: what names it, in brackets at the end, says nothing.
    const named = state.status === "none" ? monitor.name.replace(/\s*[（(].*[)）]$/, "") : monitor.name;
    const name = named.replace(/{{\s*(\w+)\s*}}/g, (_, tag) => state.group[tag] || "–");
    const limits = monitor.levels.map(([status, sign, limit]) => `${t().states[status]} ${{ ">=": "≥", "<=": "≤" }[sign] || sign} ${limit}`);
    const since = state.status === "none" ? "" : state.since ? clock(state.since) : t().longer;
    const row = [
      h("span", { class: `pill ${state.status}` }, t().states[state.status]), name + (monitor.error ? ` ${t().unknown}${monitor.error}` : ""),
      [format(state.value), "n"], [since, "optional"], [limits.join(" · "), "optional soft"],
    ];
    return opening(monitor.name + JSON.stringify(state.group), row, 1, () =>
      h("div", {}, h("p", {}, t().checked(monitor.every, monitor.interval / 60)), h("pre", {}, monitor.dql), h("pre", {}, monitor.message)));
  });
  const styles = ["", "", "n", "optional", "optional"];
  $("main").replaceChildren(h("div", { class: "card wide" }, table(t().monitors.map((head, place) => [head, styles[place]]), rows, "monitors")));
}

function drawWelcome() {
  filters([]);
  const tags = "service_name=demo,request_model=gpt-4o-mini,status=ok";
  const point = `openai,${tags} question=1,response_time=0.8,create_time=1,res_status=0,total_tokens=42`;
  const ways = {
    curl: `curl ${location.origin}/v1/write/metric -d '${point}'`,
    run: `CHATGPT_MONITOR_DATAKIT_URL=${location.origin} guance-chatgpt-monitor run python app.py`,
    inCode: `from guance_chatgpt_monitor import monitor\n\nmonitor(datakit_url="${location.origin}", service_name="shop")`,
  };
  const shownWays = Object.entries(ways).flatMap(([name, text]) => [h("p", {}, t()[name]), h("pre", { tabindex: 0 }, text)]);
  $("main").replaceChildren(h("div", { class: "card welcome" }, h("h2", {}, t().welcome), ...shownWays));
}

// --- the page around them

// Draws `make()` into an element, unless that would draw what is there.
function redraw(id, state, make) {
  const known = JSON.stringify([view.language, state]);
  if ($(id).dataset.state === known) return;
  $(id).dataset.state = known;
  $(id).replaceChildren(...make());
}
function filters(variables) {
  $("filters").hidden = !variables.length;
  redraw("filters", variables, () => variables.map(({ code, name, values }) => {
    const options = [["*", t().all], ...values.map((value) => [value, value])].map(([value, text]) => h("option", { value }, text));
    const select = h("select", { name: code, onchange: () => { view.chosen[code] = select.value; refresh(); } }, ...options);
    select.value = values.includes(view.chosen[code]) ? view.chosen[code] : "*";
    return h("label", {}, name, select);
  }));
}
const chosen = (codes) => Object.fromEntries(codes.filter((code) => view.chosen[code]).map((code) => [`v.${code}`, view.chosen[code]]));
function tabs() {
  const names = [...new Set([...Object.keys(t().tabs), ...Object.keys(view.layouts)])];
  const hadFocus = $("tabs").contains(document.activeElement);
  const keydown = (event, place) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) location.hash = names[(place + step + names.length) % names.length];
  };
  redraw("tabs", [names, view.tab], () => names.map((name, place) => button({
    role: "tab", id: `tab-${name}`, "aria-selected": name === view.tab, "aria-controls": "main", tabindex: name === view.tab ? 0 : -1,
    onclick: () => { location.hash = name; }, onkeydown: (event) => keydown(event, place),
  }, t().tabs[name] || view.layouts[name].title)));
  if (hadFocus) $(`tab-${view.tab}`)?.focus();
}
function words() {
  document.documentElement.lang = view.language;
  document.documentElement.style.colorScheme = view.theme;
  document.title = t().name;
  document.querySelectorAll("[data-text]").forEach((element) => { element.textContent = t()[element.dataset.text]; });
  $("range").setAttribute("aria-label", t().range);
  $("theme").textContent = view.theme === "dark" ? t().light : t().dark;
  $("live").textContent = `${view.live ? t().live : t().paused} ${view.updated ? clock(view.updated) : ""}`;
  $("live").setAttribute("aria-pressed", view.live);
}
function notice(text, code) {
  $("notice").hidden = !text;
  $("notice").replaceChildren(text, text && code ? h("code", {}, ` ${code}`) : "");
}

async function ask(what, parameters) {
  const all = { lang: view.language, ...range(), offset: -new Date().getTimezoneOffset(), ...parameters };
  const answer = await fetch(`/_local/view/${what}?${new URLSearchParams(all)}`);
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error);
  return content;
}
let turn = 0;
async function refresh(focus) {
  const mine = ++turn;
  try {
    view.layouts = await ask("dashboards", {});
    if (mine !== turn) return;
    tabs();
    const hasPoints = Object.values(view.layouts).some((layout) => layout.variables.some((variable) => variable.values.length));
    const drawn = view.tab + view.language, first = view.shown !== drawn;
    if (!hasPoints && !(await ask("calls", {})).calls.length) drawWelcome();
    else if (view.tab === "calls") await drawCalls();
    else if (view.tab === "monitors") await drawMonitors();
    else await drawDashboard(view.layouts[view.tab] ? view.tab : "openai", first);
    view.shown = document.querySelector(".welcome") ? "" : drawn;
    view.updated = Date.now();
    notice(view.noPlotly ? t().noPlotly : "", 'pip install "guance-chatgpt-monitor[viewer]"');
    if (focus) document.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
  } catch (error) {
    const isLost = error instanceof TypeError && /fetch/i.test(error.message);
    notice(isLost ? t().lost : t().failed + error.message);
    if (!isLost) console.error(error);
  }
  $("main").setAttribute("aria-busy", "false");
  words();
}

$("range").onchange = () => refresh();
$("live").onclick = () => { view.live = !view.live; words(); if (view.live) refresh(); };
$("language").onclick = () => { localStorage.language = view.language = view.language === "en" ? "zh" : "en"; refresh(); };
$("theme").onclick = () => { localStorage.theme = view.theme = view.theme === "dark" ? "light" : "dark"; refresh(); };
onhashchange = () => { view.tab = location.hash.slice(1) || "openai"; refresh(); };
setInterval(() => { if (view.live && !document.hidden) refresh(); }, REFRESH_MS);
words();
tabs();
refresh();
// After the page itself: it is large.
document.head.append(h("script", { src: "/_local/view/plotly.js", onload: () => refresh(), onerror: () => { view.noPlotly = true; refresh(); } }));
