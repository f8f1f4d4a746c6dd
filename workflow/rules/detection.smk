# Action detection (Ch. 3), from videos to features: keyframes, people and objects, backbones, imports.
# The chapter has videos of its own; all of it lies below results/<dataset>/detect.


if BOXES.adapter == "demo":

    # People with real faces among objects, with AVA's kinds of files.
    rule make_interactions:
        """Make the demo's videos of people among things, with AVA's kinds of files."""
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
            'python -m pipeline --costs {log} make-interactions "$ROOT" "$DETECTION_ROOT" --workers {threads} &> {log}'


rule build_detection_manifest:
    """Probe the videos with boxes of one shard."""
    input:
        list=lambda wildcards: list_file("detect/lists", wildcards.shard),
        demo=INTERACTIONS,
    output:
        result("detect/manifest/{shard}.json"),
    log:
        log_of("build_detection_manifest/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code_digest("manifest"),
    shell:
        'python -m pipeline --costs {log} manifest {input.list} --root "$DETECTION_ROOT" --max-bad $DETECTION_MAX_BAD '
        "--workers {threads} -o {output} &> {log}"


# Raw frames: the stage makes their folder private (mode 0700).
rule extract_detection_frames:
    """Store a shard's frames for action detection, in a private folder."""
    input:
        rules.build_detection_manifest.output,
    output:
        result("detect/frames/none/{shard}.h5"),
    log:
        log_of("extract_detection_frames/{shard}.log"),
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
        'python -m pipeline --costs {log} frames {input} --root "$DETECTION_ROOT" --settings {params.settings:q} '
        "--max-bad $DETECTION_MAX_BAD --workers {threads} "
        "-o {output} &> {log}"


# A checkpoint, last.ckpt, lies beside each model while it trains.
rule train_detector:
    """Train a detector of people and objects."""
    input:
        frames=detection_shards("detect/frames/none/{shard}.h5"),
        boxes=lambda wildcards: DETECTION.detector_boxes or [],
    output:
        model=result("detect/detector/model.safetensors"),
        about=result("detect/detector/model.json"),
        metrics=result("detect/detector/metrics.json"),
    log:
        log_of("train_detector.log"),
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
        "SRUN_CPUS_PER_TASK={threads} {resources.launcher} python -m pipeline --costs {log} train-detector "
        "--lists $RESULTS/detect/lists $RESULTS/detect/frames/none/{{shard}}.h5 --boxes {input.boxes:q} "
        "--settings {params.settings:q} --workers $(loaders {threads} {params.compute}) "
        "-o {output.model} &> {log}"


rule detect_objects:
    """Find people and objects on a shard's keyframes."""
    input:
        frames=rules.extract_detection_frames.output,
        detector=lambda wildcards: DETECTOR or [],
        annotated=lambda wildcards: ANNOTATED,
    output:
        result("detect/objects/{shard}.h5"),
    log:
        log_of("detect_objects/{shard}.log"),
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
        'python -m pipeline --costs {log} detect-objects {input.frames} "${{DETECTOR[@]}}" "${{ANNOTATED[@]}}" '
        "--settings {params.settings:q} --max-bad $DETECTION_MAX_BAD -o {output} &> {log}"


rule import_objects:
    """Read another detector's published objects."""
    input:
        frames=rules.extract_detection_frames.output,
        published=[*DETECTION.objects.imported.values()] if DETECTION.objects else [],
        annotated=lambda wildcards: ANNOTATED,
    output:
        result("detect/published_objects/{shard}.h5"),
    log:
        log_of("import_objects/{shard}.log"),
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
        'python -m pipeline --costs {log} import-objects {input.frames} "${{IMPORTED_OBJECTS[@]}}" "${{ANNOTATED[@]}}" '
        "--settings {params.settings:q} --max-bad $DETECTION_MAX_BAD -o {output} &> {log}"


rule train_backbone:
    """Fine-tune an actor backbone."""
    input:
        frames=detection_shards("detect/frames/none/{shard}.h5"),
        annotated=lambda wildcards: [LABEL_MAP, *TRAINED_ON.values()],
    output:
        model=result("detect/backbones/{features}/model.safetensors"),
        about=result("detect/backbones/{features}/model.json"),
        metrics=result("detect/backbones/{features}/metrics.json"),
    log:
        log_of("train_backbone/{features}.log"),
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
        "SRUN_CPUS_PER_TASK={threads} {resources.launcher} python -m pipeline --costs {log} train-backbone "
        '--lists $RESULTS/detect/lists $RESULTS/detect/frames/none/{{shard}}.h5 "${{TRAINED_ON[@]}}" '
        "--settings {params.settings:q} --workers $(loaders {threads} {params.compute}) "
        "-o {output.model} &> {log}"


rule actor_features:
    """Compute features of a shard's people and objects."""
    input:
        frames=rules.extract_detection_frames.output,
        model=backbone_of,
        objects=objects_of,
        annotated=lambda wildcards: ANNOTATED,
    output:
        result("detect/features/{features}/{shard}.h5"),
    log:
        log_of("actor_features/{features}/{shard}.log"),
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
        'python -m pipeline --costs {log} actor-features {input.frames} --model {input.model} {params.objects} "${{ANNOTATED[@]}}" '
        "--settings {params.settings:q} --workers $(loaders {threads} {params.compute}) "
        "--max-bad $DETECTION_MAX_BAD -o {output} &> {log}"


rule import_features:
    """Read published features of people."""
    input:
        list=lambda wildcards: list_file("detect/lists", wildcards.shard),
        published=published,
        annotated=lambda wildcards: ANNOTATED,
    output:
        result("detect/features/{features}/{shard}.h5"),
    log:
        log_of("import_features/{features}/{shard}.log"),
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
        'python -m pipeline --costs {log} import-features {input.list} {params.published} "${{ANNOTATED[@]}}" '
        "--settings {params.settings:q} --max-bad $DETECTION_MAX_BAD -o {output} &> {log}"


rule average_features:
    """Average two kinds of features."""
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
        log_of("average_features/{features}/{shard}.log"),
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
        "python -m pipeline --costs {log} average-features {input} -o {output} &> {log}"
