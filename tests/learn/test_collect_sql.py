"""Databases by URL: a real PostgreSQL answers, and is only asked; several files as tables."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import itertools
import logging
import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from silmu import cli
from silmu.errors import InputError, MissingExtraError, UsageError
from silmu.steps.collect import collect, describe, statements
from silmu.steps.collect.dataset import Dataset
from silmu.steps.collect.sources import open_source
from silmu.steps.collect.tally import Tally
from silmu.steps.collect.urls import shown, without_password

SECRET = "can'ary: #1/?"
WRITTEN = "can%27ary%3A%20%231%2F%3F"
Collect = Callable[..., Dataset]


@pytest.fixture
def run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Collect:
    """collect(kind="table") into a new folder each time."""
    caplog.set_level(logging.INFO, "silmu")
    count = iter(range(1000))

    def collected(source: Any, **options: Any) -> Dataset:
        return collect(source, tmp_path / f"dataset-{next(count)}", kind="table", **options)

    return collected


def content(dataset: Dataset) -> list[dict[str, Any]]:
    return [row for batch in dataset.batches() for row in batch.to_pylist()]


# ── PostgreSQL ─────────────────────────────────────────────────────────────────────────────────


def programs() -> Path | None:
    """The folder of PostgreSQL's programs; Debian has it outside of the path."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return (
        Path(found).parent if found else next((f for f in folders if (f / "initdb").exists()), None)
    )


TABLES = """
CREATE TABLE houses (id int PRIMARY KEY, rooms smallint, price numeric(12, 2), size float8,
    garden bool, built date, sold timestamp, seen timestamptz, kind text, code uuid, tags text[],
    more jsonb, raw bytea, years interval, late text);
INSERT INTO houses SELECT g, g % 7, g * 1.5, g / 3.0, g % 2 = 0, date '2000-01-01' + g,
    timestamp '2020-01-01 10:00:00.5' + g * interval '1 hour', '2020-01-01 00:00:00+09',
    'a % of ' || g, '00000000-0000-0000-0000-000000000001', ARRAY['x', 'y'], '{"a": 1}', '\\x00ff',
    '1 day', CASE WHEN g > 9000 THEN 'late' END FROM generate_series(1, 9500) g;
CREATE SCHEMA other;
CREATE TABLE other.notes (id int);
CREATE SEQUENCE tickets;
CREATE FUNCTION bump() RETURNS int LANGUAGE sql AS 'UPDATE houses SET rooms = 99; SELECT 1';
CREATE DATABASE empty;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A PostgreSQL of its own, which only listens to a file; what stands before the database."""
    pytest.importorskip("sqlalchemy", reason="the extra sql is not installed")
    pytest.importorskip("psycopg", reason="no driver of PostgreSQL is installed")
    folder = programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed (the Debian package postgresql)")
    user: Any = None
    if os.getuid() == 0:  # as which it refuses to run
        known = {one.pw_name for one in pwd.getpwall()}
        user = next((name for name in ("postgres", "nobody") if name in known), None)
    home = Path(tempfile.mkdtemp(prefix="silmu-"))
    (home / "secret").write_text(SECRET)
    if user:
        for path in (home, home / "secret"):
            shutil.chown(path, user)

    def call(*command: str | Path) -> None:
        made = subprocess.run(command, user=user, cwd=home, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr

    call(
        *(folder / "initdb", "-D", home / "data", "-U", "kim", "-A", "scram-sha-256"),
        *("--pwfile", home / "secret", "--no-sync", "-E", "UTF8", "--locale=C"),
    )
    options = ("-k", home, "-c", "listen_addresses=", "-c", "fsync=off")
    process = subprocess.Popen(
        [folder / "postgres", "-D", home / "data", *options], user=user, cwd=home,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        start = f"postgresql://kim:{WRITTEN}@/postgres?host={home}"
        _tell(start, TABLES)
        yield start
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(home)


def _tell(url: str, orders: str) -> list[Any]:
    """What a database answers to one of us; the first time it may still be starting."""
    import psycopg

    for left in range(600, -1, -1):
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                found: list[Any] = []
                for order in orders.split(";\n"):
                    if order.strip():
                        cursor = connection.execute(order)
                        found = cursor.fetchall() if cursor.description else []
                return found
        except psycopg.OperationalError:
            if not left:
                raise
            time.sleep(0.05)
    raise AssertionError


def test_values_keep_their_types(run: Collect, server: str) -> None:
    dataset = run(server, query="SELECT * FROM houses ORDER BY id", target="price")
    assert dataset.num_rows == 9500
    types = {field.name: str(field.type) for field in dataset.schema}
    assert types == {
        "id": "int64", "rooms": "int64", "price": "double", "size": "double", "garden": "bool",
        "built": "date32[day]", "sold": "timestamp[us]", "seen": "timestamp[us, tz=Etc/UTC]",
        "kind": "string", "code": "string", "tags": "string", "more": "string", "raw": "string",
        "years": "double", "late": "string",
    } | {"seen": types["seen"]}  # fmt: skip
    assert types["seen"].startswith("timestamp[us, tz=")
    first, last = content(dataset)[0], content(dataset)[-1]
    assert (first["price"], first["garden"], first["late"]) == (1.5, False, None)
    assert first["built"] == datetime.date(2000, 1, 2)
    assert first["sold"] == datetime.datetime(2020, 1, 1, 11, 0, 0, 500_000)
    assert first["seen"] == datetime.datetime(2019, 12, 31, 15, tzinfo=datetime.UTC)
    assert first["code"] == "00000000-0000-0000-0000-000000000001"
    assert (first["tags"], first["more"]) == ('["x", "y"]', '{"a": 1}')
    assert first["years"] == 86_400
    assert last["late"] == "late", "what comes after thousands of rows without a value"
    assert dataset.row_numbers.tolist() == list(range(1, 9501))


def test_a_query_is_the_databases_own(run: Collect, server: str) -> None:
    query = (
        "SELECT id, kind FROM houses WHERE kind LIKE 'a %5' AND id::text ~ '^9\\d5$' ORDER BY id;"
    )
    dataset = run(server, query=query, target="id")
    assert [row["id"] for row in content(dataset)] == list(range(905, 1000, 10))
    assert dataset.query == query
    empty = "SELECT * FROM houses WHERE id < 0"
    with pytest.raises(InputError, match="has no rows"):
        run(server, query=empty, target="id")


def test_without_a_query_the_only_table_is_read(run: Collect, server: str) -> None:
    assert run(server, target="price").num_rows == 9500
    nothing = server.replace("/postgres?", "/empty?")
    with pytest.raises(UsageError, match="has 0 tables"):
        run(nothing, target="price")


def test_an_answer_without_end_is_read_piece_by_piece(server: str) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    query = f"{numbers} SELECT i, i % 2 AS y FROM n"
    source = open_source(server, query)
    some = list(itertools.islice(source.batches(Tally()), 5))
    assert [len(batch) for _, batch in some] == [8192] * 5
    assert some[4][1].column("i")[-1].as_py() == 5 * 8192


def test_a_query_runs_once_unless_it_is_read_again(server: str) -> None:
    source = open_source(server, "SELECT clock_timestamp() AS t, 1 AS y")
    first, again = (next(source.batches(Tally()))[1].column("t")[0] for _ in range(2))
    more = open_source(server, "SELECT clock_timestamp() AS t, 1 AS y")
    between = _tell(server, "SELECT clock_timestamp()")[0][0]
    assert first.as_py() < again.as_py()
    assert next(more.batches(Tally()))[1].column("t")[0].as_py() < between, "it was asked already"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT bump()", "read-only transaction"),
        ("SELECT nextval('tickets')", "read-only transaction"),
        ("SELECT 1; DROP TABLE houses", "more than one statement"),
        ("WITH gone AS (DELETE FROM houses RETURNING *) SELECT * FROM gone", "holds DELETE"),
        ("SELECT * INTO copies FROM houses", "holds INTO"),
        ("SELECT * FROM houses FOR UPDATE", "holds UPDATE"),
        ("EXPLAIN ANALYZE SELECT 1", "not one SELECT"),
        ("SELECT nothing FROM houses", 'column "nothing" does not exist'),
        ("SELECT 1 AS a, 2 AS a", "two columns of the same name"),
        ("SELECT 1 / (id - 9000) AS a FROM houses ORDER BY id", "division by zero"),
    ],
)
def test_a_database_is_only_asked(run: Collect, server: str, query: str, message: str) -> None:
    before = _tell(server, "SELECT count(*), sum(rooms) FROM houses")
    with pytest.raises(UsageError, match=message):
        run(server, query=query, target="id", need_target=False)
    assert _tell(server, "SELECT count(*), sum(rooms) FROM houses") == before
    others = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    deadline = time.monotonic() + 20  # until the server has noticed
    while _tell(server, others) != [(0,)]:
        assert time.monotonic() < deadline, "a connection was left open"


def test_what_a_read_only_transaction_lets_through_is_rolled_back(
    run: Collect, server: str
) -> None:
    with contextlib.suppress(UsageError):  # large objects are let through up to PostgreSQL 15
        run(server, query="SELECT lo_creat(-1) AS a, 1 AS y", target="y")
    assert _tell(server, "SELECT count(*) FROM pg_largeobject_metadata") == [(0,)]


def test_values_of_several_kinds_are_told(server: str) -> None:
    # Of one type to the database, and not to Python: more than 64 bits from some row on.
    query = (
        "SELECT CASE WHEN g > 9000 THEN 'infinity'::float8 END AS x, "
        "CASE WHEN g > 9000 THEN 12345678901234567890::numeric ELSE 1 END AS n, g AS y "
        "FROM generate_series(1, 9500) g"
    )
    batches = list(open_source(server, query).batches(Tally()))
    assert [str(field.type) for field in batches[0][1].schema] == ["string", "double", "int64"]
    assert batches[-1][1].to_pylist()[-1] == {
        "x": "Infinity",
        "n": 12345678901234567890.0,
        "y": 9500,
    }


# ── passwords ──────────────────────────────────────────────────────────────────────────────────


def _found(folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if b"ary" in path.read_bytes() and b"can" in path.read_bytes()]


def test_a_password_is_written_nowhere(
    server: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    query = "query=SELECT rooms, size, price FROM houses WHERE id <= 100"
    command = ["collect", "tabular-regression", "--target", "price", "--set", query, "-v"]
    output = tmp_path / "run"
    assert cli.main([*command, "--data", server, "--output", str(output)]) == 0
    assert f'data = "{without_password(server)}"' in (output / "run.toml").read_text()
    assert cli.main(["collect", str(output)]) == 0, "the rows are there, so nothing is asked"
    wrong = server.replace("?", "x?").replace("ary", "ary!")
    assert cli.main([*command, "--data", wrong, "--output", str(tmp_path / "other")]) == 2
    out = capsys.readouterr()
    assert "100 rows = 100 kept" in out.err
    assert "cannot be reached" in out.err
    assert "ary" not in out.out + out.err + caplog.text
    assert _found(tmp_path) == []
    assert list(tmp_path.iterdir()) == [output]


def test_a_run_goes_on_where_the_password_is_given_again(server: str, tmp_path: Path) -> None:
    query = "SELECT rooms, price FROM houses WHERE id <= 50"
    output = tmp_path / "run"
    command = ["collect", "tabular-regression", "--target", "price", "--set", f"query={query}"]
    assert cli.main([*command, "--data", server, "--output", str(output)]) == 0
    shutil.rmtree(output / "1-dataset")
    assert cli.main(["collect", str(output)]) == 2
    assert cli.main(["collect", str(output), "--data", server]) == 0
    assert Dataset.open(output / "1-dataset").num_rows == 50


@pytest.mark.parametrize(
    ("url", "told", "stored", "name"),
    [
        ("postgresql://kim:canary@host:5432/shop", "postgresql://host:5432/shop",
         "postgresql://kim@host:5432/shop", "shop"),
        ("postgresql+psycopg://host/shop?user=kim&password=canary&sslmode=require",
         "postgresql+psycopg://host/shop",
         "postgresql+psycopg://host/shop?user=kim&sslmode=require", "shop"),
        ("mysql://kim:can#canary@host/shop", "mysql://host/shop", "mysql://kim@host/shop", "shop"),
        ("mysql://kim:a?canary@host/shop?x=1", "mysql://host/shop", "mysql://kim@host/shop?x=1",
         "shop"),
        ("mysql://kim:p@canary@host/shop", "mysql://host/shop", "mysql://kim@host/shop", "shop"),
        ("postgresql://kim:canary@", "postgresql://", "postgresql://kim@", "postgresql"),
        ("snowflake://kim:canary@account/a/b?warehouse=w&token=canary", "snowflake://account/a/b",
         "snowflake://kim@account/a/b?warehouse=w", "b"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_url(url: str, told: str, stored: str, name: str) -> None:
    assert shown(url) == told
    assert without_password(url) == stored
    assert describe(url) == name
    assert without_password(stored) == stored


@pytest.mark.parametrize("source", ["data/a.csv", "sqlite:///a.db?SELECT key FROM t", "a/b"])
def test_what_has_no_password_stays_as_it_is(source: str) -> None:
    assert shown(source) == without_password(source) == source


# ── what is missing ────────────────────────────────────────────────────────────────────────────


def test_a_missing_driver_is_told_with_its_install_line(run: Collect) -> None:
    pytest.importorskip("sqlalchemy", reason="the extra sql is not installed")
    with pytest.raises(MissingExtraError, match=r"pip install 'oracledb'"):
        run("oracle+oracledb://kim:canary@nowhere/x", query="SELECT 1", target="a")
    with pytest.raises(UsageError, match="SQLAlchemy knows no `postgresql\\+nothing`"):
        run("postgresql+nothing://kim:canary@nowhere/x", query="SELECT 1", target="a")


def test_without_sqlalchemy_its_extra_is_told(
    run: Collect, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = importlib.metadata.version

    def lacking(name: str) -> str:
        if name == "sqlalchemy":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", lacking)
    with pytest.raises(MissingExtraError, match=r"pip install 'silmu\[sql\]'"):
        run("postgresql://kim:canary@nowhere/x", target="a")
    with pytest.raises(UsageError, match="not a kind of source"):
        run("https://nowhere/x.csv", target="a")


# ── one SELECT, whatever the dialect ───────────────────────────────────────────────────────────

READS = [
    ("postgresql", "SELECT 1"),
    ("postgresql", " (select a from t) union (select b from u) ; "),
    ("postgresql", "WITH t AS (SELECT 1) SELECT * FROM t"),
    ("postgresql", "VALUES (1), (2)"),
    ("postgresql", "SELECT 'DROP TABLE t; -- no' AS a, \"update\", E'it\\'s; \\\\' FROM t"),
    ("postgresql", "SELECT a->>'b', c #>> '{d}', '\\' FROM t"),
    ("mysql", "SELECT `delete`, 'it\\'s; ' FROM t WHERE a = \"x\\\"; \""),
    ("mysql", "SELECT 'a\\' ; DROP TABLE t -- '"),
    ("mysql", "SELECT TRUNCATE(price, 1), replace(a, 'b', 'c') FROM t"),
    ("mssql", "SELECT TOP 5 [update; it] FROM t"),
    ("oracle", "SELECT created, updated FROM t"),
]
WRITES = [
    ("postgresql", ""),
    ("postgresql", "   ;"),
    ("postgresql", "DROP TABLE t"),
    ("postgresql", "'SELECT'"),
    ("postgresql", "SELECT 1; SELECT 2"),
    ("postgresql", "SELECT 1 -- ; DROP TABLE t"),
    ("postgresql", "SELECT /* a */ 1"),
    ("postgresql", "SELECT '\\'; DROP TABLE t; SELECT '"),
    ("postgresql", "SELECT $$ ' $$; DROP TABLE t; SELECT $$ ' $$"),
    ("postgresql", "SELECT $a$ ' $a$"),
    ("postgresql", "SELECT 'open"),
    ("postgresql", 'SELECT "open'),
    ("postgresql", "WITH t AS (INSERT INTO u VALUES (1) RETURNING a) SELECT * FROM t"),
    ("mysql", "SELECT 1 # ; DROP TABLE t"),
    ("mysql", "SELECT /*! 1; DROP TABLE t */"),
    ("mysql", "SELECT a FROM t INTO OUTFILE 'x'"),
    ("mssql", "SELECT 1 DROP TABLE t"),
    ("mssql", "SELECT 1 EXEC p"),
    ("mssql", "SELECT [a ; DROP TABLE t"),
]


@pytest.mark.parametrize(("database", "query"), READS)
def test_a_query_that_reads_is_let_through(database: str, query: str) -> None:
    statements.check(query, database)


@pytest.mark.parametrize(("database", "query"), WRITES)
def test_a_query_that_may_do_more_is_refused(database: str, query: str) -> None:
    with pytest.raises(UsageError, match="the query"):
        statements.check(query, database)


# ── several files ──────────────────────────────────────────────────────────────────────────────

SALES = "store,day,amount\nA,2024-01-01,10\nB,2024-01-01,20\nA,2024-01-02,30\nC,2024-01-02,\n"
JOIN = "SELECT * FROM sales JOIN stores USING (store) ORDER BY day, store"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("sales.csv").write_text(SALES)
    pq.write_table(pa.table({"store": ["A", "B"], "city": ["서울", "부산"]}), "stores.parquet")
    with sqlite3.connect("more.db") as connection:
        connection.execute("CREATE TABLE prices (store TEXT, rent INT)")
        connection.execute("INSERT INTO prices VALUES ('A', 5), ('B', 6)")
    connection.close()
    return tmp_path


def test_files_are_joined_by_a_query(run: Collect, shop: Path) -> None:
    dataset = run("sales.csv,stores.parquet", query=JOIN, target="amount")
    assert dataset.roles.input == ("store", "day", "city")
    assert [(row["store"], row["city"], row["amount"]) for row in content(dataset)] == [
        ("A", "서울", "10"), ("B", "부산", "20"), ("A", "서울", "30"),
    ]  # fmt: skip
    assert (dataset.name, dataset.source) == ("sales-stores", "sales.csv,stores.parquet")
    named = "SELECT amount, rent FROM sales, more WHERE sales.store = more.store"
    assert run(f"{shop}/sales.csv, more.db", query=named, target="amount").num_rows == 3
    Path("parts").mkdir()
    for part in "AB":
        Path(f"parts/{part}.csv").write_text(f"store,size\n{part},7\n")
    sizes = "SELECT amount, size FROM sales JOIN parts USING (store)"
    assert run("sales.csv,parts/*.csv", query=sizes, target="amount").num_rows == 3


def test_a_table_of_a_query_has_the_name_of_its_file(run: Collect, shop: Path) -> None:
    with pytest.raises(UsageError, match=r"(?s)sale does not exist.*sees `sales`, `stores`"):
        run("sales.csv,stores.parquet", query=JOIN.replace("sales", "sale"), target="amount")
    with pytest.raises(UsageError, match=r"(?s)no query says.*the tables `sales`, `stores`"):
        run("sales.csv,stores.parquet", target="amount")
    Path("2024 sales.csv").write_text(SALES)
    with pytest.raises(UsageError, match='sees `"2024-sales"`, `stores`'):
        run("2024 sales.csv,stores.parquet", query=JOIN, target="amount")
    odd = JOIN.replace("sales", '"2024-sales"')
    assert run("2024 sales.csv,stores.parquet", query=odd, target="amount").num_rows == 3
    Path("Sales.jsonl").write_text('{"a": 1}')
    with pytest.raises(UsageError, match="two sources would be tables of the same name"):
        run("sales.csv,Sales.jsonl", query=JOIN, target="amount")
    with pytest.raises(UsageError, match=r"there is no `nothing\.csv`"):
        run("sales.csv,nothing.csv", query=JOIN, target="amount")


def test_a_comma_may_be_in_the_name_of_a_file(run: Collect, shop: Path) -> None:
    Path("sales,stores.csv").write_text("a,y\n1,2\n3,4\n")
    assert run("sales,stores.csv", target="y").num_rows == 2
    assert run("sales,*.csv", target="y").num_rows == 2
    assert (
        run("sales,stores.csv", query="SELECT * FROM data WHERE y = '4'", target="y").num_rows == 1
    )
    with pytest.raises(UsageError, match=r"there is no `a,b\.csv`"):
        run("a,b.csv", target="y")


def test_what_is_broken_in_a_joined_file_is_counted_with_its_name(run: Collect, shop: Path) -> None:
    with Path("sales.csv").open("a") as file:
        file.write("A,2024-01-03\n")
    dataset = run("sales.csv,stores.parquet", query=JOIN, target="amount")
    assert [(drop.reason, drop.rows) for drop in dataset.dropped] == [
        ("before the query, in `sales`, it has fewer cells than there are columns", (5,))
    ]


def test_joined_files_are_watched(run: Collect, shop: Path) -> None:
    source = open_source("sales.csv,stores.parquet", JOIN)
    Path("sales.csv").write_text(SALES + "B,2024-01-03,5\n")
    with pytest.raises(InputError, match="changed while it was read"):
        list(source.batches(Tally()))


def test_the_command_joins(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["tabular-regression", "--data", "sales.csv,stores.parquet", "--target", "amount"]
    assert cli.main(["collect", *command, "--set", f"query={JOIN}"]) == 0
    assert capsys.readouterr().out.startswith("runs/sales-stores-tabular-regression-1")
    assert cli.main(["check", *command, "--set", f"query={JOIN}"]) in (0, 1)
    assert cli.main(["check", *command, "--set", "rows=3"]) == 2
