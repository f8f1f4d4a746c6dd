# Tables and figures of soccer event spotting (Ch. 4), and a match's highlights.
TRAINED = SPOT.splits.train
REPORTED = [
    split
    for split in (SPOT.splits.validation, SPOT.splits.test)
    if split not in TRAINED
]


def reported_by(name):
    """The networks of a table or figure that the configuration has."""
    backbones = {network: chosen.backbone for network, chosen in SPOT.spotters.items()}
    return [n for n in check(spotters_for, name, backbones) if n in SPOT.spotters]


def spot_evaluations(name):
    """Evaluations that a table or figure is made of."""
    splits = REPORTED if name in CHAPTER_4_TABLES else REPORTED[-1:]
    return [
        result(
            "spot/evaluations/{network}/seed_{seed}/{split}/evaluation.json",
            network=network,
            seed=str(seed),
            split=split,
        )
        for network in reported_by(name)
        for seed in seeds_of(network)
        for split in splits
    ]


# Figure 4.7: how often each frame around an event is predicted.
rule count_votes:
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
        log_of("spot/votes.log"),
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
        "python -m pipeline spot-votes --max-bad {BAD_GAMES} --lists {params.lists} "
        "--games {DATASET}/spot/games/{{shard}}.json "
        "{params.shown} --root {GAMES_ROOT:q} --model {input.model} --settings {params.settings:q} -o {output} &> {log}"


rule draw_spotting_table:
    input:
        lambda wildcards: spot_evaluations(wildcards.name),
    output:
        report(
            result("tables/{name}.tsv"),
            caption="../report/spotting.rst",
            category="Soccer event spotting",
        ),
    log:
        log_of("tables/{name}.log"),
    wildcard_constraints:
        name=r"table_4_\d+",
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        settings=settings("report-spotting"),
        code=code_digest("report-spotting"),
    shell:
        "python -m pipeline report-spotting {wildcards.name} --results {DATASET}/spot --settings {params.settings:q} "
        "-o {output} &> {log}"


use rule draw_spotting_table as draw_spotting_figure with:
    input:
        lambda wildcards: (
            rules.count_votes.output
            if wildcards.name == "figure_4_7"
            else spot_evaluations(wildcards.name)
        ),
    output:
        report(
            result("figures/{name}.png"),
            caption="../report/spotting.rst",
            category="Soccer event spotting",
        ),
    log:
        log_of("figures/{name}.log"),
    wildcard_constraints:
        name=r"figure_4_\d+",


# A match in a minute. It shows the broadcast's own pictures: the stage makes their folder private (mode 0700).
rule cut_highlights:
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
        log_of("private/highlights/{game}.log"),
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
        "python -m pipeline cut-highlights {input.game} --root {GAMES_ROOT:q} --predictions {input.folder} "
        "--settings {params.settings:q} -o {output.video} &> {log}"


# Targets: each table and figure of Ch. 4 by its name, tables printed; what the configuration names of them together.
for name in CHAPTER_4_TABLES:

    rule:
        name:
            name
        input:
            result(f"tables/{name}.tsv"),
        localrule: True
        shell:
            "column -t -s \"$(printf '\\t')\" {input}"


for name in CHAPTER_4_FIGURES:

    rule:
        name:
            name
        input:
            result(f"figures/{name}.png"),
        localrule: True


USED = list(dict.fromkeys([*STEERED, SPOT.splits.test, SPOT.splits.submitted]))


def sees_frames():
    """Whether a network that is asked for sees pictures, or features of them; else the manifests say it all."""
    networks = {SPOT.chosen, *(n for name in SPOT.tables for n in reported_by(name))}
    return any(map(frames_path, networks))


# Every game that was left out, and why.
rule collect_spotting_quarantine:
    input:
        games=games_of(USED, "spot/games/{game}.json"),
        frames=lambda wildcards: (
            games_of(USED, "spot/frames/{game}.h5") if sees_frames() else []
        ),
    output:
        result("spot/quarantine.tsv"),
    log:
        log_of("spot/quarantine.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        lists=lists_of(USED),
        shown=lambda wildcards: (
            f"--shards {DATASET}/spot/frames/{{shard}}.h5" if sees_frames() else ""
        ),
        code=code_digest("spot-quarantine"),
    shell:
        "python -m pipeline spot-quarantine --lists {params.lists} --games {DATASET}/spot/games/{{shard}}.json "
        "{params.shown} -o {output} &> {log}"


rule spot:
    input:
        result("spot/quarantine.tsv"),
        [
            result(f"{'tables' if name.startswith('table') else 'figures'}/{name}")
            + (".tsv" if name.startswith("table") else ".png")
            for name in SPOT.tables
        ],
        result(
            "spot/submissions/{network}/seed_{seed}/{split}.zip",
            network=SPOT.chosen,
            seed=str(seeds_of(SPOT.chosen)[0]),
            split=SPOT.splits.submitted,
        ),
        (
            [
                result("private/highlights/{game}.mp4", game=game)
                for game in GAMES[SPOT.splits.test][:1]
            ]
            if SPOT.data.videos
            else []
        ),
    localrule: True
