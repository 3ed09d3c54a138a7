"""dashboard.yaml -> Guance's dashboard, as its import takes it."""

from typing import Any, Dict, Iterator, List, Sequence, Tuple

from . import dql
from .source import load

COLUMNS = 24

# Unit of the source -> Guance's pair of category and unit.
UNITS = {
    "s": ["time", "s"],
    "percent": ["percent", "percent"],
    "B": ["digital", "B"],
    "count": ["custom", "count"],
    "tokens": ["custom", "tokens"],
    "tokens/min": ["custom", "tokens/min"],
    "USD": ["custom", "USD"],
}

# Decimal places, where two are not enough: a call costs less than a cent.
PRECISION_OF = {"USD": "3"}

# How many groups a toplist shows, and how many series a chart draws at most.
TOP = 10
MAX_SERIES = 20

_OF_TYPE: Dict[str, Dict[str, Any]] = {
    "singlestat": {"isTimeInterval": False, "showLine": False, "showLineAxis": False},
    "sequence": {
        "isTimeInterval": True,
        "xAxisShowType": "time",
        "legendPostion": "bottom",
        "slimit": MAX_SERIES,
        "sorderByOrder": "desc",
    },
    "table": {
        "isTimeInterval": False,
        "queryMode": "toGroupColumn",
        "mainMeasurementQueryCode": "A",
        "mainMeasurementSort": "top",
        "mainMeasurementLimit": MAX_SERIES,
    },
    "toplist": {
        "isTimeInterval": False,
        "chartType": "bar",
        "bar": {"direction": "horizontal", "xAxisShowType": "groupBy"},
        "mainMeasurementQueryCode": "A",
        "mainMeasurementSort": "top",
        "mainMeasurementLimit": TOP,
    },
}


def build(language: str) -> Dict[str, Any]:
    """The dashboard in `language`."""
    source = load("dashboard.yaml", language)
    groups = source["groups"]
    charts = (chart for group in groups for chart in group["charts"])
    variables = _codes_by_measurement(source["variables"])
    positions = _flow([chart["size"] for chart in charts], [len(g["charts"]) for g in groups])
    return {
        "title": source["title"],
        "summary": source["summary"],
        "identifier": f"guance_chatgpt_monitor_{language}",
        "dashboardType": "CUSTOM",
        "dashboardOwnerType": "node",
        "dashboardExtend": {"groupUnfoldStatus": {group["name"]: True for group in groups}},
        "dashboardMapping": [],
        "dashboardBindSet": [],
        "iconSet": {"icon": "", "url": ""},
        "thumbnail": "",
        "tagInfo": [{"name": name} for name in source["tags"]],
        "main": {
            "type": "template",
            "vars": [_variable(i, variable) for i, variable in enumerate(source["variables"])],
            "groups": [{"name": group["name"], "extend": {"bgColor": group["color"]}} for group in groups],
            "charts": [
                _chart(chart, group, variables, next(positions))
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
    chart: Dict[str, Any],
    group: Dict[str, Any],
    variables: Dict[str, List[str]],
    position: Dict[str, int],
) -> Dict[str, Any]:
    # A chart with one query names it by its own title.
    queries = chart.get("queries") or [{"label": chart["title"], "query": chart["query"]}]
    parsed = [
        dql.parse(
            query["query"],
            chart.get("measurement") or group["measurement"],
            groups=chart.get("by", ()),
            variables=variables if group.get("variables", True) else {},
            interval=chart.get("interval", ""),
            alias=query["label"],
            path=("dashboard", chart["id"], str(i)),
        )
        for i, query in enumerate(queries)
    ]
    units = [UNITS[query.get("unit") or chart["unit"]] for query in queries]
    return {
        "name": chart["title"],
        "type": chart["type"],
        "group": {"name": group["name"]},
        "pos": position,
        "extend": {"settings": _settings(chart, list(zip(parsed, units)))},
        "queries": [_query(chart["type"], dql.code_of(i), query) for i, query in enumerate(parsed)],
    }


def _query(chart_type: str, code: str, query: dql.Query) -> Dict[str, Any]:
    return {
        "name": query.alias,
        "type": chart_type,
        "unit": "",
        "color": "",
        "qtype": "dql",
        "datasource": "dataflux",
        # Guance's editor says "expression" of itself; the schema of imported dashboards knows only "dql"
        # for it, which shows the same eval() as text.
        "query": query.to_json(code, expression_type="dql"),
    }


def _series_name(query: dql.Query, alone: bool) -> str:
    """What the legend says: the groups' own names where there is but one query, else its label."""
    return " ".join(f"{{{{{tag}}}}}" for tag in query.groups) if alone and query.groups else query.alias


def _settings(chart: Dict[str, Any], queries: List[Tuple[dql.Query, List[str]]]) -> Dict[str, Any]:
    units = [unit for _, unit in queries]
    same = all(unit == units[0] for unit in units)
    settings = {
        "showTitle": True,
        "titleDesc": chart.get("description", ""),
        "currentChartType": chart["type"],
        "timeInterval": chart.get("interval", "auto"),
        "fixedTime": "",
        "precision": PRECISION_OF.get(chart.get("unit", ""), "2"),
        "openThousandsSeparator": True,
        "showFieldMapping": False,
        "unitType": "global" if same else "custom",
        "globalUnit": units[0] if same else [],
        "units": [
            {"key": query.alias, "name": query.alias, "unit": "", "units": unit} for query, unit in queries
        ],
        "alias": [
            {
                "alias": _series_name(query, alone=len(queries) == 1),
                "key": query.alias,
                "name": query.alias,
                "queryCode": dql.code_of(i),
            }
            for i, (query, _) in enumerate(queries)
        ],
        "colors": [],
        "levels": [],
        **_OF_TYPE[chart["type"]],
    }
    if chart["type"] == "sequence":
        settings["chartType"] = chart["style"]
        settings["openStack"] = chart.get("stacked", False)
    return settings
