# Tables and figures of soccer event spotting (Ch. 4), and a match's highlights.


rule count_votes:
    """Count how often each frame around an event is predicted (Figure 4.7)."""
    input:
        games=lambda wildcards: check(spot.games, RUN, [SPOT.splits.test]),
        frames=spot.shown(RUN, SPOT.main_network, [SPOT.splits.test]),
        model=spot.of_main_network(RUN, f"{paths.SPOTTER}/model.safetensors"),
    output:
        result(paths.VOTES),
    log:
        log_of("count_votes.log"),
    conda:
        "../../envs/acta.yaml"
    threads: threads_of(SPOT.spotters[SPOT.main_network].training)
    resources:
        gpu=on_gpu(SPOT.spotters[SPOT.main_network].training),
        mem_mb=16000,
        runtime=240,
    params:
        **RUN.task("count_votes", network=SPOT.main_network, split=SPOT.splits.test),
        manifests=verbatim(result(paths.GAME, game="{shard}")),
        shown=verbatim(spot.shown_options(RUN, SPOT.main_network)),
        lists=RUN.game_lists([SPOT.splits.test]),
    shell:
        command(
            "count_votes",
            "--manifests {params.manifests} {params.shown} --lists {params.lists} --model {input.model} "
            '--root "$ACTA_GAMES_ROOT" --max-bad-fraction $ACTA_GAMES_MAX_BAD -o {output}',
        )


rule draw_spotting_table:
    """Write a table of Ch. 4."""
    input:
        drawn_from(spot.evaluations_of),
    output:
        **table(),
    log:
        log_of("draw_spotting_table/{name}.log"),
    wildcard_constraints:
        name=page.tables(4),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("draw_spotting", networks=of(spot.shown_networks)),
        reading=reading(),
        results=verbatim(result(paths.SPOTTING)),
    shell:
        command(
            "draw_spotting",
            "--name {wildcards.name} --results {params.results} -o {output.drawn}",
        )


use rule draw_spotting_table as draw_spotting_figure with:
    """Draw a figure of Ch. 4."""
    input:
        lambda wildcards: (
            rules.count_votes.output
            if wildcards.name == "figure_4_7"
            else drawn_from(spot.evaluations_of)(wildcards)
        ),
    output:
        drawn=on_page(result(paths.FIGURE)),
    log:
        log_of("draw_spotting_figure/{name}.log"),
    wildcard_constraints:
        name=r"figure_4_\d+",


# A match in a minute. It shows pictures from the broadcast, so the task makes their folder private (mode 0700).
rule cut_highlights:
    """Cut a match into highlights, in a private folder."""
    input:
        game=rules.build_game.output,
        folder=lambda wildcards: spot.of_main_network(
            RUN, paths.SPOTS, split=RUN.split_of(wildcards.game)
        ),
    output:
        video=result(f"{paths.HIGHLIGHTS}.mp4"),
        about=result(f"{paths.HIGHLIGHTS}.json"),
        chapters=result(f"{paths.HIGHLIGHTS}.vtt"),
    log:
        log_of("cut_highlights/{game}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        **RUN.task("cut_highlights"),
    shell:
        command(
            "cut_highlights",
            '--manifest {input.game} --root "$ACTA_GAMES_ROOT" --predictions {input.folder} -o {output.video}',
        )


rule collect_game_quarantine:
    """List every game that was left out, and why."""
    input:
        games=RUN.of_games(spot.used(RUN), paths.GAME),
        frames=lambda wildcards: (
            RUN.of_games(spot.used(RUN), paths.GAME_FRAMES)
            if spot.sees_frames(RUN)
            else []
        ),
    output:
        result(paths.GAME_QUARANTINE),
    log:
        log_of("collect_game_quarantine.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("collect_game_quarantine"),
        manifests=verbatim(result(paths.GAME, game="{shard}")),
        shards=lambda wildcards: (
            result(paths.GAME_FRAMES, game="{shard}") if spot.sees_frames(RUN) else ""
        ),
        lists=RUN.game_lists(spot.used(RUN)),
    shell:
        command(
            "collect_game_quarantine",
            "--manifests {params.manifests} --shards {params.shards} --lists {params.lists} -o {output}",
        )


# A page with the video embedded, for the report.
rule show_highlights:
    """Make a page with a match's highlights and the list of their clips, in a private folder."""
    input:
        rules.cut_highlights.output.video,
    output:
        private(result(f"{paths.HIGHLIGHTS}.html"), SPOT.data, "highlights"),
    log:
        log_of("show_highlights/{game}.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("show_highlights"),
        reading=reading("highlights"),
    shell:
        command("show_highlights", "--video {input} -o {output}")
