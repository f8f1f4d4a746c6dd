# Action recognition (Ch. 5): teachers, students, their accuracy, the tables and figures.


# While a model trains, its checkpoint last.ckpt is next to it. It is not declared: Snakemake deletes a failed job's outputs.
rule train_classifier:
    """Train a teacher or a student for action recognition."""
    input:
        frames=lambda wildcards: check(
            classify.frames, RUN, wildcards, wildcards.variant
        ),
        classes=lambda wildcards: CLASSIFY.classes or [],
        teacher=of(classify.teacher),
        teacher_frames=of(classify.teacher_frames),
    output:
        model=result(f"{paths.CLASSIFIER}/model.safetensors"),
        about=result(f"{paths.CLASSIFIER}/model.json"),
        metrics=result(f"{paths.CLASSIFIER}/metrics.json"),
    log:
        log_of("train_classifier/{split}/{recipe}/{variant}/{strategy}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: threads_of(CLASSIFY.training, loading=True)
    resources:
        gpu=on_gpu(CLASSIFY.training),
        mem_mb=16000,
        runtime=1440,
        launcher="",
    params:
        **RUN.task("train_classifier"),
        shards=lambda wildcards: result(paths.FRAMES, variant=wildcards.variant),
        lists=result(paths.LISTS),
        initial=of(classify.initial_weights),
        start=of(classify.teacher_options),
    shell:
        command(
            "train_classifier",
            "--shards {params.shards} --lists {params.lists} {params.start} -o {output.model}",
        )


rule evaluate_classifier:
    """Measure a network's accuracy on the test videos."""
    input:
        model=rules.train_classifier.output.model,
        about=rules.train_classifier.output.about,
        frames=lambda wildcards: check(
            classify.frames, RUN, wildcards, wildcards.tested
        ),
    output:
        evaluation=result(f"{paths.CLASSIFIER_EVALUATION}/evaluation.json"),
        predictions=result(f"{paths.CLASSIFIER_EVALUATION}/predictions.tsv"),
    log:
        log_of("evaluate_classifier/{split}/{recipe}/{variant}/{strategy}/{tested}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: threads_of(CLASSIFY.training, loading=True)
    resources:
        gpu=on_gpu(CLASSIFY.training),
        mem_mb=8000,
        runtime=240,
    params:
        **RUN.task("evaluate_classifier"),
        shards=lambda wildcards: result(paths.FRAMES, variant=wildcards.tested),
        listed=verbatim(result(paths.LIST)),
        lists=result(paths.LISTS),
    shell:
        command(
            "evaluate_classifier",
            "--model {input.model} --shards {params.shards} --listed {params.listed} --lists {params.lists} "
            "--predictions {output.predictions} -o {output.evaluation}",
        )


rule draw_classification_table:
    """Write a table of Ch. 5."""
    input:
        drawn_from(classify.evaluations_of),
    output:
        **table(),
    log:
        log_of("draw_classification_table/{name}.log"),
    wildcard_constraints:
        name=page.tables(5),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("draw_classification", recipes=of(classify.shown_recipes)),
        reading=reading(),
        evaluations=verbatim(result(paths.EVALUATIONS)),
    shell:
        command(
            "draw_classification",
            "--name {wildcards.name} --evaluations {params.evaluations} -o {output.drawn}",
        )


use rule draw_classification_table as draw_classification_figure with:
    """Draw a figure of Ch. 5."""
    output:
        drawn=on_page(result(paths.FIGURE)),
    log:
        log_of("draw_classification_figure/{name}.log"),
    wildcard_constraints:
        name="figure_5_[67]",
