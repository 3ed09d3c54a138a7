"""A folder of YAML -> one of Guance's dashboards, as its import takes it."""

from typing import Any, Dict, Iterator, List, Sequence

from . import dql
from .chart_settings import UNITS, settings_of
from .source import load, stable_uuid

# The folders with the sources, in the order in which they are imported.
DASHBOARDS = ("openai", "openai_monitor")
COLUMNS = 24
# Where Guance keeps the pictures of its integrations.
_ICONS = "https://static-res.guance.com/dataflux-template/dashboard"
# To the logs that a chart is about: its time range and the tags of the series that was clicked.
_LOGS_URL = "/logIndi/log/all?time=#{TR}&query=source:openai #{T}"
_DASHBOARD_URL = "/scene/dashboard/dashboardDetail?name={}&time=#{{TR}}"


def build(name: str, language: str) -> Dict[str, Any]:
    """The dashboard `name` in `language`."""
    source = load(f"{name}/dashboard.yaml", language)
    groups = [{"id": group, **load(f"{name}/{group}.yaml", language)} for group in source["groups"]]
    other = {key: load(f"{key}/dashboard.yaml", language)["title"] for key in DASHBOARDS}
    charts = [chart for group in groups for chart in group["charts"]]
    positions = _flow([chart["size"] for chart in charts], [len(group["charts"]) for group in groups])
    variables = _codes_by_measurement(source["variables"])
    return {
        "title": source["title"],
        "summary": source["summary"],
        "identifier": f"guance_chatgpt_monitor_{name}_{language}",
        "dashboardType": "CUSTOM",
        "dashboardOwnerType": "node",
        "dashboardExtend": {"groupUnfoldStatus": {group["name"]: True for group in groups}},
        "dashboardMapping": [],
        "dashboardBindSet": [],
        "iconSet": {"icon": f"{_ICONS}/openai/icon.svg", "url": f"{_ICONS}/openai/openai.png"},
        "thumbnail": "",
        "tagInfo": [{"name": tag} for tag in source["tags"]],
        "main": {
            "type": "template",
            "vars": [_variable(i, variable) for i, variable in enumerate(source["variables"])],
            "groups": [{"name": group["name"], "extend": {"bgColor": group["color"]}} for group in groups],
            "charts": [
                _chart(name, chart, group, variables, next(positions), other)
                for group in groups
                for chart in group["charts"]
            ],
        },
    }


def _flow(sizes: Sequence[Sequence[int]], group_lengths: Sequence[int]) -> Iterator[Dict[str, int]]:
    """Positions from left to right, row under row; every group begins a new row."""
    begins = {sum(group_lengths[:i]) for i in range(len(group_lengths))}
    x = y = row_height = 0
    for i, (width, height) in enumerate(sizes):
        if i in begins or x + width > COLUMNS:
            x, y, row_height = 0, y + row_height, 0
        yield {"x": x, "y": y, "w": width, "h": height}
        x, row_height = x + width, max(row_height, height)


def _variable(seq: int, variable: Dict[str, Any]) -> Dict[str, Any]:
    code, measurement = variable["code"], variable["measurements"][0]
    return {
        "name": variable["name"],
        "seq": seq,
        "code": code,
        "datasource": "dataflux",
        "type": "QUERY",
        "definition": {
            "tag": "",
            "field": "",
            "value": f"SHOW_TAG_VALUE(from=['{measurement}'], keyin=['{code}'])[1d]",
            "metric": "",
            "object": "",
            "defaultVal": {"label": "", "value": ""},
        },
        "valueSort": "asc",
        "hide": 0,
        "isHiddenAsterisk": 0,
        "multiple": True,
        "includeStar": True,
        "extend": {},
    }


def _codes_by_measurement(variables: List[Dict[str, Any]]) -> Dict[str, List[str]]:
    codes: Dict[str, List[str]] = {}
    for variable in variables:
        for measurement in variable["measurements"]:
            codes.setdefault(measurement, []).append(variable["code"])
    return codes


def _chart(
    dashboard: str,
    chart: Dict[str, Any],
    group: Dict[str, Any],
    variables: Dict[str, List[str]],
    position: Dict[str, int],
    titles: Dict[str, str],
) -> Dict[str, Any]:
    path = ("dashboard", dashboard, chart["id"])
    narrowed_by = variables if group.get("variables", True) else {}
    measurement = chart.get("measurement") or group["measurement"]
    if chart["type"] == "log":
        columns = [column for column in chart["columns"] if column != "time"]
        logs = dql.parse_logs(measurement, columns, chart["where"], narrowed_by, path)
        settings = settings_of(chart, [])
        queries = [_query("log", "", logs.to_json("A"))]
    else:
        parsed = _parse(chart, measurement, narrowed_by, path)
        settings = settings_of(chart, parsed)
        queries = [
            _query(chart["type"], query.alias, query.to_json(dql.code_of(i)))
            for i, (query, _) in enumerate(parsed)
        ]
    links = chart.get("links", group.get("links", []))
    return {
        "uuid": f"chrt_{_hex(*path)}",
        "name": chart["title"],
        "type": chart["type"],
        "chartGroupUUID": f"chtg_{_hex('dashboard', dashboard, group['id'])}",
        "group": {"name": group["name"]},
        "prevGroupName": group["name"],
        "pos": position,
        "extend": {
            "fixedTime": settings["fixedTime"],
            "settings": settings,
            "links": [_link(target, titles) for target in links],
        },
        "queries": queries,
    }


def _parse(
    chart: Dict[str, Any], measurement: str, variables: Dict[str, List[str]], path: Sequence[str]
) -> List[Any]:
    """Each query of the chart with its unit; a chart with one query names it by its own title."""
    queries = chart.get("queries") or [{"label": chart["title"], "query": chart["query"]}]
    parsed = [
        dql.parse(
            query["query"],
            measurement,
            groups=chart.get("by", ()),
            variables=variables,
            interval=chart.get("interval", ""),
            alias=query["label"],
            path=(*path, str(i)),
        )
        for i, query in enumerate(queries)
    ]
    return list(zip(parsed, (UNITS[query.get("unit") or chart["unit"]] for query in queries)))


def _query(chart_type: str, name: str, query: Dict[str, Any]) -> Dict[str, Any]:
    return {
        "name": name,
        "type": chart_type,
        "unit": "",
        "color": "",
        "qtype": "dql",
        "datasource": "dataflux",
        "query": query,
    }


def _link(target: str, titles: Dict[str, str]) -> Dict[str, Any]:
    """To the logs, or to the dashboard whose source has that name."""
    link = {"open": "newWin", "show": True, "showChanged": True}
    if target == "logs":
        return {"type": "logging", "url": _LOGS_URL, **link}
    return {"type": "custom", "alias": titles[target], "url": _DASHBOARD_URL.format(titles[target]), **link}


def _hex(*path: str) -> str:
    return stable_uuid(*path).replace("-", "")
