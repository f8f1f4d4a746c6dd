"""What cannot end well, by name and with a remedy, before anything runs.

`snakemake -n` and `acta plan` say it of what they are asked for: the inputs of rules call these functions. `acta config
check` says it of all that a configuration asks for (`pipeline.dag.outlook`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.config.detect import DetectionSettings
from pipeline.dag.run import Run, about
from pipeline.report import thesis_detection, thesis_shrinkage, thesis_spotting
from pipeline.runtime.errors import ActaError

PICTURES = ("figure_3_5", "figure_3_6")  # show original frames
PLANS = {
    "table_6_4": tuple(thesis_shrinkage.ABLATION),
    "table_6_7": tuple(thesis_shrinkage.FEATURES),
    "table_6_8": tuple(thesis_shrinkage.MODES),
    "shrink_beyond": thesis_shrinkage.BEYOND,
}


class MissingError(ActaError):
    """It would end well with a file that is not there."""


def demo(run: Run, what: str) -> None:
    """Refuse the demo's videos or games (``data``, ``detect.data`` or ``spot.data``) in another dataset's run."""
    adapters = {
        "data": run.config.data.adapter,
        "detect.data": run.config.detect.data.adapter,
        "spot.data": run.config.spot.data.adapter,
    }
    if run.config.is_demo or adapters[what] != "demo":
        return
    said = {
        "data": "data still names the demo's videos: name your own (docs/own-videos.md, docs/datasets.md)",
        "detect.data": "detect.data still names the demo's videos: name your own, with their boxes (docs/detection.md)",
        "spot.data": "spot.data still names the demo's games: name your own (docs/spotting.md)",
    }
    raise ActaError(said[what])


def item(run: Run, name: str) -> None:
    """Refuse a table or figure that the configuration cannot give, whatever its data.

    Raises:
        ActaError: it lacks what the table is made of.
        MissingError: a file of another run is not there.
    """
    if name == "table_5_3" and not run.config.classify.compare:
        raise ActaError("table_5_3 compares the recipes of classify.compare, which is empty: name some there")
    if name == "table_6_6":
        _transfer(run)
    if name.startswith(("table_6", "shrink")):
        _plans(run, name)
    if name in (*thesis_detection.TABLES, *thesis_detection.FIGURES):
        _detection(run, name)
    if name in thesis_spotting.ROWS:
        _spotting(run, name)


# ---- action recognition and shrinkage


def classifier(run: Run, split: str, recipe: str) -> None:
    """Refuse a network whose split has no labelled videos, or fewer than a batch."""
    demo(run, "data")
    named, labelled = run.config.classify.splits[split], run.labelled
    if labelled is None:
        return
    for role, name in (("train", named.train), ("test", named.test)):
        if not labelled.get(name):
            there = ", ".join(f"{other} ({count})" for other, count in sorted(labelled.items()) if other) or "none"
            folder = f", or put videos into {name}/<class>/ there" if run.config.data.adapter == "folder" else ""
            raise ActaError(
                f"classify.splits.{split}.{role} is {name!r}, but the dataset {run.config.dataset!r} has no "
                f"labelled video of that split (data.root {run.config.data.root!r}); splits that have some: {there}; "
                f"name one of them in classify.splits{folder}"
            )
    settings = run.config.classify.recipes[recipe]
    videos, clips = labelled[named.train], settings.clip.train_clips
    if videos * clips < settings.batch:
        raise ActaError(
            f"an epoch of {videos} videos has {videos * clips} clips (clip.train_clips {clips} each), fewer than one "
            f"batch: set classify.recipes.{recipe}.batch, which is {settings.batch}, to at most that, and "
            "learning_rate in proportion"
        )


def transferred(run: Run, recipe: str, network: str) -> str:
    """The network of another dataset that is fine-tuned here (Table 6.6): ``base``, or ``pas_1`` and so on."""
    transfer = run.config.shrink.transfer
    if transfer is None:
        raise ActaError(
            "shrink.transfer is null: it says where the networks to fine-tune are, of another dataset's run (as "
            "config/ucf101.yaml does); table_6_6 needs it"
        )
    if network == "base":
        return transfer.base.replace("{recipe}", recipe)
    return transfer.reduced.replace("{recipe}", recipe).replace("{iteration}", network.removeprefix("pas_"))


def _transfer(run: Run) -> None:
    networks = ["base", *(f"pas_{n}" for n in range(1, run.config.shrink.iterations + 1))]
    for recipe in run.config.shrink.recipes:
        for network in networks:
            model = transferred(run, recipe, network)
            for path in (model, about(model)):
                if not path.startswith(run.result("")) and not Path(path).is_file():
                    key = "base" if network == "base" else "reduced"
                    raise MissingError(
                        f"shrink.transfer.{key} names {path}, which is not there: run that dataset's `shrink` first, "
                        "or name where its networks are"
                    )


def _plans(run: Run, name: str) -> None:
    shrink = run.config.shrink
    lacking = [plan for plan in PLANS.get(name, ()) if plan not in shrink.plans]
    if lacking:
        raise ActaError(
            f"{name} needs the plans {', '.join(lacking)}, which shrink.plans does not have; take them from "
            "config/full.yaml, or leave the table out"
        )
    recipes = [run.config.classify.recipes[recipe].backbone.name for recipe in shrink.recipes]
    if not recipes:
        raise ActaError(f"{name} is about the networks of shrink.recipes, which is empty: name some there")
    if name == "table_6_7" and all(backbone.startswith("slowfast") for backbone in recipes):
        raise ActaError(
            "table_6_7 compares activations of ResNets, and shrink.recipes has SlowFast networks only: add another, or "
            "leave the table out of shrink.tables"
        )


# ---- action detection


def annotated(run: Run) -> None:
    """Refuse to train or test STAGE where a split has no videos."""
    demo(run, "detect.data")
    splits, counts = run.config.detect.splits, run.annotated
    roles = [*(("train", split) for split in splits.train), ("validation", splits.validation), ("test", splits.test)]
    for role, split in roles if counts is not None else ():
        if not (counts or {}).get(split):
            data = run.config.detect.data
            source = f"boxes.{split}" if split in data.boxes else f"proposals.{split}"
            path = {**data.proposals, **data.boxes}[split]
            raise ActaError(
                f"detect.splits.{role} has {split!r}, but detect.data.{source} ({path}) names no video; name another "
                "split or file"
            )


def actors(run: Run, features: str) -> None:
    """Refuse features of actors that nobody finds in one of the splits that are used."""
    detect = run.config.detect
    source, splits = detect.features[features], _used(detect)
    for part in source.average_of or ():
        actors(run, part)
    if source.imported:
        _each_split(f"detect.features.{features}.imported.actors", source.imported.actors, splits)
    if source.backbone and detect.objects and detect.objects.imported:
        _each_split("detect.objects.imported", detect.objects.imported, splits)
    if source.backbone and (detect.objects is None or detect.objects.imported):
        nobody = [split for split in splits if split not in detect.data.proposals]
        if nobody:
            raise ActaError(
                f"nothing finds people for detect.features.{features} in the split {nobody[0]!r}: name detected people "
                f"in detect.data.proposals.{nobody[0]}, or a detector in detect.objects"
            )


def stage(run: Run, features: str, network: str) -> None:
    """Refuse a network that wants objects on features that have none, and what `annotated` and `actors` refuse."""
    annotated(run)
    actors(run, features)
    detect = run.config.detect
    if network in detect.networks and detect.networks[network].objects and not _has_objects(detect, features):
        first = _first_part(detect, features)
        where = "detect.objects" if detect.features[first].backbone else f"detect.features.{first}.imported.objects"
        raise ActaError(
            f"detect.networks.{network} has `objects: true`, but detect.features.{features} have no objects: name "
            f"their source in {where}, or leave the tables and figures with this network out of detect.tables "
            "(table_3_5 needs no objects)"
        )


def _used(detect: DetectionSettings) -> list[str]:
    return list(dict.fromkeys([*detect.splits.train, detect.splits.validation, detect.splits.test]))


def _each_split(key: str, files: Mapping[str, str], splits: Sequence[str]) -> None:
    for split in splits:
        if split not in files:
            raise ActaError(f"{key} has no file for the split {split!r}; it has {', '.join(files) or 'none'}: add it")


def _first_part(detect: DetectionSettings, features: str) -> str:
    """The features whose objects averaged ones have."""
    parts = detect.features[features].average_of
    return parts[0] if parts else features


def _has_objects(detect: DetectionSettings, features: str) -> bool:
    source = detect.features[_first_part(detect, features)]
    return bool(source.imported.objects) if source.imported else detect.objects is not None


def _detection(run: Run, name: str) -> None:
    detect = run.config.detect
    needed = thesis_detection.networks_of(name)
    lacking = [network for network in needed if network not in (thesis_detection.BACKBONE, *detect.networks)]
    if lacking:
        raise ActaError(
            f"{name} needs {', '.join(lacking)} in detect.networks; take them from config/full.yaml, or leave it out "
            "of detect.tables"
        )
    if name in PICTURES and detect.data.root is None:
        raise ActaError(
            f"{name} shows frames of the videos, but detect.data.root is null: name their folder, or leave the figure "
            "out of detect.tables"
        )
    if name == "figure_3_4" and not any(source.backbone for source in detect.features.values()):
        raise ActaError(
            "figure_3_4 shows gains over the backbone's own classifier, which no imported features have: leave it out "
            "of detect.tables"
        )
    for features in detect.features:
        actors(run, features)
    if name not in (*PICTURES, "table_3_9", "table_3_10") and detect.splits.test not in detect.data.boxes:
        raise ActaError(
            f"{name} needs the split {detect.splits.test!r} annotated, but detect.data.boxes has no file for it: name "
            "one, or ask for detections.csv alone (docs/detection.md)"
        )


# ---- event spotting


def games(run: Run, splits: Sequence[str]) -> None:
    """Refuse splits without games."""
    demo(run, "spot.data")
    for split in splits:
        if split in run.games and not run.games[split]:
            named = run.config.spot.splits
            roles = {**dict.fromkeys(named.train, "train"), named.validation: "validation"}
            role = roles.get(split) or ("test" if split == named.test else "submitted")
            raise ActaError(
                f"spot.splits.{role} is {split!r}, but spot.data.splits.{split} ({run.config.spot.data.splits[split]}) "
                "lists no game: name another split, or a list with games"
            )


def spotter(run: Run, network: str) -> None:
    """Refuse a network whose epoch has fewer clips than a batch, and what `games` refuses of its splits."""
    splits = run.config.spot.splits
    games(run, [*splits.train, splits.validation])
    settings = run.config.spot.spotters[network]
    clips = settings.sampling.foreground, settings.sampling.background
    if None not in clips and (count := sum(filter(None, clips))) < settings.training.batch:
        raise ActaError(
            f"an epoch of spot.networks.{network} has {count} clips (sampling: foreground {clips[0]}, background "
            f"{clips[1]}), fewer than one batch: raise them, or set training.batch, which is "
            f"{settings.training.batch}, to at most that, and learning_rate in proportion"
        )


def _spotting(run: Run, name: str) -> None:
    spot = run.config.spot
    known = spot.spotters
    needed = thesis_spotting.networks_of(name, {network: settings.backbone for network, settings in known.items()})
    lacking = [network for network in needed if network not in known]
    some_do = name in thesis_spotting.TABLES or name == "figure_4_6"
    if lacking and (not some_do or lacking == list(needed)):
        raise ActaError(
            f"{name} needs {', '.join(lacking)} in spot.networks; take them from config/full.yaml, or leave it out of "
            "spot.tables"
        )
    if name in thesis_spotting.FIGURES and name != "figure_4_7" and spot.splits.test in spot.splits.train:
        raise ActaError(
            f"{name} is of the split {spot.splits.test!r}, which spot.splits.train has too, so that nothing is left to "
            "report: take it out of there, or leave the figure out of spot.tables"
        )
