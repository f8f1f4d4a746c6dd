# Action recognition (Ch. 5): what trainings, evaluations and tables read.

CLASSIFY = CONFIG.classify


# Compute threads belong to the result (config.yaml); what a job has beyond them loads data.
COMPUTE = CLASSIFY.training.threads

THREADS = COMPUTE + (12 if CLASSIFY.training.device == "cuda" else 0)


def model_of(split, recipe, variant, strategy):
    return result(f"models/{split}/{recipe}/{variant}/{strategy}/model.safetensors")


def teacher_of(wildcards):
    """The network trained on the frames that the strategy shows to the teacher; nothing where there is none."""
    sees = CLASSIFY.strategies[wildcards.strategy].teacher
    if sees is None:
        return []
    return model_of(wildcards.split, wildcards.recipe, sees, "cross_entropy")


def teacher_frames(wildcards):
    sees = CLASSIFY.strategies[wildcards.strategy].teacher
    return [] if sees is None else shards("frames/{variant}/{shard}.h5", variant=sees)


def teacher_options(wildcards, input):
    sees = CLASSIFY.strategies[wildcards.strategy].teacher
    if sees is None:
        return ""
    frames = result("frames/{variant}/{shard}.h5", variant=sees)
    return f"--teacher {input.teacher} --teacher-frames {frames}"


@cache
def sha256_of(path):
    return file_sha256(Path(path)) if Path(path).is_file() else "missing"


def initial_weights(wildcards):
    """The hash of the weights to fine-tune from; a plan can be made before they are there."""
    initial = CLASSIFY.recipes[wildcards.recipe].initial
    return "" if initial is None else sha256_of(initial)


def evaluations_of(name):
    """The evaluations that a table or figure is made of."""
    wanted = rows(name, CLASSIFY.recipe, CLASSIFY.compare, VARIANTS)
    return [
        result(f"evaluations/{evaluation_path(split, row)}")
        for row in wanted
        for split in CLASSIFY.splits
    ]
