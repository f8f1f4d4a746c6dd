# Action detection (Ch. 3), from videos to features: keyframes, people and objects, backbones, imports.
# The chapter uses separate videos; all its results are below results/<dataset>/detect.
BOXES = DETECTION.data
INTERACTIONS = []
if BOXES.adapter == "demo":
    INTERACTIONS = [f"{BOXES.root}/{name}" for name in interaction_files()]
ROLES = roles(BOXES.boxes, BOXES.proposals)
DETECTOR = detect.detector(RUN)


if BOXES.adapter == "demo":

    # People with real faces among objects, with annotation files like AVA's.
    rule make_interactions:
        """Make the demo's videos of people among objects, with annotation files like AVA's."""
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
            **RUN.task("make_interactions"),
        shell:
            command(
                "make_interactions",
                '--footage "$ACTA_ROOT" --root "$ACTA_DETECTION_ROOT"',
            )


rule build_manifest_detection:
    """Probe a shard's videos for action detection."""
    input:
        videos=lambda wildcards: list_file(paths.DETECTION_LISTS, wildcards.shard),
        demo=INTERACTIONS,
    output:
        result(paths.DETECTION_MANIFEST),
    log:
        log_of("build_manifest_detection/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **RUN.task("build_manifest"),
    shell:
        command(
            "build_manifest",
            '--videos {input.videos} --root "$ACTA_DETECTION_ROOT" --max-bad-fraction $ACTA_DETECTION_MAX_BAD '
            "-o {output}",
        )


# Raw frames: the task makes their folder private (mode 0700).
rule extract_frames_detection:
    """Store a shard's frames for action detection, in a private folder."""
    input:
        rules.build_manifest_detection.output,
    output:
        result(paths.DETECTION_FRAMES),
    log:
        log_of("extract_frames_detection/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=480,
    params:
        **RUN.task("extract_frames", chapter="detect"),
    shell:
        command(
            "extract_frames",
            '--manifest {input} --root "$ACTA_DETECTION_ROOT" --max-bad-fraction $ACTA_DETECTION_MAX_BAD -o {output}',
        )


# While a model trains, its checkpoint last.ckpt is next to it.
rule train_detector:
    """Train a detector of people and objects."""
    input:
        frames=RUN.of_detection_shards(paths.DETECTION_FRAMES),
        boxes=lambda wildcards: DETECTION.detector_boxes or [],
    output:
        model=result(f"{paths.DETECTOR}/model.safetensors"),
        about=result(f"{paths.DETECTOR}/model.json"),
        metrics=result(f"{paths.DETECTOR}/metrics.json"),
    log:
        log_of("train_detector.log"),
    conda:
        "../../envs/acta.yaml"
    threads: threads_of(DETECTION.detector, loading=True)
    resources:
        gpu=on_gpu(DETECTION.detector),
        mem_mb=16000,
        runtime=1440,
        launcher="",
    params:
        **RUN.task("train_detector"),
        initial=check(
            RUN.weights_digest,
            DETECTION.detector.initial if DETECTION.detector else None,
            "mobilenet_v2",
        ),
        shards=verbatim(result(paths.DETECTION_FRAMES)),
        lists=result(paths.DETECTION_LISTS),
    shell:
        command(
            "train_detector",
            "--shards {params.shards} --lists {params.lists} --boxes {input.boxes:q} -o {output.model}",
        )


rule detect_objects:
    """Find people and objects in a shard's keyframes."""
    input:
        **detect.annotated(RUN),
        frames=rules.extract_frames_detection.output,
        detector=DETECTOR or [],
    output:
        result(paths.OBJECTS),
    log:
        log_of("detect_objects/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: threads_of(DETECTION.objects)
    resources:
        gpu=on_gpu(DETECTION.objects),
        mem_mb=8000,
        runtime=480,
    params:
        **RUN.task("detect_objects"),
        roles=ROLES,
        weights=check(RUN.weights_digest, DETECTOR, "fasterrcnn"),
    shell:
        command(
            "detect_objects",
            "--frames {input.frames} "
            + ("--detector {input.detector:q} " if DETECTOR else "")
            + detect.annotated_options(RUN)
            + " --max-bad-fraction $ACTA_DETECTION_MAX_BAD -o {output}",
        )


rule import_objects:
    """Import objects that were published from another detector."""
    input:
        **named("published", detect.imported_objects(RUN)),
        **detect.annotated(RUN),
        frames=rules.extract_frames_detection.output,
    output:
        result(paths.PUBLISHED_OBJECTS),
    log:
        log_of("import_objects/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        **RUN.task("import_objects"),
        roles=ROLES + roles(detect.imported_objects(RUN)),
    shell:
        command(
            "import_objects",
            "--frames {input.frames} "
            + by_split("published", "published", detect.imported_objects(RUN))
            + f" {detect.annotated_options(RUN)} "
            + "--max-bad-fraction $ACTA_DETECTION_MAX_BAD -o {output}",
        )


rule train_backbone:
    """Fine-tune an actor backbone."""
    input:
        **named("boxes", detect.trained_on(RUN)),
        frames=RUN.of_detection_shards(paths.DETECTION_FRAMES),
        label_map=BOXES.label_map,
    output:
        model=result(f"{paths.BACKBONE}/model.safetensors"),
        about=result(f"{paths.BACKBONE}/model.json"),
        metrics=result(f"{paths.BACKBONE}/metrics.json"),
    log:
        log_of("train_backbone/{features}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: lambda wildcards: threads_of(backbone_training(wildcards), loading=True)
    resources:
        gpu=lambda wildcards: on_gpu(backbone_training(wildcards)),
        mem_mb=16000,
        runtime=1440,
        launcher="",
    params:
        **RUN.task("train_backbone"),
        initial=lambda wildcards: RUN.weights_digest(
            backbone_training(wildcards).initial, None
        ),
        shards=verbatim(result(paths.DETECTION_FRAMES)),
        lists=result(paths.DETECTION_LISTS),
    shell:
        command(
            "train_backbone",
            "--shards {params.shards} --lists {params.lists} --label-map {input.label_map:q} "
            + by_split("boxes", "boxes", detect.trained_on(RUN))
            + " -o {output.model}",
        )


rule extract_actor_features:
    """Compute features of a shard's people and objects."""
    input:
        **detect.annotated(RUN),
        frames=rules.extract_frames_detection.output,
        model=of(detect.backbone),
        objects=of(detect.objects),
    output:
        result(paths.ACTOR_FEATURES),
    log:
        log_of("extract_actor_features/{features}/{shard}.log"),
    wildcard_constraints:
        features=detect.features_with(RUN, "backbone"),
    conda:
        "../../envs/acta.yaml"
    threads: lambda wildcards: threads_of(backbone_settings(wildcards), loading=True)
    resources:
        gpu=lambda wildcards: on_gpu(backbone_settings(wildcards)),
        mem_mb=32000,
        runtime=480,
    params:
        **RUN.task("extract_actor_features"),
        roles=ROLES,
    shell:
        command(
            "extract_actor_features",
            "--frames {input.frames} --model {input.model:q} "
            + ("--objects {input.objects} " if DETECTION.objects else "")
            + detect.annotated_options(RUN)
            + " --max-bad-fraction $ACTA_DETECTION_MAX_BAD -o {output}",
        )


rule import_actor_features:
    """Import published features of people."""
    input:
        **detect.annotated(RUN),
        videos=lambda wildcards: list_file(paths.DETECTION_LISTS, wildcards.shard),
        published=of(detect.published),
    output:
        result(paths.ACTOR_FEATURES),
    log:
        log_of("import_actor_features/{features}/{shard}.log"),
    wildcard_constraints:
        features=detect.features_with(RUN, "imported"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        **RUN.task("import_actor_features"),
        roles=ROLES,
        published=of(detect.import_options),
    shell:
        command(
            "import_actor_features",
            "--videos {input.videos} {params.published} "
            + detect.annotated_options(RUN)
            + " --max-bad-fraction $ACTA_DETECTION_MAX_BAD -o {output}",
        )


rule average_actor_features:
    """Average two sets of features."""
    input:
        one=of(detect.averaged, place=0),
        other=of(detect.averaged, place=1),
    output:
        result(paths.ACTOR_FEATURES),
    log:
        log_of("average_actor_features/{features}/{shard}.log"),
    wildcard_constraints:
        features=detect.features_with(RUN, "average_of"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=16000,
        runtime=120,
    params:
        **RUN.task("average_actor_features"),
    shell:
        command(
            "average_actor_features",
            "--one {input.one} --other {input.other} -o {output}",
        )
