# Action detection (Ch. 3), from features to figures of merit: STAGE, its ablations, the backbone alone.


rule train_detection:
    """Train STAGE or an ablation."""
    input:
        features=lambda wildcards: detection_shards(
            "detect/features/{features}/{shard}.h5", features=wildcards.features
        ),
        truth=lambda wildcards: [LABEL_MAP, *truth_files(DETECTION.splits.validation)],
    output:
        model=result(
            "detect/networks/{features}/{network}/seed_{seed}/model.safetensors"
        ),
        about=result("detect/networks/{features}/{network}/seed_{seed}/model.json"),
        metrics=result("detect/networks/{features}/{network}/seed_{seed}/metrics.json"),
    log:
        log_of("train_detection/{features}/{network}/{seed}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: threads_of(DETECTION.training)
    resources:
        gpu=on_gpu(DETECTION.training),
        mem_mb=16000,
        runtime=1440,
        launcher="",
    params:
        settings=settings("train-detection"),
        compute=compute_threads(DETECTION.training),
        code=code_digest("train-detection"),
    shell:
        "SRUN_CPUS_PER_TASK={threads} {resources.launcher} python -m pipeline --costs {log} train-detection "
        '--lists $RESULTS/detect/lists $RESULTS/detect/features/{wildcards.features}/{{shard}}.h5 "${{VALIDATION[@]}}" '
        "--settings {params.settings:q} --workers $(loaders {threads} {params.compute}) "
        "-o {output.model} &> {log}"


rule evaluate_detection:
    """Measure frame-mAP of a network."""
    input:
        features=lambda wildcards: detection_shards(
            "detect/features/{features}/{shard}.h5", features=wildcards.features
        ),
        model=rules.train_detection.output.model,
        truth=lambda wildcards: [LABEL_MAP, *truth_files(DETECTION.splits.test)],
    output:
        evaluation=result(
            "detect/evaluations/{features}/{network}/seed_{seed}/{boxes}/evaluation.json"
        ),
        detections=result(
            "detect/evaluations/{features}/{network}/seed_{seed}/{boxes}/detections.csv"
        ),
    log:
        log_of("evaluate_detection/{features}/{network}/{seed}/{boxes}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: compute_threads(DETECTION.training)
    resources:
        gpu=on_gpu(DETECTION.training),
        mem_mb=16000,
        runtime=240,
    params:
        settings=settings("evaluate-detection"),
        model=lambda wildcards, input: words(model=input.model),
        code=code_digest("evaluate-detection"),
    shell:
        "python -m pipeline --costs {log} evaluate-detection --lists $RESULTS/detect/lists "
        '$RESULTS/detect/features/{wildcards.features}/{{shard}}.h5 {params.model} "${{TEST[@]}}" '
        "--settings {params.settings:q} --detections {output.detections} -o {output.evaluation} &> {log}"


# The backbone's own classifier, as the features came with its scores.
use rule evaluate_detection as evaluate_backbone with:
    """Measure frame-mAP of the backbone's own classifier."""
    input:
        features=lambda wildcards: detection_shards(
            "detect/features/{features}/{shard}.h5", features=wildcards.features
        ),
        model=[],
        truth=lambda wildcards: [LABEL_MAP, *truth_files(DETECTION.splits.test)],
    output:
        evaluation=result(
            "detect/evaluations/{features}/backbone/{boxes}/evaluation.json"
        ),
        detections=result(
            "detect/evaluations/{features}/backbone/{boxes}/detections.csv"
        ),
    log:
        log_of("evaluate_backbone/{features}/{boxes}.log"),
    resources:
        mem_mb=16000,
        runtime=240,
