# What the chapters' rules need from the configuration.


def searches_on_gpu(wildcards):
    return int(CONFIG.privacy.detect.search(wildcards.what).uses_gpu)


def figure_of(wildcards):
    """Figure 6.3 is for R(2+1)D, Figure 6.4 for SlowFast."""
    return "figure_6_4" if shrink.is_slowfast(RUN, wildcards.recipe) else "figure_6_3"


def videos_of_demo(wildcards):
    if CONFIG.data.adapter != "demo":
        return []
    check(refusals.demo, RUN, "data")
    return [*FOOTAGE_FILES, *ACTION_FILES]


def footage_of_demo(wildcards):
    check(refusals.demo, RUN, "detect.data")
    return FOOTAGE_FILES


def backbone_settings(wildcards):
    return DETECTION.features[wildcards.features].backbone


def backbone_training(wildcards):
    return backbone_settings(wildcards).training


def matches_of_demo(wildcards):
    check(refusals.demo, RUN, "spot.data")
    return []


def spotter_training(wildcards):
    return SPOT.spotters[wildcards.network].training
