"""The configuration as shipped: what the demo's targets plan, also on a machine without torch."""

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from pipeline.demo.match_plan import GAMES
from pipeline.report.catalogue import entry, names
from tests.workflow.project import Project

TABLES = (
    *("table_3_1", "table_4_1", "table_5_1", "table_5_2", "table_5_3"),
    *("figure_5_3", "figure_5_4", "figure_5_6", "figure_5_7"),
    *("table_6_1", "table_6_2", "table_6_3", "table_6_4", "table_6_5", "table_6_7", "table_6_8", "table_6_9"),
    *("table_6_10", "figure_6_3", "shrink_costs", "shrink_beyond"),
    *("table_4_2", "table_4_3", "table_4_4", "table_4_5", "table_4_6"),
    *("figure_4_4", "figure_4_5", "figure_4_6", "figure_4_7"),
)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory, footage) -> Project:
    project = Project(tmp_path_factory.mktemp("shipped"))
    (project.folder / "resources").mkdir()
    (project.folder / "resources" / "demo").symlink_to(footage)
    return project


def plan(project: Project, *targets: str) -> list[tuple[str, dict[str, str]]]:
    return project.planned("--", *targets)


def test_a_plan_needs_no_torch(shipped, monkeypatch):
    """As on a login node."""
    (shipped.folder / "without/sitecustomize.py").parent.mkdir()
    (shipped.folder / "without/sitecustomize.py").write_text("import sys; sys.modules['torch'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(shipped.folder / "without"))
    planned = shipped.planned_rules("--", "everything", *TABLES)
    monkeypatch.setattr(shipped, "python", Path(sys.executable))
    assert shipped.planned_rules("--", "everything", *TABLES) == planned


def test_the_demo_plans_25_hypotheses_five_an_iteration(shipped):
    jobs = plan(shipped, "all", "classify", "shrink")
    found = Counter(w["iteration"] for rule, w in jobs if rule == "try_hypothesis")
    assert found == dict.fromkeys("12345", 5)
    rules = Counter(rule for rule, _ in jobs)
    assert rules["select_hypothesis"] == 5
    assert rules["detect_people"] == rules["obfuscate"] == 4, "two shards, faces and bodies"


def test_every_table_of_the_demo_is_a_target(shipped):
    """But for 6.6, which is about other datasets, and Figure 6.4, which is of SlowFast."""
    rules = Counter(rule for rule, _ in plan(shipped, *TABLES))
    assert {target: rules[target] for target in TABLES} == dict.fromkeys(TABLES, 1)


def test_the_demo_trains_each_network_of_its_tables_three_times(shipped):
    rules = Counter(rule for rule, _ in plan(shipped, "detect"))
    assert rules["train_stage"] == 21, "STAGE and six ablations, three seeds"
    assert rules["evaluate_stage"] == 24, "STAGE on annotated boxes too"
    assert rules["evaluate_stage_backbone"] == rules["train_backbone"] == rules["train_detector"] == 1
    assert rules["extract_actor_features"] == rules["detect_objects"] == rules["extract_frames_detection"] == 2


def test_the_demos_matches_are_made_once_for_all_tables(shipped):
    rules, games = Counter(rule for rule, _ in plan(shipped, "spot")), sum(GAMES.values())
    assert rules["make_matches"] == rules["fit_pca"] == rules["pack_submission"] == rules["cut_highlights"] == 1
    assert rules["build_game"] == rules["extract_game_frames"] == rules["extract_frame_features"] == games
    assert rules["train_spotter"] == 13, "RMS-Net and three ablations, three seeds each; another length of clips"


def test_everything_ends_with_the_page_of_all_chapters(shipped):
    rules = Counter(rule for rule, _ in plan(shipped, "everything"))
    assert rules["report_costs"] == rules["report_overview"] == rules["show_highlights"] == 1
    assert rules["certify"] == 2
    assert all(rules[name] for name in ("draw_classification_table", "draw_shrinkage_table", "draw_detection_table"))


def test_every_target_is_told_in_one_line(shipped):
    told = shipped.snakemake("--list-target-rules").stdout.splitlines()
    found = dict(re.fullmatch(r"(\w+) \((.+)\)", line).groups() for line in told)
    assert set(names()) <= set(found)
    assert found["table_6_1"] == entry("table_6_1").title


@pytest.mark.parametrize(("table", "networks"), [("table_3_5", 2), ("table_3_6", 9), ("table_3_2", 1)])
def test_a_table_plans_only_its_own_networks(shipped, table, networks):
    rules = Counter(rule for rule, _ in plan(shipped, table))
    assert (rules["train_stage"], rules[table]) == (3 * networks, 1)
