# Action detection (Ch. 3), from features to metrics: STAGE, its ablations, the backbone alone.


rule train_stage:
    """Train STAGE or an ablation."""
    input:
        **detect.truth(RUN, DETECTION.splits.validation),
        features=lambda wildcards: check(
            detect.learned_from, RUN, wildcards, wildcards.network
        ),
    output:
        model=result(f"{paths.STAGE}/model.safetensors"),
        about=result(f"{paths.STAGE}/model.json"),
        metrics=result(f"{paths.STAGE}/metrics.json"),
    log:
        log_of("train_stage/{features}/{network}/{seed}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: threads_of(DETECTION.training, loading=True)
    resources:
        gpu=on_gpu(DETECTION.training),
        mem_mb=16000,
        runtime=1440,
        launcher="",
    params:
        **RUN.task("train_stage"),
        shards=lambda wildcards: result(
            paths.ACTOR_FEATURES, features=wildcards.features
        ),
        lists=result(paths.DETECTION_LISTS),
    shell:
        command(
            "train_stage",
            "--shards {params.shards} --lists {params.lists} "
            + detect.truth_options(RUN, DETECTION.splits.validation)
            + " -o {output.model}",
        )


rule evaluate_stage:
    """Measure a network's frame-mAP."""
    input:
        **detect.truth(RUN, DETECTION.splits.test),
        features=lambda wildcards: check(
            detect.learned_from, RUN, wildcards, wildcards.network
        ),
        model=rules.train_stage.output.model,
    output:
        evaluation=result(f"{paths.STAGE_EVALUATION}/evaluation.json"),
        detections=result(f"{paths.STAGE_EVALUATION}/detections.csv"),
    log:
        log_of("evaluate_stage/{features}/{network}/{seed}/{boxes}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: threads_of(DETECTION.training)
    resources:
        gpu=on_gpu(DETECTION.training),
        mem_mb=16000,
        runtime=240,
    params:
        **RUN.task("evaluate_stage"),
        shards=lambda wildcards: result(
            paths.ACTOR_FEATURES, features=wildcards.features
        ),
        lists=result(paths.DETECTION_LISTS),
        model=lambda wildcards, input: f"--model {input.model}" if input.model else "",
    shell:
        command(
            "evaluate_stage",
            "{params.model} --shards {params.shards} --lists {params.lists} "
            + detect.truth_options(RUN, DETECTION.splits.test)
            + " --detections {output.detections} -o {output.evaluation}",
        )


# The backbone's own classifier, whose scores are stored with the features.
use rule evaluate_stage as evaluate_stage_backbone with:
    """Measure the frame-mAP of the backbone's own classifier."""
    input:
        **detect.truth(RUN, DETECTION.splits.test),
        features=lambda wildcards: check(
            detect.learned_from, RUN, wildcards, "backbone"
        ),
        model=[],
    output:
        evaluation=result(f"{paths.BACKBONE_EVALUATION}/evaluation.json"),
        detections=result(f"{paths.BACKBONE_EVALUATION}/detections.csv"),
    log:
        log_of("evaluate_stage_backbone/{features}/{boxes}.log"),
    resources:
        mem_mb=16000,
        runtime=240,
