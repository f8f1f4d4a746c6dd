# Action detection (Ch. 3): what its rules read, and the options of its commands.
# The chapter has videos of its own; all of it lies below results/<dataset>/detect.

DETECTION = CONFIG.detect

BOXES = DETECTION.data

LABEL_MAP = BOXES.label_map

DETECTION_ROOT = BOXES.root or "."

INTERACTIONS = (
    [f"{DETECTION_ROOT}/{name}" for name in interaction_files()]
    if BOXES.adapter == "demo"
    else []
)


if LISTS:
    DETECTION_SHARDS = LISTS.write(
        "detect/lists", check(list_texts, check(list_annotated, BOXES), BOXES.shards)
    )
else:
    DETECTION_SHARDS = shard_names(Path(DATASET, "detect/lists"))


wildcard_constraints:
    boxes="detected|annotated",


def detection_shards(path, **wildcards):
    return [result(path, shard=shard, **wildcards) for shard in DETECTION_SHARDS]


def words(**options):
    """Options of a command, quoted; those without a value are left out."""
    found = []
    for name, value in options.items():
        values = [value]
        if isinstance(value, dict):
            values = [f"{split}={path}" for split, path in value.items()]
        if value:
            found.append(
                " ".join(
                    [f"--{name.replace('_', '-')}", *(quote(str(v)) for v in values)]
                )
            )
    return " ".join(found)


def roles(*files):
    """A rule's parameter: which file stands for which split, as exchanging two leaves the set of inputs as it is."""
    return [
        f"{split}={Path(path).name}" for part in files for split, path in part.items()
    ]


# What names keyframes and says who does what there; what a split is evaluated against (nobody knows AVA's test split).
ANNOTATED = [LABEL_MAP, *BOXES.boxes.values(), *BOXES.proposals.values()]

ANNOTATED_OPTIONS = words(
    label_map=LABEL_MAP, boxes=BOXES.boxes, proposals=BOXES.proposals
)

TRAINED_ON = {split: BOXES.boxes[split] for split in DETECTION.splits.train}

TRAINED_ON_OPTIONS = words(label_map=LABEL_MAP, boxes=TRAINED_ON)

ROLES = roles(BOXES.boxes, BOXES.proposals)


def truth_files(split):
    named = (BOXES.evaluated, BOXES.boxes.get(split), BOXES.excluded.get(split))
    return [path for path in named if path]


def truth_options(split):
    return words(
        label_map=LABEL_MAP,
        evaluated=BOXES.evaluated,
        groundtruth=BOXES.boxes.get(split),
        exclusions=BOXES.excluded.get(split) if split in BOXES.boxes else None,
    )


VALIDATION_OPTIONS = truth_options(DETECTION.splits.validation)

TEST_OPTIONS = truth_options(DETECTION.splits.test)


def footage_of_demo(wildcards):
    if not IS_DEMO:
        raise WorkflowError(
            "detect.data still names the demo's videos: name your own, with their boxes (docs/detection.md)"
        )
    return FOOTAGE_FILES


def weights_digest(path, registered):
    """The hash of weights that are no output of a rule; a plan can be made before they are there."""
    if path is None:
        return check(registered_digest, registered) if registered else ""
    return "" if path.startswith(f"{DATASET}/") else sha256_of(path)


def on_gpu(settings):
    return int(settings is not None and settings.device == "cuda")


def compute_threads(settings):
    return 1 if settings is None else settings.threads


def threads_of(settings):
    """Compute threads, and with a GPU some that load data."""
    return compute_threads(settings) + (12 if on_gpu(settings) else 0)


# The detector that is trained here, a given one, or (neither) the registered one.
DETECTOR = (
    result("detect/detector/model.safetensors")
    if DETECTION.detector
    else DETECTION.objects.weights if DETECTION.objects else None
)

DETECTOR_OPTIONS = words(detector=DETECTOR)

OBJECTS_ARE_IMPORTED = bool(DETECTION.objects and DETECTION.objects.imported)

IMPORTED_OBJECTS = words(
    published=DETECTION.objects.imported if DETECTION.objects else {}
)


def objects_of(wildcards):
    if DETECTION.objects is None:
        return []
    folder = "published_objects" if OBJECTS_ARE_IMPORTED else "objects"
    return result(f"detect/{folder}/{{shard}}.h5", shard=wildcards.shard)


def source_of(wildcards):
    return DETECTION.features[wildcards.features].backbone


def backbone_of(wildcards):
    """The model file of a backbone: given, or trained here."""
    given = source_of(wildcards).weights
    return given or result(
        "detect/backbones/{features}/model.safetensors", features=wildcards.features
    )


OF_A_BACKBONE = [name for name, f in DETECTION.features.items() if f.backbone]

IMPORTED = [name for name, f in DETECTION.features.items() if f.imported]

AVERAGED = [name for name, f in DETECTION.features.items() if f.averaged]

NEVER = "(?!)"


def published(wildcards):
    """Published files that an import reads."""
    source = DETECTION.features[wildcards.features].imported
    return [
        path
        for part in (source.actors, source.objects, source.frame_lists)
        for path in part.values()
    ]


def import_options(wildcards):
    source = DETECTION.features[wildcards.features].imported
    return words(
        actors=source.actors, objects=source.objects, frame_lists=source.frame_lists
    )


EVALUATIONS = "detect/evaluations/{features}/{network}/{boxes}/evaluation.json"

COUNTED = BOXES.evaluated or LABEL_MAP

SHOWN = BOXES.boxes.get(DETECTION.splits.test)

PICTURES = ("figure_3_5", "figure_3_6")  # show original frames


def evaluations_for(name):
    """Evaluations that a table or figure is made of; the pictures show one network's detections."""
    seeds = [f"seed_{seed}" for seed in DETECTION.seeds]
    found = []
    for features, settings in DETECTION.features.items():
        for network in networks_for(name):
            if network == "backbone" and not settings.has_baseline:
                continue
            runs = ["backbone"] if network == "backbone" else []
            runs = runs or [f"{network}/{seed}" for seed in seeds]
            # Table 3.8 ends with STAGE on annotated boxes.
            more = name == "table_3_8" and network == "stage"
            for boxes in ["detected", "annotated"] if more else ["detected"]:
                found += [
                    result(EVALUATIONS, features=features, network=run, boxes=boxes)
                    for run in runs
                ]
    return found


def inputs_for(wildcards):
    name = wildcards.name
    first = next(iter(DETECTION.features))
    if name in PICTURES:
        seed = DETECTION.seeds[0]
        return [
            result(
                f"detect/evaluations/{first}/stage/seed_{seed}/detected/detections.csv"
            ),
            *detection_shards("detect/frames/none/{shard}.h5"),
            *detection_shards("detect/features/{features}/{shard}.h5", features=first),
        ]
    found = evaluations_for(name)
    for features in DETECTION.features:
        if name == "table_3_9":
            found += [
                result(f"detect/networks/{features}/stage/seed_{seed}/metrics.json")
                for seed in DETECTION.seeds
            ]
        # Its provenance says which weights the features are of.
        shards = detection_shards(
            "detect/features/{features}/{shard}.h5", features=features
        )
        found += shards if name == "table_3_10" else shards[:1]
    return found
