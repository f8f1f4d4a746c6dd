# The studies around PAS, its tables and figures.
# Without PAS: the winner's architecture from random weights, cross entropy only (Table 6.2).


use rule train_classifier as train_classifier_alone with:
    """Train a winner's architecture without PAS (Table 6.2)."""
    input:
        classes=lambda wildcards: CLASSIFY.classes or [],
        like=result(f"{paths.ITERATION}/selected.safetensors"),
        like_about=result(f"{paths.ITERATION}/selected.json"),
        frames=of(shrink.frames),
    output:
        model=result(f"{paths.ITERATION}/alone/model.safetensors"),
        about=result(f"{paths.ITERATION}/alone/model.json"),
        metrics=result(f"{paths.ITERATION}/alone/metrics.json"),
    log:
        log_of("train_classifier_alone/{recipe}/{plan}/{iteration}.log"),
    params:
        **RUN.task(
            "train_classifier",
            split=SHRINK.split,
            variant=SHRINK.base.variant,
            use="alone",
        ),
        shards=verbatim(result(SHRINK_FRAMES)),
        lists=result(paths.LISTS),
        initial="",
        start=lambda wildcards, input: f"--like {input.like}",


use rule train_classifier as train_classifier_transferred with:
    """Fine-tune a network that was trained on another dataset (Table 6.6)."""
    input:
        classes=lambda wildcards: CLASSIFY.classes or [],
        like=of(shrink.transferred),
        like_about=of(lambda run, wildcards: about(shrink.transferred(run, wildcards))),
        frames=lambda wildcards: check(classify.frames, RUN, wildcards, "none"),
    output:
        model=result(f"{paths.TRANSFERRED}/model.safetensors"),
        about=result(f"{paths.TRANSFERRED}/model.json"),
        metrics=result(f"{paths.TRANSFERRED}/metrics.json"),
    log:
        log_of("train_classifier_transferred/{split}/{recipe}/{network}.log"),
    wildcard_constraints:
        network=r"base|pas_\d+",
    params:
        **RUN.task("train_classifier", use="transferred"),
        shards=verbatim(result(paths.RAW_FRAMES)),
        lists=result(paths.LISTS),
        initial="",
        start=lambda wildcards, input: f"--like {input.like} --keep-weights",


use rule evaluate_classifier as evaluate_classifier_transferred with:
    """Measure a fine-tuned network's accuracy on the test videos."""
    input:
        model=rules.train_classifier_transferred.output.model,
        about=rules.train_classifier_transferred.output.about,
        frames=RUN.of_shards(paths.RAW_FRAMES),
    output:
        evaluation=result(f"{paths.TRANSFERRED}/evaluation.json"),
        predictions=result(f"{paths.TRANSFERRED}/predictions.tsv"),
    log:
        log_of("evaluate_classifier_transferred/{split}/{recipe}/{network}.log"),
    wildcard_constraints:
        network=r"base|pas_\d+",
    params:
        **RUN.task("evaluate_classifier"),
        shards=verbatim(result(paths.RAW_FRAMES)),
        listed=verbatim(result(paths.LIST)),
        lists=result(paths.LISTS),


rule draw_shrinkage_table:
    """Write a table of Ch. 6."""
    input:
        drawn_from(shrink.results_of),
    output:
        **table(),
    log:
        log_of("draw_shrinkage_table/{name}.log"),
    wildcard_constraints:
        name=page.tables(6),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("draw_shrinkage", plans=of(shrink.shown_plans)),
        reading=reading(),
        results=verbatim(result("")),
    shell:
        command(
            "draw_shrinkage",
            "--name {wildcards.name} --results {params.results} -o {output.drawn}",
        )


rule draw_shrinkage_figure:
    """Draw Figure 6.3 or 6.4 for a base network."""
    input:
        lambda wildcards: shrink.results_of(RUN, "shrink_figure", [wildcards.recipe]),
    output:
        drawn=on_page(result(paths.FIGURE, name="shrink_{recipe}"), figure_of),
    log:
        log_of("draw_shrinkage_figure/{recipe}.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("draw_shrinkage", plans=of(shrink.shown_plans)),
        reading=reading(figure_of),
        results=verbatim(result("")),
    shell:
        command(
            "draw_shrinkage",
            "--name {wildcards.recipe} --results {params.results} -o {output.drawn}",
        )
