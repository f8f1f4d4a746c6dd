# Action recognition (Ch. 5): teachers, students, their accuracy, the tables and figures.
CLASSIFY = CONFIG.classify
# Compute threads belong to the result (config.yaml); what a job has beyond them loads data.
COMPUTE = CLASSIFY.training.threads
THREADS = COMPUTE + (12 if CLASSIFY.training.device == "cuda" else 0)


def model_of(split, recipe, variant, strategy):
    return result(f"models/{split}/{recipe}/{variant}/{strategy}/model.safetensors")


def teacher_of(wildcards):
    """The network trained on the frames that the strategy shows to the teacher; nothing where there is none."""
    sees = CLASSIFY.strategies[wildcards.strategy].teacher
    if sees is None:
        return []
    return model_of(wildcards.split, wildcards.recipe, sees, "cross_entropy")


def teacher_frames(wildcards):
    sees = CLASSIFY.strategies[wildcards.strategy].teacher
    return [] if sees is None else shards("frames/{variant}/{shard}.h5", variant=sees)


def teacher_options(wildcards, input):
    sees = CLASSIFY.strategies[wildcards.strategy].teacher
    if sees is None:
        return ""
    frames = result("frames/{variant}/{shard}.h5", variant=sees)
    return f"--teacher {input.teacher} --teacher-frames {frames}"


@cache
def sha256_of(path):
    return file_sha256(Path(path)) if Path(path).is_file() else "missing"


def initial_weights(wildcards):
    """The hash of the weights to fine-tune from; a plan can be made before they are there."""
    initial = CLASSIFY.recipes[wildcards.recipe].initial
    return "" if initial is None else sha256_of(initial)


# A checkpoint, last.ckpt, lies beside the model while it trains; it is not declared, as a failed job loses its outputs.
rule train:
    input:
        frames=lambda wildcards: shards(
            "frames/{variant}/{shard}.h5", variant=wildcards.variant
        ),
        classes=CLASSIFY.classes or [],
        teacher=teacher_of,
        teacher_frames=teacher_frames,
    output:
        model=result("models/{split}/{recipe}/{variant}/{strategy}/model.safetensors"),
        about=result("models/{split}/{recipe}/{variant}/{strategy}/model.json"),
        metrics=result("models/{split}/{recipe}/{variant}/{strategy}/metrics.json"),
    log:
        log_of("models/{split}/{recipe}/{variant}/{strategy}.log"),
    benchmark:
        benchmark_of("models/{split}/{recipe}/{variant}/{strategy}.tsv")
    conda:
        "../../envs/acta.yaml"
    threads: THREADS
    resources:
        gpu=int(CLASSIFY.training.device == "cuda"),
        mem_mb=16000,
        runtime=1440,
        launcher="",
    params:
        settings=settings("train"),
        frames=lambda wildcards: result(f"frames/{wildcards.variant}/{{shard}}.h5"),
        initial=initial_weights,
        teacher=teacher_options,
        code=code_digest("train"),
    shell:
        "SRUN_CPUS_PER_TASK={threads} {resources.launcher} python -m pipeline train --lists {DATASET}/lists {params.frames} "
        "{params.teacher} --settings {params.settings:q} --workers $(({threads} > {COMPUTE} ? {threads} - {COMPUTE} : 0)) -o {output.model} &> {log}"


rule evaluate:
    input:
        model=rules.train.output.model,
        about=rules.train.output.about,
        frames=lambda wildcards: shards(
            "frames/{variant}/{shard}.h5", variant=wildcards.tested
        ),
    output:
        evaluation=result(
            "evaluations/{split}/{recipe}/{variant}/{strategy}/on_{tested}/evaluation.json"
        ),
        predictions=result(
            "evaluations/{split}/{recipe}/{variant}/{strategy}/on_{tested}/predictions.tsv"
        ),
    log:
        log_of("evaluations/{split}/{recipe}/{variant}/{strategy}/on_{tested}.log"),
    benchmark:
        benchmark_of(
            "evaluations/{split}/{recipe}/{variant}/{strategy}/on_{tested}.tsv"
        )
    conda:
        "../../envs/acta.yaml"
    threads: THREADS
    resources:
        gpu=int(CLASSIFY.training.device == "cuda"),
        mem_mb=8000,
        runtime=240,
    params:
        settings=settings("evaluate"),
        frames=lambda wildcards: result(f"frames/{wildcards.tested}/{{shard}}.h5"),
        code=code_digest("evaluate"),
    shell:
        "python -m pipeline evaluate --lists {DATASET}/lists {input.model} {params.frames} --settings {params.settings:q} --workers $(({threads} > {COMPUTE} ? {threads} - {COMPUTE} : 0)) "
        "--predictions {output.predictions} -o {output.evaluation} &> {log}"


def evaluations_of(name):
    """The evaluations that a table or figure is made of."""
    wanted = rows(name, CLASSIFY.recipe, CLASSIFY.compare, VARIANTS)
    return [
        result(f"evaluations/{evaluation_path(split, row)}")
        for row in wanted
        for split in CLASSIFY.splits
    ]


rule draw_classification_table:
    input:
        lambda wildcards: evaluations_of(wildcards.name),
    output:
        report(
            result("tables/{name}.tsv"),
            caption="../report/classification.rst",
            category="Action recognition",
        ),
    log:
        log_of("tables/{name}.log"),
    wildcard_constraints:
        name="table_5_[123]",
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        choice=f"--recipe {CLASSIFY.recipe} --compare {' '.join(CLASSIFY.compare)} --variants {' '.join(VARIANTS)} "
        f"--splits {' '.join(CLASSIFY.splits)}",
        code=code_digest("report-classification"),
    shell:
        "python -m pipeline report-classification {wildcards.name} {params.choice} "
        "--evaluations {DATASET}/evaluations -o {output} &> {log}"


use rule draw_classification_table as draw_classification_figure with:
    output:
        report(
            result("figures/{name}.png"),
            caption="../report/classification.rst",
            category="Action recognition",
        ),
    log:
        log_of("figures/{name}.log"),
    wildcard_constraints:
        name="figure_5_[67]",


# Targets: each table of Ch. 5 by its name, printed; all of it together.
rule table_5_1:
    input:
        result("tables/table_5_1.tsv"),
    localrule: True
    shell:
        "column -t -s \"$(printf '\\t')\" {input}"


use rule table_5_1 as table_5_2 with:
    input:
        result("tables/table_5_2.tsv"),


use rule table_5_1 as table_5_3 with:
    input:
        result("tables/table_5_3.tsv"),


rule classify:
    input:
        [result(f"tables/{name}.tsv") for name in TABLES],
        [result(f"figures/{name}.png") for name in FIGURES],
    localrule: True
