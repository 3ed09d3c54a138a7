"""A dashboard's JSON -> what the page draws: where its charts stand, and the answers to their queries."""

import re
from typing import Any, Dict, Iterator, List, Mapping, Tuple, Union
from urllib.parse import parse_qsl, urlsplit

from .dql import duration_s
from .dql_tokens import DQLError
from .evaluation import Answer, Query, evaluate_all
from .points import PointIndex
from .reading import Range

_SECOND_NS = 10**9
_SHOW_TAG_VALUE = re.compile(r"SHOW_TAG_VALUE\(from=\['(\w+)'\], keyin=\['(\w+)'\]\)")
# Guance's comparisons with an earlier time.
_EARLIER_S = {"hourCompare": 3600, "dayCompare": 86400, "weekCompare": 7 * 86400}


def layout(dashboard: Mapping[str, Any], index: PointIndex, titles: Mapping[str, str]) -> Dict[str, Any]:
    """Title, variables with their values, groups, and charts. `titles`: tab -> title of its dashboard."""
    main = dashboard["main"]
    return {
        "title": dashboard["title"],
        "variables": [_variable(variable, index) for variable in main["vars"]],
        "groups": [group["name"] for group in main["groups"]],
        "charts": [
            {**_chart(number, chart), "links": list(_links(chart, titles))}
            for number, chart in enumerate(main["charts"])
        ],
    }


def answers(dashboard: Mapping[str, Any], index: PointIndex, within: Range) -> List[Dict[str, Any]]:
    """For each chart its columns and rows, or which part of its DQL is not supported."""
    charts = dashboard["main"]["charts"]
    by_range: Dict[Tuple[int, int], List[Tuple[int, str, Query]]] = {}
    for number, chart in enumerate(charts):
        settings = chart["extend"]["settings"]
        own = within
        if settings.get("fixedTime"):
            own = own._replace(start_ns=own.end_ns - int(duration_s(settings["fixedTime"]) * _SECOND_NS))
        for label, earlier_ns in _comparisons(settings):
            for query in chart["queries"]:
                asked = Query(query["query"]["q"], _step_ns(chart, own))
                key = (own.start_ns - earlier_ns, own.end_ns - earlier_ns)
                by_range.setdefault(key, []).append((number, label, asked))
    drawn: List[Dict[str, Any]] = [{"columns": [], "rows": []} for _ in charts]
    for (start_ns, end_ns), listed in by_range.items():
        own = within._replace(start_ns=start_ns, end_ns=end_ns)
        shift_ms = 0 if own.end_ns == within.end_ns else (within.end_ns - own.end_ns) // 10**6
        for (number, label, _), answer in zip(listed, evaluate_all(index, [q for _, _, q in listed], own)):
            _add(drawn[number], label, shift_ms, answer)
    return drawn


def _add(drawn: Dict[str, Any], compared_with: str, shift_ms: int, answer: Union[Answer, DQLError]) -> None:
    if isinstance(answer, DQLError):
        drawn["error"] = str(answer)
        return
    drawn["columns"] += [
        {
            "name": name,
            "comparedWith": compared_with,
            "values": [
                [
                    [value for _, value in group],
                    None if start_ns is None else start_ns // 10**6 + shift_ms,
                    value,
                ]
                for (group, start_ns), value in sorted(values.items(), key=lambda item: item[0][1] or 0)
            ],
        }
        for name, values in answer.columns
    ]
    drawn["rows"] += [
        {**row.tags_dict, **row.fields_dict, "time": row.timestamp_ns // 10**6} for row in answer.rows
    ]


def _comparisons(settings: Mapping[str, Any]) -> List[Tuple[str, int]]:
    """(label, how much earlier) of what is drawn: first the time itself."""
    compared = settings.get("compares") or () if settings.get("openCompare") else ()
    return [
        ("", 0),
        *(
            (each["label"], _EARLIER_S[each["value"]] * _SECOND_NS)
            for each in compared
            if each["value"] in _EARLIER_S
        ),
    ]


def _step_ns(chart: Mapping[str, Any], within: Range) -> int:
    if chart["type"] != "sequence":
        return 0
    interval = chart["extend"]["settings"].get("timeInterval") or "auto"
    if interval in ("auto", "default"):
        return within.auto_step_ns()
    return int(duration_s(interval) * _SECOND_NS)


def _variable(variable: Mapping[str, Any], index: PointIndex) -> Dict[str, Any]:
    found = _SHOW_TAG_VALUE.match(variable["definition"]["value"])
    values = index.tag_values(("metric", found[1]), found[2]) if found else []
    return {"code": variable["code"], "name": variable["name"], "values": values}


def _chart(number: int, chart: Mapping[str, Any]) -> Dict[str, Any]:
    settings = chart["extend"]["settings"]
    shown = [column for column in settings.get("addColumns") or () if not column.get("hide")]
    return {
        "id": number,
        "name": chart["name"],
        "type": chart["type"],
        "group": chart["group"]["name"],
        "position": chart["pos"],
        "description": settings.get("titleDesc") or "",
        "style": settings.get("chartType") or "line",
        "stacked": bool(settings.get("openStack")),
        "precision": int(settings.get("precision") or 2),
        "unit": settings.get("globalUnit") or [],
        "units": {unit["key"]: unit["units"] for unit in settings.get("units") or ()},
        "levels": settings.get("levels") or [],
        "queries": len(chart["queries"]),
        "columns": [(column["field"], column["headerName"]) for column in shown],
    }


def _links(chart: Mapping[str, Any], titles: Mapping[str, str]) -> Iterator[Dict[str, str]]:
    """Tab and name of each link that leads somewhere on this page: to the calls, or to a dashboard."""
    for link in chart["extend"].get("links") or ():
        if link["type"] == "logging":
            yield {"tab": "calls", "name": link.get("alias") or ""}
        wanted = dict(parse_qsl(urlsplit(link["url"]).query)).get("name")
        yield from ({"tab": tab, "name": link["alias"]} for tab, title in titles.items() if title == wanted)
