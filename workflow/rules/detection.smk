# Action detection (Ch. 3), from videos to features: keyframes, people and objects, backbones, imports.
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

if workflow.is_main_process:
    DETECTION_SHARDS = check(
        write_lists,
        check(list_annotated, BOXES),
        Path(DATASET, "detect/lists"),
        BOXES.shards,
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
            "detect.data still names the demo's videos: name your own, with their boxes (README, Action detection)"
        )
    return FOOTAGE_FILES


if BOXES.adapter == "demo":

    # People with real faces among objects, with AVA's kinds of files.
    rule make_interactions:
        input:
            footage_of_demo,
        output:
            INTERACTIONS,
        log:
            log_of("make_interactions.log"),
        conda:
            "../../envs/acta.yaml"
        threads: 2
        params:
            code=digest_code(
                [
                    "pipeline/data/demo.py",
                    "pipeline/data/drawing.py",
                    "pipeline/data/interactions.py",
                ]
            ),
        shell:
            "python -m pipeline make-interactions {ROOT} {DETECTION_ROOT} --workers {threads} &> {log}"


rule build_detection_manifest:
    input:
        list=result("detect/lists/{shard}.json"),
        demo=INTERACTIONS,
    output:
        result("detect/manifest/{shard}.json"),
    log:
        log_of("detect/manifest/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code_digest("manifest"),
    shell:
        "python -m pipeline manifest {input.list} --root {DETECTION_ROOT:q} --max-bad {BOXES.max_bad_fraction} "
        "--workers {threads} --timing {LOGS}/benchmarks/detect/manifest/{wildcards.shard}.tsv -o {output} &> {log}"


# Raw frames: the stage makes their folder private (mode 0700).
rule extract_detection_frames:
    input:
        rules.build_detection_manifest.output,
    output:
        result("detect/frames/none/{shard}.h5"),
    log:
        log_of("detect/frames/none/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=480,
    params:
        settings=settings("detection-frames"),
        code=code_digest("frames"),
    shell:
        "python -m pipeline frames {input} --root {DETECTION_ROOT:q} --settings {params.settings:q} "
        "--max-bad {BOXES.max_bad_fraction} --workers {threads} "
        "--timing {LOGS}/benchmarks/detect/frames/none/{wildcards.shard}.tsv -o {output} &> {log}"


def weights_digest(path, registered):
    """The hash of weights that are no output of a rule; a plan can be made before they are there."""
    if path is None:
        return WEIGHTS[registered].source.sha256 if registered else ""
    return "" if path.startswith(f"{DATASET}/") else sha256_of(path)


def on_gpu(settings):
    return int(settings is not None and settings.device == "cuda")


def compute_threads(settings):
    return 1 if settings is None else settings.threads


def threads_of(settings):
    """Compute threads, and with a GPU some that load data."""
    return compute_threads(settings) + (12 if on_gpu(settings) else 0)


# A checkpoint, last.ckpt, lies beside each model while it trains.
rule train_detector:
    input:
        frames=detection_shards("detect/frames/none/{shard}.h5"),
        boxes=DETECTION.detector_boxes or [],
    output:
        model=result("detect/detector/model.safetensors"),
        about=result("detect/detector/model.json"),
        metrics=result("detect/detector/metrics.json"),
    log:
        log_of("detect/detector.log"),
    benchmark:
        benchmark_of("detect/detector.tsv")
    conda:
        "../../envs/acta.yaml"
    threads: threads_of(DETECTION.detector)
    resources:
        gpu=on_gpu(DETECTION.detector),
        mem_mb=16000,
        runtime=1440,
        launcher="",
    params:
        settings=settings("train-detector"),
        initial=weights_digest(
            DETECTION.detector.initial if DETECTION.detector else None, "mobilenet_v2"
        ),
        compute=compute_threads(DETECTION.detector),
        code=code_digest("train-detector"),
    shell:
        "SRUN_CPUS_PER_TASK={threads} {resources.launcher} python -m pipeline train-detector "
        "--lists {DATASET}/detect/lists {DATASET}/detect/frames/none/{{shard}}.h5 --boxes {input.boxes:q} "
        "--settings {params.settings:q} --workers $(({threads} > {params.compute} ? {threads} - {params.compute} : 0)) "
        "-o {output.model} &> {log}"


# The detector that is trained here, a given one, or (neither) the registered one.
DETECTOR = (
    result("detect/detector/model.safetensors")
    if DETECTION.detector
    else DETECTION.objects.weights if DETECTION.objects else None
)
DETECTOR_OPTIONS = words(detector=DETECTOR)


rule detect_objects:
    input:
        frames=rules.extract_detection_frames.output,
        detector=DETECTOR or [],
        annotated=ANNOTATED,
    output:
        result("detect/objects/{shard}.h5"),
    log:
        log_of("detect/objects/{shard}.log"),
    benchmark:
        benchmark_of("detect/objects/{shard}.tsv")
    conda:
        "../../envs/acta.yaml"
    threads: compute_threads(DETECTION.objects)
    resources:
        gpu=on_gpu(DETECTION.objects),
        mem_mb=8000,
        runtime=480,
    params:
        settings=settings("detect-objects"),
        roles=ROLES,
        weights=weights_digest(DETECTOR, "fasterrcnn"),
        code=code_digest("detect-objects"),
    shell:
        "python -m pipeline detect-objects {input.frames} {DETECTOR_OPTIONS} {ANNOTATED_OPTIONS} "
        "--settings {params.settings:q} --max-bad {BOXES.max_bad_fraction} -o {output} &> {log}"


OBJECTS_ARE_IMPORTED = bool(DETECTION.objects and DETECTION.objects.imported)
IMPORTED_OBJECTS = words(
    published=DETECTION.objects.imported if DETECTION.objects else {}
)


rule import_objects:
    input:
        frames=rules.extract_detection_frames.output,
        published=[*DETECTION.objects.imported.values()] if DETECTION.objects else [],
        annotated=ANNOTATED,
    output:
        result("detect/published_objects/{shard}.h5"),
    log:
        log_of("detect/published_objects/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        settings=settings("import-objects"),
        roles=ROLES + roles(DETECTION.objects.imported if DETECTION.objects else {}),
        code=code_digest("import-objects"),
    shell:
        "python -m pipeline import-objects {input.frames} {IMPORTED_OBJECTS} {ANNOTATED_OPTIONS} "
        "--settings {params.settings:q} --max-bad {BOXES.max_bad_fraction} -o {output} &> {log}"


def objects_of(wildcards):
    if DETECTION.objects is None:
        return []
    folder = "published_objects" if OBJECTS_ARE_IMPORTED else "objects"
    return result(f"detect/{folder}/{{shard}}.h5", shard=wildcards.shard)


def source_of(wildcards):
    return DETECTION.features[wildcards.features].backbone


rule train_backbone:
    input:
        frames=detection_shards("detect/frames/none/{shard}.h5"),
        annotated=[LABEL_MAP, *TRAINED_ON.values()],
    output:
        model=result("detect/backbones/{features}/model.safetensors"),
        about=result("detect/backbones/{features}/model.json"),
        metrics=result("detect/backbones/{features}/metrics.json"),
    log:
        log_of("detect/backbones/{features}.log"),
    benchmark:
        benchmark_of("detect/backbones/{features}.tsv")
    conda:
        "../../envs/acta.yaml"
    threads: lambda wildcards: threads_of(source_of(wildcards).training)
    resources:
        gpu=lambda wildcards: on_gpu(source_of(wildcards).training),
        mem_mb=16000,
        runtime=1440,
        launcher="",
    params:
        settings=settings("train-backbone"),
        initial=lambda wildcards: weights_digest(
            source_of(wildcards).training.initial, None
        ),
        compute=lambda wildcards: compute_threads(source_of(wildcards).training),
        code=code_digest("train-backbone"),
    shell:
        "SRUN_CPUS_PER_TASK={threads} {resources.launcher} python -m pipeline train-backbone "
        "--lists {DATASET}/detect/lists {DATASET}/detect/frames/none/{{shard}}.h5 {TRAINED_ON_OPTIONS} "
        "--settings {params.settings:q} --workers $(({threads} > {params.compute} ? {threads} - {params.compute} : 0)) "
        "-o {output.model} &> {log}"


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


rule actor_features:
    input:
        frames=rules.extract_detection_frames.output,
        model=backbone_of,
        objects=objects_of,
        annotated=ANNOTATED,
    output:
        result("detect/features/{features}/{shard}.h5"),
    log:
        log_of("detect/features/{features}/{shard}.log"),
    benchmark:
        benchmark_of("detect/features/{features}/{shard}.tsv")
    wildcard_constraints:
        features="|".join(OF_A_BACKBONE) or NEVER,
    conda:
        "../../envs/acta.yaml"
    threads: lambda wildcards: threads_of(source_of(wildcards))
    resources:
        gpu=lambda wildcards: on_gpu(source_of(wildcards)),
        mem_mb=32000,
        runtime=480,
    params:
        settings=settings("actor-features"),
        roles=ROLES,
        compute=lambda wildcards: compute_threads(source_of(wildcards)),
        objects=lambda wildcards, input: words(objects=input.objects),
        code=code_digest("actor-features"),
    shell:
        "python -m pipeline actor-features {input.frames} --model {input.model} {params.objects} {ANNOTATED_OPTIONS} "
        "--settings {params.settings:q} --workers $(({threads} > {params.compute} ? {threads} - {params.compute} : 0)) "
        "--max-bad {BOXES.max_bad_fraction} -o {output} &> {log}"


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


rule import_features:
    input:
        list=result("detect/lists/{shard}.json"),
        published=published,
        annotated=ANNOTATED,
    output:
        result("detect/features/{features}/{shard}.h5"),
    log:
        log_of("detect/features/{features}/{shard}.log"),
    benchmark:
        benchmark_of("detect/features/{features}/{shard}.tsv")
    wildcard_constraints:
        features="|".join(IMPORTED) or NEVER,
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        settings=settings("import-features"),
        roles=ROLES,
        published=import_options,
        code=code_digest("import-features"),
    shell:
        "python -m pipeline import-features {input.list} {params.published} {ANNOTATED_OPTIONS} "
        "--settings {params.settings:q} --max-bad {BOXES.max_bad_fraction} -o {output} &> {log}"


rule average_features:
    input:
        lambda wildcards: [
            result(
                "detect/features/{features}/{shard}.h5",
                features=part,
                shard=wildcards.shard,
            )
            for part in DETECTION.features[wildcards.features].averaged
        ],
    output:
        result("detect/features/{features}/{shard}.h5"),
    log:
        log_of("detect/features/{features}/{shard}.log"),
    wildcard_constraints:
        features="|".join(AVERAGED) or NEVER,
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=16000,
        runtime=120,
    params:
        code=code_digest("average-features"),
    shell:
        "python -m pipeline average-features {input} -o {output} &> {log}"
