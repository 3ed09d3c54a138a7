"""monitors.yaml -> Guance's monitors, as its import takes them."""

from typing import Any, Dict, List

from . import dql
from .source import load, stable_uuid

# Periods without a fault after which Guance says that it is over.
RECOVER_PERIODS = 2


def build(language: str) -> Dict[str, Any]:
    """The monitors in `language`: `{"checkers": […]}`."""
    source = load("monitors.yaml", language)
    return {"checkers": [_checker(monitor, source) for monitor in source["monitors"]]}


def _checker(monitor: Dict[str, Any], source: Dict[str, Any]) -> Dict[str, Any]:
    query = dql.parse(
        monitor["query"],
        monitor["measurement"],
        groups=monitor["by"],
        path=("monitor", monitor["id"]),
    )
    rules = [_rule(status, monitor["operator"], limit) for status, limit in monitor["levels"].items()]
    return {
        "monitorName": source["name"],
        "is_disable": False,
        "type": "trigger",
        "secret": "",
        "tagInfo": [{"name": name} for name in source["tags"]],
        "alertPolicyNames": [],
        "jsonScript": {
            "type": "simpleCheck",
            "name": monitor["title"],
            "title": monitor["title"],
            "message": _message(monitor, source["starting_values"]),
            "every": monitor["every"],
            "interval": monitor["interval"],
            "groupBy": monitor["by"],
            "recoverNeedPeriodCount": RECOVER_PERIODS,
            "disableCheckEndTime": False,
            **_no_data(monitor),
            "channels": [],
            "atAccounts": [],
            "atNoDataAccounts": [],
            "targets": [{"alias": "Result", "qtype": "dql", "dql": query.dql}],
            "checkerOpt": {
                "infoEvent": False,
                "openMatchTimes": False,
                "combineExpr": "",
                "rules": rules,
            },
        },
        "extend": {
            "querylist": [
                {
                    "uuid": stable_uuid("monitor", monitor["id"]),
                    "qtype": "dql",
                    "datasource": "dataflux",
                    "query": query.to_json("Result", expression_type="expression"),
                }
            ],
            "rules": rules,
            "funcName": "",
            "manager": [],
            "issueLevelUUID": "",
            "needRecoverIssue": False,
            "isNeedCreateIssue": False,
        },
    }


def _rule(status: str, operator: str, limit: float) -> Dict[str, Any]:
    # Guance takes operands as text.
    condition = {"alias": "Result", "operator": operator, "operands": [str(limit)]}
    return {"status": status, "conditionLogic": "and", "matchTimes": 1, "conditions": [condition]}


def _message(monitor: Dict[str, Any], starting_values: str) -> str:
    lines: List[str] = monitor["message"].splitlines()
    if monitor.get("tunable"):
        lines.append(starting_values)
    # Two blanks at the end of a line are Markdown's line break.
    return "  \n".join(lines)


def _no_data(monitor: Dict[str, Any]) -> Dict[str, Any]:
    no_data = monitor.get("no_data")
    if not no_data:
        return {"noDataTitle": "", "noDataMessage": "", "noDataInterval": 0}
    return {
        "noDataTitle": no_data["title"],
        "noDataMessage": "  \n".join(no_data["message"].splitlines()),
        "noDataInterval": no_data["after"],
        "noDataAction": "noDataEvent",
    }
