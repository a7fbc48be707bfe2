"""The portable query on a project: the same answers as everywhere, whole, whatever the project cuts off."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given
from hypothesis import note
from hypothesis import settings
from hypothesis import strategies as st

from database.backends.memory import MemoryAdapter
from database.backends.supabase import SupabaseAdapter
from database.core.operations import Batch
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.query.filters import And
from database.core.query.filters import Not
from database.core.query.filters import Or
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.query.validation import MAX_IN
from database.core.result import Row
from tests.contract.queries import generated
from tests.contract.tables import SCHEMA
from tests.contract.tables import thing
from tests.integration.supabase_http.conftest import Make
from tests.servers.network.faults import Fault
from tests.servers.network.link import Link
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresDatabase
from tests.servers.supabase_api import SupabaseApi

TABLES = 8
QUERIES = 15
MANY = 230
MAX_ROWS = 100


@pytest.fixture
def memory() -> Iterator[MemoryAdapter]:
    """The adapter that defines what is right."""
    adapter = MemoryAdapter(schema=SCHEMA)
    yield adapter
    adapter.disconnect()


@pytest.mark.parametrize("queried", [generated.selects, generated.groups], ids=["rows", "groups"])
def test_random_queries(
    adapter: SupabaseAdapter, memory: MemoryAdapter, queried: Callable[[list[Row]], st.SearchStrategy[Select]]
) -> None:
    @settings(max_examples=TABLES)
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        rows = data.draw(generated.rows())
        for each in (memory, adapter):
            each.run(Batch((Delete("things", where=Where("id", "is_null", False)), Insert("things", rows))))
        for _ in range(QUERIES):
            query = data.draw(queried(rows))
            note(str(query))
            assert_same(adapter, memory, query)

    ask()


@pytest.fixture(scope="module")
def narrow(database: PostgresDatabase) -> Iterator[SupabaseApi]:
    """The same project with fewer rows to an answer."""
    with SupabaseApi(database, max_rows=MAX_ROWS) as api:
        yield api


@pytest.fixture
def many(adapter: SupabaseAdapter, memory: MemoryAdapter) -> list[Row]:
    """More rows than an answer has, many of them alike in all but the id."""
    rows = [
        thing(f"{n:04}", rank=n % 3, title=None if n % 4 == 0 else f'a"{n % 5}', amount=n % 7 or None)
        for n in range(MANY)
    ]
    for each in (memory, adapter):
        each.run(Insert("things", rows, returning=False))
    return rows


@pytest.mark.parametrize(
    "query",
    [
        Select("things"),
        Select("things", count=True),
        Select("things", columns=("label",), order=(Order("rank"), Order("title", descending=True))),
        Select("things", order=(Order("amount", nulls="first"), Order("id", descending=True))),
        Select("things", where=Where("rank", "eq", 1), order=(Order("title"),), count=True),
        Select("things", limit=MAX_ROWS),
        Select("things", limit=MAX_ROWS + 1),
        Select("things", limit=150, offset=50, count=True),
        Select("things", offset=MANY - 10),
        Select("things", offset=MANY, count=True),
        Select("things", offset=MANY + 1),
        Select("things", offset=MANY + 1, count=True),
        Select("things", offset=MANY + 1, limit=0, count=True),
        Select("things", limit=0),
        Select("things", limit=0, count=True),
        Select("things", where=Where("title", "eq", 'a"1'), count=True),
        Select("things", group=("label",), count=True),
    ],
    ids=repr,
)
@pytest.mark.parametrize("warm", [False, True], ids=["first", "later"])
def test_pages_make_a_whole(
    make: Make, narrow: SupabaseApi, memory: MemoryAdapter, many: list[Row], query: Select, warm: bool
) -> None:
    adapter = make(narrow.url, narrow.service_key)
    if warm:
        assert len(adapter.run(Select("things"))) == len(many)
    assert_same(adapter, memory, query)


def test_rows_written_meanwhile_move_no_others(
    make: Make, narrow: SupabaseApi, database: PostgresDatabase, many: list[Row], proxy: Callable[[int], FaultProxy]
) -> None:
    """Pages by offset would show rows again when others come in before them."""

    class _Growing(Fault):
        """A row comes in before all others after each answer."""

        answers = 0
        tells = False

        async def reply(self, link: Link, data: bytes) -> None:
            if data.startswith(b"HTTP/1.1"):
                self.answers += 1
                insert_before(database, self.answers)
            await link.to_client(data)

    between = proxy(narrow.port)
    with between.suffering(_Growing()) as growing:
        rows = make(f"http://127.0.0.1:{between.port}", narrow.service_key).run(Select("things")).rows
    assert isinstance(growing, _Growing)
    assert growing.answers > MANY / MAX_ROWS
    assert [row["id"] for row in rows] == [row["id"] for row in many]


def test_whole_answers_take_one_request(make: Make, narrow: SupabaseApi, many: list[Row]) -> None:
    adapter = make(narrow.url, narrow.service_key)
    sent = count_requests(adapter)
    adapter.run(Select("things", where=Where("id", "lt", "0040")))
    adapter.run(Get("things", "0001"))
    adapter.run(Select("things", where=Where("id", "lt", "0070")))
    assert len(sent) == 3
    adapter.run(Select("things", limit=MAX_ROWS))
    assert len(sent) == 4


@pytest.mark.parametrize(
    "key", [lambda n: f"01890000-0000-7000-8000-{n:012}", lambda n: f'("{n}\\")'], ids=["uuid", "risky"]
)
def test_long_lists(adapter: SupabaseAdapter, memory: MemoryAdapter, key: Callable[[int], str]) -> None:
    rows = [thing(key(n), rank=n) for n in range(MAX_IN + 100)]
    for each in (memory, adapter):
        each.run(Insert("things", rows, returning=False))
    wanted = Where("id", "in", tuple(key(n) for n in range(0, 2 * MAX_IN, 2)))
    for where in (wanted, Not(wanted), Or((wanted, Where("rank", "lt", 10))), And((wanted, Where("rank", "gt", 10)))):
        query = Select("things", where=where, order=(Order("rank", descending=True),), limit=700, offset=3, count=True)
        assert_same(adapter, memory, query)


def test_a_column_with_the_name_of_the_count(adapter: SupabaseAdapter, memory: MemoryAdapter) -> None:
    for each in (memory, adapter):
        each.run(Insert("namesakes", [{"id": "a", "count": True, "notes": "x"}, {"id": "b", "count": None}]))
    for where in (None, Where("count", "eq", True), Where("notes", "like", "x")):
        assert_same(adapter, memory, Select("namesakes", where=where, count=True))


def count_requests(adapter: SupabaseAdapter) -> list[str]:
    """The addresses of the adapter's requests from now on."""
    sent: list[str] = []
    adapter.backend.client.http.event_hooks = {"request": [lambda request: sent.append(str(request.url))]}
    return sent


def insert_before(database: PostgresDatabase, number: int) -> None:
    """Write a row past the API whose id comes before those that consist of digits."""
    row = "insert into things (id, label, rank, version, created_at, updated_at) values (%s, '', 0, 1, now(), now())"
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(row, [f"-{number}"])


def assert_same(adapter: SupabaseAdapter, memory: MemoryAdapter, operation: Operation) -> None:
    expected, answer = memory.run(operation), adapter.run(operation)
    assert [without_stamps(row) for row in answer.rows] == [without_stamps(row) for row in expected.rows]
    assert answer.count == expected.count


def without_stamps(row: Row) -> Row:
    """The row with its values' types, and without the moments at which the two adapters wrote it."""
    return {name: generated.typed(value) for name, value in row.items() if name not in {"created_at", "updated_at"}}


@pytest.mark.parametrize("ratio", [float(2**63), float(2**64), 1e20, -1e20, 9.99e20, 1e21])
def test_a_record_with_a_large_whole_double_can_be_changed(adapter: SupabaseAdapter, ratio: float) -> None:
    """A gateway in JavaScript writes such a double as an integer, which JSON's 64 bits do not hold."""
    adapter.run(Insert("things", [thing("large", ratio=ratio)]))
    adapter.run(Delete("things", where=Where("id", "is_null", False)))
    assert adapter.get("things", "large") is None
