# Footage of the demo, and whether detectors run on a GPU.
FOOTAGE_FILES = [f"{ROOT}/{name}" for name in [*FOOTAGE, "astronaut.png"]]
ACTION_FILES = [f"{ROOT}/{name}" for name, _, _ in action_names()]


def on_cuda(wildcards):
    return int(getattr(CONFIG.privacy.detect, wildcards.what).device == "cuda")


# Asked for only where a detector runs on a GPU: a function costs every job of the plan.
GPU = (
    {"gpu": on_cuda}
    if any(getattr(CONFIG.privacy.detect, what).device == "cuda" for what in VARIANTS)
    else {}
)
