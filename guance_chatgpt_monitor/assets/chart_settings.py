"""How a chart looks: the `settings` of Guance's charts, of the source's few words."""

from typing import Any, Dict, List, Tuple

from . import dql

# Unit of the source -> Guance's pair of category and unit.
UNITS = {
    "s": ["time", "s"],
    "percent": ["percent", "percent"],
    "B": ["digital", "B"],
    "count": ["custom", "count"],
    "tokens": ["custom", "tokens"],
    "tokens/s": ["custom", "tokens/s"],
    "USD": ["custom", "USD"],
}

# Decimal places, where two are not enough: a call costs less than a cent.
PRECISION_OF = {"USD": "3"}

# Of Guance's event levels.
COLOR_OF = {"warning": "#FFC53D", "error": "#FA8C16", "critical": "#F5484C"}

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
    "log": {"isTimeInterval": False, "index": "default", "multiRows": 0},
}


def settings_of(chart: Dict[str, Any], queries: List[Tuple[dql.Query, List[str]]]) -> Dict[str, Any]:
    """The settings of a chart of the source, whose queries come with their units."""
    units = [unit for _, unit in queries]
    same = all(unit == units[0] for unit in units)
    settings: Dict[str, Any] = {
        "showTitle": True,
        "titleDesc": chart.get("description", ""),
        "currentChartType": chart["type"],
        "timeInterval": chart.get("interval", "auto"),
        "fixedTime": chart.get("range", ""),
        "precision": PRECISION_OF.get(chart.get("unit", ""), "2"),
        "openThousandsSeparator": True,
        "showFieldMapping": False,
        "unitType": "global" if same else "custom",
        "globalUnit": units[0] if units and same else [],
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
        "levels": _levels(chart),
        **_OF_TYPE[chart["type"]],
    }
    if chart["type"] == "sequence":
        settings["chartType"] = chart["style"]
        settings["openStack"] = chart.get("stacked", False)
    if chart["type"] == "log":
        settings.update(_columns(chart["columns"]))
    if "compare" in chart:
        settings["openCompare"] = True
        settings["compareType"] = ["dayCompare"]
        settings["compares"] = [{"label": chart["compare"], "value": "dayCompare"}]
    return settings


def _series_name(query: dql.Query, alone: bool) -> str:
    """What the legend says: the groups' own names where there is but one query, else its label."""
    return " ".join(f"{{{{{tag}}}}}" for tag in query.groups) if alone and query.groups else query.alias


def _levels(chart: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Thresholds: colours of a number, lines in a trend. The mildest first, as in the source."""
    levels = list(chart.get("levels", {}).items())
    if chart["type"] != "singlestat":
        return [{"title": str(limit), "value": limit, "bgColor": COLOR_OF[level]} for level, limit in levels]
    colored = []
    for i, (level, limit) in enumerate(levels):
        # No number is in two of them.
        worst = i == len(levels) - 1
        operation = chart.get("operator", ">=") if worst else "between"
        limits = [limit] if worst else sorted([limit, levels[i + 1][1]])
        colored.append(
            {
                "value": [str(number) for number in limits],
                "operation": operation,
                "bgColor": COLOR_OF[level],
                "fontColor": "#FFFFFF",
            }
        )
    return colored


def _columns(titles: Dict[str, str]) -> Dict[str, Any]:
    return {
        "inColumns": [{"field": "time", "headerName": titles["time"]}] if "time" in titles else [],
        "addColumns": [
            *({"field": name, "headerName": title} for name, title in titles.items() if name != "time"),
            *({"field": name, "hide": True} for name in dql.HIDDEN_COLUMNS),
        ],
        "alias": [{"key": name, "name": name, "alias": title} for name, title in titles.items()],
    }
