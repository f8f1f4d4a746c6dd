"""Graphs and cost files for the tests of plans."""

import json
from pathlib import Path

from pipeline.plan.graph import Graph, Job


def dot(jobs: list[tuple[str, str]], edges: list[tuple[int, int]]) -> str:
    """Snakemake's drawing of jobs, each a label and a style."""
    nodes = [
        f'\t{n}[label = "{label}", color = "0.1 0.6 0.85", style="{style}"];' for n, (label, style) in enumerate(jobs)
    ]
    head = "digraph snakemake_dag {\n    graph[bgcolor=white, margin=0];\n    edge[penwidth=2, color=grey];\n"
    return head + "\n".join(nodes + [f"\t{a} -> {b}" for a, b in edges]) + "\n}            \n"


def chain(*rules: str, needed: bool = True) -> Graph:
    """Jobs one after another."""
    jobs = {number: Job(number, rule, {}, needed) for number, rule in enumerate(rules)}
    return Graph(jobs, {number: [number - 1] for number in range(1, len(rules))})


def write_costs(folder: Path, name: str, seconds: float, **changes: object) -> None:
    """The cost file of a job that finished."""
    content = {
        "command": "x",
        "began": "2026-01-01T00:00:00Z",
        "seconds": seconds,
        "cpu_seconds": seconds,
        "peak_memory_mb": 100.0,
        "finished": True,
        "rank": 0,
        "processes": 1,
        "device": "a processor",
        "gpu_seconds": 0.0,
        "energy_wh": None,
        "output_bytes": 1000,
    }
    path = folder / f"{name}.costs.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content | changes) + "\n")
