# The studies around PAS, its tables and figures, and the targets of Ch. 6.
# Without PAS: the winner's architecture from random weights, cross entropy only (Table 6.2).
use rule train as train_alone with:
    input:
        classes=CLASSIFY.classes or [],
        like=result(SHRUNK + "/selected.safetensors"),
        like_about=result(SHRUNK + "/selected.json"),
        frames=shards("frames/none/{shard}.h5"),
    output:
        model=result(SHRUNK + "/alone/model.safetensors"),
        about=result(SHRUNK + "/alone/model.json"),
        metrics=result(SHRUNK + "/alone/metrics.json"),
    log:
        log_of(SHRUNK + "/alone.log"),
    benchmark:
        benchmark_of(SHRUNK + "/alone.tsv")
    params:
        settings=settings("train-alone", split=SHRINK.split),
        frames=lambda wildcards: result("frames/none/{shard}.h5"),
        initial="",
        teacher=lambda wildcards, input: f"--like {input.like}",
        code=code_digest("train"),


# Fine-tuning on this dataset of networks that were made on another one (Table 6.6).
def transferred(wildcards):
    if SHRINK.transfer is None:
        raise WorkflowError(
            "shrink.transfer is null: it says where the networks to fine-tune are"
        )
    if wildcards.network == "base":
        return SHRINK.transfer.base.replace("{recipe}", wildcards.recipe)
    iteration = wildcards.network.removeprefix("pas_")
    path = SHRINK.transfer.reduced.replace("{recipe}", wildcards.recipe)
    return path.replace("{iteration}", iteration)


use rule train as train_transferred with:
    input:
        classes=CLASSIFY.classes or [],
        like=transferred,
        like_about=about(transferred),
        frames=shards("frames/none/{shard}.h5"),
    output:
        model=result("transfer/{split}/{recipe}/{network}/model.safetensors"),
        about=result("transfer/{split}/{recipe}/{network}/model.json"),
        metrics=result("transfer/{split}/{recipe}/{network}/metrics.json"),
    log:
        log_of("transfer/{split}/{recipe}/{network}.log"),
    benchmark:
        benchmark_of("transfer/{split}/{recipe}/{network}.tsv")
    wildcard_constraints:
        network=r"base|pas_\d+",
    params:
        settings=settings("train-transferred"),
        frames=lambda wildcards: result("frames/none/{shard}.h5"),
        initial="",
        teacher=lambda wildcards, input: f"--like {input.like} --keep-weights",
        code=code_digest("train"),


use rule evaluate as evaluate_transferred with:
    input:
        model=rules.train_transferred.output.model,
        about=rules.train_transferred.output.about,
        frames=shards("frames/none/{shard}.h5"),
    output:
        evaluation=result("transfer/{split}/{recipe}/{network}/evaluation.json"),
        predictions=result("transfer/{split}/{recipe}/{network}/predictions.tsv"),
    log:
        log_of("transfer/{split}/{recipe}/{network}/evaluation.log"),
    benchmark:
        benchmark_of("transfer/{split}/{recipe}/{network}/evaluation.tsv")
    wildcard_constraints:
        network=r"base|pas_\d+",
    params:
        settings=settings("evaluate"),
        frames=lambda wildcards: result("frames/none/{shard}.h5"),
        code=code_digest("evaluate"),


ITERATIONS = range(1, SHRINK.iterations + 1)
SHRINK_OPERATORS = {name: plan.operators for name, plan in SHRINK.plans.items()}


def is_slowfast(recipe):
    return CLASSIFY.recipes[recipe].backbone.name.startswith("slowfast")


def shrink_results(name, recipes=SHRINK.recipes):
    """What a table or figure of Ch. 6 is made of."""
    if name == "table_6_6":
        networks = ["base", *(f"pas_{n}" for n in ITERATIONS)]
        return [
            result(f"transfer/{split}/{recipe}/{network}/{file}")
            for split in CLASSIFY.splits
            for recipe in recipes
            for network in networks
            for file in ("evaluation.json", "model.json")
        ]
    if name == "table_6_7":  # activations are compared in ResNets only
        recipes = [r for r in recipes if not is_slowfast(r)]
    wanted = [
        result(f"shrink/{recipe}/pas/iteration_{n}/selected.json")
        for recipe in recipes
        for n in ITERATIONS
    ]
    if name == "table_6_5":
        wanted += [
            path.replace("selected.json", "export/export.json") for path in wanted
        ]
    if name == "shrink_beyond":
        wanted += [
            path.replace("/pas/", f"/{plan}/") for path in wanted for plan in BEYOND
        ]
        wanted += [
            result(f"shrink/{recipe}/stored/teacher_logits.json") for recipe in recipes
        ]
        wanted += [
            result(
                f"shrink/{recipe}/halving/iteration_{n}/{operators}/started/metrics.json"
            )
            for recipe in recipes
            for n in ITERATIONS
            for operators in SHRINK_OPERATORS["halving"]
        ]
    networks = networks_of(name, recipes, SHRINK.iterations, SHRINK_OPERATORS)
    return wanted + [
        result(f"shrink/{network}/{file}")
        for network in networks
        for file in ("evaluation.json", "metrics.json")
    ]


rule draw_shrink_table:
    input:
        lambda wildcards: shrink_results(wildcards.name),
    output:
        report(
            result("tables/{name}.tsv"),
            caption="../report/shrinking.rst",
            category="Shrinking",
        ),
    log:
        log_of("tables/{name}.log"),
    wildcard_constraints:
        name="table_6_[1245-9]|shrink_costs|shrink_beyond",
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        settings=settings("report-shrinking"),
        code=code_digest("report-shrinking"),
    shell:
        "python -m pipeline report-shrinking {wildcards.name} --results {DATASET} --settings {params.settings:q} -o {output} &> {log}"


rule draw_shrinkage:
    input:
        lambda wildcards: shrink_results("shrink_figure", [wildcards.recipe]),
    output:
        report(
            result("figures/shrink_{recipe}.png"),
            caption="../report/shrinking.rst",
            category="Shrinking",
        ),
    log:
        log_of("figures/shrink_{recipe}.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        settings=settings("report-shrinking"),
        code=code_digest("report-shrinking"),
    shell:
        "python -m pipeline report-shrinking {wildcards.recipe} --results {DATASET} --settings {params.settings:q} -o {output} &> {log}"


# Targets: PAS with its two tables, its figures, its costs and the exported networks; each further table by its name.
rule shrink:
    input:
        [
            result(f"tables/{name}.tsv")
            for name in ("table_6_1", "table_6_2", "shrink_costs")
        ],
        [result(f"figures/shrink_{recipe}.png") for recipe in SHRINK.recipes],
        [
            result(f"shrink/{recipe}/pas/iteration_{n}/export/export.json")
            for recipe in SHRINK.recipes
            for n in ITERATIONS
        ],
    localrule: True


use rule table_5_1 as table_6_1 with:
    input:
        result("tables/table_6_1.tsv"),


use rule table_5_1 as table_6_2 with:
    input:
        result("tables/table_6_2.tsv"),


use rule table_5_1 as table_6_4 with:
    input:
        result("tables/table_6_4.tsv"),


use rule table_5_1 as table_6_5 with:
    input:
        result("tables/table_6_5.tsv"),


use rule table_5_1 as table_6_6 with:
    input:
        result("tables/table_6_6.tsv"),


use rule table_5_1 as table_6_7 with:
    input:
        result("tables/table_6_7.tsv"),


use rule table_5_1 as table_6_8 with:
    input:
        result("tables/table_6_8.tsv"),


use rule table_5_1 as table_6_9 with:
    input:
        result("tables/table_6_9.tsv"),


use rule table_5_1 as shrink_costs with:
    input:
        result("tables/shrink_costs.tsv"),


use rule table_5_1 as shrink_beyond with:
    input:
        result("tables/shrink_beyond.tsv"),


# Figure 6.3 is R(2+1)D's, Figure 6.4 SlowFast's.
def figure_of(family):
    """The pictures of the base networks of one family; all of them where there is none."""
    chosen = [
        r
        for r in SHRINK.recipes
        if CLASSIFY.recipes[r].backbone.name.startswith(family)
    ]
    return [
        result(f"figures/shrink_{recipe}.png") for recipe in chosen or SHRINK.recipes
    ]


rule figure_6_3:
    input:
        figure_of("r2plus1d"),
    localrule: True


rule figure_6_4:
    input:
        figure_of("slowfast"),
    localrule: True
