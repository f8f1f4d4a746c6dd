# Progressive architecture shrinkage (Ch. 6): hypotheses, successive halving, selection, exports.


rule hypothesis:
    """Reduce the previous winner by one operator and train what is left."""
    input:
        previous=previous_of,
        previous_about=about(previous_of),
        base=base_of,
        base_about=about(base_of),
        frames=shards("frames/none/{shard}.h5"),
        stored=stored_logits,
        started=early("{operators}/started/state.ckpt"),
        survivors=early("survivors.json"),
    output:
        model=shrunk("{operators}/model.safetensors"),
        about=shrunk("{operators}/model.json"),
        metrics=shrunk("{operators}/metrics.json"),
    log:
        log_of("hypothesis/{recipe}/{plan}/{iteration}/{operators}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: THREADS
    resources:
        gpu=int(CLASSIFY.training.device == "cuda"),
        mem_mb=16000,
        runtime=1440,
        launcher="",
    params:
        settings=settings("hypothesis"),
        compute=COMPUTE,
        extras=extras,
        code=code_digest("hypothesis"),
    shell:
        "SRUN_CPUS_PER_TASK={threads} {resources.launcher} python -m pipeline --costs {log} hypothesis --lists $RESULTS/lists {input.previous} $RESULTS/frames/none/{{shard}}.h5 "
        "--base {input.base} {params.extras} --settings {params.settings:q} "
        "--workers $(loaders {threads} {params.compute}) -o {output.model} &> {log}"


# Successive halving: all hypotheses start, `halve` says which go on, and those resume where they were.
rule start_hypothesis:
    """Train a hypothesis for its first epochs (successive halving)."""
    input:
        previous=previous_of,
        previous_about=about(previous_of),
        base=base_of,
        base_about=about(base_of),
        frames=shards("frames/none/{shard}.h5"),
        stored=stored_logits,
    output:
        model=shrunk("{operators}/started/model.safetensors"),
        about=shrunk("{operators}/started/model.json"),
        metrics=shrunk("{operators}/started/metrics.json"),
        state=shrunk("{operators}/started/state.ckpt"),
    log:
        log_of("start_hypothesis/{recipe}/{plan}/{iteration}/{operators}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: THREADS
    resources:
        gpu=int(CLASSIFY.training.device == "cuda"),
        mem_mb=16000,
        runtime=1440,
        launcher="",
    params:
        settings=settings("hypothesis"),
        compute=COMPUTE,
        stored=lambda wildcards, input: (
            f"--stored {input.stored}" if input.stored else ""
        ),
        until=lambda wildcards: SHRINK.plans[wildcards.plan].halving.epochs,
        code=code_digest("hypothesis"),
    shell:
        "SRUN_CPUS_PER_TASK={threads} {resources.launcher} python -m pipeline --costs {log} hypothesis --lists $RESULTS/lists {input.previous} $RESULTS/frames/none/{{shard}}.h5 "
        "--base {input.base} {params.stored} --until {params.until} --settings {params.settings:q} "
        "--workers $(loaders {threads} {params.compute}) -o {output.model} &> {log}"


rule halve:
    """Say which hypotheses go on (successive halving)."""
    input:
        lambda wildcards: measured(wildcards, started=True),
    output:
        shrunk("survivors.json"),
    log:
        log_of("halve/{recipe}/{plan}/{iteration}.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        folders=lambda wildcards: folders_of(wildcards, started=True),
        settings=settings("halve"),
        code=code_digest("halve"),
    shell:
        "python -m pipeline --costs {log} halve {params.folders} --settings {params.settings:q} -o {output} &> {log}"


rule store_teacher_logits:
    """Compute the teacher's logits of every training clip once."""
    input:
        base=base_of,
        base_about=about(base_of),
        frames=shards("frames/none/{shard}.h5"),
    output:
        logits=result("shrink/{recipe}/{plan}/teacher_logits.h5"),
        about=result("shrink/{recipe}/{plan}/teacher_logits.json"),
    log:
        log_of("store_teacher_logits/{recipe}/{plan}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: THREADS
    resources:
        gpu=int(CLASSIFY.training.device == "cuda"),
        mem_mb=16000,
        runtime=1440,
    params:
        settings=settings("teacher-logits"),
        compute=COMPUTE,
        code=code_digest("teacher-logits"),
    shell:
        "python -m pipeline --costs {log} teacher-logits --lists $RESULTS/lists {input.base} $RESULTS/frames/none/{{shard}}.h5 "
        "--settings {params.settings:q} --workers $(loaders {threads} {params.compute}) -o {output.logits} &> {log}"


use rule evaluate as evaluate_shrunk with:
    """Measure a reduced network's accuracy on the test videos."""
    input:
        model=result("shrink/{recipe}/{network}/model.safetensors"),
        about=result("shrink/{recipe}/{network}/model.json"),
        frames=shards("frames/none/{shard}.h5"),
    output:
        evaluation=result("shrink/{recipe}/{network}/evaluation.json"),
        predictions=result("shrink/{recipe}/{network}/predictions.tsv"),
    log:
        log_of("evaluate_shrunk/{recipe}/{network}.log"),
    wildcard_constraints:
        network=r"\w+/iteration_\d+/([stfcl]{1,4}|alone)(/started)?",
    params:
        settings=settings("evaluate", split=SHRINK.split),
        compute=COMPUTE,
        frames=lambda wildcards: result("frames/none/{shard}.h5"),
        code=code_digest("evaluate"),


rule select:
    """Choose an iteration's winner."""
    input:
        hypotheses=measured,
        base=base_of,
        base_about=about(base_of),
        base_evaluation=base_evaluation,
    output:
        model=shrunk("selected.safetensors"),
        about=shrunk("selected.json"),
    log:
        log_of("select/{recipe}/{plan}/{iteration}.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        folders=folders_of,
        settings=settings("select"),
        code=code_digest("select"),
    shell:
        "python -m pipeline --costs {log} select {params.folders} --base {input.base} --base-evaluation {input.base_evaluation} "
        "--settings {params.settings:q} -o {output.model} &> {log}"


# A program and an ONNX file that run without this project, and what they cost beside the base network.
rule export:
    """Export a reduced network as ONNX and as a PyTorch program."""
    input:
        model=shrunk("selected.safetensors"),
        about=shrunk("selected.json"),
        base=base_of,
        base_about=about(base_of),
    output:
        shrunk("export/model.pt2"),
        shrunk("export/model.onnx"),
        about=shrunk("export/export.json"),
    log:
        log_of("export/{recipe}/{plan}/{iteration}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        gpu=int(CLASSIFY.training.device == "cuda"),
        mem_mb=8000,
        runtime=60,
    params:
        folder=lambda wildcards, output: str(Path(output.about).parent),
        settings=settings("export"),
        code=code_digest("export"),
    shell:
        "python -m pipeline --costs {log} export {input.model} --base {input.base} --settings {params.settings:q} -o {params.folder} &> {log}"
