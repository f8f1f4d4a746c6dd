# Soccer event spotting (Ch. 4): what its rules read, and the options of its commands.
# The chapter has games of its own; all of it lies below results/<dataset>/spot.

SPOT = CONFIG.spot

GAMES_ROOT = SPOT.data.root

MATCHES = (
    [f"{GAMES_ROOT}/{name}" for name in match_files()]
    if SPOT.data.adapter == "demo"
    else []
)


# One list, and one job of each kind, for a game; a list lies in the folder of the game's split.
if LISTS:
    LISTED = check(list_games, SPOT.data, imported_features(SPOT))
    GAMES = {
        split: LISTS.write(
            f"spot/lists/{split}",
            game_texts({key: g for key, g in LISTED.items() if g[0].split == split}),
        )
        for split in SPOT.data.splits
    }
    if (
        LISTS.alone
    ):  # so the lists are those of this configuration, which `acta clean` asks for
        write_if_changed(record_path(CONFIG.dataset), CONFIG.model_dump_json())
    LISTS.share()
else:
    GAMES = {
        split: shard_names(Path(DATASET, "spot/lists", split))
        for split in SPOT.data.splits
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
            "spot.data still names the demo's games: name your own (docs/spotting.md)"
        )
    return []


def backbone_digest(backbone):
    return weights_digest(backbone.weights, backbone.name)


def backbone_option(backbone):
    return words(weights=backbone.weights) if backbone and backbone.weights else ""


REPORTED = [
    split
    for split in (SPOT.splits.validation, SPOT.splits.test)
    if split not in SPOT.splits.train
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


USED = list(dict.fromkeys([*STEERED, SPOT.splits.test, SPOT.splits.submitted]))


def sees_frames():
    """Whether a network that is asked for sees pictures, or features of them; else the manifests say it all."""
    measured = [
        name for name in SPOT.tables if name in (*CHAPTER_4_TABLES, *CHAPTER_4_FIGURES)
    ]
    networks = {SPOT.chosen, *(n for name in measured for n in reported_by(name))}
    return any(map(frames_path, networks))
