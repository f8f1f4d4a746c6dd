# Soccer event spotting (Ch. 4), from games to figures of merit: frames, features, RMS-Net and its ablations, spots.
# The chapter has games of its own; all of it lies below results/<dataset>/spot.
SPOT = CONFIG.spot
GAMES_ROOT = SPOT.data.root
BAD_GAMES = SPOT.data.max_bad_fraction
MATCHES = (
    [f"{GAMES_ROOT}/{name}" for name in match_files()]
    if SPOT.data.adapter == "demo"
    else []
)

# One list, and one job of each kind, for a game; a list lies in the folder of the game's split.
if workflow.is_main_process:
    LISTED = check(list_games, SPOT.data, imported_features(SPOT))
    for split in SPOT.data.splits:
        write_game_lists(
            {game: files for game, files in LISTED.items() if files[0].split == split},
            Path(DATASET, "spot/lists", split),
        )
GAMES = {
    split: shard_names(Path(DATASET, "spot/lists", split)) for split in SPOT.data.splits
}
SPLIT_OF = {game: split for split, games in GAMES.items() for game in games}


def games_of(splits, path, **wildcards):
    """The same path for every game of these splits."""
    return [
        result(path, game=game, **wildcards)
        for split in dict.fromkeys(splits)
        for game in GAMES[split]
    ]


def lists_of(splits):
    return " ".join(
        quote(f"{DATASET}/spot/lists/{split}") for split in dict.fromkeys(splits)
    )


def seeds_of(network):
    return SPOT.spotters[network].seeds or SPOT.seeds


STEERED = [
    *SPOT.splits.train,
    SPOT.splits.validation,
]  # what a training reads
MANIFESTS = "{DATASET}/spot/games/{{shard}}.json"


def frames_path(network):
    """Where the frames or features of a network are, by game; None: in SoccerNet's own files."""
    chosen = SPOT.spotters[network]
    if chosen.backbone:
        return "spot/frames/{game}.h5"
    features = SPOT.features[chosen.input]
    if features.imported:
        return None
    kind = "projected" if features.pca else "full"
    return f"spot/features/{chosen.input}/{kind}/{{game}}.h5"


def shown_to(network, splits):
    """A rule's inputs: what a network sees of these splits' games."""
    path = frames_path(network)
    return games_of(splits, path) if path else []


def shown_options(network):
    """The same as options of a command."""
    path = frames_path(network)
    if path:
        return f"--shards {quote(result(path, game='{shard}'))}"
    imported = SPOT.features[SPOT.spotters[network].input].imported
    return f"--imported {quote(imported)}"


def matches_of_demo(wildcards):
    if not IS_DEMO:
        raise WorkflowError(
            "spot.data still names the demo's games: name your own (README, Soccer event spotting)"
        )
    return []


if SPOT.data.adapter == "demo":

    # Matches with cues that come after their events.
    rule make_matches:
        input:
            matches_of_demo,
        output:
            MATCHES,
        log:
            log_of("make_matches.log"),
        conda:
            "../../envs/acta.yaml"
        threads: 2
        params:
            code=digest_code(
                sorted(
                    str(p.relative_to(PROJECT))
                    for p in PROJECT.glob("pipeline/data/match*.py")
                )
            ),
        shell:
            "python -m pipeline make-matches {GAMES_ROOT} --workers {threads} &> {log}"


rule build_game:
    input:
        list=lambda wildcards: result(
            f"spot/lists/{SPLIT_OF[wildcards.game]}/{wildcards.game}.json"
        ),
        demo=MATCHES,
    output:
        result("spot/games/{game}.json"),
    log:
        log_of("spot/games/{game}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        settings=settings("spot-game"),
        code=code_digest("spot-game"),
    shell:
        "python -m pipeline spot-game {input.list:q} --root {GAMES_ROOT:q} --settings {params.settings:q} "
        "--workers {threads} -o {output} &> {log}"


# Raw frames: the stage makes their folder private (mode 0700).
rule store_spot_frames:
    input:
        rules.build_game.output,
    output:
        result("spot/frames/{game}.h5"),
    log:
        log_of("spot/frames/{game}.log"),
    benchmark:
        benchmark_of("spot/frames/{game}.tsv")
    conda:
        "../../envs/acta.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        settings=settings("spot-frames"),
        code=code_digest("spot-frames"),
    shell:
        "python -m pipeline spot-frames {input} --root {GAMES_ROOT:q} --settings {params.settings:q} "
        "--workers {threads} -o {output} &> {log}"


def backbone_digest(backbone):
    return weights_digest(backbone.weights, backbone.name)


def backbone_option(backbone):
    return words(weights=backbone.weights) if backbone and backbone.weights else ""


rule extract_frame_features:
    input:
        rules.store_spot_frames.output,
    output:
        result("spot/features/{features}/full/{game}.h5"),
    log:
        log_of("spot/features/{features}/full/{game}.log"),
    benchmark:
        benchmark_of("spot/features/{features}/full/{game}.tsv")
    conda:
        "../../envs/acta.yaml"
    threads: lambda wildcards: compute_threads(SPOT.features[wildcards.features])
    resources:
        gpu=lambda wildcards: on_gpu(SPOT.features[wildcards.features]),
        mem_mb=8000,
        runtime=240,
    params:
        settings=settings("frame-features"),
        weights=lambda wildcards: backbone_digest(
            SPOT.features[wildcards.features].backbone
        ),
        given=lambda wildcards: backbone_option(
            SPOT.features[wildcards.features].backbone
        ),
        code=code_digest("frame-features"),
    shell:
        "python -m pipeline frame-features {input} {params.given} --settings {params.settings:q} -o {output} &> {log}"


rule fit_pca:
    input:
        lambda wildcards: games_of(
            SPOT.splits.train,
            "spot/features/{features}/full/{game}.h5",
            features=wildcards.features,
        ),
    output:
        projection=result("spot/features/{features}/pca.safetensors"),
        about=result("spot/features/{features}/pca.json"),
    log:
        log_of("spot/features/{features}/pca.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        settings=settings("fit-pca"),
        lists=lists_of(SPOT.splits.train),
        code=code_digest("fit-pca"),
    shell:
        "python -m pipeline fit-pca --lists {params.lists} "
        "--shards {DATASET}/spot/features/{wildcards.features}/full/{{shard}}.h5 --settings {params.settings:q} "
        "-o {output.projection} &> {log}"


rule project_features:
    input:
        shard=rules.extract_frame_features.output,
        projection=rules.fit_pca.output.projection,
    output:
        result("spot/features/{features}/projected/{game}.h5"),
    log:
        log_of("spot/features/{features}/projected/{game}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        code=code_digest("project-features"),
    shell:
        "python -m pipeline project-features {input.shard} --projection {input.projection} -o {output} &> {log}"


# A checkpoint, last.ckpt, lies beside each model while it trains.
rule train_spotting:
    input:
        games=games_of(STEERED, "spot/games/{game}.json"),
        frames=lambda wildcards: shown_to(wildcards.network, STEERED),
    output:
        model=result("spot/networks/{network}/seed_{seed}/model.safetensors"),
        about=result("spot/networks/{network}/seed_{seed}/model.json"),
        metrics=result("spot/networks/{network}/seed_{seed}/metrics.json"),
    log:
        log_of("spot/networks/{network}/seed_{seed}.log"),
    benchmark:
        benchmark_of("spot/networks/{network}/seed_{seed}.tsv")
    conda:
        "../../envs/acta.yaml"
    threads: lambda wildcards: threads_of(SPOT.spotters[wildcards.network].training)
    resources:
        gpu=lambda wildcards: on_gpu(SPOT.spotters[wildcards.network].training),
        mem_mb=16000,
        runtime=1440,
        launcher="",
    params:
        settings=settings("train-spotting"),
        lists=lists_of(STEERED),
        shown=lambda wildcards: shown_options(wildcards.network),
        weights=lambda wildcards: (
            backbone_digest(SPOT.spotters[wildcards.network].backbone)
            if SPOT.spotters[wildcards.network].backbone
            else ""
        ),
        given=lambda wildcards: backbone_option(
            SPOT.spotters[wildcards.network].backbone
        ),
        compute=lambda wildcards: compute_threads(
            SPOT.spotters[wildcards.network].training
        ),
        code=code_digest("train-spotting"),
    shell:
        "SRUN_CPUS_PER_TASK={threads} {resources.launcher} python -m pipeline train-spotting --max-bad {BAD_GAMES} "
        "--lists {params.lists} --games {DATASET}/spot/games/{{shard}}.json {params.shown} --root {GAMES_ROOT:q} {params.given} "
        "--settings {params.settings:q} "
        "--workers $(({threads} > {params.compute} ? {threads} - {params.compute} : 0)) -o {output.model} &> {log}"


rule predict_spots:
    input:
        games=lambda wildcards: games_of([wildcards.split], "spot/games/{game}.json"),
        frames=lambda wildcards: shown_to(wildcards.network, [wildcards.split]),
        model=rules.train_spotting.output.model,
    output:
        folder=directory(result("spot/predictions/{network}/seed_{seed}/{split}")),
        about=result("spot/predictions/{network}/seed_{seed}/{split}.json"),
    log:
        log_of("spot/predictions/{network}/seed_{seed}/{split}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: lambda wildcards: compute_threads(SPOT.spotters[wildcards.network].training)
    resources:
        gpu=lambda wildcards: on_gpu(SPOT.spotters[wildcards.network].training),
        mem_mb=16000,
        runtime=1440,
    params:
        settings=settings("predict-spots"),
        lists=lambda wildcards: lists_of([wildcards.split]),
        shown=lambda wildcards: shown_options(wildcards.network),
        code=code_digest("predict-spots"),
    shell:
        "python -m pipeline predict-spots --max-bad {BAD_GAMES} --lists {params.lists} "
        "--games {DATASET}/spot/games/{{shard}}.json "
        "{params.shown} --root {GAMES_ROOT:q} --model {input.model} --about {output.about} --settings {params.settings:q} "
        "-o {output.folder} &> {log}"


rule evaluate_spots:
    input:
        games=lambda wildcards: games_of([wildcards.split], "spot/games/{game}.json"),
        folder=rules.predict_spots.output.folder,
        about=rules.predict_spots.output.about,
    output:
        result("spot/evaluations/{network}/seed_{seed}/{split}/evaluation.json"),
    log:
        log_of("spot/evaluations/{network}/seed_{seed}/{split}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=settings("evaluate-spots"),
        lists=lambda wildcards: lists_of([wildcards.split]),
        code=code_digest("evaluate-spots"),
    shell:
        "python -m pipeline evaluate-spots --max-bad {BAD_GAMES} --lists {params.lists} "
        "--games {DATASET}/spot/games/{{shard}}.json "
        "--predictions {input.folder} --about {input.about} --settings {params.settings:q} -o {output} &> {log}"


# What SoccerNet's evaluation server takes; refused here if it would be refused there.
rule submit_spots:
    input:
        folder=rules.predict_spots.output.folder,
        games=lambda wildcards: (
            MATCHES
            if SPOT.data.adapter == "demo"
            else SPOT.data.splits[wildcards.split]
        ),
    output:
        result("spot/submissions/{network}/seed_{seed}/{split}.zip"),
    log:
        log_of("spot/submissions/{network}/seed_{seed}/{split}.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        split=lambda wildcards: SPOT.data.splits[wildcards.split],
        code=code_digest("submit-spots"),
    shell:
        "python -m pipeline submit-spots {input.folder} --split {params.split:q} --version {SPOT.data.version} "
        "-o {output} &> {log}"
