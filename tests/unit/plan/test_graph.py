"""Reading Snakemake's drawing of the jobs, the longest chain, and the time with several jobs at once."""

import itertools
import random
import time

import pytest

from pipeline.plan.graph import Graph, Job, SnakemakeError, ask_snakemake, parse_dot
from pipeline.plan.schedule import in_order, longest_chain, makespan
from pipeline.runtime.errors import ActaError
from tests.unit.plan.made import chain, dot

SNAKEFILE = """
rule all:
    input: "b.txt"
rule a:
    output: "{name}_a.txt"
    shell: "touch {output}"
rule b:
    input: "x_a.txt"
    output: "b.txt"
    shell: "touch {output}"
"""


def test_jobs_wildcards_and_edges():
    text = dot(
        [
            ("all", "rounded"),
            (r"train_classifier\nrecipe: r3d\nsplit: a: b", "rounded"),
            ("extract_frames", "rounded,dashed"),
        ],
        [(1, 0), (2, 1)],
    )
    graph = parse_dot(text)
    assert graph.jobs == {
        0: Job(0, "all", {}, True),
        1: Job(1, "train_classifier", {"recipe": "r3d", "split": "a: b"}, True),
        2: Job(2, "extract_frames", {}, False),
    }
    assert graph.before == {0: [1], 1: [2]}
    assert [job.rule for job in graph.last] == ["all"]


def test_a_hidden_wildcard_is_that_of_the_nearest_job_before():
    jobs = [
        (r"try_hypothesis\niteration: 2", ""),
        ("select_hypothesis", ""),
        (r"try_hypothesis\niteration: 1\nplan: pas", ""),
        (r"train_classifier\nrecipe: r3d", ""),
    ]
    graph = parse_dot(dot(jobs, [(1, 0), (3, 0), (2, 1), (3, 2)]))
    values = {name: graph.wildcard(graph.jobs[0], name) for name in ("iteration", "plan", "recipe", "seed")}
    assert values == {"iteration": "2", "plan": "pas", "recipe": "r3d", "seed": None}
    assert graph.wildcard(graph.jobs[1], "iteration") == "1"


@pytest.mark.parametrize("text", ["", "Nothing to be done.", dot([("all", "rounded")], [(1, 0)])])
def test_what_is_no_graph_is_refused(text):
    with pytest.raises(ActaError, match="Snakemake"):
        parse_dot(text)


def test_snakemake_is_asked(tmp_path, monkeypatch):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "x_a.txt").touch()
    monkeypatch.chdir(tmp_path)
    graph = ask_snakemake([], [], None)
    assert sorted(job.rule for job in graph.jobs.values()) == ["a", "all", "b"]
    assert {job.rule for job in graph.jobs.values() if job.needed} >= {"all", "b"}
    assert not (tmp_path / "b.txt").exists()


def test_an_unknown_target_is_snakemakes_own_error(tmp_path, monkeypatch):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SnakemakeError, match=r"MissingRuleException|No rule to produce no_such_target"):
        ask_snakemake(["no_such_target"], [], None)


def test_without_snakemake_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ActaError, match="Snakemake is not installed"):
        ask_snakemake([], [], None)


def test_the_longest_chain_is_by_time_not_by_jobs():
    graph = Graph({n: Job(n, f"r{n}", {}, True) for n in range(5)}, {4: [1, 3], 1: [0], 3: [2]})
    assert longest_chain(graph, {0: 1.0, 1: 1.0, 2: 5.0, 3: 0.5, 4: 1.0}) == [2, 3, 4]
    assert longest_chain(graph, {0: 1.0, 1: 1.0, 2: 5.0}) == [2]
    assert longest_chain(graph, {}) == []


def test_of_chains_that_are_as_long_the_one_with_more_jobs():
    assert longest_chain(chain("a", "b", "c"), {0: 0.0, 1: 0.0, 2: 0.0}) == [0, 1, 2]


def test_the_time_with_several_jobs_at_once():
    graph = Graph({n: Job(n, "r", {}, True) for n in range(4)}, {3: [0]})
    seconds = {0: 1.0, 1: 2.0, 2: 2.0, 3: 3.0}
    assert makespan(graph, seconds, 1) == 8.0
    assert makespan(graph, seconds, 2) == 4.0  # 0 goes first, as 3 waits for it
    assert makespan(graph, seconds, 9) == 4.0
    assert makespan(graph, {}, 3) == 0.0


def test_bounds_hold_on_random_graphs():
    random_numbers = random.Random(1)
    for _ in range(30):
        before = {n: random_numbers.sample(range(n), min(n, random_numbers.randint(0, 3))) for n in range(1, 40)}
        graph = Graph({n: Job(n, "r", {}, True) for n in range(40)}, before)
        seconds = {n: random_numbers.random() for n in range(40)}
        path = longest_chain(graph, seconds)
        assert all(first in before[second] for first, second in itertools.pairwise(path))
        longest, whole = sum(seconds[n] for n in path), sum(seconds.values())
        assert makespan(graph, seconds, 40) == pytest.approx(longest)
        assert makespan(graph, seconds, 1) == pytest.approx(whole)
        # Graham's bound of list scheduling.
        assert max(longest, whole / 3) - 1e-9 <= makespan(graph, seconds, 3) <= whole / 3 + longest * (1 - 1 / 3) + 1e-9


def test_eight_thousand_jobs_take_seconds():
    shards = 2048
    jobs = [(rf"extract_frames\nshard: {n}", "rounded") for n in range(shards)]
    jobs += (
        [("detect_people", "rounded")] * shards + [("obfuscate", "rounded")] * shards + [("audit", "rounded")] * shards
    )
    edges = [(n, n + shards) for n in range(3 * shards)]
    jobs += [(f"train_classifier_{n}", "rounded") for n in range(20)]
    edges += [(n, 4 * shards + k) for n in range(shards) for k in range(20)]
    began = time.process_time()
    graph = parse_dot(dot(jobs, edges))
    seconds = dict.fromkeys(graph.jobs, 1.0)
    assert len(longest_chain(graph, seconds)) == 4
    assert makespan(graph, seconds, 100) >= len(jobs) / 100
    assert len(in_order(graph, graph.jobs)) == 4 * shards + 20
    assert time.process_time() - began < 10
