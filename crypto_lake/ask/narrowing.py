"""Narrow a question's files before its views are made, where its own words say which symbol and days it is about.

Views of everything let DuckDB find a question's files as well, but only when it has listed all of them. Here a question
of one symbol, or for the newest rows, is known by its form: one table, and `WHERE` of plain comparisons. Whatever else
it says is left to DuckDB, so its answer is the same as over everything.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import duckdb

from crypto_lake.ask import sources, views
from crypto_lake.ask.sources import EVERYTHING, Chosen
from crypto_lake.config import Config
from crypto_lake.layout import day_of

# The spans of newest days (the last one there is, and so many before it) in which newest rows are looked for.
_NEWEST = (0, 1, 30)
_FEW_ROWS = 10_000
_EQUAL, _BEFORE = "COMPARE_EQUAL", "COMPARE_LESSTHAN"
_AT_LEAST = {_EQUAL, "COMPARE_GREATERTHAN", "COMPARE_GREATERTHANOREQUALTO"}
_AT_MOST = {_EQUAL, _BEFORE, "COMPARE_LESSTHANOREQUALTO"}
_MIRRORED = {
    "COMPARE_GREATERTHAN": "COMPARE_LESSTHAN",
    "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHANOREQUALTO",
    "COMPARE_LESSTHAN": "COMPARE_GREATERTHAN",
    "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
}
# Not of a form that is known here, or deeper than Python goes; if it is wrong, it is told when it is asked.
_UNKNOWN = (duckdb.Error, LookupError, TypeError, ValueError, OverflowError, RecursionError)
_Node = dict[str, Any]


class _Comparison(NamedTuple):
    """A column, how it has to compare (DuckDB's name of that), and with which constant."""

    column: str
    type: str
    constant: _Node


def chosen(connection: duckdb.DuckDBPyConnection, config: Config, sql: str) -> Chosen:
    """Return the files that a question can be answered from; the views may be made of some on the way to that."""
    try:
        select = _select(connection, sql)
        if select is None:
            return EVERYTHING
        found = _of_conditions(connection, select)
        return _newest(connection, config, select, sql, found) or found
    except _UNKNOWN:
        return EVERYTHING


def told(connection: duckdb.DuckDBPyConnection, sql: str) -> Chosen | None:
    """Return what a question's own words say that it is about; None where they do not. No file is looked at."""
    try:
        select = _select(connection, sql)
        return _of_conditions(connection, select) if select else None
    except _UNKNOWN:
        return None


def asks_for_newest(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Return whether a question is for so many newest rows."""
    try:
        select = _select(connection, sql)
        return select is not None and _limit_of_newest(select) is not None
    except _UNKNOWN:
        return False


def has_newest(connection: duckdb.DuckDBPyConnection, config: Config, sql: str) -> bool:
    """Return whether a lake has all the rows of a question that asks for newest ones."""
    try:
        select = _select(connection, sql)
        found = _of_conditions(connection, select) if select else EVERYTHING
        return select is not None and _newest(connection, config, select, sql, found) is not None
    except _UNKNOWN:
        return False


def _select(connection: duckdb.DuckDBPyConnection, sql: str) -> _Node | None:
    """Return the tree of a statement that is one SELECT from one view, and reads nothing else."""
    found = tree_of(connection, sql)
    if found["error"] or len(found["statements"]) != 1:
        return None
    node: _Node = found["statements"][0]["node"]
    tables = [one for one in nodes(node) if one.get("type") in {"BASE_TABLE", "TABLE_FUNCTION", "SUBQUERY"}]
    table = node.get("from_table", {})
    is_one = node["type"] == "SELECT_NODE" and tables == [table] and not node["cte_map"]["map"]
    is_view = table.get("table_name", "").lower() in views.OF_DAYS and not table["schema_name"]
    # A sample is taken before rows are filtered, and other names for columns would be taken for theirs.
    return node if is_one and is_view and not (table["sample"] or table["column_name_alias"]) else None


def tree_of(connection: duckdb.DuckDBPyConnection, sql: str) -> _Node:
    """Return what DuckDB understands of a question: its `statements`, or that there is an `error`."""
    ((text,),) = connection.execute("SELECT json_serialize_sql($sql::VARCHAR)", {"sql": sql}).fetchall()
    found: _Node = json.loads(text)
    return found


def nodes(tree: object) -> Iterator[_Node]:
    """Yield a tree's nodes."""
    if isinstance(tree, dict):
        yield tree
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    for child in children:
        yield from nodes(child)


def _time_of(select: _Node) -> str:
    return "ts_event" if select["from_table"]["table_name"].lower() in views.OF_EVENTS else "window_start"


def _of_conditions(connection: duckdb.DuckDBPyConnection, select: _Node) -> Chosen:
    """Return the files of the symbol and days that every row has to be of."""
    found = EVERYTHING
    for one in _comparisons(select.get("where_clause")):
        if one.column == "symbol" and one.type == _EQUAL:
            literal = one.constant.get("literal", {})
            if literal.get("kind") == "STRING":
                found = found._replace(symbol=literal["text"])
        if one.column == _time_of(select):
            at = _instant(connection, one.constant)
            if one.type in _AT_LEAST:
                found = found._replace(first=max(found.first, day_of(at)))
            if one.type in _AT_MOST:
                found = found._replace(last=min(found.last, day_of(at - (one.type == _BEFORE))))
    return found


def _comparisons(condition: _Node | None) -> Iterator[_Comparison]:
    """Yield the comparisons of a column with a constant that a condition consists of, all of which have to hold."""
    if not condition:
        return
    if condition["type"] == "CONJUNCTION_AND":
        for child in condition["children"]:
            yield from _comparisons(child)
    elif condition["type"] == "COMPARE_BETWEEN":
        sides = {"COMPARE_GREATERTHANOREQUALTO": "lower", "COMPARE_LESSTHANOREQUALTO": "upper"}
        for bound, side in sides.items():
            yield from _comparison(bound, condition["input"], condition[side])
    elif condition["type"] in _AT_LEAST | _AT_MOST:
        kind: str = condition["type"]
        left, right = condition["left"], condition["right"]
        yield from _comparison(kind, left, right)
        yield from _comparison(_MIRRORED.get(kind, kind), right, left)


def _comparison(kind: str, column: _Node, constant: _Node) -> Iterator[_Comparison]:
    varying = {"COLUMN_REF", "SUBQUERY", "PARAMETER"}
    if column["class"] == "COLUMN_REF" and not any(one.get("class") in varying for one in nodes(constant)):
        yield _Comparison(column["column_names"][-1].lower(), kind, constant)


def _instant(connection: duckdb.DuckDBPyConnection, constant: _Node) -> int:
    """Return a constant as a time in µs since the epoch, as DuckDB understands it."""
    tree = tree_of(connection, "SELECT epoch_us(CAST(NULL AS TIMESTAMPTZ))")
    cast = next(one for one in nodes(tree) if one.get("class") == "CAST")
    cast["child"] = constant
    ((found,),) = connection.execute(
        "FROM json_execute_serialized_sql($tree::JSON)", {"tree": json.dumps(tree)}
    ).fetchall()
    return int(found)


def _newest(
    connection: duckdb.DuckDBPyConnection, config: Config, select: _Node, sql: str, found: Chosen
) -> Chosen | None:
    """Return newest days that have all the rows which a question for the newest ones is answered with.

    None: it is no such question, or they have too few.
    """
    limit = _limit_of_newest(select)
    last = sources.last_day(config, found) if limit else None
    if not limit or not last:
        return None
    (statement,) = connection.extract_statements(sql)
    # Counted, rows are not made up but for the columns that say which they are.
    counted = f"SELECT count(*) FROM (\n{statement.query.rstrip().rstrip(';')}\n)"
    for days in _NEWEST:
        newest = found._replace(first=max(found.first, last - timedelta(days=days)))
        views.create(connection, config, newest)
        if connection.execute(counted).fetchall() == [(limit,)]:
            return newest
    return None


def _limit_of_newest(select: _Node) -> int | None:
    """Return how many rows are asked for, if they are rows of the view itself, by time from the newest on."""
    kinds = [one["type"] for one in select["modifiers"]]
    is_plain = not any(select[key] for key in ("group_expressions", "having", "qualify"))
    # An aggregate or a window looks at other rows than those which it returns.
    is_by_row = not select["sample"] and all(_is_of_its_row(one) for one in select["select_list"])
    # A snapshot of the book has no time, so its day does not say which rows are newer.
    is_by_time = select["from_table"]["table_name"].lower() != "depth"
    if kinds != ["ORDER_MODIFIER", "LIMIT_MODIFIER"] or not (is_plain and is_by_row and is_by_time):
        return None
    (order, limit) = select["modifiers"]
    (first, *_), rows = order["orders"], limit["limit"]
    if first["type"] != "DESCENDING" or _name(select, first["expression"]) != _time_of(select):
        return None
    if limit["offset"] or limit["limit_type"] != "ROW_COUNT" or rows["class"] != "CONSTANT":
        return None
    count = int(rows["literal"]["text"])
    return count if 0 < count <= _FEW_ROWS else None


def _name(select: _Node, expression: _Node) -> str | None:
    """Return the column that rows are ordered by: by its name, or its number among those shown."""
    if expression["class"] == "CONSTANT":
        if any(one["class"] == "STAR" for one in select["select_list"]):
            # Its columns are counted one by one, and only the view knows how many they are.
            return None
        expression = select["select_list"][int(expression["literal"]["text"]) - 1]
    return expression["column_names"][-1].lower() if expression["class"] == "COLUMN_REF" else None


def _is_of_its_row(expression: _Node) -> bool:
    """Return whether a row is shown as it is, and under no name that could be taken for that of the time."""
    if expression["class"] == "STAR":
        return not (expression["replace_list"] or expression["rename_list"] or expression["columns"])
    return expression["class"] == "COLUMN_REF" and expression["alias"] in {"", expression["column_names"][-1]}
