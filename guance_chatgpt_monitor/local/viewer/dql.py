"""Reads DQL, Guance's query language, as far as dashboards and monitors use it.

Written against Guance's public documentation, not against what makes our dashboards, which it checks:
`` M::`openai`:(sum(`question`) AS `Requests`) { `status` = 'ok' } [1h::auto] BY `request_model` LIMIT 9 ``
and `eval(A/B*100, A="…", B="…", alias='Error rate')`. Keywords and functions are read in any case.
"""

import re
from typing import Dict, List, NamedTuple, Optional, Tuple, Union

from .dql_tokens import DQLError, Tokens

NAMESPACES = {"M": "metric", "METRIC": "metric", "L": "logging", "LOGGING": "logging"}

_VARIABLE = re.compile(r"#\{(\w+)\}")
_COMPARISONS = ("=", "!=", ">", ">=", "<", "<=", "=~", "!~")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


class Condition(NamedTuple):
    """A tag or field compared with a value. `operator` is `=`, `!=`, `>`, `>=`, `<`, `<=`, `=~` or `!~`."""

    tag: str
    operator: str
    value: str


class AllOf(NamedTuple):
    parts: Tuple["Where", ...]


class AnyOf(NamedTuple):
    parts: Tuple["Where", ...]


Where = Union[Condition, AllOf, AnyOf]


class Target(NamedTuple):
    """What is selected: an aggregate of a field, or the field itself where `function` is empty.

    `fill` is a number, `linear` or `previous` for the intervals without points, else empty.
    """

    function: str
    field: str
    argument: Optional[str] = None
    alias: str = ""
    fill: str = ""

    @property
    def name(self) -> str:
        """What Guance calls the column."""
        return self.alias or (f"{self.function}({self.field})" if self.function else self.field)


class Series(NamedTuple):
    """Targets over the points of one measurement (of one source, in the logs).

    `start` and `end` are durations before now, `today` or `yesterday`; empty where the dashboard's range
    holds. `interval` is a duration, `auto`, or empty.
    """

    category: str
    measurement: str
    targets: Tuple[Target, ...]
    where: Where = AllOf(())
    start: str = ""
    end: str = ""
    interval: str = ""
    groups: Tuple[str, ...] = ()
    limit: int = 0
    ascending: bool = False

    @property
    def function(self) -> str:
        return self.targets[0].function

    @property
    def field(self) -> str:
        return self.targets[0].field

    @property
    def argument(self) -> Optional[str]:
        return self.targets[0].argument

    @property
    def alias(self) -> str:
        return self.targets[0].alias

    @property
    def conditions(self) -> Tuple[Condition, ...]:
        """All conditions, wherever they stand."""
        return tuple(_conditions(self.where))

    @property
    def variables(self) -> List[str]:
        return [name for c in self.conditions for name in _VARIABLE.findall(c.value)]

    @property
    def tags(self) -> List[str]:
        return [condition.tag for condition in self.conditions] + list(self.groups)


class Expression(NamedTuple):
    """Arithmetic between series, by their letters. `alias` is the name of the column."""

    expression: str
    operands: Dict[str, Series]
    alias: str = ""


def parse(dql: str) -> Union[Series, Expression]:
    """Raises DQLError for what is not DQL, or DQL that is not supported here."""
    parser = _Parser(dql)
    parsed = parser.expression() if parser.at("eval") else parser.series()
    parser.end()
    return parsed


def series_of(dql: str) -> List[Series]:
    """The series that a query reads. Raises DQLError."""
    parsed = parse(dql)
    return [parsed] if isinstance(parsed, Series) else list(parsed.operands.values())


def duration_s(duration: str) -> float:
    """`5m` -> 300. Raises DQLError."""
    match = re.fullmatch(r"(\d+)(ms|[smhdw])", duration)
    if match is None:
        raise DQLError(f"not a duration: {duration}")
    return int(match[1]) * _UNIT_S[match[2]]


def variable_of(value: str) -> str:
    """The name of the variable that a condition's value is; empty for any other value."""
    match = _VARIABLE.fullmatch(value)
    return match[1] if match else ""


class _Parser(Tokens):
    # -- eval(A/B, A="…", B="…", alias='…')

    def expression(self) -> Expression:
        self.expect("eval")
        self.expect("(")
        start, depth = self.peek().position, 0
        while depth or not self.at(","):
            depth += self.at("(") - self.at(")")
            if depth < 0 or self.peek().kind not in ("word", "number", "sign"):
                raise self.error("an expression, and what its letters are")
            self.position += 1
        text = self.text[start : self.peek().position].strip()
        operands: Dict[str, Series] = {}
        alias = ""
        while self.skip(","):
            name = self.take("word")
            self.expect("=")
            value = self.take("string", "name")
            if name.lower() == "alias":
                alias = value
            else:
                inner = _Parser(value)
                operands[name] = inner.series()
                inner.end()
        self.expect(")")
        unknown = set(re.findall(r"[A-Za-z_]\w*", text)) - set(operands)
        if unknown or not operands:
            raise DQLError(
                f"{text}: nothing says what {', '.join(sorted(unknown)) or 'it'} is in {self.text}"
            )
        return Expression(text, operands, alias)

    # -- M::`measurement`:(targets) { where } [start:end:interval] BY … LIMIT …

    def series(self) -> Series:
        namespace = self.take("word").upper()
        if namespace not in NAMESPACES:
            raise DQLError(f"{namespace}:: (M:: and L:: are supported) in {self.text}")
        self.expect("::")
        source = self.take("name", "word")
        self.expect(":")
        series = Series(NAMESPACES[namespace], source, self._targets())
        while True:
            if self.skip("{"):
                series = series._replace(where=self._any_of())
                self.expect("}")
            elif self.skip("["):
                series = self._time(series)
            elif self.skip("by"):
                series = series._replace(groups=self._names())
            elif self.skip("limit", "slimit"):
                series = series._replace(limit=int(self.take("number")))
            elif self.skip("order", "sorder"):
                series = series._replace(ascending=self._order())
            else:
                return series

    def _targets(self) -> Tuple[Target, ...]:
        self.expect("(")
        targets = [self._target()]
        while self.skip(","):
            targets.append(self._target())
        self.expect(")")
        return tuple(targets)

    def _target(self) -> Target:
        if self.skip("*"):
            target = Target("", "*")
        elif self.peek().kind == "name":
            target = Target("", self.take("name"))
        else:
            word = self.take("word")
            target = self._call(word.lower()) if self.skip("(") else Target("", word)
        if self.skip("as"):
            target = target._replace(alias=self.take("name", "word", "string"))
        return target

    def _call(self, function: str) -> Target:
        if function == "fill":
            target = self._target()
            self.expect(",")
            target = target._replace(fill=self.take("number", "word").lower())
        else:
            field = "*" if self.skip("*") else self.take("name", "word")
            argument = self.take("number") if self.skip(",") else None
            shorthand = re.fullmatch(r"p(\d+)", function)
            if shorthand:
                function, argument = "percentile", shorthand[1]
            target = Target({"mean": "avg"}.get(function, function), field, argument)
        self.expect(")")
        return target

    def _any_of(self) -> Where:
        parts = [self._all_of()]
        while self.skip("or"):
            parts.append(self._all_of())
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _all_of(self) -> Where:
        parts = [self._condition()]
        while self.skip("and", ","):
            parts.append(self._condition())
        return AllOf(tuple(parts))

    def _condition(self) -> Where:
        if self.skip("("):
            inner = self._any_of()
            self.expect(")")
            return inner
        tag = self.take("name", "word")
        if self.at("in", "not"):
            negated = self.skip("not")
            self.expect("in")
            self.expect("[")
            values = [self._value()]
            while self.skip(","):
                values.append(self._value())
            self.expect("]")
            if negated:
                return AllOf(tuple(Condition(tag, "!=", value) for value in values))
            return AnyOf(tuple(Condition(tag, "=", value) for value in values))
        if not self.at(*_COMPARISONS):
            raise self.error("a comparison")
        return Condition(tag, self.take("sign"), self._value())

    def _value(self) -> str:
        sign = "-" if self.skip("-") else ""
        return sign + self.take("string", "number", "word", "duration")

    def _time(self, series: Series) -> Series:
        parts = [""]
        while not self.at("]"):
            if self.at("::"):
                parts += ["", ""]
                self.position += 1
            elif self.skip(":"):
                parts.append("")
            else:
                parts[-1] += self.take("duration", "word").lower()
        self.expect("]")
        start, end, interval = (*parts, "", "", "")[:3]
        if len(parts) > 3 or start == "auto" or end == "auto":
            raise DQLError(f"not a time range that is known here: [{':'.join(parts)}] in {self.text}")
        return series._replace(start=start, end=end, interval=interval)

    def _names(self) -> Tuple[str, ...]:
        names = [self.take("name", "word")]
        while self.skip(","):
            names.append(self.take("name", "word"))
        return tuple(names)

    def _order(self) -> bool:
        """Whether the oldest come first."""
        self.expect("by")
        self.take("name", "word")
        if self.skip("desc"):
            return False
        self.skip("asc")
        return True


def _conditions(where: Where) -> List[Condition]:
    if isinstance(where, Condition):
        return [where]
    return [condition for part in where.parts for condition in _conditions(part)]
