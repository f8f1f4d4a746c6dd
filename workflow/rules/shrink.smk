# Progressive architecture shrinkage (Ch. 6): hypotheses, successive halving, selection, exports.
SHRINK = CONFIG.shrink
SHRUNK = "shrink/{recipe}/{plan}/iteration_{iteration}"


def base_of(wildcards):
    return model_of(SHRINK.split, wildcards.recipe, "none", "cross_entropy")


def about(model):
    """The description beside a model file."""
    return lambda wildcards: model(wildcards).replace(".safetensors", ".json")


def base_evaluation(wildcards):
    row = Evaluation(wildcards.recipe, "none", "cross_entropy", "none")
    return result(f"evaluations/{evaluation_path(SHRINK.split, row)}")


def previous_of(wildcards):
    """The winner of the iteration before; in the first one the base network."""
    before = int(wildcards.iteration) - 1
    if before == 0:
        return base_of(wildcards)
    plan = SHRINK.plans[wildcards.plan].follow or wildcards.plan
    return result(
        f"shrink/{wildcards.recipe}/{plan}/iteration_{before}/selected.safetensors"
    )


def folders_of(wildcards, started=""):
    """The folders of an iteration's hypotheses, in the order that breaks ties."""
    base = f"shrink/{wildcards.recipe}/{wildcards.plan}/iteration_{wildcards.iteration}"
    return [
        result(f"{base}/{o}{started}") for o in SHRINK.plans[wildcards.plan].operators
    ]


def measured(wildcards, started=""):
    """What a selection reads of the hypotheses."""
    names = ("model.safetensors", "model.json", "metrics.json", "evaluation.json")
    return [
        f"{folder}/{name}"
        for folder in folders_of(wildcards, started)
        for name in names
    ]


def stored_logits(wildcards):
    return (
        result(f"shrink/{wildcards.recipe}/{wildcards.plan}/teacher_logits.h5")
        if SHRINK.plans[wildcards.plan].stored
        else []
    )


def early(name):
    """Files of successive halving, where the plan has it."""

    def of(wildcards):
        if SHRINK.plans[wildcards.plan].halving is None:
            return []
        folder = f"shrink/{wildcards.recipe}/{wildcards.plan}/iteration_{wildcards.iteration}"
        return result(f"{folder}/{name.format(operators=wildcards.operators)}")

    return of


def extras(wildcards, input):
    """Command-line options for the inputs that not every plan has."""
    names = ("stored", "started", "survivors")
    return " ".join(
        f"--{name} {path}" for name in names if (path := getattr(input, name))
    )


rule hypothesis:
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
        model=result(SHRUNK + "/{operators}/model.safetensors"),
        about=result(SHRUNK + "/{operators}/model.json"),
        metrics=result(SHRUNK + "/{operators}/metrics.json"),
    log:
        log_of(SHRUNK + "/{operators}.log"),
    benchmark:
        benchmark_of(SHRUNK + "/{operators}.tsv")
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
        extras=extras,
        code=code_digest("hypothesis"),
    shell:
        "SRUN_CPUS_PER_TASK={threads} {resources.launcher} python -m pipeline hypothesis --lists {DATASET}/lists {input.previous} {DATASET}/frames/none/{{shard}}.h5 "
        "--base {input.base} {params.extras} --settings {params.settings:q} "
        "--workers $(({threads} > {COMPUTE} ? {threads} - {COMPUTE} : 0)) -o {output.model} &> {log}"


# Successive halving: all hypotheses start, `halve` says which go on, and those resume where they were.
rule start_hypothesis:
    input:
        previous=previous_of,
        previous_about=about(previous_of),
        base=base_of,
        base_about=about(base_of),
        frames=shards("frames/none/{shard}.h5"),
        stored=stored_logits,
    output:
        model=result(SHRUNK + "/{operators}/started/model.safetensors"),
        about=result(SHRUNK + "/{operators}/started/model.json"),
        metrics=result(SHRUNK + "/{operators}/started/metrics.json"),
        state=result(SHRUNK + "/{operators}/started/state.ckpt"),
    log:
        log_of(SHRUNK + "/{operators}/started.log"),
    benchmark:
        benchmark_of(SHRUNK + "/{operators}/started.tsv")
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
        stored=lambda wildcards, input: (
            f"--stored {input.stored}" if input.stored else ""
        ),
        until=lambda wildcards: SHRINK.plans[wildcards.plan].halving.epochs,
        code=code_digest("hypothesis"),
    shell:
        "SRUN_CPUS_PER_TASK={threads} {resources.launcher} python -m pipeline hypothesis --lists {DATASET}/lists {input.previous} {DATASET}/frames/none/{{shard}}.h5 "
        "--base {input.base} {params.stored} --until {params.until} --settings {params.settings:q} "
        "--workers $(({threads} > {COMPUTE} ? {threads} - {COMPUTE} : 0)) -o {output.model} &> {log}"


rule halve:
    input:
        lambda wildcards: measured(wildcards, "/started"),
    output:
        result(SHRUNK + "/survivors.json"),
    log:
        log_of(SHRUNK + "/halve.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        folders=lambda wildcards: folders_of(wildcards, "/started"),
        settings=settings("halve"),
        code=code_digest("halve"),
    shell:
        "python -m pipeline halve {params.folders} --settings {params.settings:q} -o {output} &> {log}"


rule store_teacher_logits:
    input:
        base=base_of,
        base_about=about(base_of),
        frames=shards("frames/none/{shard}.h5"),
    output:
        logits=result("shrink/{recipe}/{plan}/teacher_logits.h5"),
        about=result("shrink/{recipe}/{plan}/teacher_logits.json"),
    log:
        log_of("shrink/{recipe}/{plan}/teacher_logits.log"),
    benchmark:
        benchmark_of("shrink/{recipe}/{plan}/teacher_logits.tsv")
    conda:
        "../../envs/acta.yaml"
    threads: THREADS
    resources:
        gpu=int(CLASSIFY.training.device == "cuda"),
        mem_mb=16000,
        runtime=1440,
    params:
        settings=settings("teacher-logits"),
        code=code_digest("teacher-logits"),
    shell:
        "python -m pipeline teacher-logits --lists {DATASET}/lists {input.base} {DATASET}/frames/none/{{shard}}.h5 "
        "--settings {params.settings:q} --workers $(({threads} > {COMPUTE} ? {threads} - {COMPUTE} : 0)) -o {output.logits} &> {log}"


use rule evaluate as evaluate_shrunk with:
    input:
        model=result("shrink/{recipe}/{network}/model.safetensors"),
        about=result("shrink/{recipe}/{network}/model.json"),
        frames=shards("frames/none/{shard}.h5"),
    output:
        evaluation=result("shrink/{recipe}/{network}/evaluation.json"),
        predictions=result("shrink/{recipe}/{network}/predictions.tsv"),
    log:
        log_of("shrink/{recipe}/{network}/evaluation.log"),
    benchmark:
        benchmark_of("shrink/{recipe}/{network}/evaluation.tsv")
    wildcard_constraints:
        network=r"\w+/iteration_\d+/([stfcl]{1,4}|alone)(/started)?",
    params:
        settings=settings("evaluate", split=SHRINK.split),
        frames=lambda wildcards: result("frames/none/{shard}.h5"),
        code=code_digest("evaluate"),


rule select:
    input:
        hypotheses=measured,
        base=base_of,
        base_about=about(base_of),
        base_evaluation=base_evaluation,
    output:
        model=result(SHRUNK + "/selected.safetensors"),
        about=result(SHRUNK + "/selected.json"),
    log:
        log_of(SHRUNK + "/selected.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        folders=folders_of,
        settings=settings("select"),
        code=code_digest("select"),
    shell:
        "python -m pipeline select {params.folders} --base {input.base} --base-evaluation {input.base_evaluation} "
        "--settings {params.settings:q} -o {output.model} &> {log}"


# A program and an ONNX file that run without this project, and what they cost beside the base network.
rule export:
    input:
        model=result(SHRUNK + "/selected.safetensors"),
        about=result(SHRUNK + "/selected.json"),
        base=base_of,
        base_about=about(base_of),
    output:
        result(SHRUNK + "/export/model.pt2"),
        result(SHRUNK + "/export/model.onnx"),
        about=result(SHRUNK + "/export/export.json"),
    log:
        log_of(SHRUNK + "/export.log"),
    benchmark:
        benchmark_of(SHRUNK + "/export.tsv")
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
        "python -m pipeline export {input.model} --base {input.base} --settings {params.settings:q} -o {params.folder} &> {log}"
