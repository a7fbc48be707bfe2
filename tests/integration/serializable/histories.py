"""A checker of histories of transactions that read lists and append to them.

Every appended value is unique, so a list tells in which order its versions came, and who made each. From that follow
the dependencies between the transactions: ``ww``, one appended right behind the other; ``wr``, one read what the other
appended last; ``rw``, one did not see what the other appended next. A history is serializable if these have no cycle
and nobody has read what does not count. The names of the anomalies are those of Adya's "Weak Consistency".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal
from typing import NamedTuple

Kind = Literal["ww", "wr", "rw"]
Graph = Mapping[str, set[str]]


class Append(NamedTuple):
    """A value put at the end of a list."""

    key: str
    value: int


class Read(NamedTuple):
    """A list as it was found."""

    key: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one transaction did, in order.

    :ivar committed: whether it was told that it is committed; else that nothing of it is applied.
    """

    name: str
    steps: Sequence[Append | Read]
    committed: bool = True


class Edge(NamedTuple):
    """A dependency of ``after`` on ``before``."""

    before: str
    after: str
    kind: Kind


def anomalies(history: Sequence[Transaction]) -> set[str]:
    """What keeps the history from being serializable; empty if nothing does.

    The history has to end with a transaction that reads every list.
    """
    found = set(_wrong_reads(history))
    if "garbage" in found:
        return found
    orders = _orders(history)
    if orders is None:
        return found | {"order"}
    found |= set(_lost(history, orders))
    return found | set(_cycles(set(_edges(history, orders))))


def _wrong_reads(history: Sequence[Transaction]) -> Iterator[str]:
    """What was read that never counted, or is not what the transaction itself had left."""
    writer = {step.value: one for one in history for step in one.steps if isinstance(step, Append)}
    for reader in filter(lambda one: one.committed, history):
        if not _agrees_with_itself(reader):
            yield "internal"
        for step in reader.steps:
            if not isinstance(step, Read):
                continue
            if len(set(step.values)) < len(step.values) or not set(step.values) <= writer.keys():
                yield "garbage"
                continue
            if any(not writer[value].committed for value in step.values):
                yield "G1a"
            if step.values and _is_intermediate(writer[step.values[-1]], reader, step):
                yield "G1b"


def _agrees_with_itself(reader: Transaction) -> bool:
    """Whether it sees what it has read and appended before, and nothing else."""
    known: dict[str, tuple[int, ...]] = {}
    own: dict[str, tuple[int, ...]] = defaultdict(tuple)
    for step in reader.steps:
        if isinstance(step, Append):
            own[step.key] += (step.value,)
            if step.key in known:
                known[step.key] += (step.value,)
        elif step.key in known:
            if step.values != known[step.key]:
                return False
        else:
            if own[step.key] and step.values[-len(own[step.key]) :] != own[step.key]:
                return False
            known[step.key] = step.values
    return True


def _is_intermediate(writer: Transaction, reader: Transaction, read: Read) -> bool:
    appended = [step.value for step in writer.steps if isinstance(step, Append) and step.key == read.key]
    return writer is not reader and read.values[-1] != appended[-1]


def _orders(history: Sequence[Transaction]) -> dict[str, tuple[int, ...]] | None:
    """The versions of each list in order; None if two reads contradict each other."""
    reads = [step for one in history if one.committed for step in one.steps if isinstance(step, Read)]
    orders: dict[str, tuple[int, ...]] = defaultdict(tuple)
    for read in reads:
        orders[read.key] = max(orders[read.key], read.values, key=len)
    if any(orders[read.key][: len(read.values)] != read.values for read in reads):
        return None
    return orders


def _lost(history: Sequence[Transaction], orders: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    for one in history:
        for step in one.steps:
            if one.committed and isinstance(step, Append) and step.value not in orders[step.key]:
                yield "lost update"


def _edges(history: Sequence[Transaction], orders: Mapping[str, tuple[int, ...]]) -> Iterator[Edge]:
    writer = {step.value: one.name for one in history for step in one.steps if isinstance(step, Append)}
    for order in orders.values():
        yield from (Edge(writer[one], writer[two], "ww") for one, two in pairwise(order) if writer[one] != writer[two])
    for reader in history:
        if not reader.committed:
            continue
        for key, values in _foreign(reader):
            last, following = values[-1:], orders[key][len(values) :]
            yield from (Edge(writer[one], reader.name, "wr") for one in last if writer[one] != reader.name)
            yield from (Edge(reader.name, writer[one], "rw") for one in following[:1] if writer[one] != reader.name)


def _foreign(reader: Transaction) -> Iterator[Read]:
    """What it has read of others, without its own."""
    own = {step.value for step in reader.steps if isinstance(step, Append)}
    for step in reader.steps:
        if isinstance(step, Read):
            yield Read(step.key, tuple(value for value in step.values if value not in own))


def _cycles(edges: Iterable[Edge]) -> Iterator[str]:
    by_kind: dict[str, list[Edge]] = defaultdict(list)
    for edge in edges:
        by_kind[edge.kind].append(edge)
    writes, depends = _graph(by_kind["ww"]), _graph(by_kind["ww"] + by_kind["wr"])
    if any(_leads(writes, edge.after, edge.before) for edge in by_kind["ww"]):
        yield "G0"
    if any(_leads(depends, edge.after, edge.before) for edge in by_kind["wr"]):
        yield "G1c"
    if any(_leads(depends, edge.after, edge.before) for edge in by_kind["rw"]):
        yield "G-single"
        return
    everything = _graph([edge for some in by_kind.values() for edge in some])
    if any(_leads(everything, edge.after, edge.before) for edge in by_kind["rw"]):
        yield "G2"


def _graph(edges: Iterable[Edge]) -> Graph:
    graph: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        graph[edge.before].add(edge.after)
    return graph


def _leads(graph: Graph, start: str, goal: str) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        for following in graph.get(waiting.pop(), ()):
            if following == goal:
                return True
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return start == goal
