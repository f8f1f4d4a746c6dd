"""Real faces from videos to an audit by the commands of the workflow's rules, with the shipped settings."""

import shutil
from pathlib import Path

import numpy as np

from pipeline.cli import main
from pipeline.config.whole import Config
from pipeline.data.adapters import list_videos
from pipeline.media.lists import write_lists
from pipeline.privacy.instances import DetectedVideo, Instances
from pipeline.tasks import TASKS, task_settings

CLIPS = {"giving_speech": "obama_speech.mp4", "talking_in_car": "carphone_pristine.mp4"}


def run_chain(config: Config, footage: Path, folder: Path) -> Path:
    """Both clips, which have a face in every frame; the folder with all that is made."""
    for label, name in CLIPS.items():
        (folder / "videos" / label).mkdir(parents=True)
        shutil.copy(footage / label / name, folder / "videos" / label)
    data = config.data.model_copy(update={"adapter": "folder", "root": str(folder / "videos")})
    (shard,) = write_lists(list_videos(data), folder / "lists", 1)

    def run(task: str, output: str, **files: Path) -> None:
        command = ["task", task, "-o", str(folder / output)]
        for name, path in files.items():
            command += [f"--{name}", str(path)]
        asked = {"what": "faces"} if "what" in TASKS[task].asked else {}
        settings = task_settings(config, task, **asked)
        if settings is not None:
            command += ["--settings", settings.model_dump_json()]
        assert main(command) == 0

    root, manifest, detections = folder / "videos", folder / "manifest.json", folder / "detections.h5"
    before, after = folder / "none/frames.h5", folder / "hidden.h5"
    run("build_manifest", "manifest.json", videos=folder / f"lists/{shard}.json", root=root)
    run("extract_frames", "none/frames.h5", manifest=manifest, root=root)
    run("detect_people", "detections.h5", manifest=manifest, root=root)
    run("obfuscate", "hidden.h5", frames=before, detections=detections)
    run("audit", "audit.json", before=before, after=after, detections=detections)
    return folder


def detected(video: str, frames: list[Instances], shift: float = 0.0) -> DetectedVideo:
    return DetectedVideo(video, "run", "train", np.arange(len(frames)) / 10 + shift, frames)
