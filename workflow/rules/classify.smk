# Action recognition (Ch. 5): teachers, students, their accuracy, the tables and figures.


# A checkpoint, last.ckpt, lies beside the model while it trains; it is not declared, as a failed job loses its outputs.
rule train:
    """Train a teacher or a student for action recognition."""
    input:
        frames=lambda wildcards: shards(
            "frames/{variant}/{shard}.h5", variant=wildcards.variant
        ),
        classes=lambda wildcards: CLASSIFY.classes or [],
        teacher=teacher_of,
        teacher_frames=teacher_frames,
    output:
        model=result("models/{split}/{recipe}/{variant}/{strategy}/model.safetensors"),
        about=result("models/{split}/{recipe}/{variant}/{strategy}/model.json"),
        metrics=result("models/{split}/{recipe}/{variant}/{strategy}/metrics.json"),
    log:
        log_of("train/{split}/{recipe}/{variant}/{strategy}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: THREADS
    resources:
        gpu=int(CLASSIFY.training.device == "cuda"),
        mem_mb=16000,
        runtime=1440,
        launcher="",
    params:
        settings=settings("train"),
        compute=COMPUTE,
        frames=lambda wildcards: result(f"frames/{wildcards.variant}/{{shard}}.h5"),
        initial=initial_weights,
        teacher=teacher_options,
        code=code_digest("train"),
    shell:
        "SRUN_CPUS_PER_TASK={threads} {resources.launcher} python -m pipeline --costs {log} train --lists $RESULTS/lists {params.frames} "
        "{params.teacher} --settings {params.settings:q} --workers $(loaders {threads} {params.compute}) -o {output.model} &> {log}"


rule evaluate:
    """Measure a network's accuracy on the test videos."""
    input:
        model=rules.train.output.model,
        about=rules.train.output.about,
        frames=lambda wildcards: shards(
            "frames/{variant}/{shard}.h5", variant=wildcards.tested
        ),
    output:
        evaluation=result(
            "evaluations/{split}/{recipe}/{variant}/{strategy}/on_{tested}/evaluation.json"
        ),
        predictions=result(
            "evaluations/{split}/{recipe}/{variant}/{strategy}/on_{tested}/predictions.tsv"
        ),
    log:
        log_of("evaluate/{split}/{recipe}/{variant}/{strategy}/{tested}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: THREADS
    resources:
        gpu=int(CLASSIFY.training.device == "cuda"),
        mem_mb=8000,
        runtime=240,
    params:
        settings=settings("evaluate"),
        compute=COMPUTE,
        frames=lambda wildcards: result(f"frames/{wildcards.tested}/{{shard}}.h5"),
        code=code_digest("evaluate"),
    shell:
        "python -m pipeline --costs {log} evaluate --lists $RESULTS/lists {input.model} {params.frames} --settings {params.settings:q} --workers $(loaders {threads} {params.compute}) "
        "--predictions {output.predictions} -o {output.evaluation} &> {log}"


rule draw_classification_table:
    """Write a table of Ch. 5."""
    input:
        lambda wildcards: evaluations_of(wildcards.name),
    output:
        **table(),
    log:
        log_of("draw_classification_table/{name}.log"),
    wildcard_constraints:
        name="table_5_[123]",
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        settings=settings("report-classification"),
        reading=reading(),
        code=code_digest("report-classification"),
    shell:
        "python -m pipeline --costs {log} report-classification {wildcards.name} --evaluations $RESULTS/evaluations "
        "--settings {params.settings:q} -o {output.drawn} &> {log}"


use rule draw_classification_table as draw_classification_figure with:
    """Draw a figure of Ch. 5."""
    output:
        drawn=on_page(result("figures/{name}.png")),
    log:
        log_of("draw_classification_figure/{name}.log"),
    wildcard_constraints:
        name="figure_5_[67]",
