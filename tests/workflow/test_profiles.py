"""The cluster profiles: they name rules that there are, and what is known to lose data is off."""

import re
from pathlib import Path

import pytest
import yaml

from pipeline.runtime.slurm import PREFIX
from tests import PROJECT

CLUSTERS = sorted(
    path.parent.name
    for path in (PROJECT / "profiles").glob("*/config.yaml")
    if path.parent.name not in ("default", "gpus")
)
RULES = {
    name
    for path in (PROJECT / "workflow" / "rules").glob("*.smk")
    for line in path.read_text().splitlines()
    for name in re.findall(r"^\s*(?:rule|use rule \w+ as) (\w+)", line)
}
TRAININGS = {
    "train_classifier",
    "train_classifier_alone",
    "train_classifier_transferred",
    "try_hypothesis",
    "try_hypothesis_start",
    "store_teacher_logits",
} | {
    "train_detector",
    "train_backbone",
    "train_stage",
    "train_spotter",
}
SHARDS = {"build_manifest", "extract_frames", "detect_people", "obfuscate", "audit", "build_game", "project_features"}


def read(name: str) -> dict:
    return yaml.safe_load(Path(PROJECT, "profiles", name, "config.yaml").read_text())


def test_there_are_two():
    assert CLUSTERS == ["marconi100", "slurm"]


@pytest.mark.parametrize("name", [*CLUSTERS, "gpus"])
def test_it_sets_nothing_that_the_default_profile_sets_too(name):
    assert not set(read(name)) & set(read("default")), "where both set a key, the default profile's wins"


@pytest.mark.parametrize("name", CLUSTERS)
def test_it_names_rules_that_there_are(name):
    profile = read(name)
    named = {rule for key in ("set-resources", "set-threads", "groups") for rule in profile[key]}
    assert named <= RULES
    assert set(profile["groups"]) == SHARDS
    assert set(profile["group-components"]) == set(profile["groups"].values())
    assert {rule for rule, wanted in profile["set-resources"].items() if "launcher" in wanted} == TRAININGS


def test_on_one_machine_each_gpu_has_its_share_of_the_cores():
    profile = read("gpus")
    assert set(profile["set-threads"]) <= RULES
    assert set(profile["set-threads"]) >= TRAININGS
    assert set(profile["set-threads"].values()) == {profile["cores"] // profile["resources"]["gpu"]}


@pytest.mark.parametrize("name", CLUSTERS)
def test_a_submission_of_shards_fits_into_a_day(name):
    profile = read(name)
    for rule, group in profile["groups"].items():
        assert profile["set-resources"][rule]["runtime"] * profile["group-components"][group] <= 24 * 60
        if rule in profile["set-threads"]:
            assert profile["set-threads"][rule] == profile["cores"], "one shard at a time, with all cores"


@pytest.mark.parametrize("name", CLUSTERS)
def test_what_loses_data_is_off_and_what_saves_it_is_on(name):
    profile = read(name)
    assert profile["slurm-jobname-prefix"] + "_" == PREFIX
    assert profile["slurm-status-command"] == "squeue"
    assert profile["slurm-status-attempts"] * profile["max-status-checks-per-second"] >= 120
    assert "slurm-array-jobs" not in profile
    assert profile["slurm-requeue"] is True
    for rule in TRAININGS:
        assert "--signal=USR1@" in profile["set-resources"][rule]["slurm_extra"]
