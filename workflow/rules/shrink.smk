# Progressive architecture shrinkage (Ch. 6): hypotheses, successive halving, selection, exports.


# The base network and all hypotheses see frames of one variant.
SHRINK_FRAMES = paths.filled(paths.FRAMES, variant=SHRINK.base.variant)


rule try_hypothesis:
    """Reduce the previous winner by one operator and train the reduced network."""
    input:
        previous=of(shrink.previous),
        previous_about=lambda wildcards: about(shrink.previous(RUN, wildcards)),
        base=of(shrink.base),
        base_about=lambda wildcards: about(shrink.base(RUN, wildcards)),
        frames=of(shrink.frames),
        stored=of(shrink.stored_logits),
        started=of(shrink.begun, name="{operators}/started/state.ckpt"),
        survivors=of(shrink.begun, name="survivors.json"),
    output:
        model=result(f"{paths.HYPOTHESIS}/model.safetensors"),
        about=result(f"{paths.HYPOTHESIS}/model.json"),
        metrics=result(f"{paths.HYPOTHESIS}/metrics.json"),
    log:
        log_of("try_hypothesis/{recipe}/{plan}/{iteration}/{operators}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: threads_of(CLASSIFY.training, loading=True)
    resources:
        gpu=on_gpu(CLASSIFY.training),
        mem_mb=16000,
        runtime=1440,
        launcher="",
    params:
        **RUN.task("try_hypothesis"),
        shards=verbatim(result(SHRINK_FRAMES)),
        lists=result(paths.LISTS),
        more=lambda wildcards, input: shrink.options(input),
    shell:
        command(
            "try_hypothesis",
            "--base {input.base} --previous {input.previous} --shards {params.shards} --lists {params.lists} "
            "{params.more} -o {output.model}",
        )


# Successive halving: all hypotheses start, `halve_hypotheses` chooses which continue, and those resume where they were.
rule try_hypothesis_start:
    """Train a hypothesis for its first epochs (successive halving)."""
    input:
        previous=of(shrink.previous),
        previous_about=lambda wildcards: about(shrink.previous(RUN, wildcards)),
        base=of(shrink.base),
        base_about=lambda wildcards: about(shrink.base(RUN, wildcards)),
        frames=of(shrink.frames),
        stored=of(shrink.stored_logits),
    output:
        model=result(f"{paths.HYPOTHESIS}/started/model.safetensors"),
        about=result(f"{paths.HYPOTHESIS}/started/model.json"),
        metrics=result(f"{paths.HYPOTHESIS}/started/metrics.json"),
        state=result(f"{paths.HYPOTHESIS}/started/state.ckpt"),
    log:
        log_of("try_hypothesis_start/{recipe}/{plan}/{iteration}/{operators}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: threads_of(CLASSIFY.training, loading=True)
    resources:
        gpu=on_gpu(CLASSIFY.training),
        mem_mb=16000,
        runtime=1440,
        launcher="",
    params:
        **RUN.task("try_hypothesis"),
        shards=verbatim(result(SHRINK_FRAMES)),
        lists=result(paths.LISTS),
        more=lambda wildcards, input: shrink.options(input),
        until=lambda wildcards: SHRINK.plans[wildcards.plan].halving.epochs,
    shell:
        command(
            "try_hypothesis",
            "--base {input.base} --previous {input.previous} --shards {params.shards} --lists {params.lists} "
            "{params.more} --until {params.until} -o {output.model}",
        )


rule halve_hypotheses:
    """Choose which hypotheses continue (successive halving)."""
    input:
        of(shrink.measured, started=True),
    output:
        result(f"{paths.ITERATION}/survivors.json"),
    log:
        log_of("halve_hypotheses/{recipe}/{plan}/{iteration}.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("halve_hypotheses"),
        folders=of(shrink.folders, started=True),
    shell:
        command("halve_hypotheses", "--folders {params.folders} -o {output}")


# Until all logits are there, parts of them are next to the output; as a checkpoint, they are not declared.
rule store_teacher_logits:
    """Compute the teacher's logits for every training clip once."""
    input:
        base=of(shrink.base),
        base_about=lambda wildcards: about(shrink.base(RUN, wildcards)),
        frames=of(shrink.frames),
    output:
        logits=result(paths.TEACHER_LOGITS),
        about=result(paths.TEACHER_LOGITS.replace(".h5", ".json")),
    log:
        log_of("store_teacher_logits/{recipe}/{plan}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: threads_of(CLASSIFY.training, loading=True)
    resources:
        gpu=on_gpu(CLASSIFY.training),
        mem_mb=16000,
        runtime=1440,
        launcher="",
    params:
        **RUN.task("store_teacher_logits"),
        shards=verbatim(result(SHRINK_FRAMES)),
        lists=result(paths.LISTS),
    shell:
        command(
            "store_teacher_logits",
            "--teacher {input.base} --shards {params.shards} --lists {params.lists} -o {output.logits}",
        )


use rule evaluate_classifier as evaluate_classifier_shrunk with:
    """Measure a reduced network's accuracy on the test videos."""
    input:
        model=result(f"{paths.SHRUNK}/model.safetensors"),
        about=result(f"{paths.SHRUNK}/model.json"),
        frames=of(shrink.frames),
    output:
        evaluation=result(f"{paths.SHRUNK}/evaluation.json"),
        predictions=result(f"{paths.SHRUNK}/predictions.tsv"),
    log:
        log_of("evaluate_classifier_shrunk/{recipe}/{network}.log"),
    wildcard_constraints:
        network=r"\w+/iteration_\d+/([stfcl]{1,4}|alone)(/started)?",
    params:
        **RUN.task("evaluate_classifier", split=SHRINK.split),
        shards=verbatim(result(SHRINK_FRAMES)),
        listed=verbatim(result(paths.LIST)),
        lists=result(paths.LISTS),


use rule evaluate_classifier as evaluate_classifier_base with:
    """Measure the accuracy of a base network that was not trained here."""
    input:
        model=of(shrink.base),
        about=lambda wildcards: about(shrink.base(RUN, wildcards)),
        frames=of(shrink.frames),
    output:
        evaluation=result(f"{paths.BASE}/evaluation.json"),
        predictions=result(f"{paths.BASE}/predictions.tsv"),
    log:
        log_of("evaluate_classifier_base/{recipe}.log"),
    params:
        **RUN.task("evaluate_classifier", split=SHRINK.split),
        shards=verbatim(result(SHRINK_FRAMES)),
        listed=verbatim(result(paths.LIST)),
        lists=result(paths.LISTS),


rule select_hypothesis:
    """Choose an iteration's winner."""
    input:
        hypotheses=of(shrink.measured),
        base=of(shrink.base),
        base_about=lambda wildcards: about(shrink.base(RUN, wildcards)),
        base_evaluation=of(shrink.base_evaluation),
    output:
        model=result(f"{paths.ITERATION}/selected.safetensors"),
        about=result(f"{paths.ITERATION}/selected.json"),
    log:
        log_of("select_hypothesis/{recipe}/{plan}/{iteration}.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("select_hypothesis"),
        folders=of(shrink.folders),
    shell:
        command(
            "select_hypothesis",
            "--base {input.base} --base-evaluation {input.base_evaluation} --folders {params.folders} "
            "-o {output.model}",
        )


# A program and an ONNX file that run without this project, and what they cost compared with the base network.
rule export_network:
    """Export a reduced network as ONNX and as a PyTorch program."""
    input:
        model=result(f"{paths.ITERATION}/selected.safetensors"),
        about=result(f"{paths.ITERATION}/selected.json"),
        base=of(shrink.base),
        base_about=lambda wildcards: about(shrink.base(RUN, wildcards)),
    output:
        result(f"{paths.ITERATION}/export/model.pt2"),
        result(f"{paths.ITERATION}/export/model.onnx"),
        about=result(f"{paths.ITERATION}/export/export.json"),
    log:
        log_of("export_network/{recipe}/{plan}/{iteration}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        gpu=on_gpu(CLASSIFY.training),
        mem_mb=8000,
        runtime=60,
    params:
        **RUN.task("export_network"),
        folder=lambda wildcards, output: str(Path(output.about).parent),
    shell:
        command(
            "export_network",
            "--model {input.model} --base {input.base} -o {params.folder}",
        )


# How busy a device is during a whole evaluation, and how full (Table 6.5).
rule measure_resources:
    """Measure what a reduced network takes of its device."""
    input:
        model=result(f"{paths.ITERATION}/selected.safetensors"),
        about=result(f"{paths.ITERATION}/selected.json"),
        frames=RUN.of_shards(paths.RAW_FRAMES),
    output:
        result(f"{paths.ITERATION}/resources.json"),
    log:
        log_of("measure_resources/{recipe}/{plan}/{iteration}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: threads_of(CLASSIFY.training, loading=True)
    resources:
        gpu=on_gpu(CLASSIFY.training),
        mem_mb=8000,
        runtime=240,
    params:
        **RUN.task("measure_resources"),
        shards=verbatim(result(paths.RAW_FRAMES)),
        lists=result(paths.LISTS),
    shell:
        command(
            "measure_resources",
            "--model {input.model} --shards {params.shards} --lists {params.lists} -o {output}",
        )


use rule measure_resources as measure_resources_base with:
    """Measure what the base network takes of its device."""
    input:
        model=of(shrink.base),
        about=lambda wildcards: about(shrink.base(RUN, wildcards)),
        frames=RUN.of_shards(paths.RAW_FRAMES),
    output:
        result(paths.BASE_RESOURCES),
    log:
        log_of("measure_resources_base/{recipe}.log"),
