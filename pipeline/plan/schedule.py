"""How long a graph of jobs takes: its longest chain, and with a number of jobs at once."""

import heapq
from collections.abc import Collection, Mapping

from pipeline.plan.graph import Graph


def longest_chain(graph: Graph, seconds: Mapping[int, float]) -> list[int]:
    """The numbers of the jobs that need the longest one after another, first to last; jobs not in ``seconds`` are done.

    Of chains that take as long, one with the most jobs.
    """
    best: dict[int, tuple[float, int]] = {}
    came_from: dict[int, int] = {}
    for number in in_order(graph, seconds):
        earlier = [other for other in graph.before.get(number, []) if other in seconds]
        longest = max(earlier, key=best.__getitem__, default=None)
        length, jobs = (0.0, 0) if longest is None else best[longest]
        best[number] = (length + seconds[number], jobs + 1)
        if longest is not None:
            came_from[number] = longest
    chain = [max(best, key=best.__getitem__)] if best else []
    while chain and chain[-1] in came_from:
        chain.append(came_from[chain[-1]])
    return chain[::-1]


def makespan(graph: Graph, seconds: Mapping[int, float], slots: int) -> float:
    """Seconds until all jobs of ``seconds`` are done, ``slots`` at once; of those that may start, first the one on
    whose end the longest chain waits (list scheduling).
    """
    order = in_order(graph, seconds)
    after: dict[int, list[int]] = {number: [] for number in order}
    waits = {}
    for number in order:
        earlier = [other for other in graph.before.get(number, []) if other in seconds]
        waits[number] = len(earlier)
        for other in earlier:
            after[other].append(number)
    rest: dict[int, float] = {}
    for number in reversed(order):
        rest[number] = seconds[number] + max((rest[other] for other in after[number]), default=0.0)
    ready = [(-rest[number], number) for number in order if not waits[number]]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < slots:
            _, number = heapq.heappop(ready)
            heapq.heappush(running, (now + seconds[number], number))
        now, done = heapq.heappop(running)
        for number in after[done]:
            waits[number] -= 1
            if not waits[number]:
                heapq.heappush(ready, (-rest[number], number))
    return now


def in_order(graph: Graph, numbers: Collection[int]) -> list[int]:
    """The numbers of the chosen jobs, each after those that it waits for."""
    order: list[int] = []
    waits = {number: sum(other in numbers for other in graph.before.get(number, [])) for number in numbers}
    after: dict[int, list[int]] = {number: [] for number in numbers}
    for number in numbers:
        for other in graph.before.get(number, []):
            if other in numbers:
                after[other].append(number)
    ready = [number for number, count in waits.items() if not count]
    while ready:
        number = ready.pop()
        order.append(number)
        for other in after[number]:
            waits[other] -= 1
            if not waits[other]:
                ready.append(other)
    return order
