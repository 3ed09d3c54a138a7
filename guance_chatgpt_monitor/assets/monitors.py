"""sources/monitors/ -> Guance's monitors, as its import takes them."""

from typing import Any, Dict, List, Sequence

from . import dql
from .source import load, stable_uuid

# Periods without a fault after which Guance says that it is over.
RECOVER_PERIODS = 2

# What becomes of an event when no data comes any more.
_NO_DATA_ACTIONS = {"zero": "checkAs0", "ok": "okEvent"}
# Two spaces at the end of a line are Markdown's line break.
_LINE_BREAK = "  \n"


def build(language: str) -> Dict[str, Any]:
    """The monitors in `language`: `{"checkers": […]}`."""
    source = load("monitors/monitors.yaml", language)
    monitors = [monitor for name in source["files"] for monitor in load(f"monitors/{name}.yaml", language)]
    return {"checkers": [_checker(monitor, source) for monitor in monitors]}


def _checker(monitor: Dict[str, Any], source: Dict[str, Any]) -> Dict[str, Any]:
    query = dql.parse(
        monitor["query"],
        monitor["measurement"],
        groups=monitor["by"],
        alias="Result",
        path=("monitor", monitor["id"]),
    )
    rules = [_rule(status, monitor["operator"], limit) for status, limit in monitor["levels"].items()]
    texts = _Texts(source["texts"], monitor["by"])
    title = texts.title(monitor["title"])
    return {
        "monitorName": source["name"],
        "is_disable": False,
        "type": "trigger",
        "secret": "",
        "tagInfo": [{"name": name} for name in source["tags"]],
        "alertPolicyNames": [],
        "jsonScript": {
            "type": "simpleCheck",
            "name": title,
            "title": title,
            "message": texts.message(monitor),
            "recoverTitle": source["texts"]["recovered"] + title,
            "recoverMessage": texts.recovery(monitor),
            "every": monitor["every"],
            "interval": monitor["interval"],
            "groupBy": monitor["by"],
            "recoverNeedPeriodCount": RECOVER_PERIODS,
            "disableCheckEndTime": False,
            **_no_data(monitor, texts),
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
                    "query": query.to_json("Result"),
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
    # Guance takes operands as strings.
    condition = {"alias": "Result", "operator": operator, "operands": [str(limit)]}
    return {"status": status, "conditionLogic": "and", "matchTimes": 1, "conditions": [condition]}


def _no_data(monitor: Dict[str, Any], texts: "_Texts") -> Dict[str, Any]:
    no_data = monitor["no_data"]
    if isinstance(no_data, str):
        return {
            "noDataTitle": "",
            "noDataMessage": "",
            "noDataInterval": monitor["interval"],
            "noDataAction": _NO_DATA_ACTIONS[no_data],
        }
    return {
        "noDataTitle": texts.title(no_data["title"]),
        "noDataMessage": _quote(texts.trouble(no_data)),
        "noDataInterval": no_data["after"],
        "noDataAction": "noDataEvent",
    }


class _Texts:
    """The texts of one monitor, which has the tags `by`; `words` is what stands in all of them."""

    def __init__(self, words: Dict[str, Any], by: Sequence[str]) -> None:
        self._words = words
        self._by = by
        self._tags = [(words["tags"][tag], f"{{{{ {tag} }}}}") for tag in by]

    def title(self, text: str) -> str:
        """`text`, and what it is about."""
        about = self._words["comma"].join(f"{name} {value}" for name, value in self._tags)
        return text + (self._words["in_brackets"].format(about) if about else "")

    def message(self, monitor: Dict[str, Any]) -> str:
        """Of the event, while it lasts and when it is over: Guance sends this one in both cases."""
        trouble = self.trouble(monitor)
        if monitor.get("tunable"):
            trouble.append(self._words["starting_values"])
        return (
            "{% if df_status != 'ok' %}\n"
            f"{_quote(trouble)}\n"
            "{% else %}\n"
            f"{self.recovery(monitor)}\n"
            "{% endif %}"
        )

    def recovery(self, monitor: Dict[str, Any]) -> str:
        over = monitor["recovered"]
        if monitor["no_data"] == "ok":
            # An event of a level ends without data, too.
            over += self._words["no_more_data"]
        return _quote([*self._about(), self._words["recovered"] + over, self._event()])

    def trouble(self, texts: Dict[str, Any]) -> List[str]:
        """What was seen, and what to do."""
        steps = [f"{i}. {step}" for i, step in enumerate(texts["steps"], start=1)]
        what = self._words["what"] + texts["what"]
        return [*self._about(), what, self._words["steps"], *steps, self._event()]

    def _about(self) -> List[str]:
        tags = self._words["comma"].join(f"{name}{self._words['colon']}{value}" for name, value in self._tags)
        level = self._words["level"] + "{{ df_status | to_status_human }}"
        return [level, tags[0].upper() + tags[1:]] if tags else [level]

    def _event(self) -> str:
        return f"[{self._words['event']}]({{{{ df_event_url }}}})"


def _quote(lines: Sequence[str]) -> str:
    """As one quotation, line by line."""
    return _LINE_BREAK.join(f"> {line}" for line in lines)
