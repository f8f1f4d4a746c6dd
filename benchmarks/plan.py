"""The cost of planning Kinetics-400: `snakemake -n` with a synthetic annotation of 260,000 videos in 1,024 shards.

It is compared with one rule and one job per video, which the shards avoid.
"""

import argparse
import csv
import random
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.measure import PROJECT, run

NAIVE = """
VIDEOS = [line.split(',')[1] for line in open('kinetics.csv')][1:]
rule all:
    input: expand('frames/{video}.h5', video=VIDEOS)
rule frames:
    output: 'frames/{video}.h5'
    shell: 'true'
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=260_000)
    parser.add_argument("--shards", type=int, default=1024)
    parser.add_argument("--files", action="store_true", help="also create an (empty) file for every video")
    parser.add_argument("--naive", action="store_true", help="also plan a job per video (minutes, gigabytes)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        configuration = write_dataset(folder, options.videos, options.shards, files=options.files)
        snakemake = [sys.executable, "-m", "snakemake", "--quiet", "all", "--cores", "2", "-n"]
        sharded = [*snakemake, "-s", str(PROJECT / "Snakefile"), "--configfile", str(configuration), "-d", str(folder)]
        for name in ("first plan, lists written", "second plan, lists compared"):
            cost = run(sharded)
            print(f"{options.videos} videos in {options.shards} shards, {name}: {cost.wall:.1f} s, {cost.peak:.0f} MB")
        plan_inside(folder, configuration)
        if options.naive:
            (folder / "naive.smk").write_text(NAIVE)
            cost = run([*snakemake, "-s", "naive.smk", "-d", str(folder)], cwd=folder)
            print(f"{options.videos} videos, one job each, one rule: {cost.wall:.1f} s, {cost.peak:.0f} MB")


def plan_inside(folder: Path, configuration: Path) -> None:
    """The cost of the Snakemake inside a cluster job, which plans only that job: a shard, 32 shards, a training."""
    results = folder / "results" / "kinetics400"
    shards = [path.stem for path in sorted((results / "lists").glob("*.json"))]
    for shard in shards:
        for place in (f"manifest/{shard}.json", f"frames/none/{shard}.h5", f"frames/faces/{shard}.h5"):
            (results / place).parent.mkdir(parents=True, exist_ok=True)
            (results / place).touch()
    teacher = results / "models/split1/r2plus1d/none/cross_entropy/model.safetensors"
    teacher.parent.mkdir(parents=True)
    teacher.touch()
    teacher.with_suffix(".json").touch()
    detections = [f"detect_people:what=faces,shard={shard}" for shard in shards]
    student = ["train_classifier:split=split1,recipe=r2plus1d,variant=faces,strategy=kd_rkd"]
    for name, jobs in (("a shard", detections[:1]), ("32 shards", detections[:32]), ("a student", student)):
        # The executor calls a job's own Snakemake like this; -n stops before the work.
        alone = ["--force", "--force-use-threads", "--mode", "remote", "--ignore-incomplete", "--nolock", "--no-hooks"]
        targets = ["--target-jobs", *jobs, "--allowed-rules", jobs[0].split(":")[0]]
        where = ["-s", str(PROJECT / "Snakefile"), "--configfile", str(configuration), "-d", str(folder)]
        cost = run(
            [sys.executable, "-m", "snakemake", "-n", "--quiet", "all", "--cores", "2", *where, *targets, *alone]
        )
        print(f"inside the job of {name}: {cost.wall:.1f} s, {cost.cpu:.1f} s of CPU, {cost.peak:.0f} MB")


def write_dataset(folder: Path, videos: int, shards: int, *, files: bool) -> Path:
    """Write a Kinetics-400 annotation with 400 classes and a configuration that reads it. Returns the configuration."""
    source = random.Random(400)  # names, not secrets
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
    with (folder / "kinetics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
        for k in range(videos):
            name, start = "".join(source.choices(alphabet, k=11)), source.randrange(300)
            writer.writerow([f"class {k % 400:03d}", name, start, start + 10, "train" if k % 13 else "val"])
            if files:
                place = folder / "videos" / f"class {k % 400:03d}"
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{name}_{start:06d}_{start + 10:06d}.mp4").touch()
    (folder / "videos").mkdir(exist_ok=True)
    settings = yaml.safe_load((PROJECT / "config.yaml").read_text())
    settings["dataset"] = "kinetics400"
    settings["data"] |= {
        "adapter": "kinetics400",
        "root": str(folder / "videos"),
        "annotations": str(folder / "kinetics.csv"),
        "shards": shards,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return folder / "config.yaml"


if __name__ == "__main__":
    main()
