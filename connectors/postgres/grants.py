"""Who may do what with tables, taken over to others of the same names in another schema."""

from collections.abc import Collection
from typing import Any, cast

import psycopg
from psycopg.sql import SQL, Composed, Identifier

_GRANTS = """
select class.relname, null, granted.privilege_type, grantee.rolname, granted.is_grantable
  from pg_class class, aclexplode(class.relacl) granted left join pg_roles grantee on oid = granted.grantee
 where class.relnamespace = %(schema)s::regnamespace and class.relname = any(%(names)s)
union all
select class.relname, attname, granted.privilege_type, grantee.rolname, granted.is_grantable
  from pg_class class join pg_attribute on attrelid = class.oid, aclexplode(attacl) granted
  left join pg_roles grantee on oid = granted.grantee
 where class.relnamespace = %(schema)s::regnamespace and class.relname = any(%(names)s)
"""
_OWNERS = """
select class.relname, owner.rolname from pg_class class join pg_roles owner on owner.oid = relowner
 where class.relnamespace = %(schema)s::regnamespace and class.relname = any(%(names)s)
"""


def take_over(connection: psycopg.Connection[Any], source: str, target: str, names: Collection[str]) -> None:
    """Give the tables and views in `target` the owners and grants of those in `source`.

    Names that only one schema has are left alone. In the caller's transaction; psycopg.Error without the
    right to.
    """
    there = {name for name, _ in _rows(connection, _OWNERS, target, names)}
    for name, owner in _rows(connection, _OWNERS, source, names):
        if name in there:
            change = SQL("alter table {}.{} owner to {}")
            connection.execute(change.format(Identifier(target), Identifier(name), Identifier(owner)))
    for name, column, privilege, role, with_option in _rows(connection, _GRANTS, source, names):
        if name in there:
            connection.execute(_grant(target, name, column, privilege, role, with_option))


def _grant(
    schema: str, name: str, column: str | None, privilege: str, role: str | None, with_option: bool
) -> Composed:
    return SQL("grant {}{} on {}.{} to {}{}").format(
        SQL(cast(Any, privilege)),  # a word of Postgres' own
        SQL(" ({})").format(Identifier(column)) if column else SQL(""),
        Identifier(schema),
        Identifier(name),
        Identifier(role) if role else SQL("public"),
        SQL(" with grant option" if with_option else ""),
    )


def _rows(
    connection: psycopg.Connection[Any], query: str, schema: str, names: Collection[str]
) -> list[tuple[Any, ...]]:
    values = {"schema": f'"{schema}"', "names": list(names)}
    return connection.execute(query.encode(), values).fetchall()
