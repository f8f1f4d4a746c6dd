# What the chapters' rules need from the configuration.


def searches_on_gpu(wildcards):
    return int(CONFIG.privacy.detect.search(wildcards.what).uses_gpu)


def figure_of(wildcards):
    """Figure 6.3 is for R(2+1)D, Figure 6.4 for SlowFast."""
    return "figure_6_4" if shrink.is_slowfast(RUN, wildcards.recipe) else "figure_6_3"


def videos_of_demo(wildcards):
    if CONFIG.data.adapter != "demo":
        return []
    if not IS_DEMO:
        raise WorkflowError(
            "data still names the demo's videos: name your own (docs/own-videos.md, docs/datasets.md)"
        )
    return [*FOOTAGE_FILES, *ACTION_FILES]


def footage_of_demo(wildcards):
    if not IS_DEMO:
        raise WorkflowError(
            "detect.data still names the demo's videos: name your own, with their boxes (docs/detection.md)"
        )
    return FOOTAGE_FILES


def backbone_settings(wildcards):
    return DETECTION.features[wildcards.features].backbone


def backbone_training(wildcards):
    return backbone_settings(wildcards).training


def matches_of_demo(wildcards):
    if not IS_DEMO:
        raise WorkflowError(
            "spot.data still names the demo's games: name your own (docs/spotting.md)"
        )
    return []


def spotter_training(wildcards):
    return SPOT.spotters[wildcards.network].training
