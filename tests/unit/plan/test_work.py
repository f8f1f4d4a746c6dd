"""The work of jobs by the shipped configuration, and what a plan makes of it."""

import json
import re
from pathlib import Path

import cv2  # noqa: F401  # changes the environment when it is imported
import pytest

from pipeline.config.whole import load_over
from pipeline.media.lists import Listed, game_texts, write_lists, write_texts
from pipeline.models.architecture import Architecture
from pipeline.models.complexity import complexity
from pipeline.plan import work
from pipeline.plan.assemble import TARGET, make_plan, mean_work
from pipeline.plan.description import describe
from pipeline.plan.expectation import REFERENCE as SHIPPED
from pipeline.plan.expectation import Experience, read_reference
from pipeline.plan.graph import parse_dot
from pipeline.plan.site import Site
from pipeline.tasks import TASKS, task_of, weight_of
from tests import PROJECT
from tests.clips import write_clip
from tests.unit.plan.made import chain, dot, write_costs

JOBS = [
    (r"train_classifier\nrecipe: r2plus1d\nsplit: split1\nstrategy: cross_entropy\nvariant: none", "rounded"),
    (r"train_classifier\nstrategy: kd", "rounded"),
    (r"try_hypothesis\niteration: 1\noperators: s\nplan: pas", "rounded"),
    (r"try_hypothesis\niteration: 3\noperators: s", "rounded"),
    (r"evaluate_classifier_shrunk\nnetwork: pas/iteration_3/s", "rounded"),
    ("train_classifier_alone", "rounded"),
    (r"try_hypothesis\niteration: 1\noperators: s\nplan: stored", "rounded"),
    (r"try_hypothesis_start\niteration: 1\noperators: s\nplan: halving", "rounded"),
    ("evaluate_classifier", "rounded"),
    (r"train_classifier_transferred\nnetwork: pas_2\nrecipe: r2plus1d\nsplit: split1", "rounded"),
    (r"evaluate_classifier_base\nrecipe: r2plus1d", "rounded"),
]
EDGES = [(0, 1), (0, 2), (2, 3), (3, 4), (3, 5), (0, 6), (0, 7), (0, 8)]


@pytest.fixture
def make(tmp_path):
    def site(graph, *overlays: str) -> Site:
        paths = []
        for number, overlay in enumerate(overlays):
            paths.append(tmp_path / f"{number}.yaml")
            paths[-1].write_text(overlay)
        config = load_over(paths)
        videos = [
            Listed(f"{k}", f"{k}.mp4", f"class_{k % 8}", "train" if k < 30 else "test", 1000, 0) for k in range(40)
        ]
        write_lists(videos, tmp_path / "results" / config.dataset / "lists", 2)
        return Site(config, graph, tmp_path, weight_of)

    return site


def amounts(site: Site) -> list[float | None]:
    return [site.kind(job.rule).amount(site, job) for job in site.graph.jobs.values()]


def test_trainings_count_multiply_adds(make):
    """30 videos train, 10 test; the recipe's network in 10¹² multiply-adds, three times a step, a teacher once more."""
    site = make(parse_dot(dot(JOBS, EDGES)))
    classify, shrink = site.config.classify, site.config.shrink
    recipe = classify.recipes["r2plus1d"]
    network = recipe.backbone
    architecture = Architecture(network.name, 8, network.width, network.blocks, recipe.clip.frames)
    cost = complexity(architecture, recipe.clip.view.crop).gflops / 1e3
    epoch = cost * 30 * recipe.clip.train_clips
    halving = shrink.plans["halving"].halving
    assert halving is not None
    assert amounts(site) == pytest.approx(
        [
            epoch * 3 * classify.training.epochs,
            epoch * 4 * classify.training.epochs,
            epoch * (3 / 2 + 1) * shrink.epochs,
            epoch * (3 / 8 + 1) * shrink.epochs,
            cost / 8 * 10 * classify.test_clips,
            epoch * 3 / 8 * shrink.epochs,
            epoch * 3 / 2 * shrink.epochs,
            epoch * (3 / 2 + 1) * halving.epochs,
            cost * 10 * classify.test_clips,
            epoch * 3 / 4 * classify.training.epochs,
            cost * 10 * classify.test_clips,
        ]
    )
    told = site.kind("train_classifier").writes
    assert told is not None
    assert told(site, site.graph.jobs[1]) == 4 * complexity(architecture).parameters


def test_videos_count_their_bytes(make):
    site = make(chain("build_manifest", "certify"))
    assert amounts(site) == [20_000.0, 1.0]


def test_what_the_demo_makes_is_measured_on_the_disk(make, tmp_path):
    site = make(chain("build_manifest"), f"data: {{root: {tmp_path}/videos}}")
    (tmp_path / "results" / "demo" / "lists" / "0-of-2.json").write_text(
        json.dumps([["a", "a.mp4", "", "train", 0, 0], ["gone", "gone.mp4", "", "train", -1, 0]])
    )
    (tmp_path / "results" / "demo" / "lists" / "1-of-2.json").unlink()
    assert amounts(site) == [None]
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(bytes(77))
    assert amounts(Site(site.config, site.graph, tmp_path, weight_of)) == [77.0]


def test_keyframes_are_counted_once(make, tmp_path):
    boxes = "detect: {data: {boxes: {train: train.csv, val: val.csv, test: test.csv}, label_map: x.pbtxt}}"
    graph = chain("train_stage", "extract_actor_features", "evaluate_stage")
    assert amounts(make(graph, boxes)) == [None, None, None]
    rows = "v,{time},0.1,0.1,0.2,0.2,{action},0\n"
    (tmp_path / "train.csv").write_text("".join(rows.format(time=t, action=a) for t in (1, 2, 3) for a in (1, 2)))
    for split in ("val", "test"):
        (tmp_path / f"{split}.csv").write_text(rows.format(time=1, action=1))
    site = make(graph, boxes)
    write_lists([Listed("v", "v.mp4", "", "train", 1, 0)], site.results / "detect" / "lists", 1)
    assert amounts(site) == [3.0 * site.config.detect.training.epochs, 5.0, 1.0]


GAMES = [
    ("build_game", ""),
    ("project_features", ""),
    ("fit_pca", ""),
    (r"predict_spots\nsplit: valid", ""),
    ("count_votes", ""),
    (r"train_spotter\nnetwork: q_10", ""),
]
SIZES = {"train": [1000, 3000], "valid": [500], "test": [700]}


@pytest.mark.parametrize(("videos", "frames"), [("HQ.mkv", None), ("null", 90 * 60 * 2.0)])
def test_games_count_their_frames(make, videos, frames):
    """Before there are videos nothing is known; without any, games last 90 minutes."""
    features = (
        "features: {mobilenet: {imported: a.npy, backbone: null, pca: null}}, networks: {finetuned_mobilenet_v2: null}"
    )
    overlay = f"spot: {{data: {{videos: {videos}, use_video_ini: false}}, {features}}}"
    site = make(parse_dot(dot(GAMES, [])), overlay)
    for split, sizes in SIZES.items():
        games = {f"{split}-{k}": [Listed("video/1", f"{k}/1.mkv", "", split, size, 0)] for k, size in enumerate(sizes)}
        write_texts(game_texts(games), site.results / "spot" / "lists" / split)
    network = site.config.spot.spotters["q_10"]
    clips = (network.sampling.foreground or 0) + (network.sampling.background or 0)
    expected = [None if frames is None else frames * games for games in (1, 2, 1, 1)]
    assert amounts(site) == [1300.0, *expected, clips * network.training.epochs]


def test_work_follows_the_size_of_frames_and_their_rate(make, tmp_path):
    """A video of 20 frames: decoded as they are, stored smaller, searched at most 64 pixels wide."""
    write_clip(tmp_path / "videos" / "a.mp4", frames=20)
    search = "detect: {faces: {long_side: 64}, bodies: {long_side: 64, search_rotated: true}}"
    overlay = f"data: {{root: {tmp_path}/videos}}\nframes: {{size: 48}}\nsampling: {{rate: 5.0}}\nprivacy: {{{search}}}"
    jobs = [("extract_frames", ""), (r"detect_people\nwhat: faces", ""), (r"detect_people\nwhat: bodies", "")]
    site = make(parse_dot(dot([*jobs, ("obfuscate", ""), ("audit", "")], [])), overlay)
    write_lists([Listed("a", "a.mp4", "", "train", 1000, 0)], site.results / "lists", 1)
    decoded, stored, searched = 20 * 96 * 128 / 1e6, 10 * 48 * 64 / 1e6, 10 * 36 * 64 / 1e6
    assert amounts(site) == pytest.approx([decoded + stored, searched, 8 * searched, stored, stored])


def test_a_gpu_is_where_the_configuration_says(make):
    gpu = "device: cuda"
    jobs = [
        (r"detect_people\nwhat: faces", ""),
        (r"detect_people\nwhat: bodies", ""),
        (r"train_classifier\nrecipe: r3d", ""),
        ("audit", ""),
    ]
    overlay = f"privacy: {{detect: {{bodies: {{detector: maskrcnn, {gpu}}}}}}}\nclassify: {{training: {{{gpu}}}}}"
    site = make(parse_dot(dot(jobs, [])), overlay)
    assert [site.kind(job.rule).on_gpu(site, job) for job in site.graph.jobs.values()] == [False, True, True, False]
    site = make(parse_dot(dot(jobs, [])), f"privacy: {{detect: {{faces: {{{gpu}}}}}}}")
    on_gpu = [site.kind(job.rule).on_gpu(site, job) for job in site.graph.jobs.values()]
    assert on_gpu == [True, True, False, False], "the search for bodies finds faces too"


def test_a_job_of_which_nothing_is_known_uses_no_gpu(make):
    site = make(parse_dot(dot([("extract_actor_features", ""), ("train_backbone", ""), ("detect_people", "")], [])))
    assert [site.kind(job.rule).on_gpu(site, job) for job in site.graph.jobs.values()] == [False] * 3


def rules_of_the_workflow() -> set[str]:
    text = "".join(path.read_text() for path in (PROJECT / "workflow").rglob("*.smk"))
    return {used or own for used, own in re.findall(r"rule \w+ as (\w+) with:|rule (\w+):", text)}


def test_every_task_that_is_weighed_has_a_rule():
    weighed = {name for name, task in TASKS.items() if task.weight}
    assert weighed <= {task.name for rule in rules_of_the_workflow() if (task := task_of(rule))}


def test_every_rule_that_the_weights_tell_apart_is_one_of_the_workflow():
    named = re.findall(r'job\.rule [!=]= "(\w+)"', Path(work.__file__).read_text())
    assert {"train_classifier_alone", "try_hypothesis_start"} <= set(named) <= rules_of_the_workflow()


@pytest.mark.parametrize(
    ("rule", "task"),
    [
        ("train_classifier", "train_classifier"),
        ("train_classifier_alone", "train_classifier"),
        ("evaluate_stage_backbone", "evaluate_stage"),
        ("draw_detection_examples", "draw_detection"),
        ("all", None),
        ("train", None),
        ("audited", None),
    ],
)
def test_a_rule_runs_the_task_whose_name_it_bears_or_begins_with(rule, task):
    found = task_of(rule)
    assert (found and found.name) == task
    assert weight_of(rule) == (None if found is None else found.weight or work.JOBS)


def test_the_shipped_reference_is_of_rules_of_the_workflow_in_their_units():
    known = read_reference(SHIPPED)
    assert known.keys() <= rules_of_the_workflow()
    weights = {rule: weight_of(rule) or work.JOBS for rule in known}
    assert {rule: each.unit for rule, each in known.items()} == {rule: kind.unit for rule, kind in weights.items()}


def plan(site: Site, tmp_path: Path, targets=("all",), jobs_at_once=None):
    (tmp_path / "empty.yaml").write_text("rules: {}")
    known = Experience(tmp_path / "logs" / "demo", weight_of, 20.0, tmp_path / "empty.yaml")
    return make_plan(site, known, targets, 20.0, jobs_at_once)


def test_a_plan_sums_up_what_is_to_run(make, tmp_path):
    jobs = [
        ("build_manifest", "rounded,dashed"),
        ("build_manifest", "rounded"),
        ("certify", "rounded"),
        ("all", "rounded"),
    ]
    site = make(parse_dot(dot(jobs, [(0, 2), (1, 2), (2, 3)])))
    write_costs(tmp_path / "logs" / "demo", "build_manifest/a", 7200.0, cpu_seconds=3600.0, output_bytes=500)
    made = plan(site, tmp_path, jobs_at_once=2)
    assert list(made.rules) == ["build_manifest", "certify", "all"]
    frames = made.rules["build_manifest"]
    assert (frames.jobs, frames.to_run, frames.cpu_hours, frames.bytes, frames.work) == (2, 1, 1.0, 500.0, 40_000.0)
    assert made.rules["certify"].unknown_hours == 1
    assert made.rules["all"].basis == TARGET
    assert (made.totals.jobs, made.totals.to_run, made.totals.cpu_hours) == (4, 3, 1.0)
    assert made.totals.at_least
    assert made.totals.bytes_at_least
    assert (made.chain, made.chain_hours, made.wall_hours) == (("build_manifest", "certify", "all"), 2.0, 2.0)
    assert made.free_bytes > 0
    assert mean_work(site) == {"build_manifest": 20_000.0, "certify": 1.0, "all": 1.0}


def test_a_plan_says_what_was_sampled(make, tmp_path):
    write_clip(tmp_path / "videos" / "a.mp4", frames=5)
    site = make(chain("extract_frames", "all"), f"data: {{root: {tmp_path}/videos}}\nprivacy: {{what: [faces]}}")
    write_lists([Listed("a", "a.mp4", "", "train", 1000, 0)], site.results / "lists", 1)
    made = plan(site, tmp_path)
    assert made.rules["extract_frames"].basis == "hours unknown; bytes by a sample of the videos"
    assert (made.rules["extract_frames"].unknown_hours, made.rules["extract_frames"].unknown_bytes) == (1, 0)
    assert made.sampled == ("48 pictures of 1 of 1 videos",)
    assert "The sample: 48 pictures of 1 of 1 videos." in describe(made).splitlines()


def test_a_rule_that_was_asked_for_by_name_and_does_something_is_no_target(make, tmp_path):
    site = make(chain("get_footage", "make_actions"))
    write_costs(tmp_path / "logs" / "demo", "make_actions", 3600.0)
    made = plan(site, tmp_path, targets=("make_actions",))
    assert made.rules["make_actions"].cpu_hours == 1.0
    assert made.rules["get_footage"].unknown_hours == 1


def test_one_rule_on_both_kinds_of_device(make, tmp_path):
    jobs = [(r"detect_people\nwhat: faces", "rounded"), (r"detect_people\nwhat: bodies", "rounded")]
    site = make(parse_dot(dot(jobs, [])), "privacy: {detect: {bodies: {detector: maskrcnn, device: cuda}}}")
    write_costs(tmp_path / "logs" / "demo", "detect_people/faces/a", 3600.0)
    write_costs(tmp_path / "logs" / "demo", "detect_people/bodies/a", 7200.0, gpu_seconds=7200.0)
    found = plan(site, tmp_path).rules["detect_people"]
    assert (found.cpu_hours, found.gpu_hours, found.gpu_jobs, found.hours) == (1.0, 2.0, 1, 3.0)
