# Footage of the demo, and whether detectors run on a GPU.
FOOTAGE_FILES = [f"{ROOT}/{name}" for name in [*FOOTAGE, "astronaut.png"]]
ACTION_FILES = [f"{ROOT}/{name}" for name, _, _ in action_names()]


def on_cuda(wildcards):
    return int(CONFIG.privacy.detect.search(wildcards.what).uses_gpu)


# Asked for only where a detector runs on a GPU: a function costs every job of the plan.
GPU = (
    {"gpu": on_cuda}
    if any(CONFIG.privacy.detect.search(what).uses_gpu for what in VARIANTS)
    else {}
)
