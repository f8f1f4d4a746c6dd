"""Tables 3.2 to 3.10: the thesis's numbers next to those that were measured here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.names import ActorBackboneName
from pipeline.config.tasks.report import DrawDetection
from pipeline.detect.features.entities import FeatureShard
from pipeline.models.stage_architecture import FEATURES, StageArchitecture
from pipeline.models.stage_complexity import StageComplexity, stage_complexity
from pipeline.report.catalogue import other_data
from pipeline.report.detection_results import MeanOfSplits, Measured, Pick, gains
from pipeline.report.differs import declared, differences, joined
from pipeline.report.intervals import mean_cells
from pipeline.report.numbered import write_numbered_table
from pipeline.report.tables import Row
from pipeline.report.thesis_detection import (
    BACKBONE,
    BY_DATASET,
    BY_GROUP,
    COMPETITORS,
    COMPLEXITY,
    GROUPS,
    HEADS,
    I3D,
    KINDS,
    LAYERS,
    NETWORKS,
    ON_ANNOTATED,
    PRINTED,
    PUBLISHED,
    R101,
    REFERENCES,
    SLOWFAST_16X8,
    STAGE,
    TEST_SERVER,
    TRAININGS,
    kind_of,
    networks_of,
)
from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_made

_BY_DATASET = ("thesis_jhmdb21", "thesis_ucf101_24")
# Table 3.10: the networks, and the sides of the views for which their costs were published.
_BACKBONES: dict[str, tuple[ActorBackboneName, int]] = {
    I3D: ("i3d", 224),
    R101: ("r101_i3d_nl", 256),
    SLOWFAST_16X8: ("slowfast_nl_16x8_r101", 256),
}
_TRAINING = ("thesis_gpus", "thesis_clips_per_gpu", "thesis_epochs", "thesis_time")


def write_detection_table(name: str, results: Path, settings: DrawDetection, output: Path) -> None:
    """Write one table (CSV, and Markdown and HTML next to it).

    Precisions are in per cent: the mean over the seeds and its 95 % interval; gains are paired by seed and have
    their own interval. Columns that begin with ``thesis`` are the thesis's; ``differs`` lists the differences from it.

    Raises:
        ActaError: a result is missing or damaged.
    """
    rows = list(TABLES[name](Measured(results, settings)))
    labels = ("layers", "heads", "actor_size", "object_size", "classes", "actors", "objects")
    write_numbered_table(
        name,
        rows,
        output,
        other_data=other_data(name, settings.dataset),
        labels=labels,
        departures=declared(settings.departures),
    )


def _row(
    measured: Measured,
    table: str,
    features: str,
    network: str,
    boxes: str = "detected",
    *,
    pick: Pick = lambda evaluation: evaluation["mAP"],
    printed: Mapping[str, float] | None = None,
    **changes: Any,
) -> Row:
    """What most tables show of a network; ``printed``: the thesis's numbers by network, by default the table's."""
    values = measured.values(features, network, pick, boxes)
    row: Row = {"what": NETWORKS.get(network, network), "features": features, **mean_cells("mAP", values)}
    row["seeds"] = len(values) if network != BACKBONE and values else None
    if printed is None:
        printed = PRINTED.get(table, {}).get(kind_of(measured.settings.features[features]), {})
    over = REFERENCES.get(table)
    if over:
        gained = [] if (network, boxes) == (over, "detected") else gains(values, measured.values(features, over, pick))
        row |= mean_cells("gain", gained, "{:+.2f}") | {"gain_over": over if gained else None}
    row["thesis_mAP"] = printed.get(network)
    if over:
        both = network in printed and over in printed and network != over
        row["thesis_gain"] = f"{printed[network] - printed[over]:+.1f}" if both else None
    return row | {"differs": _differs(measured, table, features)} | changes


def _differs(measured: Measured, table: str, features: str) -> str | None:
    """How these features, and what was measured with them, differ from the thesis's."""
    settings = measured.settings
    notes = [other_data(table, settings.dataset)]
    kind = settings.features[features]
    if kind:
        own = settings.recipes[features]
        # Imported features have no backbone here.
        theirs = {key: value for key, value in settings.thesis.get(kind, {}).items() if key in own}
        notes += differences(own, theirs)
    else:
        notes.append("features that the thesis does not have")
    if features in settings.without_backbone and BACKBONE in networks_of(table):
        notes.append("no classifier of the backbone's own")
    for path in measured.shards(features)[:1]:
        shard = FeatureShard(path)
        if shard.provenance.get("task") == "extract_actor_features":
            weights = shard.provenance.get("weights", {}).get("backbone", "")
            notes.append("features extracted here" + (f" (weights {weights[:8]})" if weights else ""))
        if notes[0] is None and shard.object_size not in (0, 2048):
            notes.append(f"objects of {shard.object_size} numbers, thesis 2048 of Visual Genome")
        shard.close()
    if left_out := _left_out(measured, table, features):
        notes.append(f"{left_out} videos left out (quarantine.tsv)")
    return joined(notes)


def _left_out(measured: Measured, table: str, features: str) -> int:
    """Videos of the dataset that no task could use, as an evaluation counts them."""
    paths = (path for network in networks_of(table) for path in measured.paths(features, network) if path.exists())
    first = next(paths, None)
    return int(read_made(first).get("coverage", {}).get("quarantined_videos", 0)) if first else 0


def _table_3_2(measured: Measured) -> Iterator[Row]:
    for name, value in COMPETITORS.items():
        yield {"what": name, "features": None, "thesis_mAP": value, "differs": "number of its authors; AVA 2.1"}
    yield from _all_networks(measured, "table_3_2")


def _all_networks(measured: Measured, table: str) -> Iterator[Row]:
    for features in measured.settings.features:
        for network in networks_of(table):
            yield _row(measured, table, features, network)


def _table_3_3(measured: Measured) -> Iterator[Row]:
    for row in _all_networks(measured, "table_3_3"):
        on_test = TEST_SERVER.get(kind_of(measured.settings.features[row["features"]]))
        yield row | {"thesis_test_mAP": on_test if row["what"] == NETWORKS[STAGE] else None}


def _table_3_4(measured: Measured) -> Iterator[Row]:
    for features, like in measured.settings.features.items():
        for place, group in enumerate(GROUPS):
            printed = {network: by_group[place] for network, by_group in BY_GROUP.get(kind_of(like), {}).items()}
            for network in networks_of("table_3_4"):
                row = _row(measured, "table_3_4", features, network, pick=_of_group(group), printed=printed)
                yield {"what": row.pop("what"), "group": group, **row}


def _of_group(group: str) -> Pick:
    return lambda evaluation: evaluation["groups"][group]


def _table_3_5(measured: Measured) -> Iterator[Row]:
    for features, like in measured.settings.features.items():
        printed = BY_DATASET.get(kind_of(like), {})
        if printed:
            row: Row = {"what": "published", "features": features, "differs": "number of its authors"}
            yield row | dict(zip(_BY_DATASET, printed[PUBLISHED], strict=True))
        networks = networks_of("table_3_5")
        averaged = MeanOfSplits(measured.results, measured.settings, features, networks)
        for network in networks:
            row = _row(averaged, "table_3_5", features, network)
            row |= _of_splits(averaged, features, network)
            del row["thesis_mAP"], row["thesis_gain"]
            yield row | dict(zip(_BY_DATASET, printed.get(network, (None, None)), strict=True))


def _of_splits(averaged: MeanOfSplits, features: str, network: str) -> Row:
    """Which splits a mean is over, and the mean over the seeds of each."""
    settings, splits = averaged.settings, averaged.splits
    means = {
        name: split.values(features, network, lambda evaluation: evaluation["mAP"]) for name, split in splits.items()
    }
    told = [f"{name} {np.mean(values):.2f}" for name, values in means.items() if values]
    lacking = [name for name in settings.mean_over if name not in splits]
    missing = f"mean without {', '.join(lacking)}, not evaluated so far" if lacking else None
    if "jhmdb" in settings.dataset and not settings.mean_over:
        missing = "one split, thesis mean of three"
    differs = joined([_differs(averaged, "table_3_5", features), missing])
    return {"splits": len(splits), "mAP_of_splits": "; ".join(told) if len(splits) > 1 else None, "differs": differs}


def _table_3_6(measured: Measured) -> Iterator[Row]:
    for features in measured.settings.features:
        for layers in LAYERS:
            for heads in HEADS:
                row = _row(measured, "table_3_6", features, f"layers{layers}_heads{heads}", what=NETWORKS[STAGE])
                yield {"what": row.pop("what"), "layers": layers, "heads": heads, **row}


def _table_3_8(measured: Measured) -> Iterator[Row]:
    for features, like in measured.settings.features.items():
        for network in networks_of("table_3_8"):
            yield _row(measured, "table_3_8", features, network)
        if any(path.exists() for path in measured.paths(features, STAGE, "annotated")):
            kind = kind_of(like)
            printed = ON_ANNOTATED.get(kind)
            gain = f"{printed - PRINTED['table_3_8'][kind][STAGE]:+.1f}" if printed else None
            changes: Row = {"what": "STAGE on annotated boxes", "thesis_mAP": printed, "thesis_gain": gain}
            yield _row(measured, "table_3_8", features, STAGE, "annotated", **changes)


def _table_3_9(measured: Measured) -> Iterator[Row]:
    for name, printed in TRAININGS.items():
        if name != NETWORKS[STAGE]:
            theirs = dict(zip(_TRAINING, printed, strict=True))
            yield {"what": name, "features": None, **theirs, "differs": "end to end; AVA"}
    for features in measured.settings.features:
        trainings = measured.trainings(features, STAGE)
        try:
            row: Row = {
                "what": NETWORKS[STAGE],
                "features": features,
                "device": ", ".join(dict.fromkeys(str(training["device"]) for training in trainings)),
                "training_clips": ", ".join(dict.fromkeys(str(training["clips"]) for training in trainings)),
                "seeds": len(trainings),
                "best_epoch": f"{np.mean([float(training['best_epoch']) for training in trainings]):.1f}",
                "epochs": f"{np.mean([float(len(training['history'])) for training in trainings]):.1f}",
                **mean_cells("seconds", [float(training["seconds"]) for training in trainings], "{:.1f}"),
            }
        except (KeyError, TypeError) as error:
            folder = measured.results / "networks" / features / STAGE
            raise ActaError(f"a metrics.json below {folder} does not hold {error}") from None
        row |= zip(_TRAINING, TRAININGS[NETWORKS[STAGE]], strict=True)
        yield row | {"differs": _differs(measured, "table_3_9", features)}


def _table_3_10(measured: Measured) -> Iterator[Row]:
    published = {I3D: FEATURES["i3d"], R101: FEATURES["r101_i3d_nl"], SLOWFAST_16X8: FEATURES["slowfast_nl"]}
    for kind, printed in COMPLEXITY.items():
        yield _backbone_row(kind) | _complexity(printed[BACKBONE])
        actors, objects, heads = published[kind]
        cost = stage_complexity(StageArchitecture(actors, objects, 80, heads=heads))
        yield {
            "what": f"+ STAGE ({KINDS[kind]})",
            "features": None,
            **_sizes(cost, actors, objects, heads, 80),
            **_complexity(printed[STAGE]),
            "differs": "gflops_linear counts as the thesis does; gflops has all multiply-adds",
        }
    for features in measured.settings.features:
        shards = measured.shards(features)
        if not shards:
            raise ActaError(f"there are no feature shards in {measured.results / 'features' / features}")
        people, things = entities_per_clip(shards)
        shard = FeatureShard(shards[0])
        size, classes = (shard.actor_size, shard.object_size or None), len(shard.actions)
        shard.close()
        heads = measured.settings.heads[features]
        cost = stage_complexity(StageArchitecture(*size, classes, heads=heads), max(1, round(people)), round(things))
        yield {
            "what": "+ STAGE",
            "features": features,
            **_sizes(cost, *size, heads, classes),
            "differs": f"a clip here has {people:.1f} actors and {things:.1f} objects on average",
        }


def _backbone_row(kind: str) -> Row:
    """What a backbone of Table 3.10 costs as it is built here."""
    from pipeline.models.actor_backbones import ActorBackbone
    from pipeline.models.actor_complexity import actor_complexity

    name, size = _BACKBONES[kind]
    cost = actor_complexity(ActorBackbone(name, 80), size)
    differs = f"a view of {size} × {size} pixels with one actor, 80 classes; thesis as published for Kinetics-400"
    if kind == SLOWFAST_16X8:
        differs += "; res5 keeps the resolution of res4"
    row: Row = {"what": KINDS[kind], "features": None, "classes": 80, "actors": 1, "gflops": f"{cost.gflops:.4g}"}
    return row | {"parameters": cost.parameters, "differs": differs}


def entities_per_clip(shards: Sequence[Path]) -> tuple[float, float]:
    """Mean numbers of actors (the detected ones, if there are any) and of objects in a keyframe."""
    keyframes = detected = annotated = objects = 0
    for path in shards:
        shard = FeatureShard(path)
        kinds = shard.array("actors/annotated")[:]
        keyframes += len(shard.array("frames/time"))
        annotated += int(kinds.sum())
        detected += len(kinds) - int(kinds.sum())
        objects += len(shard.array("objects/box"))
        shard.close()
    return (detected or annotated) / max(1, keyframes), objects / max(1, keyframes)


def _sizes(cost: StageComplexity, actors: int, objects: int | None, heads: int, classes: int) -> Row:
    return {
        "actor_size": actors,
        "object_size": objects,
        "heads": heads,
        "classes": classes,
        "actors": cost.actors,
        "objects": cost.objects,
        "gflops_linear": f"{cost.linear_gflops:.4g}",
        "gflops": f"{cost.gflops:.4g}",
        "parameters": cost.parameters,
    }


def _complexity(printed: tuple[float, float]) -> Row:
    return {"thesis_gflops": f"{printed[0]:g}", "thesis_parameters": f"{printed[1]:g}M"}


TABLES: dict[str, Callable[[Measured], Iterator[Row]]] = {
    "table_3_2": _table_3_2,
    "table_3_3": _table_3_3,
    "table_3_4": _table_3_4,
    "table_3_5": _table_3_5,
    "table_3_6": _table_3_6,
    "table_3_7": lambda measured: _all_networks(measured, "table_3_7"),
    "table_3_8": _table_3_8,
    "table_3_9": _table_3_9,
    "table_3_10": _table_3_10,
}
