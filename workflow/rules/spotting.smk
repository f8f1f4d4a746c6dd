# Soccer event spotting (Ch. 4), from games to figures of merit: frames, features, RMS-Net and its ablations, spots.
# The chapter has games of its own; all of it lies below results/<dataset>/spot.


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
            code=digest_code(
                sorted(
                    str(p.relative_to(PROJECT))
                    for p in PROJECT.glob("pipeline/data/match*.py")
                )
            ),
        shell:
            'python -m pipeline --costs {log} make-matches "$GAMES_ROOT" --workers {threads} &> {log}'


rule build_game:
    """Read one game: where its halves lie, what happens in them."""
    input:
        list=lambda wildcards: list_file(
            f"spot/lists/{SPLIT_OF[wildcards.game]}", wildcards.game
        ),
        demo=MATCHES,
    output:
        result("spot/games/{game}.json"),
    log:
        log_of("build_game/{game}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        settings=settings("spot-game"),
        code=code_digest("spot-game"),
    shell:
        'python -m pipeline --costs {log} spot-game {input.list:q} --root "$GAMES_ROOT" --settings {params.settings:q} '
        "--workers {threads} -o {output} &> {log}"


# Raw frames: the stage makes their folder private (mode 0700).
rule store_spot_frames:
    """Store a game's frames, two of a second, in a private folder."""
    input:
        rules.build_game.output,
    output:
        result("spot/frames/{game}.h5"),
    log:
        log_of("store_spot_frames/{game}.log"),
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
        'python -m pipeline --costs {log} spot-frames {input} --root "$GAMES_ROOT" --settings {params.settings:q} '
        "--workers {threads} -o {output} &> {log}"


rule extract_frame_features:
    """Compute a backbone's features of a game's frames."""
    input:
        rules.store_spot_frames.output,
    output:
        result("spot/features/{features}/full/{game}.h5"),
    log:
        log_of("extract_frame_features/{features}/{game}.log"),
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
        "python -m pipeline --costs {log} frame-features {input} {params.given} --settings {params.settings:q} -o {output} &> {log}"


rule fit_pca:
    """Fit the projection of features on the training games."""
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
        log_of("fit_pca/{features}.log"),
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
        "python -m pipeline --costs {log} fit-pca --lists {params.lists} "
        "--shards $RESULTS/spot/features/{wildcards.features}/full/{{shard}}.h5 --settings {params.settings:q} "
        "-o {output.projection} &> {log}"


rule project_features:
    """Project a game's features."""
    input:
        shard=rules.extract_frame_features.output,
        projection=rules.fit_pca.output.projection,
    output:
        result("spot/features/{features}/projected/{game}.h5"),
    log:
        log_of("project_features/{features}/{game}.log"),
    conda:
        "../../envs/acta.yaml"
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        code=code_digest("project-features"),
    shell:
        "python -m pipeline --costs {log} project-features {input.shard} --projection {input.projection} -o {output} &> {log}"


# A checkpoint, last.ckpt, lies beside each model while it trains.
rule train_spotting:
    """Train RMS-Net or an ablation."""
    input:
        games=games_of(STEERED, "spot/games/{game}.json"),
        frames=lambda wildcards: shown_to(wildcards.network, STEERED),
    output:
        model=result("spot/networks/{network}/seed_{seed}/model.safetensors"),
        about=result("spot/networks/{network}/seed_{seed}/model.json"),
        metrics=result("spot/networks/{network}/seed_{seed}/metrics.json"),
    log:
        log_of("train_spotting/{network}/{seed}.log"),
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
        "SRUN_CPUS_PER_TASK={threads} {resources.launcher} python -m pipeline --costs {log} train-spotting --max-bad $GAMES_MAX_BAD "
        '--lists {params.lists} --games $RESULTS/spot/games/{{shard}}.json {params.shown} --root "$GAMES_ROOT" {params.given} '
        "--settings {params.settings:q} "
        "--workers $(loaders {threads} {params.compute}) -o {output.model} &> {log}"


rule predict_spots:
    """Predict the events of a split's games, in SoccerNet's form."""
    input:
        games=lambda wildcards: games_of([wildcards.split], "spot/games/{game}.json"),
        frames=lambda wildcards: shown_to(wildcards.network, [wildcards.split]),
        model=rules.train_spotting.output.model,
    output:
        folder=directory(result("spot/predictions/{network}/seed_{seed}/{split}")),
        about=result("spot/predictions/{network}/seed_{seed}/{split}.json"),
    log:
        log_of("predict_spots/{network}/{seed}/{split}.log"),
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
        "python -m pipeline --costs {log} predict-spots --max-bad $GAMES_MAX_BAD --lists {params.lists} "
        "--games $RESULTS/spot/games/{{shard}}.json "
        '{params.shown} --root "$GAMES_ROOT" --model {input.model} --about {output.about} --settings {params.settings:q} '
        "-o {output.folder} &> {log}"


rule evaluate_spots:
    """Measure Average-mAP of a network's predictions."""
    input:
        games=lambda wildcards: games_of([wildcards.split], "spot/games/{game}.json"),
        folder=rules.predict_spots.output.folder,
        about=rules.predict_spots.output.about,
    output:
        result("spot/evaluations/{network}/seed_{seed}/{split}/evaluation.json"),
    log:
        log_of("evaluate_spots/{network}/{seed}/{split}.log"),
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
        "python -m pipeline --costs {log} evaluate-spots --max-bad $GAMES_MAX_BAD --lists {params.lists} "
        "--games $RESULTS/spot/games/{{shard}}.json "
        "--predictions {input.folder} --about {input.about} --settings {params.settings:q} -o {output} &> {log}"


# What SoccerNet's evaluation server takes; refused here if it would be refused there.
rule submit_spots:
    """Pack and check the archive that SoccerNet's server takes."""
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
        log_of("submit_spots/{network}/{seed}/{split}.log"),
    localrule: True
    conda:
        "../../envs/acta.yaml"
    params:
        split=lambda wildcards: SPOT.data.splits[wildcards.split],
        code=code_digest("submit-spots"),
    shell:
        "python -m pipeline --costs {log} submit-spots {input.folder} --split {params.split:q} --version $LABELS "
        "-o {output} &> {log}"
