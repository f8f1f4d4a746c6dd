# Find faces and bodies, hide them, and measure what is left.


def on_cuda(wildcards):
    return int(getattr(CONFIG.privacy.detect, wildcards.what).device == "cuda")


# Asked for only where a detector runs on a GPU: a function costs every job of the plan.
GPU = (
    {"gpu": on_cuda}
    if any(getattr(CONFIG.privacy.detect, what).device == "cuda" for what in VARIANTS)
    else {}
)


rule detect_people:
    input:
        rules.build_manifest.output,
    output:
        result("detections/{what}/{shard}.h5"),
    log:
        log_of("detections/{what}/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: 2
    resources:
        **GPU,
        mem_mb=8000,
        runtime=240,
    params:
        settings=settings("detect-people"),
        weights=weights("detect-people"),
        code=code_digest("detect-people"),
    shell:
        "python -m pipeline detect-people {input} --root {ROOT:q} --settings {params.settings:q} "
        "--max-bad {MAX_BAD} --workers {threads} "
        "--timing {LOGS}/benchmarks/detections/{wildcards.what}/{wildcards.shard}.tsv -o {output} &> {log}"


rule obfuscate:
    input:
        frames=rules.extract_frames.output,
        detections=rules.detect_people.output,
    output:
        result("frames/{what}/{shard}.h5"),
    log:
        log_of("frames/{what}/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        settings=settings("obfuscate"),
        code=code_digest("obfuscate"),
    shell:
        "python -m pipeline obfuscate {input.frames} --detections {input.detections} --settings {params.settings:q} "
        "--max-bad {MAX_BAD} --workers {threads} "
        "--timing {LOGS}/benchmarks/frames/{wildcards.what}/{wildcards.shard}.tsv -o {output} &> {log}"


# Reads original frames beside anonymised ones: what was there before is what the residual is measured against.
rule audit:
    input:
        before=rules.extract_frames.output,
        after=rules.obfuscate.output,
        detections=rules.detect_people.output,
    output:
        result("audit/{what}/shards/{shard}.json"),
    log:
        log_of("audit/{what}/{shard}.log"),
    benchmark:
        benchmark_of("audit/{what}/{shard}.tsv")
    conda:
        "../../envs/acta.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        settings=settings("audit"),
        weights=weights("audit"),
        code=code_digest("audit"),
    shell:
        "python -m pipeline audit {input.before} {input.after} --detections {input.detections} "
        "--settings {params.settings:q} --workers {threads} -o {output} &> {log}"


rule certify:
    input:
        lambda wildcards: shards(
            "audit/{what}/shards/{shard}.json", what=wildcards.what
        ),
    output:
        certificate=result("audit/{what}/certificate.json"),
        table=report(
            result("audit/{what}/audit.tsv"),
            caption="../report/audit.rst",
            category="Privacy",
        ),
    log:
        log_of("audit/{what}/certify.log"),
    conda:
        "../../envs/acta.yaml"
    params:
        code=code_digest("certify"),
    shell:
        "python -m pipeline certify --lists {DATASET}/lists {DATASET}/audit/{wildcards.what}/shards/{{shard}}.json "
        "--certificate {output.certificate} --table {output.table} &> {log}"


# Figure 5.3: how much sensitive information the classes hold; of the training videos, where the dataset has splits.
rule report_sensitive_information:
    input:
        **{what: shards("detections/{what}/{shard}.h5", what=what) for what in VARIANTS},
    output:
        table=result("statistics/sensitive_information.tsv"),
        figure=report(
            result("statistics/figure_5_3.png"),
            caption="../report/sensitive_information.rst",
            category="Privacy",
        ),
    log:
        log_of("statistics.log"),
    conda:
        "../../envs/acta.yaml"
    params:
        code=code_digest("statistics"),
        splits=(
            ""
            if CONFIG.data.adapter == "folder"
            else f"--splits {next(iter(CONFIG.classify.splits.values())).train}"
        ),
        inputs=options(
            **{
                what: [result("detections/{what}/{shard}.h5", what=what)]
                for what in VARIANTS
            }
        ),
    shell:
        "python -m pipeline statistics {params.inputs} {params.splits} --table {output.table} --figure {output.figure} &> {log}"


# Shows original frames, so it lies in a private folder and is kept out of the report.
rule draw_contact_sheet:
    input:
        **{
            v: shards("frames/{variant}/{shard}.h5", variant=v)
            for v in ["none", *VARIANTS]
        },
    output:
        result("private/contact_sheet.png"),
    log:
        log_of("contact_sheet.log"),
    conda:
        "../../envs/acta.yaml"
    params:
        settings=settings("contact-sheet"),
        code=code_digest("contact-sheet"),
        inputs=options(
            **{
                v: [result("frames/{variant}/{shard}.h5", variant=v)]
                for v in ["none", *VARIANTS]
            }
        ),
    shell:
        "python -m pipeline contact-sheet {params.inputs} --settings {params.settings:q} -o {output} &> {log}"
