# Tables and figures of action detection (Ch. 3).
EVALUATIONS = "detect/evaluations/{features}/{network}/{boxes}/evaluation.json"
COUNTED = BOXES.evaluated or LABEL_MAP
SHOWN = BOXES.boxes.get(DETECTION.splits.test)
PICTURES = ("figure_3_5", "figure_3_6")  # show original frames


def evaluations_for(name):
    """Evaluations that a table or figure is made of; the pictures show one network's detections."""
    seeds = [f"seed_{seed}" for seed in DETECTION.seeds]
    found = []
    for features, settings in DETECTION.features.items():
        for network in networks_for(name):
            if network == "backbone" and not settings.has_baseline:
                continue
            runs = ["backbone"] if network == "backbone" else []
            runs = runs or [f"{network}/{seed}" for seed in seeds]
            # Table 3.8 ends with STAGE on annotated boxes.
            more = name == "table_3_8" and network == "stage"
            for boxes in ["detected", "annotated"] if more else ["detected"]:
                found += [
                    result(EVALUATIONS, features=features, network=run, boxes=boxes)
                    for run in runs
                ]
    return found


def inputs_for(wildcards):
    name = wildcards.name
    first = next(iter(DETECTION.features))
    if name in PICTURES:
        seed = DETECTION.seeds[0]
        return [
            result(
                f"detect/evaluations/{first}/stage/seed_{seed}/detected/detections.csv"
            ),
            *detection_shards("detect/frames/none/{shard}.h5"),
            *detection_shards("detect/features/{features}/{shard}.h5", features=first),
        ]
    found = evaluations_for(name)
    for features in DETECTION.features:
        if name == "table_3_9":
            found += [
                result(f"detect/networks/{features}/stage/seed_{seed}/metrics.json")
                for seed in DETECTION.seeds
            ]
        # Its provenance says which weights the features are of.
        shards = detection_shards(
            "detect/features/{features}/{shard}.h5", features=features
        )
        found += shards if name == "table_3_10" else shards[:1]
    return found


rule draw_detection_table:
    input:
        inputs_for,
    output:
        report(
            result("tables/{name}.tsv"),
            caption="../report/detection.rst",
            category="Action detection",
        ),
    log:
        log_of("tables/{name}.log"),
    wildcard_constraints:
        name=r"table_3_\d+",
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        settings=settings("report-detection"),
        code=code_digest("report-detection"),
    shell:
        "python -m pipeline report-detection {wildcards.name} --results {DATASET}/detect --label-map {COUNTED:q} "
        "--settings {params.settings:q} -o {output} &> {log}"


use rule draw_detection_table as draw_gains with:
    output:
        report(
            result("figures/{name}.png"),
            caption="../report/detection.rst",
            category="Action detection",
        ),
    log:
        log_of("figures/{name}.log"),
    wildcard_constraints:
        name="figure_3_4",


# Keyframes with original faces: the stage makes their folder private (mode 0700).
rule draw_examples:
    input:
        inputs_for,
    output:
        result("private/{name}.png"),
    log:
        log_of("private/{name}.log"),
    wildcard_constraints:
        name="|".join(PICTURES),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        settings=settings("report-detection"),
        features=next(iter(DETECTION.features)),
        code=code_digest("report-detection"),
    shell:
        "python -m pipeline report-detection {wildcards.name} --results {DATASET}/detect --label-map {COUNTED:q} "
        "--truth {SHOWN:q} --lists {DATASET}/detect/lists --frames {DATASET}/detect/frames/none/{{shard}}.h5 "
        "--features {DATASET}/detect/features/{params.features}/{{shard}}.h5 --settings {params.settings:q} "
        "-o {output} &> {log}"


def drawn(name):
    if name in PICTURES:
        return result(f"private/{name}.png")
    return result(
        f"tables/{name}.tsv" if name.startswith("table") else f"figures/{name}.png"
    )


# Targets: each table and figure of Ch. 3 by its name, tables printed; what the configuration names of them together.
for name in CHAPTER_3_TABLES:

    rule:
        name:
            name
        input:
            drawn(name),
        localrule: True
        shell:
            "column -t -s \"$(printf '\\t')\" {input}"


for name in CHAPTER_3_FIGURES:

    rule:
        name:
            name
        input:
            drawn(name),
        localrule: True


# Every video that a stage left out, and why.
rule collect_detection_quarantine:
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
        log_of("detect/quarantine.log"),
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
        "python -m pipeline quarantine {params.inputs} -o {output} &> {log}"


rule detect:
    input:
        result("detect/quarantine.tsv"),
        [drawn(name) for name in DETECTION.tables],
    localrule: True
