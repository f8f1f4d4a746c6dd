# Find faces and bodies, hide them, and measure what is left.


rule detect_people:
    """Find faces or bodies in a shard's videos."""
    input:
        rules.build_manifest.output,
    output:
        result("detections/{what}/{shard}.h5"),
    log:
        log_of("detect_people/{what}/{shard}.log"),
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
        'python -m pipeline --costs {log} detect-people {input} --root "$ROOT" --settings {params.settings:q} '
        "--max-bad $MAX_BAD --workers {threads} "
        "-o {output} &> {log}"


rule obfuscate:
    """Hide what was detected in a shard's frames."""
    input:
        frames=rules.extract_frames.output,
        detections=rules.detect_people.output,
    output:
        result("frames/{what}/{shard}.h5"),
    log:
        log_of("obfuscate/{what}/{shard}.log"),
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
        "python -m pipeline --costs {log} obfuscate {input.frames} --detections {input.detections} --settings {params.settings:q} "
        "--max-bad $MAX_BAD --workers {threads} "
        "-o {output} &> {log}"


# Reads original frames beside anonymised ones: what was there before is what the residual is measured against.
rule audit:
    """Count what independent detectors still find in a shard's anonymised frames."""
    input:
        before=rules.extract_frames.output,
        after=rules.obfuscate.output,
        detections=rules.detect_people.output,
    output:
        result("audit/{what}/shards/{shard}.json"),
    log:
        log_of("audit/{what}/{shard}.log"),
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
        "python -m pipeline --costs {log} audit {input.before} {input.after} --detections {input.detections} "
        "--settings {params.settings:q} --workers {threads} -o {output} &> {log}"


rule certify:
    """Make the certificate and the table of all shards' audits."""
    input:
        lambda wildcards: shards(
            "audit/{what}/shards/{shard}.json", what=wildcards.what
        ),
    output:
        certificate=result("audit/{what}/certificate.json"),
        page=on_page(
            result("audit/{what}/certificate.html"), "certificate", "certificate"
        ),
        drawn=result("audit/{what}/audit.csv"),
        text=result("audit/{what}/audit.md"),
        table=result("audit/{what}/audit.html"),
    log:
        log_of("certify/{what}.log"),
    conda:
        "../../envs/acta.yaml"
    params:
        code=code_digest("certify"),
    shell:
        "python -m pipeline --costs {log} certify --lists $RESULTS/lists $RESULTS/audit/{wildcards.what}/shards/{{shard}}.json "
        "--certificate {output.certificate} --table {output.drawn} &> {log}"


# Figure 5.3: how much sensitive information the classes hold; of the training videos, where the dataset has splits.
rule report_sensitive_information:
    """Count faces and bodies by class (Figure 5.3)."""
    input:
        **{what: shards("detections/{what}/{shard}.h5", what=what) for what in VARIANTS},
    output:
        drawn=result("statistics/sensitive_information.csv"),
        text=result("statistics/sensitive_information.md"),
        page=result("statistics/sensitive_information.html"),
        figure=on_page(result("statistics/figure_5_3.png"), "figure_5_3"),
    log:
        log_of("report_sensitive_information.log"),
    conda:
        "../../envs/acta.yaml"
    params:
        reading=reading("figure_5_3"),
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
        "python -m pipeline --costs {log} statistics {params.inputs} {params.splits} --table {output.drawn} --figure {output.figure} &> {log}"


# Shows original frames, so it lies in a private folder and is kept out of the report.
rule draw_contact_sheet:
    """Draw original and anonymised frames side by side, in a private folder."""
    input:
        **{
            v: shards("frames/{variant}/{shard}.h5", variant=v)
            for v in ["none", *VARIANTS]
        },
    output:
        private(result("private/contact_sheet.png"), CONFIG.data, "contact_sheet"),
    log:
        log_of("draw_contact_sheet.log"),
    conda:
        "../../envs/acta.yaml"
    params:
        settings=settings("contact-sheet"),
        reading=reading("contact_sheet"),
        code=code_digest("contact-sheet"),
        inputs=options(
            **{
                v: [result("frames/{variant}/{shard}.h5", variant=v)]
                for v in ["none", *VARIANTS]
            }
        ),
    shell:
        "python -m pipeline --costs {log} contact-sheet {params.inputs} --settings {params.settings:q} -o {output} &> {log}"


rule draw_face_sample:
    """Draw a video's frames with the faces that were found (Figure 5.4), in a private folder."""
    input:
        frames=shards("frames/none/{shard}.h5"),
        detections=shards("detections/faces/{shard}.h5"),
    output:
        private(result("private/figure_5_4.png"), CONFIG.data, "figure_5_4"),
    log:
        log_of("draw_face_sample.log"),
    conda:
        "../../envs/acta.yaml"
    params:
        settings=settings("sample-faces"),
        reading=reading("figure_5_4"),
        code=code_digest("sample-faces"),
        inputs=options(
            frames=[result("frames/none/{shard}.h5")],
            detections=[result("detections/faces/{shard}.h5")],
        ),
    shell:
        "python -m pipeline --costs {log} sample-faces {params.inputs} --settings {params.settings:q} -o {output} &> {log}"
