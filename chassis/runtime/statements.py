"""Statements about many rows at once, each built one time: one parameter a column however many rows there are.

PostgreSQL takes a text a column, which it cuts into cells, SQLite a JSON text of all rows (and repeats an INSERT itself, which
costs it nothing). An array a column would say the same, but its driver looks at every cell of one to see whether it is an array
itself, which takes it three times as long as all else. A lone row needs no cutting: its cells are the parameters.
"""

import json
from collections import namedtuple
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Executable,
    FromClause,
    Integer,
    LargeBinary,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.types import TypeEngine

from chassis.kernel.ids import new_id

Cell = str | int | None
Names = tuple[str, ...]
Condition = tuple[ColumnElement[bool], ...]
Kind = type[str] | type[int] | type[bytes]
Kinds = tuple[tuple[str, Kind], ...]
TYPES: dict[Kind, TypeEngine[Any]] = {str: Text(), int: BigInteger(), bytes: LargeBinary()}
MANY = 1024
# What ends a cell, and what stands for none; where a cell holds one of them, others are made up.
END, NONE = "\x1f", "\x1e"
SQLITE = sqlite.dialect(paramstyle="qmark")
DIALECTS: dict[str, Any] = {"sqlite": SQLITE, "postgresql": postgresql.asyncpg.dialect()}  # type: ignore[no-untyped-call]
# Numbers that stand in a statement as they are: a partial index serves only a query that says its condition, and a plan that is
# made once does not know what a parameter will be.
ZERO, ONE = literal_column("0", Integer), literal_column("1", Integer)
# What a column is told of which rows that are written together mostly say the same: one cell is enough where all do.
ALIKE = {"alike": True}
# The moment of a look, for queries that are built once.
NOW = bindparam("now", type_=BigInteger)


class Ready(NamedTuple):
    """A statement on a table as a driver takes it: its text, its parameters in their order, and those that are always the same."""

    table: Table
    text: str
    names: Names
    constants: Mapping[str, Any]

    def cells(self, given: Mapping[str, Any]) -> list[Any]:
        """Returns the parameters."""
        return [given[name] if name in given else self.constants[name] for name in self.names]


@lru_cache(MANY)
def ready(dialect: str, table: Table, statement: Any) -> Ready:
    """Compiles a statement that was built once."""
    compiled = statement.compile(dialect=DIALECTS[dialect])
    given: dict[str, Any] = {name: [] for name, one in compiled.binds.items() if one.required}
    state = compiled.construct_expanded_state(given)
    constants = {name: value for name, value in state.parameters.items() if name not in given}
    return Ready(table, state.statement, tuple(state.positiontup), constants)


@lru_cache(MANY)
def repeated(table: Table, statement: Any, names: Names) -> Ready:
    """Compiles an INSERT of one row on SQLite, for the driver to repeat."""
    compiled = statement.compile(dialect=SQLITE, column_keys=names)
    return Ready(table, str(compiled), tuple(compiled.positiontup), {})


@lru_cache(MANY)
def row_type(names: Names) -> Any:
    """Returns what makes a row with these columns, which is used like SQLAlchemy's."""
    make: Any = namedtuple
    made = make("Row", names)
    return type("Row", (made,), {"__slots__": (), "_mapping": property(made._asdict)})


@lru_cache(MANY)
def given(dialect: str, name: str, kinds: Kinds) -> FromClause:
    """Returns rows to be given later, as a table to join with; `kinds` are their columns."""
    if dialect == "postgresql":
        arrays = [_array(name, column, kind) for column, kind in kinds]
        return func.unnest(*arrays).table_valued(*(column for column, _ in kinds), name=name).render_derived()
    each = func.json_each(bindparam(f"{name}_rows", type_=Text)).table_valued("value", name=f"{name}_each")
    cells = [
        func.json_extract(each.c.value, f"$[{index}]", type_=BigInteger() if kind is int else Text()).label(column)
        for index, (column, kind) in enumerate(kinds)
    ]
    return select(*cells).subquery(name)


def _array(name: str, column: str, kind: Kind) -> ColumnElement[Any]:
    if kind is bytes:
        return bindparam(f"{name}_{column}", type_=ARRAY(LargeBinary))
    # Every cell ends with the mark, so that a lone empty one is not nothing; after the last one there is nothing.
    cells = func.trim_array(func.string_to_array(*_text(name, column)), ONE)
    return cast(cells, ARRAY(BigInteger)) if kind is int else cells


def _cut(name: str, column: str, kind: Kind) -> ColumnElement[Any]:
    """Makes rows of a column's cells for an INSERT, which costs the server less than an array; there are two at least."""
    if kind is bytes:
        return func.unnest(_array(name, column, kind))
    cells = func.string_to_table(*_text(name, column))
    return cast(cells, BigInteger) if kind is int else cells


def _text(name: str, column: str) -> Iterator[ColumnElement[Any]]:
    """Yields a column's text, and the marks in it."""
    return (bindparam(f"{name}_{one}", type_=Text) for one in (column, "END", "NONE"))


def _lone(name: str, kinds: Kinds) -> Mapping[str, ColumnElement[Any]]:
    """Returns the cells of a lone row, to be given later."""
    return {column: bindparam(f"{name}_{column}", type_=TYPES[kind]) for column, kind in kinds}


def parameters(dialect: str, name: str, kinds: Kinds, rows: Sequence[Sequence[Any]]) -> Mapping[str, Any]:
    """Returns the parameters that fill `given` with rows, their cells in the order of the columns."""
    if dialect == "postgresql":
        return _columns(name, kinds, list(zip(*rows, strict=True)))
    return {f"{name}_rows": json.dumps(rows)}


def is_lone(count: int, where: Condition = ()) -> bool:
    """Says whether a statement is built for a lone row; with conditions it never is.

    On a young table the index of another condition's rows looks as good to PostgreSQL as that of the key, unless it must join.
    """
    return count == 1 and not where


def filled(dialect: str, name: str, kinds: Kinds, rows: Sequence[Sequence[Any]], *, lone: bool) -> Mapping[str, Any]:
    """Returns the parameters of a statement that was built for a lone row, or for many."""
    if not lone:
        return parameters(dialect, name, kinds, rows)
    return {f"{name}_{column}": cell for (column, _), cell in zip(kinds, rows[0], strict=True)}


def alike(table: Table, names: Names, rows: Sequence[Mapping[str, Any]]) -> Names:
    """Returns the columns that mostly say the same where rows are written together, if each of them does in these rows."""
    if is_lone(len(rows)):
        return ()
    mostly = _mostly_alike(table, names)
    for name in mostly:
        cells = [row[name] for row in rows]
        if cells.count(cells[0]) != len(cells):
            return ()
    return mostly


@lru_cache(MANY)
def _mostly_alike(table: Table, names: Names) -> Names:
    return tuple(name for name in names if table.c[name].info == ALIKE)


def fresh(table: Table, names: Names, rows: Sequence[Mapping[str, Any]], alike: Names = ()) -> Mapping[str, Any]:
    """Returns the parameters of an INSERT or a merge on PostgreSQL; of columns that are alike one cell."""
    if is_lone(len(rows)):
        return {f"fresh_{name}": rows[0][name] for name in names}
    cut = tuple(name for name in names if name not in alike) if alike else names
    return {
        **_columns("fresh", kinds(table, cut), [[row[name] for row in rows] for name in cut], ends=False),
        **{f"fresh_{name}": rows[0][name] for name in alike},
    }


def _columns(
    name: str, kinds: Kinds, columns: Sequence[Sequence[Any]], *, ends: bool = True, end: str = END, none: str = NONE
) -> Mapping[str, Any]:
    filled: dict[str, Any] = {f"{name}_END": end, f"{name}_NONE": none}
    for (column, kind), cells in zip(kinds, columns, strict=True):
        if kind is bytes:
            filled[f"{name}_{column}"] = cells
            continue
        # By an int's own way to write itself: a bool is a number.
        write = str if kind is str else int.__repr__
        # Most columns say the same in all rows of a batch.
        alike = cells[0] == cells[-1] and cells.count(cells[0]) == len(cells)
        said = cells[:1] if alike else cells
        missing = said.count(None)
        texts: Iterable[str] = [none if cell is None else write(cell) for cell in said] if missing else map(write, said)
        text = end.join(texts)
        if text.count(end) != len(said) - 1 or text.count(none) != missing:
            return _columns(name, kinds, columns, ends=ends, end=new_id(), none=new_id())
        filled[f"{name}_{column}"] = (text + end) * (len(cells) - 1) + text if alike else text
        if ends:
            filled[f"{name}_{column}"] += end
    return filled


@lru_cache(MANY)
def find(
    dialect: str, table: Table, by: Names, only: Names, where: Condition, order: Names, *, lone: bool, lock: bool, share: bool
) -> Executable:
    """SELECT the rows whose columns `by` are among those given, or equal the only one."""
    wanted = _rows(dialect, "wanted", kinds(table, by), lone)
    query = select(*(table.c[name] for name in only or table.c.keys())).where(_same(table, wanted, by), *where)
    query = query.order_by(*(table.c[name] for name in order))
    return query.with_for_update(of=table, read=share) if lock or share else query


@lru_cache(MANY)
def change(dialect: str, table: Table, by: Names, names: Names, add: Names, where: Condition, *, lone: bool) -> Executable:
    """UPDATE the columns of the rows that `by` names; `add` are added to what is there, never below zero."""
    new = _rows(dialect, "new", kinds(table, names), lone)
    values = {name: table.c[name] + new[name] if name in add else new[name] for name in names if name not in by}
    guards = [table.c[name] + new[name] >= ZERO for name in add]
    return update(table).where(_same(table, new, by), *guards, *where).values(values)


@lru_cache(MANY)
def remove(dialect: str, table: Table, by: Names, *, lone: bool) -> Executable:
    """DELETE the rows whose columns `by` are among those given, or equal the only one."""
    if lone:
        return delete(table).where(_same(table, _lone("gone", kinds(table, by)), by))
    gone = given(dialect, "gone", kinds(table, by))
    return delete(table).where(tuple_(*(table.c[name] for name in by)).in_(select(*(gone.c[name] for name in by))))


@lru_cache(MANY)
def insert(table: Table, names: Names, alike: Names, *, once: bool, lone: bool) -> Any:
    """INSERT rows on PostgreSQL, or one; where `once` is set, those whose key is there already are left out."""
    statement = _insert("postgresql", table, names, lone, alike)
    return statement.on_conflict_do_nothing() if once else statement


@lru_cache(MANY)
def insert_text(table: Table, names: Names, once: bool) -> Ready:
    """INSERT one row on SQLite, for the driver to repeat."""
    statement = sqlite_insert(table)
    return repeated(table, statement.on_conflict_do_nothing() if once else statement, names)


@lru_cache(MANY)
def merge(dialect: str, table: Table, names: Names, by: Names, add: Names, keep: Names, returning: Names, *, lone: bool) -> Any:
    """INSERT rows, or one, or change those whose key `by` is there already: `add` are added, `keep` stay, the others are set."""
    statement = _insert(dialect, table, names, lone)
    new = statement.excluded
    values = {name: table.c[name] + new[name] if name in add else new[name] for name in names if name not in {*by, *keep}}
    statement = statement.on_conflict_do_update(index_elements=list(by), set_=values)
    return statement.returning(*(table.c[name] for name in returning)) if returning else statement


def _insert(dialect: str, table: Table, names: Names, lone: bool, alike: Names = ()) -> Any:
    if dialect != "postgresql":
        return sqlite_insert(table)
    columns = kinds(table, names)
    cells = _lone("fresh", columns)
    if lone:
        return postgresql_insert(table).values(cells).inline()
    rows = select(*(cells[name] if name in alike else _cut("fresh", name, kind) for name, kind in columns))
    return postgresql_insert(table).from_select(list(names), rows, include_defaults=False)


def _rows(dialect: str, name: str, kinds: Kinds, lone: bool) -> Mapping[str, ColumnElement[Any]]:
    return _lone(name, kinds) if lone else dict(given(dialect, name, kinds).c)


def _same(table: Table, rows: Mapping[str, ColumnElement[Any]], by: Names) -> Any:
    return and_(*(table.c[name] == rows[name] for name in by))


@lru_cache(MANY)
def kinds(table: Table, names: Names) -> Kinds:
    """Returns the columns' names and kinds, as `given` takes them."""
    return tuple((name, _kind(table.c[name].type)) for name in names)


def _kind(kind: Any) -> Kind:
    if isinstance(kind, Integer):
        return int
    return bytes if isinstance(kind, LargeBinary) else str
