"""What each task of Chapter 4 reads of the configuration, what reruns after a change, and what is refused."""

import copy
import json
import re
from typing import Any

import pytest
import yaml

from pipeline.config.base import merged, parse
from pipeline.config.tasks.spot import imported_features
from pipeline.config.whole import Config
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import canonical
from pipeline.tasks import TASKS, task_settings
from tests import PROJECT
from tests.unit.config.keys import leaves

SHIPPED: dict[str, Any] = json.loads(json.dumps(yaml.safe_load((PROJECT / "config.yaml").read_text())))
SHIPPED_CONFIG = parse(Config, SHIPPED)
SPOT = SHIPPED["spot"]
NETWORKS: dict[str, dict[str, Any]] = SPOT["networks"]
FEATURES = SPOT["features"]["mobilenet"]
RELEASED = FEATURES | {"imported": "ResNET_PCA512.npy", "backbone": None, "pca": None}
MASKING = {"probability": 0.5, "max_offset": 0.5, "side": "before"}
FINETUNED = "finetuned_mobilenet_v2"
TRAIN, PREDICT = {("train", name) for name in NETWORKS}, {("predict", name) for name in NETWORKS}
PICTURES = {("train", FINETUNED)}


def changed(path: str, value: Any) -> Config:
    """The shipped configuration with one key below ``spot`` set."""
    content = copy.deepcopy(SHIPPED)
    *folders, last = f"spot.{path}".split(".")
    part = content
    for key in folders:
        part = part.setdefault(key, {})
    part[last] = value
    return parse(Config, content, "config.yaml")


def over(changes: dict[str, Any]) -> Config:
    """The shipped configuration with an overlay's ``spot`` on it."""
    return parse(Config, merged(SHIPPED, {"spot": changes}), "config.yaml")


def texts(config: Config) -> dict[Any, str]:
    """By reader what it reads."""
    found: dict[Any, Any] = {
        "game": task_settings(config, "build_game"),
        "frames": task_settings(config, "extract_game_frames"),
        "features": task_settings(config, "extract_frame_features", features="mobilenet"),
        "pca": task_settings(config, "fit_pca", features="mobilenet"),
        "evaluate": task_settings(config, "evaluate_spots", split="test"),
        "highlights": task_settings(config, "cut_highlights"),
        "report": task_settings(config, "draw_spotting"),
    }
    for network in config.spot.spotters:
        found["train", network] = task_settings(config, "train_spotter", network=network, seed="1")
        found["predict", network] = task_settings(config, "predict_spots", network=network, split="test")
    return {reader: canonical(settings) for reader, settings in found.items()}


def rerun(after: Config) -> set[Any]:
    """Readers to which the shipped configuration says something else."""
    told, tells = texts(SHIPPED_CONFIG), texts(after)
    return {reader for reader in told if told[reader] != tells[reader]}


def without(*own: str, among: set[Any]) -> set[Any]:
    """The readers whose network does not set one of these keys by itself."""
    return {(kind, name) for kind, name in among if NETWORKS[name].keys().isdisjoint(own)}


def masked(own: str) -> set[Any]:
    """The trainings whose network takes this key of the masking from `network`."""
    masking = {name: NETWORKS[name].get("masking", {}) for name in NETWORKS}
    return {("train", name) for name, changes in masking.items() if changes is not None and own not in changes}


NOT_FINETUNED = (TRAIN | PREDICT) - {("train", FINETUNED), ("predict", FINETUNED)}
READ_BY: list[tuple[str, Any, set[Any]]] = [
    ("data.root", "elsewhere", set()),
    ("data.adapter", "soccernet", set()),
    ("data.splits.train", "other.json", set()),
    ("data.version", 2, {"game", "evaluate", "highlights", "report", *TRAIN}),
    ("data.videos", "224p.mkv", {"game"}),
    ("data.use_video_ini", False, {"game"}),
    ("data.max_bad_fraction", 0.5, set()),
    ("frames.convert", None, {"frames", *PICTURES}),
    ("frames.rate", 4.0, {"game", "frames", "report", *TRAIN}),
    ("frames.stored.size", 96, {"frames", *PICTURES}),
    ("frames.stored.jpeg_quality", 75, {"frames", *PICTURES}),
    ("splits.train", ["train", "valid"], {"pca", "report", *TRAIN}),
    ("splits.validation", "train", {"game", "report", *TRAIN}),
    ("splits.test", "valid", {"game", "report"}),
    ("splits.submitted", "valid", set()),
    ("features.mobilenet.backbone.name", "resnet18", {"features"}),
    ("features.mobilenet.backbone.weights", "mine.pth", {"features"}),
    ("features.mobilenet.crop", 96, {"features"}),
    ("features.mobilenet.pca", 32, {"pca"}),
    ("features.mobilenet.batch", 4, {"features"}),
    ("features.mobilenet.precision", "bfloat16", {"features"}),
    ("features.mobilenet.device", "cuda", {"features"}),
    ("features.mobilenet.threads", 2, {"features"}),
    ("features.other", RELEASED, {"game"}),
    ("features.other", FEATURES, set()),
    ("seeds", [1, 2], {"report"}),
    ("network.projection", 32, TRAIN | {"report"}),
    ("network.convolutions", [32, 32], TRAIN | {"report"}),
    ("network.kernel", 5, TRAIN | {"report"}),
    ("network.dropout", 0.5, TRAIN | {"report"}),
    ("network.hidden", 16, TRAIN | {"report"}),
    ("network.clip", 21, without("clip", among=TRAIN) | {"report"}),
    ("network.regression", False, without("regression", among=TRAIN) | {"report"}),
    ("network.regression_weight", 7.0, without("regression_weight", among=TRAIN) | {"report"}),
    ("network.masking.probability", 0.9, masked("probability") | {"report"}),
    ("network.masking.max_offset", 0.9, masked("max_offset") | {"report"}),
    ("network.masking.side", "after", masked("side") | {"report"}),
    ("network.sampling.foreground", 30, (TRAIN - PICTURES) | {"report"}),
    ("network.sampling.background", 30, (TRAIN - PICTURES) | {"report"}),
    ("network.sampling.frequent_above", 30, TRAIN | {"report"}),
    ("network.sampling.frequent_divisor", 2, TRAIN | {"report"}),
    ("network.sampling.rare_below", 2, TRAIN | {"report"}),
    ("network.sampling.rare_factor", 2, TRAIN | {"report"}),
    ("network.sampling.halftime_substitutions", True, TRAIN | {"report"}),
    ("network.sampling.margin", None, TRAIN | {"report"}),
    ("network.training.batch", 128, (TRAIN - PICTURES) | {"report"}),
    ("network.training.micro_batch", 32, NOT_FINETUNED | {"report"}),
    ("network.training.epochs", 5, (TRAIN - PICTURES) | {"report"}),
    ("network.training.patience", 2, (TRAIN - PICTURES) | {"report"}),
    ("network.training.learning_rate", 1, (TRAIN - PICTURES) | {"report"}),
    ("network.training.warmup_epochs", 0, TRAIN | {"report"}),
    ("network.training.momentum", 0, TRAIN | {"report"}),
    ("network.training.weight_decay", 0, TRAIN | {"report"}),
    ("network.training.precision", "float64", TRAIN | {"report"}),
    ("network.training.deterministic", True, TRAIN),
    ("network.training.recompute_activations", True, TRAIN),
    ("network.training.device", "cuda", TRAIN | PREDICT),
    ("network.training.threads", 2, TRAIN | PREDICT),
    # The training validates so, and the model file remembers it.
    ("network.inference.stride", 4, TRAIN | PREDICT | {"report"}),
    ("network.inference.nms", 15.0, TRAIN | PREDICT | {"report"}),
    ("network.seeds", [4], {"report"}),
    ("networks.p_1.masking.probability", 0.9, {("train", "p_1"), "report"}),
    ("networks.p_1.seeds", [1, 2], {"report"}),
    ("networks.p_1.hidden", 16, {("train", "p_1"), "report"}),
    ("networks.p_1.inference.nms", 15.0, {("train", "p_1"), ("predict", "p_1"), "report"}),
    ("networks.clip_11.clip", 13, {("train", "clip_11"), "report"}),
    ("networks.other", {}, {"report"}),
    (f"networks.{FINETUNED}.backbone.name", "resnet18", {*PICTURES, "report"}),
    (f"networks.{FINETUNED}.backbone.weights", "mine.pth", PICTURES),
    (f"networks.{FINETUNED}.backbone.trainable", "none", {*PICTURES, "report"}),
    (f"networks.{FINETUNED}.backbone.frames_at_once", 8, PICTURES),
    (f"networks.{FINETUNED}.training.micro_batch", 4, {*PICTURES, ("predict", FINETUNED), "report"}),
    ("main_network", "p_1", set()),
    ("highlights.length", None, {"highlights"}),
    ("highlights.padding.card.before", 1.0, {"highlights"}),
    ("highlights.padding.Foul", {"before": 1.0, "after": 1.0}, {"highlights"}),
    ("highlights.default_padding.before", 1.0, {"highlights"}),
    ("highlights.default_padding.after", 1.0, {"highlights"}),
    ("highlights.weights.soccer", 1.0, {"highlights"}),
    ("highlights.min_confidence", 0.5, {"highlights"}),
    ("highlights.overlay", False, {"highlights"}),
    ("tables", ["table_4_2"], set()),
]


@pytest.mark.parametrize(("path", "value", "readers"), READ_BY, ids=[row[0] for row in READ_BY])
def test_task_reads_its_own_part_only(path: str, value: Any, readers: set[Any]) -> None:
    assert rerun(changed(path, value)) == readers


@pytest.mark.parametrize(
    ("changes", "readers"),
    [
        ({"features": {"own": RELEASED}, "network": {"input": "own"}}, (TRAIN - PICTURES) | {"game", "report"}),
        (
            {"networks": {"p_1": {"offsets": "centre", "regression": False, "masking": None}}},
            {("train", "p_1"), "report"},
        ),
        ({"networks": {"no_masking": {"masking": MASKING}}}, {("train", "no_masking"), "report"}),
    ],
    ids=["input", "centred", "masking over none"],
)
def test_keys_that_change_together(changes: dict[str, Any], readers: set[Any]) -> None:
    assert rerun(over(changes)) == readers


def test_a_network_that_is_taken_away_changes_no_other() -> None:
    """But for the report, which lists them."""
    after = over({"networks": {"p_1": None}})
    assert "p_1" not in after.spot.spotters
    before, left = texts(SHIPPED_CONFIG), texts(after)
    assert set(before) - set(left) == {("train", "p_1"), ("predict", "p_1")}
    assert {reader for reader in left if left[reader] != before[reader]} == {"report"}


def test_changes_lie_over_the_network_key_by_key() -> None:
    spotters = SHIPPED_CONFIG.spot.spotters
    whole = spotters["rms_net"]
    assert whole.masking is not None
    assert spotters["after_1"].masking == whole.masking.model_copy(update={"side": "after", "probability": 1.0})
    assert spotters["p_1"].training == whole.training
    assert spotters[FINETUNED].training.momentum == whole.training.momentum


def test_released_features_are_known_by_the_name_of_their_file() -> None:
    other = RELEASED | {"imported": "A.npy"}
    assert imported_features(over({"features": {"b": RELEASED, "a": other, "c": RELEASED}}).spot) == (
        "A.npy",
        "ResNET_PCA512.npy",
    )


def test_every_key_is_tried_above() -> None:
    """Of each mapping with names of the person's own one name is enough."""
    tried = {path for path, _, _ in READ_BY}
    tried |= {"features.mobilenet.imported", "network.input", "network.backbone", "network.offsets"}  # with other keys
    own = r"^(data\.splits|highlights\.(?:padding|weights))\.[^.]+"
    known = {re.sub(own, r"\1.*", path) for path in tried} | {"highlights.padding.*.after"}
    keys = {re.sub(own, r"\1.*", path) for path in leaves(SPOT) if not path.startswith("networks.")}
    assert sorted(keys - known) == []


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("build_game", {}),
        ("extract_game_frames", {}),
        ("extract_frame_features", {"features": "mobilenet"}),
        ("fit_pca", {"features": "mobilenet"}),
        ("train_spotter", {"network": "rms_net", "seed": "1"}),
        ("train_spotter", {"network": FINETUNED, "seed": "1"}),
        ("predict_spots", {"network": "rms_net", "split": "test"}),
        ("count_votes", {"network": "rms_net", "split": "test"}),
        ("evaluate_spots", {"split": "test"}),
        ("cut_highlights", {}),
        ("draw_spotting", {}),
    ],
)
def test_task_takes_the_settings_that_the_workflow_gives_it(config: Config, task: str, names: dict[str, str]) -> None:
    given = task_settings(config, task, **names)
    assert parse(TASKS[task].settings, canonical(given)) == given


def test_seed_and_split_are_read() -> None:
    seeds = [canonical(task_settings(SHIPPED_CONFIG, "train_spotter", network="rms_net", seed=seed)) for seed in "12"]
    assert seeds[0] != seeds[1]
    for task, names in (("predict_spots", {"network": "rms_net"}), ("evaluate_spots", {})):
        splits = [canonical(task_settings(SHIPPED_CONFIG, task, split=s, **names)) for s in ("test", "valid")]
        assert splits[0] != splits[1]


def test_report_says_nothing_of_a_split_that_trains() -> None:
    after = over({"splits": {"train": ["train", "valid", "test"]}})
    report = json.loads(canonical(task_settings(after, "draw_spotting")))
    assert (report["test"], report["validation"]) == (None, None)


def test_features_alone_need_no_videos() -> None:
    after = over(
        {
            "data": {"videos": None, "use_video_ini": False},
            "features": {"mobilenet": None, "released": RELEASED},
            "network": {"input": "released"},
            "networks": {FINETUNED: None},
        }
    )
    assert after.spot.data.videos is None
    assert list(after.spot.features) == ["released"]


# ---- what is refused

MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"networks": {"p_1": {"hiden": 3}}}, "spot.networks.p_1: unknown key 'hiden' (value 3). Did you mean 'hidden'?"),
    (
        {"networks": {"p_1": {"training": {"patience_": 3}}}},
        "spot.networks.p_1: unknown key 'training.patience_' (value 3). Did you mean 'patience'?",
    ),
    ({"networks": {"p_1": {"hidden": 0}}}, "spot.networks.p_1: 'hidden' is 0: input should be greater than or equal"),
    ({"networks": {"P 1": {}}}, "'spot.networks.P 1"),
    (
        {"network": {"masking": None}, "networks": {"rms_net": {"masking": {"side": "after"}}}},
        "spot.networks.rms_net: missing key 'masking.probability'",
    ),
    ({"network": {"kernel": 4}}, "'spot.network' is {"),
    ({"network": {"kernel": 4}}, "`kernel` 4 is not odd"),
    ({"networks": {"p_1": {"kernel": 2}}}, "spot.networks.p_1: `kernel` 2 is not odd"),
    ({"networks": {"p_1": {"input": "frames"}}}, "`input: frames` and a `backbone` need each other"),
    ({"networks": {FINETUNED: {"input": "mobilenet"}}}, "`input: frames` and a `backbone` need each other"),
    ({"networks": {"p_1": {"input": "resnet"}}}, "network 'p_1' has the input 'resnet', which is not among `features`"),
    ({"networks": {"p_1": {"offsets": "centre"}}}, "with `offsets: centre` there is nothing to regress"),
    ({"network": {"training": {"batch": 65}}}, "`batch` 65 is not a multiple of `micro_batch` 64"),
    ({"networks": {FINETUNED: {"training": {"micro_batch": 5}}}}, "`batch` 16 is not a multiple of `micro_batch` 5"),
    ({"main_network": "best"}, "`main_network` 'best' is not among `networks`: rms_net, centred"),
    ({"networks": {"rms_net": None}}, "`main_network` 'rms_net' is not among `networks`: centred"),
    ({"splits": {"train": ["all"]}}, "split 'all' is not among `data.splits`: train, valid, test"),
    ({"splits": {"validation": "val"}}, "split 'val' is not among `data.splits`: train, valid, test"),
    ({"splits": {"test": "tests"}}, "split 'tests' is not among `data.splits`"),
    ({"splits": {"submitted": "challenge"}}, "split 'challenge' is not among `data.splits`"),
    ({"data": {"splits": {"test": None}}}, "split 'test' is not among `data.splits`: train, valid"),
    ({"splits": {"train": []}}, "'spot.splits.train' is []"),
    (
        {"features": {"mobilenet": {"imported": "A.npy"}}},
        "give one of `imported` and `backbone`, and null for the other",
    ),
    ({"features": {"mobilenet": {"backbone": None}}}, "give one of `imported` and `backbone`, and null for the other"),
    ({"features": {"own": RELEASED | {"pca": 512}}}, "`pca` is for the features of a backbone"),
    ({"features": {"mobilenet": None}}, "network 'rms_net' has the input 'mobilenet', which is not among `features`"),
    ({"data": {"videos": None}}, "needs videos, but `data.videos` is null"),
    (
        {"data": {"videos": None}, "networks": {FINETUNED: None}},
        "features 'mobilenet' need videos, but `data.videos` is null",
    ),
    ({"data": {"version": 3}}, "'spot.data.version' is 3"),
    ({"data": {"adapter": "soccer"}}, "'spot.data.adapter' is \"soccer\""),
    ({"frames": {"rate": 0}}, "'spot.frames.rate' is 0"),
    ({"network": {"clip": 1}}, "'spot.network.clip' is 1"),
    ({"network": {"masking": {"probability": 1.5}}}, "'spot.network.masking.probability' is 1.5"),
    ({"network": {"convolutions": [64]}}, "'spot.network.convolutions"),
    ({"highlights": {"weights": {"soccer": -1.0}}}, "'spot.highlights.weights.soccer' is -1.0"),
    ({"highlights": {"lenght": 3}}, "unknown key 'spot.highlights.lenght' (value 3). Did you mean 'length'?"),
    ({"seeds": []}, "'spot.seeds' is []"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES, ids=[message[:60] for _, message in MISTAKES])
def test_mistakes_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ActaError) as caught:
        over(changes)
    assert message in str(caught.value)
    assert not str(caught.value).endswith("..")
