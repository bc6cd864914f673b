"""The emergency numbers and helplines of a country, from `data/helplines.toml`, which says where each comes from."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal, get_args

Kind = Literal["suicide", "violence", "young", "any"]
"""Whom a line is for: people in suicidal crisis, victims of violence at home, the young, anyone in distress."""


class BadHelplines(Exception):
    """The file is missing or holds what cannot be shown to a person in a crisis."""


@dataclass(frozen=True, slots=True)
class Line:
    """One helpline; it has a number or an address on the web, and what it has not is empty."""

    name: str
    kind: Kind
    source: str
    """The address of the organisation, or of an official page."""
    checked: str
    """The date of the page that was read: a day, a month or, where the page bears none, empty."""
    phone: str = ""
    """As it is dialled within the country."""
    text: str = ""
    """A number for messages; the word to send, or the service, may stand before it."""
    web: str = ""
    hours: str = ""
    languages: str = ""
    seen: str = ""
    """Another page that was read and gives the number."""
    from_memory: bool = False
    """No page was read."""


@dataclass(frozen=True, slots=True)
class Helplines:
    """What a person in one country can turn to."""

    country: str
    """ISO 3166-1 alpha-2; empty for the international ones."""
    name: str
    emergency: str
    police: str
    """Empty where it is the emergency number."""
    lines: tuple[Line, ...]


def helplines(country: str | None) -> Helplines:
    """Of the country, given as two letters in any case, or the international ones where it is not known."""
    known = _read()
    code = (country or "").strip().upper()
    return known.get(_ALSO.get(code, code), known[_INTERNATIONAL])


def countries() -> tuple[str, ...]:
    """The codes of those with helplines of their own."""
    return tuple(code for code in _read() if code != _INTERNATIONAL)


def parse(toml: str) -> Mapping[str, Helplines]:
    """By code; the international ones under the empty one."""
    try:
        read = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise BadHelplines(f"{_FILE} is not valid TOML: {error}.") from None
    _check(read, "The file", {"international": dict, "countries": dict}, required={"international", "countries"})
    found = {_INTERNATIONAL: _country(_INTERNATIONAL, read["international"], "[international]")}
    found |= {code: _country(code, table, f"[countries.{code}]") for code, table in read["countries"].items()}
    return MappingProxyType(found)


_FILE = "app/data/helplines.toml"
_INTERNATIONAL = ""
_ALSO = {"UK": "GB"}
"""What people write for a code."""
_COUNTRY = {"name": str, "emergency": str, "police": str, "lines": list}
_REACHED_BY = ("phone", "text", "web")
_LINE = {
    **dict.fromkeys(("name", "for", "source", "checked", *_REACHED_BY, "hours", "languages", "seen"), str),
    "from_memory": bool,
}


@cache
def _read() -> Mapping[str, Helplines]:
    try:
        toml = (files("app") / "data" / "helplines.toml").read_text(encoding="utf-8")
    except OSError:
        raise BadHelplines(f"{_FILE} is missing. `git checkout` brings it back.") from None
    except UnicodeDecodeError:
        raise BadHelplines(f"{_FILE} is not UTF-8.") from None
    return parse(toml)


def _country(code: str, table: object, where: str) -> Helplines:
    fields = _check(table, where, _COUNTRY, required={"name", "emergency", "lines"})
    if not fields["lines"]:
        raise BadHelplines(f"{where} in {_FILE} has no lines.")
    lines = tuple(_line(each, f"{where}, line {place},") for place, each in enumerate(fields["lines"], 1))
    return Helplines(code, fields["name"], fields["emergency"], fields.get("police", ""), lines)


def _line(table: object, where: str) -> Line:
    fields = _check(table, where, _LINE, required={"name", "for", "source", "checked"})
    kind = fields.pop("for")
    if kind not in get_args(Kind):
        raise BadHelplines(f"{where} in {_FILE} is for {kind!r}. Known are {', '.join(get_args(Kind))}.")
    if not any(fields.get(name) for name in _REACHED_BY):
        raise BadHelplines(f"{where} in {_FILE} has none of {', '.join(_REACHED_BY)}.")
    return Line(kind=kind, **fields)


def _check(table: object, where: str, types: Mapping[str, type], required: set[str]) -> dict[str, Any]:
    """A copy of the table, once every field is known and of its type and none that is required is missing or empty."""
    if not isinstance(table, dict):
        raise BadHelplines(f"{where} in {_FILE} is not a table.")
    for name, value in table.items():
        if name not in types:
            raise BadHelplines(f"{where} in {_FILE} has an unknown field `{name}`.")
        if not isinstance(value, types[name]):
            raise BadHelplines(f"{where} in {_FILE}: `{name}` is not a {types[name].__name__}.")
        if value == "" and name != "checked":
            raise BadHelplines(f"{where} in {_FILE}: `{name}` is empty.")
    if missing := sorted(required - table.keys()):
        raise BadHelplines(f"{where} in {_FILE} has no `{missing[0]}`.")
    return dict(table)
