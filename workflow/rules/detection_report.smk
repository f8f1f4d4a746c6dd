# Tables and figures of action detection (Ch. 3).


rule draw_detection_table:
    """Write a table of Ch. 3."""
    input:
        inputs_for,
    output:
        **table(),
    log:
        log_of("draw_detection_table/{name}.log"),
    wildcard_constraints:
        name="table_3_([2-9]|10)",
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        settings=settings("report-detection"),
        reading=reading(),
        code=code_digest("report-detection"),
    shell:
        'python -m pipeline --costs {log} report-detection {wildcards.name} --results $RESULTS/detect --label-map "$COUNTED" '
        "--settings {params.settings:q} -o {output.drawn} &> {log}"


use rule draw_detection_table as draw_gains with:
    """Draw Figure 3.4."""
    output:
        drawn=on_page(result("figures/{name}.png")),
    log:
        log_of("draw_gains/{name}.log"),
    wildcard_constraints:
        name="figure_3_4",


# Keyframes with original faces: the stage makes their folder private (mode 0700).
rule draw_examples:
    """Draw keyframes with detections (Figures 3.5 and 3.6), in a private folder."""
    input:
        inputs_for,
    output:
        private(result("private/{name}.png"), DETECTION.data),
    log:
        log_of("draw_examples/{name}.log"),
    wildcard_constraints:
        name="|".join(PICTURES),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        settings=settings("report-detection"),
        reading=reading(),
        features=next(iter(DETECTION.features)),
        code=code_digest("report-detection"),
    shell:
        'python -m pipeline --costs {log} report-detection {wildcards.name} --results $RESULTS/detect --label-map "$COUNTED" '
        '--truth "$SHOWN" --lists $RESULTS/detect/lists --frames $RESULTS/detect/frames/none/{{shard}}.h5 '
        "--features $RESULTS/detect/features/{params.features}/{{shard}}.h5 --settings {params.settings:q} "
        "-o {output} &> {log}"


rule collect_detection_quarantine:
    """List every video with boxes that a stage left out, and why."""
    input:
        detection_shards("detect/manifest/{shard}.json") if BOXES.root else [],
        [
            path
            for name in DETECTION.features
            for path in detection_shards(
                "detect/features/{features}/{shard}.h5", features=name
            )
        ],
    output:
        result("detect/quarantine.tsv"),
    log:
        log_of("collect_detection_quarantine.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        inputs=options(
            "detect/lists",
            **(
                {"manifests": [result("detect/manifest/{shard}.json")]}
                if BOXES.root
                else {}
            ),
            features=[
                result("detect/features/{features}/{shard}.h5", features=name)
                for name in DETECTION.features
            ],
        ),
        code=code_digest("quarantine"),
    shell:
        "python -m pipeline --costs {log} quarantine {params.inputs} -o {output} &> {log}"
