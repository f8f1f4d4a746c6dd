# Find faces and bodies, hide them, and measure what remains visible.


# Set only if a detector runs on a GPU, because a function takes time for every job of the plan.
GPU = {}
if any(CONFIG.privacy.detect.search(what).uses_gpu for what in VARIANTS):
    GPU["gpu"] = searches_on_gpu


rule detect_people:
    """Find faces or bodies in a shard's videos."""
    input:
        rules.build_manifest.output,
    output:
        result(paths.DETECTIONS),
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
        **RUN.task("detect_people"),
        weights=RUN.detector_weights("detect_people"),
    shell:
        command(
            "detect_people",
            '--manifest {input} --root "$ACTA_ROOT" --max-bad-fraction $ACTA_MAX_BAD -o {output}',
        )


rule obfuscate:
    """Hide what was detected in a shard's frames."""
    input:
        frames=rules.extract_frames.output,
        detections=rules.detect_people.output,
    output:
        result(paths.filled(paths.FRAMES, variant="{what}")),
    log:
        log_of("obfuscate/{what}/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        **RUN.task("obfuscate"),
    shell:
        command(
            "obfuscate",
            "--frames {input.frames} --detections {input.detections} --max-bad-fraction $ACTA_MAX_BAD -o {output}",
        )


# Reads original as well as anonymised frames: what remains is measured against what was there before.
rule audit:
    """Count what independent detectors still find in a shard's anonymised frames."""
    input:
        before=rules.extract_frames.output,
        after=rules.obfuscate.output,
        detections=rules.detect_people.output,
    output:
        result(paths.AUDIT),
    log:
        log_of("audit/{what}/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        **RUN.task("audit"),
        weights=RUN.detector_weights("audit"),
    shell:
        command(
            "audit",
            "--before {input.before} --after {input.after} --detections {input.detections} -o {output}",
        )


rule certify:
    """Make the certificate and the table of all shards' audits."""
    input:
        lambda wildcards: RUN.of_shards(paths.AUDIT, what=wildcards.what),
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
        **RUN.task("certify"),
        audits=lambda wildcards: result(paths.AUDIT, what=wildcards.what),
        lists=result(paths.LISTS),
    shell:
        command(
            "certify",
            "--audits {params.audits} --lists {params.lists} --certificate {output.certificate} --table {output.drawn}",
        )


# Figure 5.3: the amount of sensitive information in each class; in the training videos only, if the dataset has splits.
rule draw_sensitive_information:
    """Count faces and bodies by class (Figure 5.3)."""
    input:
        **{what: RUN.of_shards(paths.DETECTIONS, what=what) for what in VARIANTS},
    output:
        drawn=result(f"{paths.SENSITIVE_INFORMATION}.csv"),
        text=result(f"{paths.SENSITIVE_INFORMATION}.md"),
        page=result(f"{paths.SENSITIVE_INFORMATION}.html"),
        figure=on_page(result(paths.FIGURE_5_3), "figure_5_3"),
    log:
        log_of("draw_sensitive_information.log"),
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("draw_sensitive_information"),
        reading=reading("figure_5_3"),
        detections=verbatim(
            [f"{what}={result(paths.DETECTIONS, what=what)}" for what in VARIANTS]
        ),
        splits=(
            []
            if CONFIG.data.adapter == "folder"
            else next(iter(CLASSIFY.splits.values())).train
        ),
        lists=result(paths.LISTS),
    shell:
        command(
            "draw_sensitive_information",
            "--detections {params.detections} --splits {params.splits} --lists {params.lists} "
            "--table {output.drawn} --figure {output.figure}",
        )


# Shows original frames, so it is in a private folder and, except in the demo, left out of the report by default.
rule draw_contact_sheet:
    """Draw original and anonymised frames side by side, in a private folder."""
    input:
        **{
            variant: RUN.of_shards(paths.FRAMES, variant=variant)
            for variant in ["none", *VARIANTS]
        },
    output:
        private(result(paths.CONTACT_SHEET), CONFIG.data, "contact_sheet"),
    log:
        log_of("draw_contact_sheet.log"),
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("draw_contact_sheet"),
        reading=reading("contact_sheet"),
        shards=verbatim(
            [
                f"{variant}={result(paths.FRAMES, variant=variant)}"
                for variant in ["none", *VARIANTS]
            ]
        ),
        lists=result(paths.LISTS),
    shell:
        command(
            "draw_contact_sheet",
            "--shards {params.shards} --lists {params.lists} -o {output}",
        )


rule draw_face_sample:
    """Draw frames of one video with the detected faces (Figure 5.4), in a private folder."""
    input:
        frames=RUN.of_shards(paths.RAW_FRAMES),
        detections=RUN.of_shards(paths.DETECTIONS, what="faces"),
    output:
        private(
            result(paths.PRIVATE_FIGURE, name="figure_5_4"), CONFIG.data, "figure_5_4"
        ),
    log:
        log_of("draw_face_sample.log"),
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("draw_face_sample"),
        reading=reading("figure_5_4"),
        frames=verbatim(result(paths.RAW_FRAMES)),
        detections=verbatim(result(paths.DETECTIONS, what="faces")),
        lists=result(paths.LISTS),
    shell:
        command(
            "draw_face_sample",
            "--frames {params.frames} --detections {params.detections} --lists {params.lists} -o {output}",
        )
