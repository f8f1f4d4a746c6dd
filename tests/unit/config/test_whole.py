"""The shipped configuration, its schema, its error messages, and what of it each task reads."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config.base import parse
from pipeline.config.tasks.privacy import DetectPeople, ExtractFrames
from pipeline.config.whole import Config, load, schema
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import canonical
from pipeline.tasks import TASKS, task_settings
from tests import PROJECT

SHIPPED: dict[str, Any] = json.loads(
    json.dumps(yaml.safe_load((PROJECT / "config.yaml").read_text()))
)  # without shared parts
GONE = object()


def changed(path: str, value: Any) -> dict[str, Any]:
    """The shipped configuration with one key set, or removed when ``value`` is GONE."""
    content = copy.deepcopy(SHIPPED)
    *folders, last = path.split(".")
    part = content
    for key in folders:
        part = part[key]
    if value is GONE:
        del part[last]
    else:
        part[last] = value
    return content


def mistake(content: Any) -> str:
    with pytest.raises(ActaError) as caught:
        parse(Config, content, "config.yaml")
    return str(caught.value)


# ---- the shipped files


def test_shipped_configuration_is_valid(config: Config) -> None:
    assert config.dataset == "demo"
    assert config.privacy.what == ("faces", "bodies")


def test_checked_in_schema_is_that_of_the_classes() -> None:
    assert (PROJECT / "workflow/schemas/config.schema.json").read_text() == schema()


def properties(node: dict[str, Any], definitions: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Every key of a JSON schema as (path, description); a key that is a group of keys may be described as such."""
    for key, entry in node.get("properties", {}).items():
        groups = [part["$ref"] for part in (entry, *entry.get("anyOf", ())) if "$ref" in part]  # a group or null
        target = definitions[groups[0].rpartition("/")[2]] if groups else {}
        where = f"{path}.{key}".lstrip(".")
        yield where, entry.get("description") or target.get("description", "")
        yield from properties(target, definitions, where)
        every = entry.get("additionalProperties")  # a mapping with names of the person's own, or of classes
        for named in (*entry.get("patternProperties", {}).values(), *([every] if isinstance(every, dict) else [])):
            if "$ref" in named:
                yield from properties(definitions[named["$ref"].rpartition("/")[2]], definitions, f"{where}.*")
            else:
                yield f"{where}.*", entry.get("description", "")


def test_every_key_is_described_in_the_schema() -> None:
    content = json.loads(schema())
    described = dict(properties(content, content["$defs"]))
    assert described["privacy.obfuscate.faces.enlarge"].startswith("Factor on the box's sides")
    assert [path for path, text in described.items() if len(text) < 8] == []


def test_schema_knows_every_key_of_the_shipped_file() -> None:
    content = json.loads(schema())
    known = {path for path, _ in properties(content, content["$defs"])}
    own = r"^(classify\.(?:splits|strategies|recipes)|shrink\.plans|detect\.(?:features|networks|data\.boxes)|"
    own += r"spot\.(?:data\.splits|features|networks|highlights\.(?:padding|weights)))\.[^.]+"
    shipped = {re.sub(own, r"\1.*", path) for path, _ in leaves(SHIPPED)}
    # A network of Chapter 4 is what differs from `spot.network`, by its keys.
    assert {re.sub(r"^spot\.networks\.\*\.", "spot.network.", path) for path in shipped} <= known


# ---- mistakes


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("frames.jpg_quality", "jpeg_quality"),
        ("privacy.detect.faces.thresholds", "threshold"),
        ("privacy.obfuscate.bodies.filtre", "filter"),
        ("contact_sheet.video", "videos"),
        ("dat", "data"),
    ],
)
def test_unknown_key_names_the_nearest_known_one(path: str, near: str) -> None:
    message = mistake(changed(path, 73))
    assert message.startswith(f"config.yaml: unknown key {path!r} (value 73). Did you mean {near!r}? Known keys here: ")


def test_unknown_key_that_is_near_to_none_lists_what_is_known() -> None:
    message = mistake(changed("frames.zzz", 1))
    assert message == "config.yaml: unknown key 'frames.zzz' (value 1). Known keys here: jpeg_quality, size."


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("frames.jpeg_quality", 0, "'frames.jpeg_quality' is 0: input should be greater than or equal to 1."),
        ("frames.jpeg_quality", 101, "'frames.jpeg_quality' is 101: input should be less than or equal to 100."),
        ("frames.size", 8, "'frames.size' is 8: input should be greater than or equal to 16."),
        ("frames.size", [128, 8], "'frames.size.1' is 8: input should be greater than or equal to 16."),
        ("sampling.rate", 0, "'sampling.rate' is 0: input should be greater than 0."),
        ("sampling.rate", float("inf"), "'sampling.rate' is Infinity: input should be a finite number."),
        ("data.shards", 0, "'data.shards' is 0: input should be greater than or equal to 1."),
        ("data.max_bad_fraction", 1.5, "'data.max_bad_fraction' is 1.5: input should be less than or equal to 1."),
        (
            "privacy.obfuscate.faces.enlarge",
            0.5,
            "'privacy.obfuscate.faces.enlarge' is 0.5: input should be greater than or equal to 1.",
        ),
        (
            "privacy.audit.faces.retinaface",
            2,
            "'privacy.audit.faces.retinaface' is 2: input should be less than or equal to 1.",
        ),
        ("privacy.what", [], "'privacy.what' is []: tuple should have at least 1 item after validation, not 0."),
        ("dataset", "../x", """'dataset' is "../x": string should match pattern"""),
    ],
)
def test_out_of_range(path: str, value: Any, said: str) -> None:
    assert said in mistake(changed(path, value))


def test_rate_that_is_not_a_number_is_refused() -> None:
    assert "'sampling.rate' is NaN" in mistake(changed("sampling.rate", float("nan")))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("frames.jpeg_quality", "90", """'frames.jpeg_quality' is "90": input should be a valid integer."""),
        ("frames.jpeg_quality", None, "'frames.jpeg_quality' is null: input should be a valid integer."),
        ("data.shards", True, "'data.shards' is true: input should be a valid integer."),
        ("data.shards", 2.5, "'data.shards' is 2.5: input should be a valid integer"),
        ("sampling.rate", "fast", """'sampling.rate' is "fast": input should be a valid number."""),
        ("data.root", 3, "'data.root' is 3: input should be a valid string."),
        ("data", 3, "'data' is 3: input should be an object."),
        ("privacy.what", "faces", """'privacy.what' is "faces": input should be a valid array."""),
        (
            "privacy.detect.faces.detector",
            "yolo",
            """'privacy.detect.faces.detector' is "yolo": input should be 'retinaface', 'centerface', 'maskrcnn', """
            "'ssdlite', 'selfie' or 'onnx'.",
        ),
        (
            "privacy.obfuscate.faces.filter",
            "Blur",
            """'privacy.obfuscate.faces.filter' is "Blur": input should be 'blur', 'pixelate', 'solid' or 'frame'.""",
        ),
    ],
)
def test_wrong_type_or_choice(path: str, value: Any, said: str) -> None:
    assert said in mistake(changed(path, value))


@pytest.mark.parametrize("path", ["data", "frames.jpeg_quality", "privacy.detect.bodies.fill_gap", "privacy.audit"])
def test_missing_key(path: str) -> None:
    assert mistake(changed(path, GONE)).startswith(f"config.yaml: missing key {path!r}")


def test_every_mistake_is_named_at_once() -> None:
    content = changed("frames.jpeg_quality", 0) | {"sampling": {"rate": -1}}
    assert [line.split(" is ")[0] for line in mistake(content).splitlines()] == [
        "config.yaml: 'sampling.rate'",
        "'frames.jpeg_quality'",
    ]


def test_long_value_is_shortened() -> None:
    assert len(mistake(changed("frames.jpeg_quality", "9" * 1000))) < 250


@pytest.mark.parametrize(
    ("what", "detector"), [("faces", "retinaface"), ("faces", "centerface"), ("bodies", "maskrcnn")]
)
def test_auditor_must_not_be_the_detector(what: str, detector: str) -> None:
    content = changed(f"privacy.detect.{what}.detector", detector)
    content["privacy"]["audit"][what] = {"pose": 0.5, detector: 0.5}
    assert f"audit.{what} uses {detector!r}, which also made the detections: choose another auditor" in mistake(content)


@pytest.mark.parametrize("detector", ["retinaface", "centerface"])
def test_auditor_of_bodies_must_not_be_the_detector_of_the_faces_that_go_with_them(detector: str) -> None:
    content = changed("privacy.detect.faces.detector", detector)
    content["privacy"] |= {"what": ["bodies"]}
    content["privacy"]["audit"]["bodies"] = {"pose": 0.5, detector: 0.5}
    assert f"audit.bodies uses {detector!r}, which also made the detections" in mistake(content)
    content["privacy"]["audit"]["bodies"] = {"pose": 0.5}
    assert parse(Config, content).privacy.detect.faces.detector == detector


def test_auditor_of_a_variant_that_is_not_made_is_free() -> None:
    content = changed("privacy.what", ["bodies"])
    content["privacy"]["audit"]["faces"] = {"retinaface": 0.5}
    assert parse(Config, content).privacy.what == ("bodies",)


def test_variant_named_twice() -> None:
    assert "`what` names a variant twice: ['faces', 'faces']" in mistake(changed("privacy.what", ["faces", "faces"]))


@pytest.mark.parametrize("adapter", ["ucf101", "hmdb51", "kinetics400"])
def test_adapter_with_annotation_files_needs_them(adapter: str) -> None:
    assert f"adapter {adapter!r} needs `annotations`" in mistake(changed("data.adapter", adapter))


def test_unknown_key_of_a_task_names_the_nearest_known_one(config: Config) -> None:
    content = json.loads(canonical(task_settings(config, "detect_people", what="faces")))
    content["detect"]["thresholds"] = 0.3
    with pytest.raises(ActaError, match="Did you mean 'threshold'"):
        parse(DetectPeople, content)


def test_search_for_bodies_also_reads_how_faces_are_found(config: Config) -> None:
    faces, bodies = (config.privacy.detect.search(what) for what in ("faces", "bodies"))
    shipped = config.privacy.detect
    assert faces.model_dump() == shipped.faces.model_dump() | {"faces": None}
    kept = ("detector", "weights", "threshold", "long_side", "device")
    assert bodies.model_dump() == shipped.bodies.model_dump() | {
        "faces": {key: value for key, value in shipped.faces.model_dump().items() if key in kept}
    }


@pytest.mark.parametrize(
    ("bodies", "faces", "side"),
    [(640, 1280, 1280), (1280, 640, 1280), (None, 640, None), (640, None, None), (None, None, None)],
)
def test_picture_searched_for_bodies_is_as_large_as_either_detector_asks(
    bodies: int | None, faces: int | None, side: int | None
) -> None:
    content = changed("privacy.detect.bodies.long_side", bodies)
    content["privacy"]["detect"]["faces"]["long_side"] = faces
    detect = parse(Config, content).privacy.detect
    assert detect.search("bodies").picture_side == side
    assert detect.search("faces").picture_side == faces
    assert [network.long_side for network in detect.search("bodies").networks] == [bodies, faces]
    assert [network.long_side for network in detect.search("faces").networks] == [faces]


@pytest.mark.parametrize(
    ("bodies", "faces", "larger"),
    [(640, 1280, [1920, 3840]), (None, 1280, [None, 3840]), (640, None, [1920, None]), (None, None, [None, None])],
)
def test_search_in_a_larger_picture_is_larger_for_each_network(
    bodies: int | None, faces: int | None, larger: list[int | None]
) -> None:
    content = changed("privacy.detect.bodies.long_side", bodies)
    content["privacy"]["detect"]["faces"]["long_side"] = faces
    detect = parse(Config, content).privacy.detect
    for what, sides in (("bodies", larger), ("faces", larger[1:])):
        search = detect.search(what)
        scaled = search.scaled(3)
        assert [network.long_side for network in scaled.networks] == sides
        assert scaled.scaled(1) == scaled
        assert scaled.model_dump(exclude={"long_side": True, "faces": {"long_side"}}) == search.model_dump(
            exclude={"long_side": True, "faces": {"long_side"}}
        )


@pytest.mark.parametrize(
    ("bodies", "faces", "on_gpu"),
    [("cpu", "cpu", [False, False]), ("cuda", "cpu", [True, False]), ("cpu", "cuda", [True, True])],
)
def test_search_uses_a_gpu_if_any_of_its_networks_does(bodies: str, faces: str, on_gpu: list[bool]) -> None:
    content = changed("privacy.detect.bodies.device", bodies)
    content["privacy"]["detect"]["faces"]["device"] = faces
    detect = parse(Config, content).privacy.detect
    assert [detect.search("bodies").uses_gpu, detect.search("faces").uses_gpu] == on_gpu


def test_search_for_bodies_without_faces_is_refused(config: Config) -> None:
    content = json.loads(canonical(task_settings(config, "detect_people", what="bodies")))
    content["detect"]["faces"]["detector"] = "selfie"
    with pytest.raises(ActaError, match="detector 'selfie' does not find faces; choose one of retinaface"):
        parse(DetectPeople, content)
    content["detect"]["faces"] = None
    with pytest.raises(ActaError) as caught:
        parse(DetectPeople, content)
    assert str(caught.value).endswith(
        "`detect.faces` is null, but for what: bodies it must say how the faces are found that are hidden with them, "
        "by the keys detector, weights, threshold, long_side, device."
    )


def test_search_for_faces_finds_them_once(config: Config) -> None:
    content = json.loads(canonical(task_settings(config, "detect_people", what="bodies")))
    content |= {"what": "faces"}
    content["detect"]["detector"] = "retinaface"
    with pytest.raises(ActaError) as caught:
        parse(DetectPeople, content)
    assert str(caught.value).endswith(
        "`detect.faces` names the detector 'centerface', but for what: faces it must be null, as `detect` itself says "
        "how faces are found."
    )


def test_settings_that_are_not_json() -> None:
    with pytest.raises(ActaError, match=r"--settings: invalid JSON"):
        parse(ExtractFrames, "{", "--settings")


# ---- files


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"frames: [1", "is not valid YAML"),
        (b"", "must hold keys and values, but holds NoneType"),
        (b"- a\n- b\n", "must hold keys and values, but holds list"),
        (b"# k\xe9\ndataset: demo\n", "config.yaml"),
        (b"dataset: 2024-01-01\n", "missing key 'data'"),
    ],
    ids=["no YAML", "empty", "list", "not UTF-8", "a date"],
)
def test_file_that_is_no_configuration(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ActaError) as caught:
        load(path)
    assert said in str(caught.value)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match=r"cannot read the configuration .*none\.yaml: No such file or directory"):
        load(tmp_path / "none.yaml")


# ---- canonical text


def turned_around(value: Any) -> Any:
    """The same mappings with their keys in the opposite order."""
    if isinstance(value, dict):
        return {key: turned_around(value[key]) for key in reversed(value)}
    return value


def test_canonical_text_does_not_depend_on_the_order_of_keys(config: Config) -> None:
    assert canonical(parse(Config, turned_around(SHIPPED))) == canonical(config)


@pytest.mark.parametrize(
    ("path", "whole"),
    [
        ("sampling.rate", 25),
        ("privacy.obfuscate.faces.enlarge", 2),
        ("privacy.obfuscate.faces.kernel", 1),
        ("privacy.audit.bodies.pose", 1),
        ("privacy.detect.faces.threshold", 0),
    ],
)
def test_canonical_text_does_not_depend_on_how_a_number_is_written(path: str, whole: int) -> None:
    texts = [canonical(parse(Config, changed(path, value))) for value in (whole, float(whole))]
    assert texts[0] == texts[1]


def test_canonical_text_is_sorted_and_compact() -> None:
    settings = parse(ExtractFrames, {"sampling": {"rate": 25}, "frames": {"size": [128, 171], "jpeg_quality": 90}})
    assert canonical(settings) == '{"frames":{"jpeg_quality":90,"size":[128,171]},"sampling":{"rate":25.0}}'


# ---- what each task reads

RECIPES, STRATEGIES = ("r2plus1d", "r3d", "r2plus1d_deep", "slowfast"), ("cross_entropy", "kd", "kd_rkd")
TRAIN = {(r, s): ("train_classifier", f"{r} {s}") for r in RECIPES for s in STRATEGIES}
EVALUATE = {r: ("evaluate_classifier", f"{r} kd") for r in RECIPES}
# tests/unit/config/test_shrink.py has their table.
CH_6 = (
    "try_hypothesis",
    "store_teacher_logits",
    "select_hypothesis",
    "halve_hypotheses",
    "export_network",
    "draw_shrinkage",
)
# tests/unit/config/test_detect.py has theirs.
CH_3 = (
    "train_detector",
    "detect_objects",
    "train_backbone",
    "extract_actor_features",
    "import_actor_features",
    "import_objects",
)
CH_3 += ("train_stage", "evaluate_stage", "draw_detection")
# tests/unit/config/test_spot.py has theirs.
CH_4 = (
    "build_game",
    "extract_game_frames",
    "extract_frame_features",
    "fit_pca",
    "train_spotter",
    "predict_spots",
    "count_votes",
)
CH_4 += ("evaluate_spots", "cut_highlights", "draw_spotting")
# They tell of the whole configuration, or of what the tables' `differs` compares with the thesis.
TELLING = ("report_overview", "draw_classification", "draw_architecture")
BY_NAME = {*TRAIN.values(), *EVALUATE.values()}
OF_PEOPLE = ("detect_people", "obfuscate", "audit")
BEYOND = {*OF_PEOPLE, "train_classifier", "evaluate_classifier", *CH_3, *CH_4, *CH_6, *TELLING}
READERS = [
    *((name, None) for name, task in TASKS.items() if task.settings and name not in BEYOND),
    *((task, what) for task in OF_PEOPLE for what in ("faces", "bodies")),
    *sorted(BY_NAME),
]
FRAMES, SHEETS = ("extract_frames", None), {("draw_contact_sheet", None), ("draw_face_sample", None)}
DETECT = {what: ("detect_people", what) for what in ("faces", "bodies")}
OBFUSCATE = {what: ("obfuscate", what) for what in ("faces", "bodies")}
AUDIT = {what: ("audit", what) for what in ("faces", "bodies")}

READ_BY: list[tuple[str, Any, set[tuple[str, str | None]]]] = [
    ("dataset", "other", set()),
    ("data.adapter", "folder", set()),
    ("data.root", "elsewhere", set()),
    ("data.annotations", "lists", set()),
    ("data.shards", 7, set()),
    ("data.max_bad_fraction", 0.5, set()),
    ("sampling.rate", 25, {FRAMES, DETECT["faces"], DETECT["bodies"], *TRAIN.values()}),
    ("frames.size", 96, {FRAMES}),
    ("frames.jpeg_quality", 75, {FRAMES}),
    ("privacy.what", ["bodies"], set()),
    ("contact_sheet.videos", 1, SHEETS),
    ("contact_sheet.frames", 1, SHEETS),
    ("report.targets", ["all"], set()),
    ("report.show_originals", True, set()),
    ("privacy.detect.faces.detector", "onnx", {*DETECT.values()}),
    ("privacy.detect.bodies.detector", "onnx", {DETECT["bodies"]}),
    ("privacy.audit.faces.retinaface", 0.9, {AUDIT["faces"]}),
    ("privacy.audit.bodies.pose", 0.9, {AUDIT["bodies"]}),
    ("privacy.audit.bodies.retinaface", 0.9, {AUDIT["bodies"]}),
    ("classify.splits.split1.train", "train1", BY_NAME),
    ("classify.splits.split1.test", "val", BY_NAME),
    ("classify.classes", "classes.txt", {*TRAIN.values()}),
    ("classify.test_clips", 10, {*EVALUATE.values()}),
    ("classify.recipe", "r3d", set()),
    ("classify.compare", ["r3d"], set()),
    ("classify.strategies.cross_entropy.temperature", 2, {TRAIN[r, "cross_entropy"] for r in RECIPES}),
    *(
        (f"classify.strategies.{name}.{key}", value, {TRAIN[r, name] for r in RECIPES})
        for name in ("kd", "kd_rkd")
        for key, value in [("teacher", "faces"), ("kd", 1), ("rkd", 1), ("temperature", 2)]
    ),
    *(
        (f"classify.training.{key}", value, {*TRAIN.values()} | (both if key in ("device", "threads") else set()))
        for both in [BY_NAME]
        for key, value in [
            ("epochs", 45),
            ("momentum", 0.5),
            ("weight_decay", 0),
            ("precision", "float64"),
            ("device", "cuda"),
            ("threads", 2),
            ("seed", 2),
        ]
    ),
    *(
        (
            f"classify.recipes.{name}.{key}",
            value,
            {TRAIN[name, s] for s in STRATEGIES}
            | ({EVALUATE[name]} if key in ("micro_batch", "clip.short_videos") else set()),
        )
        for name in RECIPES
        for key, value in [
            ("backbone.name", "slowfast_4x16_r50"),
            ("backbone.width", 1),
            ("backbone.blocks", None),
            ("backbone.dropout", 0.5),
            ("clip.frames", 12),
            ("clip.view.short_side", [50, 60]) if name == "slowfast" else ("clip.view.size", [50, 60]),
            ("clip.view.crop", 32),
            ("clip.train_clips", 1),
            ("clip.flip", False),
            ("clip.short_videos", "drop"),
            ("batch", 64),
            ("micro_batch", 4),
            ("learning_rate", 1),
            ("warmup_epochs", 5),
            ("schedule", "step"),
            ("step_epochs", 5),
            ("initial", "model.safetensors"),
        ]
    ),
    *(
        # The search for bodies finds faces too, in frames of its own choice.
        (f"privacy.detect.{what}.{key}", value, {DETECT[what]} | ({DETECT["bodies"]} if shared else set()))
        for what in ("faces", "bodies")
        for key, value, shared in [
            ("weights", "mine.onnx", True),
            ("threshold", 0.9, True),
            ("long_side", 320, True),
            ("device", "cuda", True),
            ("interval", 0.5, False),
            ("search_rotated", True, False),
            ("fill_gap", 0, False),
        ]
    ),
    *(
        (f"privacy.obfuscate.{what}.{key}", value, {OBFUSCATE[what]})
        for what in ("faces", "bodies")
        for key, value in [
            ("filter", "solid"),
            ("shape", "ellipse"),
            ("enlarge", 3),
            ("kernel", 0.5),
            ("blocks", 9),
            ("jpeg_quality", 75),
        ]
    ),
]


def leaves(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        where = f"{path}.{key}".lstrip(".")
        if isinstance(value, dict) and not where.startswith("privacy.audit."):
            yield from leaves(value, where)
        else:
            yield where, value


def texts(config: Config) -> dict[tuple[str, str | None], str]:
    return {reader: canonical(settings_of(config, reader)) for reader in READERS}


def settings_of(config: Config, reader: tuple[str, Any]) -> Any:
    """What the workflow gives to a reader."""
    task, name = reader
    if name is None:
        return task_settings(config, task)
    if task in OF_PEOPLE:
        return task_settings(config, task, what=name)
    recipe, strategy = name.split()
    names = {"split": "split1", "recipe": recipe, "strategy": strategy}
    return task_settings(config, task, **{asked: names[asked] for asked in TASKS[task].asked if asked in names})


@pytest.mark.parametrize(("path", "value", "readers"), READ_BY, ids=[row[0] for row in READ_BY])
def test_task_reads_its_own_part_only(
    config: Config, path: str, value: Any, readers: set[tuple[str, str | None]]
) -> None:
    before, after = texts(config), texts(parse(Config, changed(path, value)))
    assert {reader for reader in READERS if before[reader] != after[reader]} == readers


def test_every_key_is_tried_above() -> None:
    tried = {path for path, _, _ in READ_BY}
    # Another value of these alone would be a mistake.
    tried |= {f"classify.strategies.cross_entropy.{key}" for key in ("teacher", "kd", "rkd")}
    tried |= {f"classify.recipes.{name}.clip.view.{key}" for name in RECIPES for key in ("size", "short_side")}
    others = ("detect.", "shrink.", "spot.")
    assert [
        p
        for p, _ in leaves(SHIPPED)
        if p not in tried and not any(t.startswith(f"{p}.") for t in tried) and not p.startswith(others)
    ] == []


@pytest.mark.parametrize("reader", READERS, ids=[f"{task}-{what}" for task, what in READERS])
def test_task_takes_the_settings_that_the_workflow_gives_it(config: Config, reader: tuple[str, Any]) -> None:
    text = canonical(settings_of(config, reader))
    settings = parse(TASKS[reader[0]].settings, text)
    assert settings == settings_of(config, reader)
    assert canonical(settings) == text


@pytest.mark.parametrize("task", ["build_manifest", "certify", "draw_sensitive_information"])
def test_task_without_settings_reads_nothing(config: Config, task: str) -> None:
    assert TASKS[task].settings is None
    assert task_settings(config, task) is None


def test_every_task_with_settings_is_tried_here_or_in_the_test_of_its_chapter() -> None:
    tried = {task for task, _ in READERS} | {*CH_3, *CH_4, *CH_6, *TELLING}
    assert {name for name, task in TASKS.items() if task.settings} == tried
