# Soccer event spotting (Ch. 4), from games to metrics: frames, features, RMS-Net and its ablations, spots.
# The chapter uses separate games; all its results are below results/<dataset>/spot.
MATCHES = []
if SPOT.data.adapter == "demo":
    MATCHES = [f"{SPOT.data.root}/{name}" for name in match_files()]


if SPOT.data.adapter == "demo":

    # Matches with cues that come after their events.
    rule make_matches:
        """Make the demo's matches, whose cues come after their events."""
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
            **RUN.task("make_matches"),
        shell:
            command("make_matches", '--root "$ACTA_GAMES_ROOT"')


rule build_game:
    """Read one game: where its halves are in the videos, and what happens in them."""
    input:
        listed=lambda wildcards: list_file(
            paths.filled(paths.GAME_LISTS, split=RUN.split_of(wildcards.game)),
            wildcards.game,
        ),
        demo=MATCHES,
    output:
        result(paths.GAME),
    log:
        log_of("build_game/{game}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        **RUN.task("build_game"),
    shell:
        command(
            "build_game",
            '--listed {input.listed:q} --root "$ACTA_GAMES_ROOT" -o {output}',
        )


# Raw frames: the task makes their folder private (mode 0700).
rule extract_game_frames:
    """Store a game's frames, two per second, in a private folder."""
    input:
        rules.build_game.output,
    output:
        result(paths.GAME_FRAMES),
    log:
        log_of("extract_game_frames/{game}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        **RUN.task("extract_game_frames"),
    shell:
        command(
            "extract_game_frames",
            '--manifest {input} --root "$ACTA_GAMES_ROOT" -o {output}',
        )


rule extract_frame_features:
    """Compute features of a game's frames with a backbone."""
    input:
        rules.extract_game_frames.output,
    output:
        result(paths.FRAME_FEATURES),
    log:
        log_of("extract_frame_features/{features}/{game}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: lambda wildcards: threads_of(SPOT.features[wildcards.features])
    resources:
        gpu=lambda wildcards: on_gpu(SPOT.features[wildcards.features]),
        mem_mb=8000,
        runtime=240,
    params:
        **RUN.task("extract_frame_features"),
        weights=lambda wildcards: check(
            spot.backbone_digest, RUN, SPOT.features[wildcards.features].backbone
        ),
        given=lambda wildcards: spot.backbone_option(
            SPOT.features[wildcards.features].backbone
        ),
    shell:
        command("extract_frame_features", "--frames {input} {params.given} -o {output}")


rule fit_pca:
    """Fit the projection of features on the training games."""
    input:
        lambda wildcards: RUN.of_games(
            SPOT.splits.train, paths.FRAME_FEATURES, features=wildcards.features
        ),
    output:
        projection=result(paths.PROJECTION),
        about=result(about(paths.PROJECTION)),
    log:
        log_of("fit_pca/{features}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        **RUN.task("fit_pca"),
        shards=lambda wildcards: result(
            paths.FRAME_FEATURES, features=wildcards.features, game="{shard}"
        ),
        lists=RUN.game_lists(SPOT.splits.train),
    shell:
        command(
            "fit_pca",
            "--shards {params.shards} --lists {params.lists} -o {output.projection}",
        )


rule project_features:
    """Project a game's features."""
    input:
        features=rules.extract_frame_features.output,
        projection=rules.fit_pca.output.projection,
    output:
        result(paths.PROJECTED_FEATURES),
    log:
        log_of("project_features/{features}/{game}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        **RUN.task("project_features"),
    shell:
        command(
            "project_features",
            "--features {input.features} --projection {input.projection} -o {output}",
        )


# While a model trains, its checkpoint last.ckpt is next to it.
rule train_spotter:
    """Train RMS-Net or an ablation."""
    input:
        games=of(spot.learned_from),
        frames=lambda wildcards: spot.shown(RUN, wildcards.network, spot.steering(RUN)),
    output:
        model=result(f"{paths.SPOTTER}/model.safetensors"),
        about=result(f"{paths.SPOTTER}/model.json"),
        metrics=result(f"{paths.SPOTTER}/metrics.json"),
    log:
        log_of("train_spotter/{network}/{seed}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: lambda wildcards: threads_of(spotter_training(wildcards), loading=True)
    resources:
        gpu=lambda wildcards: on_gpu(spotter_training(wildcards)),
        mem_mb=16000,
        runtime=1440,
        launcher="",
    params:
        **RUN.task("train_spotter"),
        manifests=verbatim(result(paths.GAME, game="{shard}")),
        shown=lambda wildcards: spot.shown_options(RUN, wildcards.network),
        lists=RUN.game_lists(spot.steering(RUN)),
        weights=lambda wildcards: check(
            spot.backbone_digest, RUN, SPOT.spotters[wildcards.network].backbone
        ),
        given=lambda wildcards: spot.backbone_option(
            SPOT.spotters[wildcards.network].backbone
        ),
    shell:
        command(
            "train_spotter",
            "--manifests {params.manifests} {params.shown} --lists {params.lists} {params.given} "
            '--root "$ACTA_GAMES_ROOT" --max-bad-fraction $ACTA_GAMES_MAX_BAD -o {output.model}',
        )


rule predict_spots:
    """Predict the events of a split's games, in SoccerNet's form."""
    input:
        games=lambda wildcards: check(spot.games, RUN, [wildcards.split]),
        frames=lambda wildcards: spot.shown(RUN, wildcards.network, [wildcards.split]),
        model=rules.train_spotter.output.model,
    output:
        folder=directory(result(paths.SPOTS)),
        about=result(f"{paths.SPOTS}.json"),
    log:
        log_of("predict_spots/{network}/{seed}/{split}.log"),
    conda:
        "../../envs/acta.yaml"
    threads: lambda wildcards: threads_of(spotter_training(wildcards))
    resources:
        gpu=lambda wildcards: on_gpu(spotter_training(wildcards)),
        mem_mb=16000,
        runtime=1440,
    params:
        **RUN.task("predict_spots"),
        manifests=verbatim(result(paths.GAME, game="{shard}")),
        shown=lambda wildcards: spot.shown_options(RUN, wildcards.network),
        lists=lambda wildcards: RUN.game_lists([wildcards.split]),
    shell:
        command(
            "predict_spots",
            "--manifests {params.manifests} {params.shown} --lists {params.lists} --model {input.model} "
            '--root "$ACTA_GAMES_ROOT" --max-bad-fraction $ACTA_GAMES_MAX_BAD --about {output.about} -o {output.folder}',
        )


rule evaluate_spots:
    """Measure the Average-mAP of a network's predictions."""
    input:
        games=lambda wildcards: check(spot.games, RUN, [wildcards.split]),
        folder=rules.predict_spots.output.folder,
        about=rules.predict_spots.output.about,
    output:
        result(paths.SPOTS_EVALUATION),
    log:
        log_of("evaluate_spots/{network}/{seed}/{split}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        **RUN.task("evaluate_spots"),
        manifests=verbatim(result(paths.GAME, game="{shard}")),
        lists=lambda wildcards: RUN.game_lists([wildcards.split]),
    shell:
        command(
            "evaluate_spots",
            "--manifests {params.manifests} --lists {params.lists} --predictions {input.folder} --about {input.about} "
            "--max-bad-fraction $ACTA_GAMES_MAX_BAD -o {output}",
        )


# The archive for SoccerNet's evaluation server; it is refused here if the server would refuse it.
rule pack_submission:
    """Pack and check the archive for SoccerNet's server."""
    input:
        folder=rules.predict_spots.output.folder,
        games=lambda wildcards: MATCHES or SPOT.data.splits[wildcards.split],
    output:
        result(paths.SUBMISSION),
    log:
        log_of("pack_submission/{network}/{seed}/{split}.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("pack_submission"),
        split=lambda wildcards: SPOT.data.splits[wildcards.split],
        version=SPOT.data.version,
    shell:
        command(
            "pack_submission",
            "--predictions {input.folder} --split {params.split:q} --version {params.version} -o {output}",
        )
