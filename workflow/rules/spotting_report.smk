# Tables and figures of soccer event spotting (Ch. 4), and a match's highlights.


rule count_votes:
    """Count how often each frame around an event is predicted (Figure 4.7)."""
    input:
        games=games_of([SPOT.splits.test], "spot/games/{game}.json"),
        frames=shown_to(SPOT.chosen, [SPOT.splits.test]),
        model=result(
            "spot/networks/{network}/seed_{seed}/model.safetensors",
            network=SPOT.chosen,
            seed=str(seeds_of(SPOT.chosen)[0]),
        ),
    output:
        result("spot/votes.json"),
    log:
        log_of("count_votes.log"),
    conda:
        "../../envs/acta.yaml"
    threads: compute_threads(SPOT.spotters[SPOT.chosen].training)
    resources:
        gpu=on_gpu(SPOT.spotters[SPOT.chosen].training),
        mem_mb=16000,
        runtime=240,
    params:
        settings=lambda wildcards: settings(
            "predict-spots", network=SPOT.chosen, split=SPOT.splits.test
        )(wildcards),
        lists=lists_of([SPOT.splits.test]),
        shown=lambda wildcards: shown_options(SPOT.chosen),
        code=code_digest("spot-votes"),
    shell:
        "python -m pipeline --costs {log} spot-votes --max-bad $GAMES_MAX_BAD --lists {params.lists} "
        "--games $RESULTS/spot/games/{{shard}}.json "
        '{params.shown} --root "$GAMES_ROOT" --model {input.model} --settings {params.settings:q} -o {output} &> {log}'


rule draw_spotting_table:
    """Write a table of Ch. 4."""
    input:
        lambda wildcards: spot_evaluations(wildcards.name),
    output:
        **table(),
    log:
        log_of("draw_spotting_table/{name}.log"),
    wildcard_constraints:
        name="table_4_[2-6]",
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        settings=settings("report-spotting"),
        reading=reading(),
        code=code_digest("report-spotting"),
    shell:
        "python -m pipeline --costs {log} report-spotting {wildcards.name} --results $RESULTS/spot --settings {params.settings:q} "
        "-o {output.drawn} &> {log}"


use rule draw_spotting_table as draw_spotting_figure with:
    """Draw a figure of Ch. 4."""
    input:
        lambda wildcards: (
            rules.count_votes.output
            if wildcards.name == "figure_4_7"
            else spot_evaluations(wildcards.name)
        ),
    output:
        drawn=on_page(result("figures/{name}.png")),
    log:
        log_of("draw_spotting_figure/{name}.log"),
    wildcard_constraints:
        name=r"figure_4_\d+",


# A match in a minute. It shows the broadcast's own pictures: the stage makes their folder private (mode 0700).
rule cut_highlights:
    """Cut a match into highlights, in a private folder."""
    input:
        game=rules.build_game.output,
        folder=lambda wildcards: result(
            "spot/predictions/{network}/seed_{seed}/{split}",
            network=SPOT.chosen,
            seed=str(seeds_of(SPOT.chosen)[0]),
            split=SPLIT_OF[wildcards.game],
        ),
    output:
        video=result("private/highlights/{game}.mp4"),
        about=result("private/highlights/{game}.json"),
        chapters=result("private/highlights/{game}.vtt"),
    log:
        log_of("cut_highlights/{game}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        settings=settings("cut-highlights"),
        code=code_digest("cut-highlights"),
    shell:
        'python -m pipeline --costs {log} cut-highlights {input.game} --root "$GAMES_ROOT" --predictions {input.folder} '
        "--settings {params.settings:q} -o {output.video} &> {log}"


rule collect_spotting_quarantine:
    """List every game that was left out, and why."""
    input:
        games=games_of(USED, "spot/games/{game}.json"),
        frames=lambda wildcards: (
            games_of(USED, "spot/frames/{game}.h5") if sees_frames() else []
        ),
    output:
        result("spot/quarantine.tsv"),
    log:
        log_of("collect_spotting_quarantine.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        lists=lists_of(USED),
        shown=lambda wildcards: (
            f"--shards $RESULTS/spot/frames/{{shard}}.h5" if sees_frames() else ""
        ),
        code=code_digest("spot-quarantine"),
    shell:
        "python -m pipeline --costs {log} spot-quarantine --lists {params.lists} --games $RESULTS/spot/games/{{shard}}.json "
        "{params.shown} -o {output} &> {log}"


# The video inside of a page, as the report shows it.
rule show_highlights:
    """Put a match's highlights and their list of clips on a page, in a private folder."""
    input:
        rules.cut_highlights.output.video,
    output:
        private(result("private/highlights/{game}.html"), SPOT.data, "highlights"),
    log:
        log_of("show_highlights/{game}.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        reading=reading("highlights"),
        code=code_digest("report-highlights"),
    shell:
        "python -m pipeline --costs {log} report-highlights {input} -o {output} &> {log}"
