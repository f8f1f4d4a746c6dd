"""Action detection (Ch. 3): what its rules read. The chapter has videos of its own."""

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from pipeline.dag import paths, refusals
from pipeline.dag.refusals import PICTURES
from pipeline.dag.run import Run, by_split, named
from pipeline.report.thesis_detection import networks_of


def annotated(run: Run) -> dict[str, str]:
    """Inputs of a rule: what names keyframes and says who does what there."""
    data = run.config.detect.data
    return {"label_map": data.label_map} | named("boxes", data.boxes) | named("proposals", data.proposals)


def annotated_options(run: Run) -> str:
    """The same as options of its command."""
    data = run.config.detect.data
    boxes = by_split("boxes", "boxes", data.boxes)
    return f"--label-map {{input.label_map:q}} {boxes} {by_split('proposals', 'proposals', data.proposals)}"


def trained_on(run: Run) -> dict[str, str]:
    """Annotated boxes of the training splits."""
    detect = run.config.detect
    return {split: detect.data.boxes[split] for split in detect.splits.train}


def truth(run: Run, split: str) -> dict[str, str]:
    """Inputs of a rule: what a split is evaluated against, which for AVA's test split is secret."""
    data = run.config.detect.data
    files = {"evaluated": data.evaluated, "truth": data.boxes.get(split)}
    if split in data.boxes:
        files["excluded"] = data.excluded.get(split)
    return {"label_map": data.label_map} | {name: path for name, path in files.items() if path}


def truth_options(run: Run, split: str) -> str:
    """The same as options of its command."""
    return " ".join(f"--{name.replace('_', '-')} {{input.{name}:q}}" for name in truth(run, split))


def detector(run: Run) -> str | None:
    """The detector that is trained here, a given one, or (None) the registered one."""
    detect = run.config.detect
    if detect.detector:
        return f"{run.result(paths.DETECTOR)}/model.safetensors"
    return detect.objects.weights if detect.objects else None


def imported_objects(run: Run) -> Mapping[str, str]:
    """Published files of objects, by split."""
    objects = run.config.detect.objects
    return objects.imported if objects and objects.imported else {}


def objects(run: Run, wildcards: Any) -> str | list[str]:
    """The object shard of a shard's videos."""
    if run.config.detect.objects is None:
        return []
    pattern = paths.PUBLISHED_OBJECTS if imported_objects(run) else paths.OBJECTS
    return run.result(pattern, shard=wildcards.shard)


def backbone(run: Run, wildcards: Any) -> str:
    """The model file of a backbone: given, or trained here."""
    source = run.config.detect.features[wildcards.features].backbone
    assert source is not None
    return source.weights or f"{run.result(paths.BACKBONE, features=wildcards.features)}/model.safetensors"


def features_with(run: Run, source: str) -> str:
    """The names of features that come from ``backbone``, ``imported`` or ``average_of``, as a rule's constraint."""
    names = [name for name, settings in run.config.detect.features.items() if getattr(settings, source)]
    return "|".join(names) or "(?!)"


def averaged(run: Run, wildcards: Any, place: int) -> str:
    """The features of a shard that are averaged, the first or the second."""
    parts = run.config.detect.features[wildcards.features].average_of
    assert parts is not None
    return run.result(paths.ACTOR_FEATURES, features=parts[place], shard=wildcards.shard)


def _imported(run: Run, wildcards: Any) -> dict[str, dict[str, str]]:
    source = run.config.detect.features[wildcards.features].imported
    assert source is not None
    return {"actors": source.actors, "objects": source.objects, "frame-lists": source.frame_lists}


def published(run: Run, wildcards: Any) -> list[str]:
    """Published files that an import reads."""
    return [path for files in _imported(run, wildcards).values() for path in files.values()]


def import_options(run: Run, wildcards: Any) -> str:
    """The same as options of its command."""
    return " ".join(f"--{name} {words(files)}" for name, files in _imported(run, wildcards).items() if files)


def learned_from(run: Run, wildcards: Any, network: str) -> list[str]:
    """The feature shards that a network is trained or tested on; errors as for `refusals.stage`."""
    refusals.stage(run, wildcards.features, network)
    return run.of_detection_shards(paths.ACTOR_FEATURES, features=wildcards.features)


def words(files: Mapping[str, str]) -> str:
    """Files by split, as words of a command."""
    return " ".join(quote(f"{split}={path}") for split, path in files.items())


def evaluated_splits(run: Run) -> list[str]:
    """Evaluations that Table 3.5 averages with this dataset's: those of other runs, as far as they are there."""
    others = [name for name in run.config.detect.mean_over if name != run.config.dataset]
    below = run.result("")
    paths = [
        f"results/{name}/{path.removeprefix(below)}" for name in others for path in evaluations_of(run, "table_3_5")
    ]
    return [path for path in paths if Path(path).is_file()]


def evaluations_of(run: Run, name: str) -> list[str]:
    """Evaluations that a table or figure is made of; the pictures show one network's detections."""
    detect = run.config.detect
    evaluations = []
    for features, feature_settings in detect.features.items():
        for network in networks_of(name):
            if network == "backbone" and not feature_settings.backbone:  # only there its own classifier has scores
                continue
            # Table 3.8 ends with STAGE on annotated boxes.
            both = name == "table_3_8" and network == "stage"
            for boxes in ("detected", "annotated") if both else ("detected",):
                pattern = paths.BACKBONE_EVALUATION if network == "backbone" else paths.STAGE_EVALUATION
                for seed in detect.seeds if network != "backbone" else [0]:
                    folder = run.result(pattern, features=features, network=network, seed=seed, boxes=boxes)
                    evaluations.append(f"{folder}/evaluation.json")
    return evaluations


def shown_features(run: Run, wildcards: Any) -> str:
    """The features that the table or figure of a job shows, as words: pictures are of the first ones."""
    names = list(run.config.detect.features)
    return " ".join(names[:1] if wildcards.name in PICTURES else names)


def results_of(run: Run, name: str) -> list[str]:
    """What a table or figure of Ch. 3 is made of."""
    detect = run.config.detect
    first = next(iter(detect.features))
    if name in PICTURES:
        stage = {"features": first, "network": "stage", "seed": detect.seeds[0], "boxes": "detected"}
        return [
            f"{run.result(paths.STAGE_EVALUATION, **stage)}/detections.csv",
            *run.of_detection_shards(paths.DETECTION_FRAMES),
            *run.of_detection_shards(paths.ACTOR_FEATURES, features=first),
        ]
    inputs = evaluations_of(run, name)
    if name == "table_3_5":
        inputs += evaluated_splits(run)
    for features in detect.features:
        if name == "table_3_9":
            inputs += [
                f"{run.result(paths.STAGE, features=features, network='stage', seed=seed)}/metrics.json"
                for seed in detect.seeds
            ]
        # Its provenance says which weights the features are of.
        shards = run.of_detection_shards(paths.ACTOR_FEATURES, features=features)
        inputs += shards if name == "table_3_10" else shards[:1]
    return inputs
