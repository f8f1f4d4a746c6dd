"""How long a graph of jobs takes: its longest chain, and with a number of jobs at once."""

import heapq
from collections.abc import Collection, Mapping

from pipeline.plan.graph import Graph


def longest_chain(graph: Graph, seconds: Mapping[int, float]) -> list[int]:
    """The chain of jobs that takes longest, by number, first to last; jobs not in ``seconds`` are done.

    Of chains that take equally long, one with the most jobs.
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
    """Seconds until all jobs of ``seconds`` are done, ``slots`` at once.

    Of the jobs that may start, the one that the longest chain waits for comes first (list scheduling).
    """
    order, (waits, after) = in_order(graph, seconds), _links(graph, seconds)
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
    waits, after = _links(graph, numbers)
    ready = [number for number, count in waits.items() if not count]
    while ready:
        number = ready.pop()
        order.append(number)
        for other in after[number]:
            waits[other] -= 1
            if not waits[other]:
                ready.append(other)
    return order


def _links(graph: Graph, numbers: Collection[int]) -> tuple[dict[int, int], dict[int, list[int]]]:
    """For each of the chosen jobs, how many of them it waits for, and which wait for it."""
    after: dict[int, list[int]] = {number: [] for number in numbers}
    waits = dict.fromkeys(numbers, 0)
    for number in numbers:
        for other in graph.before.get(number, []):
            if other in numbers:
                after[other].append(number)
                waits[number] += 1
    return waits, after
