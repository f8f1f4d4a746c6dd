# The studies around PAS, its tables and figures, and the targets of Ch. 6.
# Without PAS: the winner's architecture from random weights, cross entropy only (Table 6.2).


use rule train as train_alone with:
    """Train a winner's architecture without PAS (Table 6.2)."""
    input:
        classes=lambda wildcards: CLASSIFY.classes or [],
        like=shrunk("selected.safetensors"),
        like_about=shrunk("selected.json"),
        frames=shards("frames/none/{shard}.h5"),
    output:
        model=shrunk("alone/model.safetensors"),
        about=shrunk("alone/model.json"),
        metrics=shrunk("alone/metrics.json"),
    log:
        log_of("train_alone/{recipe}/{plan}/{iteration}.log"),
    params:
        settings=settings("train-alone", split=SHRINK.split),
        compute=COMPUTE,
        frames=lambda wildcards: result("frames/none/{shard}.h5"),
        initial="",
        teacher=lambda wildcards, input: f"--like {input.like}",
        code=code_digest("train"),


use rule train as train_transferred with:
    """Fine-tune a network that was made on another dataset (Table 6.6)."""
    input:
        classes=lambda wildcards: CLASSIFY.classes or [],
        like=transferred,
        like_about=about(transferred),
        frames=shards("frames/none/{shard}.h5"),
    output:
        model=result("transfer/{split}/{recipe}/{network}/model.safetensors"),
        about=result("transfer/{split}/{recipe}/{network}/model.json"),
        metrics=result("transfer/{split}/{recipe}/{network}/metrics.json"),
    log:
        log_of("train_transferred/{split}/{recipe}/{network}.log"),
    wildcard_constraints:
        network=r"base|pas_\d+",
    params:
        settings=settings("train-transferred"),
        compute=COMPUTE,
        frames=lambda wildcards: result("frames/none/{shard}.h5"),
        initial="",
        teacher=lambda wildcards, input: f"--like {input.like} --keep-weights",
        code=code_digest("train"),


use rule evaluate as evaluate_transferred with:
    """Measure a fine-tuned network's accuracy on the test videos."""
    input:
        model=rules.train_transferred.output.model,
        about=rules.train_transferred.output.about,
        frames=shards("frames/none/{shard}.h5"),
    output:
        evaluation=result("transfer/{split}/{recipe}/{network}/evaluation.json"),
        predictions=result("transfer/{split}/{recipe}/{network}/predictions.tsv"),
    log:
        log_of("evaluate_transferred/{split}/{recipe}/{network}.log"),
    wildcard_constraints:
        network=r"base|pas_\d+",
    params:
        settings=settings("evaluate"),
        compute=COMPUTE,
        frames=lambda wildcards: result("frames/none/{shard}.h5"),
        code=code_digest("evaluate"),


rule draw_shrink_table:
    """Write a table of Ch. 6."""
    input:
        lambda wildcards: shrink_results(wildcards.name),
    output:
        **table(),
    log:
        log_of("draw_shrink_table/{name}.log"),
    wildcard_constraints:
        name="table_6_[1-9]|shrink_costs|shrink_beyond",
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        settings=settings("report-shrinking"),
        reading=reading(),
        code=code_digest("report-shrinking"),
    shell:
        "python -m pipeline --costs {log} report-shrinking {wildcards.name} --results $RESULTS --settings {params.settings:q} -o {output.drawn} &> {log}"


rule draw_shrinkage:
    """Draw Figure 6.3 or 6.4 for a base network."""
    input:
        lambda wildcards: shrink_results("shrink_figure", [wildcards.recipe]),
    output:
        drawn=on_page(result("figures/shrink_{recipe}.png"), figure_of),
    log:
        log_of("draw_shrinkage/{recipe}.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        settings=settings("report-shrinking"),
        reading=reading(figure_of),
        code=code_digest("report-shrinking"),
    shell:
        "python -m pipeline --costs {log} report-shrinking {wildcards.recipe} --results $RESULTS --settings {params.settings:q} -o {output.drawn} &> {log}"
