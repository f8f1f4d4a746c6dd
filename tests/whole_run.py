"""``python -m tests.whole_run FOLDER``: a tiny run from two videos to a trained network; what is there already stays.

A process of its own, so that it can be killed at any moment and begun again.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.config.whole import Config

# Worker processes import this module again, so that functions import what they need.
ACTIONS = ["stand", "wave"]
NETWORKS = "detect/networks/i3d/stage/seed_1/model.safetensors"


def prepare(folder: Path) -> None:
    """What a run begins with: the list of the videos, settings, and networks that were never trained."""
    import torch

    from pipeline.config.whole import load
    from pipeline.data.adapters import list_videos
    from pipeline.detect.annotation.ava import write_label_map
    from pipeline.detect.stage_file import StageDescription, save_stage
    from pipeline.media.lists import write_lists
    from pipeline.models.actor_backbones import ActorBackbone, build_actor_backbone, save_actor_backbone
    from pipeline.models.object_detector import ObjectDetector, build_detector, save_detector
    from pipeline.models.stage import Stage
    from pipeline.models.stage_architecture import StageArchitecture

    config = load()
    data = config.data.model_copy(update={"adapter": "folder", "root": str(folder / "videos")})
    write_lists(list_videos(data), folder / "lists", 1)
    content = json.loads(config.model_dump_json())
    content["detect"]["features"]["i3d"]["backbone"]["network"] |= {"width": 0.0625}
    content["detect"]["objects"] |= {"score": 0.0, "person_score": 0.0, "max_detections": 2}
    content["detect"]["frames"] |= {"size": 96}
    content["frames"]["size"] = 96
    (folder / "mine.yaml").write_text(json.dumps(content))
    (folder / "detect/detector").mkdir(parents=True)
    (folder / "detect/backbones/i3d").mkdir(parents=True)
    (folder / NETWORKS).parent.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        detector = ObjectDetector("mobilenet_v2_fpn", ("person", "ball"), 64, 16)
        save_detector(folder / "detect/detector/model.safetensors", build_detector(detector), detector, {})
        backbone = ActorBackbone("i3d", 2, 0.0625, 5)
        path = folder / "detect/backbones/i3d/model.safetensors"
        save_actor_backbone(path, build_actor_backbone(backbone), backbone, ACTIONS, {})
        architecture = StageArchitecture(backbone.feature_size, 16, 2, heads=2)
        about = StageDescription(architecture, ACTIONS, "sigmoid", 6, 1.0, 0.0, {})
        save_stage(folder / NETWORKS, Stage(architecture), about)
    write_label_map(folder / "labels.pbtxt", ACTIONS)


def commands(folder: Path, config: "Config") -> dict[str, list[str]]:
    """The commands of the run by the file that each makes, in their order."""
    from pipeline.config.tasks.detect import DetectObjects, ExtractActorFeatures
    from pipeline.tasks import task_settings
    from tests.networks import train_settings

    [listed] = (folder / "lists").glob("*.json")
    root, found = ["--root", f"{folder}/videos"], ["--detections", f"{folder}/detections.h5"]
    manifest = ["--manifest", f"{folder}/manifest.json"]
    raw, hidden = f"{folder}/none/frames.h5", f"{folder}/faces/frames.h5"
    keyframes = config.detect.keyframes.model_copy(update={"start": 0.0, "first": 0.5, "last": None})
    objects = config.detect.objects
    assert objects is not None
    settings = {"extract_frames": task_settings(config, "extract_frames")} | {
        task: task_settings(config, task, what="faces") for task in ("detect_people", "obfuscate", "audit")
    }
    texts = {task: ["--settings", given.model_dump_json()] for task, given in settings.items() if given is not None}
    about_objects = DetectObjects(keyframes=keyframes, objects=objects).model_dump_json()
    about_features = ExtractActorFeatures.of(config.detect.features["i3d"], keyframes).model_dump_json()
    labels, networks = ["--label-map", f"{folder}/labels.pbtxt", "--boxes", "--proposals"], f"{folder}/detect"
    training = train_settings(config, training__epochs=1, recipe__batch=4)
    return {
        "manifest.json": ["task", "build_manifest", "--videos", str(listed), *root],
        "none/frames.h5": ["task", "extract_frames", *manifest, *root, *texts["extract_frames"]],
        "detections.h5": ["task", "detect_people", *manifest, *root, *texts["detect_people"]],
        "faces/frames.h5": ["task", "obfuscate", "--frames", raw, *found, *texts["obfuscate"]],
        "audit.json": ["task", "audit", "--before", raw, "--after", hidden, *found, *texts["audit"]],
        "objects.h5": [
            *("task", "detect_objects", "--frames", raw, "--detector", f"{networks}/detector/model.safetensors"),
            *(*labels, "--settings", about_objects),
        ],
        "features.h5": [
            *("task", "extract_actor_features", "--frames", raw),
            *("--model", f"{networks}/backbones/i3d/model.safetensors", *labels),
            *("--objects", f"{folder}/objects.h5", "--settings", about_features),
        ],
        "model/model.safetensors": [
            *("task", "train_classifier", "--shards", raw, "--settings", training.model_dump_json(), "--cores", "2"),
        ],
        "people.csv": [
            *("detect", f"{folder}/videos/train/run/face.mp4", "--model", f"{folder}/{NETWORKS}", "--score", "0"),
            *("--config", f"{folder}/mine.yaml"),
        ],
        "copy.mp4": ["anonymize", f"{folder}/videos/train/run/face.mp4"],
    }


def run(folder: Path) -> None:
    """Make what is not there yet."""
    from pipeline.cli import main
    from pipeline.config.whole import load

    for output, command in commands(folder, load(folder / "mine.yaml")).items():
        if not (folder / output).exists():
            place = [str(folder / output)] if command[0] == "anonymize" else ["-o", str(folder / output)]
            assert main([*command, *place]) == 0, command


if __name__ == "__main__":
    run(Path(sys.argv[1]))
