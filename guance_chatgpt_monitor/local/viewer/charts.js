// The charts of the local page: numbers, tables and curves of what the server answered.
"use strict";

const COLORS = ["#4c7de0", "#2bae8a", "#e2a33c", "#8b72d6", "#35a7c8", "#d773a2", "#94a23a", "#b9805a", "#8794ab", "#5f6fb0"];
const RED = "#dd5a5f", GRAY = "#98a2b3";

const digits = (value, options) => value.toLocaleString(view.language, options);
function format(value, [kind, name] = [], precision = 2) {
  if (value == null) return "–";
  if (Math.abs(value) >= 1e15) return value.toExponential(precision);
  const rounded = (number) => digits(number, { maximumFractionDigits: precision });
  if (kind === "percent") return rounded(value) + "%";
  if (name === "s") return Math.abs(value) < 1 ? digits(value * 1000, { maximumFractionDigits: 0 }) + " ms" : rounded(value) + " s";
  if (name === "USD") return "$" + (Math.abs(value) < 1 ? digits(value, { maximumSignificantDigits: 2 }) : rounded(value));
  const scale = kind === "digital" ? [["GB", 2 ** 30], ["MB", 2 ** 20], ["KB", 1024], ["B", 1]] : [["M", 1e6], ["", 1]];
  const [suffix, size] = scale.find((each) => Math.abs(value) >= each[1]) || scale[scale.length - 1];
  const unit = suffix || (["count", "tokens"].includes(name) ? "" : name);
  return rounded(value / size) + (unit ? ` ${unit}` : "");
}
const label = (group) => group.filter(Boolean).join(" · ") || "–";
const shown = (chart, column, value) => format(value, chart.units[column.name] || chart.unit, chart.precision);

// --- charts: what a panel's body shows

const DRAW = { singlestat: drawNumber, sequence: drawSequence, toplist: drawTop, log: drawLog, table: drawTable };

function drawNumber(body, chart, { columns }) {
  const [now, before] = columns.map((column) => column.values[0]?.[2]);
  const holds = ({ operation, value: [low, high] }) =>
    ({ between: now >= low && now < high, ">=": now >= low, ">": now > low, "<=": now <= low, "<": now < low, "=": now === low })[operation];
  const level = now == null ? null : chart.levels.map((one) => ({ ...one, value: [].concat(one.value).map(Number) })).find(holds);
  body.parentElement.classList.toggle("leveled", Boolean(level));
  if (level) body.parentElement.style.setProperty("--level", level.bgColor);
  const percent = before && now != null && digits(now / before - 1, { style: "percent", signDisplay: "always", maximumFractionDigits: 1 });
  const change = percent ? h("small", { class: "soft" }, `${percent} · ${columns[1].comparedWith}`) : null;
  const value = columns.length ? shown(chart, columns[0], now) : "–";
  body.replaceChildren(h("p", { class: "number" }, h("b", { "data-value": now ?? "" }, value), change));
}
function drawTable(body, chart, { columns }) {
  const groups = [...new Set(columns.flatMap((column) => column.values.map((value) => label(value[0]))))];
  const byGroup = columns.map((column) => new Map(column.values.map((value) => [label(value[0]), value[2]])));
  const rows = groups.map((group) => [group, ...columns.map((column, place) => [shown(chart, column, byGroup[place].get(group)), "n"])]);
  body.replaceChildren(table(["", ...columns.map((column) => [column.name, "n"])], rows));
}
function drawTop(body, chart, { columns: [column] }) {
  const values = [...column.values].sort((a, b) => b[2] - a[2]).slice(0, 10), max = values[0][2];
  const rows = values.map(([group, , value]) => [label(group), h("meter", { max, value }), [shown(chart, column, value), "n"]]);
  body.replaceChildren(table([], rows));
}
function drawLog(body, chart, { rows }) {
  const listed = rows.map((row) => [clock(row.time), ...chart.columns.map(([field]) => String(row[field] ?? ""))]);
  body.replaceChildren(table([t().time, ...chart.columns.map(([, head]) => head)], listed));
}
function seriesOf(chart, { columns }) {
  const series = new Map();
  for (const column of columns) {
    for (const [group, ms, value] of column.values) {
      const name = [group.length ? label(group) : column.name, column.comparedWith].filter(Boolean).join(" · ");
      if (!series.has(name)) series.set(name, { name, column, points: [] });
      series.get(name).points.push({ ms, value, text: shown(chart, column, value) });
    }
  }
  let next = 0;
  for (const one of series.values()) {
    one.color = one.column.comparedWith ? GRAY : /^(errors?|错误数?)$/i.test(one.name) ? RED : COLORS[next++ % COLORS.length];
  }
  return [...series.values()];
}
function drawSequence(body, chart, answer) {
  const series = seriesOf(chart, answer);
  if (!window.Plotly || view.tables.has(chart.key)) {
    const rows = series.flatMap((one) => one.points.map((point) => ({ ...point, name: one.name }))).sort((a, b) => b.ms - a.ms);
    body.replaceChildren(table([t().time, t().group, [chart.name, "n"]], rows.map((row) => [clock(row.ms), row.name, [row.text, "n"]])));
    return;
  }
  let canvas = body.querySelector(".canvas");
  if (!canvas) body.replaceChildren(canvas = h("div", { class: "canvas", role: "img" }), h("ul", { class: "legend", "aria-hidden": "true" }));
  const largest = (points) => points.reduce((a, b) => (b.value > a.value ? b : a));
  const spoken = series.map(({ name, points }) => `${name}: ${t().last} ${points[points.length - 1].text}, ${t().highest} ${largest(points).text}`);
  canvas.setAttribute("aria-label", `${chart.name}. ${spoken.join("; ")}`);
  const legend = body.lastChild;
  legend.replaceChildren(...(series.length > 1 ? series.map(({ name, color }) => h("li", {}, h("span", { style: `color: ${color}` }, "■ "), name)) : []));
  canvas.style.height = `${body.clientHeight - legend.offsetHeight}px`;
  plot(canvas, chart, series);
}
function plot(canvas, chart, series) {
  // Plotly reads some HTML in texts: there, too, what came in is text. Its times are UTC: ours are local.
  const plain = (text) => visible(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const local = (ms) => ms - new Date(ms).getTimezoneOffset() * MINUTE_MS;
  const { color: soft, backgroundColor: card, borderColor: line } = getComputedStyle(canvas);
  const points = series.flatMap((one) => one.points), units = series.map(({ column }) => chart.units[column.name] || chart.unit);
  const highest = points.reduce((most, { value }) => Math.max(most, value), 0);
  const { from, to } = range(), first = points.reduce((least, { ms }) => Math.min(least, ms), from);
  const counts = highest > 0 && highest < 5 && units.every((unit) => unit[1] === "count");
  const traces = series.map(({ name, color, column, points }) => ({
    type: chart.style === "bar" ? "bar" : "scatter", mode: points.length < 3 ? "lines+markers" : "lines", name: plain(name),
    x: points.map((point) => local(point.ms)), y: points.map((point) => point.value), text: points.map((point) => plain(point.text)),
    textposition: "none", hovertemplate: "%{text}", line: { color, width: 2, dash: column.comparedWith ? "dot" : "solid" },
    marker: { color, size: 5 }, fill: chart.style === "areaLine" ? "tozeroy" : "none", fillcolor: color + "26",
  }));
  const levels = chart.levels.map((level) => ({ color: level.bgColor, from: Number([].concat(level.value)[0]) }));
  const lines = levels.filter((level) => level.from <= highest * 1.3).map((level) => (
    { type: "line", xref: "paper", x0: 0, x1: 1, y0: level.from, y1: level.from, line: { color: level.color, width: 1, dash: "dash" } }));
  Plotly.react(canvas, traces, {
    margin: { l: 46, r: 6, t: 8, b: 22 }, showlegend: false, hovermode: "x unified", barmode: chart.stacked ? "stack" : "group",
    paper_bgcolor: card, plot_bgcolor: card, font: { size: 11, color: soft }, hoverlabel: { bgcolor: card, namelength: -1 }, shapes: lines,
    xaxis: {
      type: "date", range: [local(first), local(to)], showgrid: false, fixedrange: true, nticks: 6,
      tickformat: to - first > 1440 * MINUTE_MS ? "%m-%d %H:%M" : "%H:%M",
    },
    yaxis: {
      rangemode: "tozero", range: highest ? undefined : [0, 1], gridcolor: line, zeroline: false, fixedrange: true, nticks: 5,
      dtick: counts ? 1 : undefined, tickformat: highest < 1000 ? "" : "~s", ticksuffix: units.every((unit) => unit[0] === "percent") ? "%" : "",
    },
  }, { displayModeBar: false, responsive: true });
}
