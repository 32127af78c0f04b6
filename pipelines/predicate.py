"""One SQL predicate as DuckDB itself understands it: its canonical text and the columns it reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

# CONSISTENT by DuckDB's own account, yet they answer by who asks.
FICKLE = frozenset({"current_setting", "getvariable", "version"})
UNSTABLE = frozenset({"VOLATILE", "CONSISTENT_WITHIN_QUERY"})

Traits = frozenset[tuple[str, str]]


class PredicateError(ValueError):
    """What is wrong with a predicate, one line without the place where it stands."""


@dataclass(frozen=True)
class Predicate:
    """`sql` is DuckDB's rendering of what was written (spacing and comments gone), `columns` in order of appearance."""

    sql: str
    columns: tuple[str, ...]
    functions: frozenset[str]


def parse(con: duckdb.DuckDBPyConnection, text: str) -> Predicate:
    """Read one expression. Raises PredicateError unless it is exactly one, without subquery, parameter or `*`."""
    (serialized,) = con.execute("SELECT json_serialize_sql(?)", [f"SELECT {text}\n"]).fetchall()[0]
    tree = json.loads(serialized)
    text = " ".join(text.split())
    if tree["error"]:
        if tree.get("error_type") == "not implemented":
            raise PredicateError(f"{text!r} is not a predicate; write one expression that is TRUE for what to keep")
        raise PredicateError(f"{text!r} is not valid SQL: {str(tree['error_message']).splitlines()[0]}")
    expression = _only_expression(tree, text)
    columns: dict[str, None] = {}
    called: set[str] = set()
    for node, bound in _walk(expression, frozenset()):
        match node.get("class"):
            case "SUBQUERY":
                raise PredicateError(f"{text!r} holds a subquery; a rule may only ask about the image itself")
            case "STAR" | "PARAMETER":
                raise PredicateError(f"{text!r} must name its columns: no *, COLUMNS or parameters")
            case "WINDOW":
                raise PredicateError(f"{text!r} is a window over other images; a rule may only ask about the image")
            case "FUNCTION" if not node["is_operator"]:
                called.add(node["function_name"])
            case "COLUMN_REF":
                name = ".".join(node["column_names"])
                if node["column_names"][0] not in bound:
                    columns[name] = None
    (canonical,) = con.execute("SELECT json_deserialize_sql(?::JSON)", [serialized]).fetchall()[0]
    return Predicate(str(canonical).removeprefix("SELECT "), tuple(columns), frozenset(called))


def refuse_fickle(predicate: Predicate, traits: Mapping[str, Traits]) -> None:
    """Raises PredicateError where the answer could differ from one run to the next, or is over many images."""
    for name in sorted(predicate.functions):
        found = traits.get(name, frozenset())
        if any(kind == "aggregate" for kind, _ in found):
            raise PredicateError(f"{name}() is over many images; a rule may only ask about the image itself")
        if name in FICKLE or any(stability in UNSTABLE for _, stability in found):
            raise PredicateError(f"{name}() answers differently from run to run; ask about stored signals only")


def functions(con: duckdb.DuckDBPyConnection) -> dict[str, Traits]:
    """Kind and stability of all overloads of every function that DuckDB knows, by name."""
    found: dict[str, set[tuple[str, str]]] = {}
    for name, kind, stability in con.execute(
        "SELECT DISTINCT function_name, function_type, stability FROM duckdb_functions()"
    ).fetchall():
        found.setdefault(name, set()).add((kind, stability))
    return {name: frozenset(traits) for name, traits in found.items()}


def _only_expression(tree: dict[str, Any], text: str) -> dict[str, Any]:
    statements = tree["statements"]
    node = statements[0]["node"] if len(statements) == 1 else {}
    plain = (
        node.get("type") == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and node["from_table"]["type"] == "EMPTY"
        and not node["select_list"][0].get("alias")
        and not node["modifiers"]
        and not node["cte_map"]["map"]
        and not node["group_expressions"]
        and all(node[clause] is None for clause in ("where_clause", "having", "sample", "qualify"))
    )
    if not plain:
        raise PredicateError(f"{text!r} is not a predicate; write one expression that is TRUE for what to keep")
    expression: dict[str, Any] = node["select_list"][0]
    return expression


def _walk(node: Any, bound: frozenset[str]) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    """Every node below with the lambda parameters in force there."""
    if isinstance(node, list):
        for child in node:
            yield from _walk(child, bound)
    elif isinstance(node, dict):
        if node.get("class") == "LAMBDA":
            bound |= {name for inner, _ in _walk(node["lhs"], frozenset()) for name in inner.get("column_names", ())}
            yield from _walk(node["expr"], bound)
            return
        if "class" in node:
            yield node, bound
        for child in node.values():
            yield from _walk(child, bound)
