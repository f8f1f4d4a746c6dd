# Tables and figures of action detection (Ch. 3).


rule draw_detection_table:
    """Write a table of Ch. 3."""
    input:
        drawn_from(detect.results_of),
    output:
        **table(),
    log:
        log_of("draw_detection_table/{name}.log"),
    wildcard_constraints:
        name=page.tables(3),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("draw_detection", features=of(detect.shown_features)),
        reading=reading(),
        results=verbatim(result(paths.DETECTION)),
    shell:
        command(
            "draw_detection",
            '--name {wildcards.name} --results {params.results} --label-map "$ACTA_COUNTED" -o {output.drawn}',
        )


use rule draw_detection_table as draw_detection_figure with:
    """Draw Figure 3.4."""
    output:
        drawn=on_page(result(paths.FIGURE)),
    log:
        log_of("draw_detection_figure/{name}.log"),
    wildcard_constraints:
        name="figure_3_4",


# Keyframes with original faces: the task makes their folder private (mode 0700).
rule draw_detection_examples:
    """Draw keyframes with detections (Figures 3.5 and 3.6), in a private folder."""
    input:
        drawn_from(detect.results_of),
    output:
        private(result(paths.PRIVATE_FIGURE), BOXES),
    log:
        log_of("draw_detection_examples/{name}.log"),
    wildcard_constraints:
        name="|".join(detect.PICTURES),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("draw_detection", features=of(detect.shown_features)),
        reading=reading(),
        results=verbatim(result(paths.DETECTION)),
        frames=verbatim(result(paths.DETECTION_FRAMES)),
        features=verbatim(
            result(paths.ACTOR_FEATURES, features=next(iter(DETECTION.features)))
        ),
        lists=result(paths.DETECTION_LISTS),
    shell:
        command(
            "draw_detection",
            '--name {wildcards.name} --results {params.results} --label-map "$ACTA_COUNTED" --truth "$ACTA_SHOWN" '
            "--frames {params.frames} --features {params.features} --lists {params.lists} -o {output}",
        )


rule collect_quarantine_detection:
    """List every video that a task of action detection left out, and why."""
    input:
        manifests=(
            RUN.of_detection_shards(paths.DETECTION_MANIFEST) if BOXES.root else []
        ),
        shards=[
            path
            for name in DETECTION.features
            for path in RUN.of_detection_shards(paths.ACTOR_FEATURES, features=name)
        ],
    output:
        result(paths.DETECTION_QUARANTINE),
    log:
        log_of("collect_quarantine_detection.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("collect_quarantine"),
        manifests=verbatim(result(paths.DETECTION_MANIFEST) if BOXES.root else ""),
        shards=verbatim(
            [
                result(paths.ACTOR_FEATURES, features=name)
                for name in DETECTION.features
            ]
        ),
        lists=result(paths.DETECTION_LISTS),
    shell:
        command(
            "collect_quarantine",
            "--manifests {params.manifests} --shards {params.shards} --lists {params.lists} -o {output}",
        )
