"""Where results lie, relative to ``results/<dataset>/``; what is in braces is a wildcard of the workflow's rules."""

# Videos and anonymisation (Ch. 5).
LISTS = "lists"
LIST = "lists/{shard}.json"
MANIFEST = "manifest/{shard}.json"
FRAMES = "frames/{variant}/{shard}.h5"
RAW_FRAMES = "frames/none/{shard}.h5"
DETECTIONS = "detections/{what}/{shard}.h5"
AUDIT = "audit/{what}/shards/{shard}.json"
QUARANTINE = "quarantine.tsv"

# Action recognition (Ch. 5): folders of a network and of its evaluation.
CLASSIFIER = "models/{split}/{recipe}/{variant}/{strategy}"
EVALUATIONS = "evaluations"
CLASSIFIER_EVALUATION = "evaluations/{split}/{recipe}/{variant}/{strategy}/on_{tested}"
TRANSFERRED = "transfer/{split}/{recipe}/{network}"

# Progressive architecture shrinkage (Ch. 6).
BASE = "shrink/{recipe}/base"
SHRUNK = "shrink/{recipe}/{network}"
ITERATION = "shrink/{recipe}/{plan}/iteration_{iteration}"
BASE_RESOURCES = "shrink/{recipe}/resources.json"
HYPOTHESIS = "shrink/{recipe}/{plan}/iteration_{iteration}/{operators}"
TEACHER_LOGITS = "shrink/{recipe}/{plan}/teacher_logits.h5"

# Action detection (Ch. 3).
DETECTION = "detect"
DETECTION_LISTS = "detect/lists"
DETECTION_MANIFEST = "detect/manifest/{shard}.json"
DETECTION_FRAMES = "detect/frames/none/{shard}.h5"
DETECTOR = "detect/detector"
OBJECTS = "detect/objects/{shard}.h5"
PUBLISHED_OBJECTS = "detect/published_objects/{shard}.h5"
BACKBONE = "detect/backbones/{features}"
ACTOR_FEATURES = "detect/features/{features}/{shard}.h5"
STAGE = "detect/networks/{features}/{network}/seed_{seed}"
STAGE_EVALUATION = "detect/evaluations/{features}/{network}/seed_{seed}/{boxes}"
BACKBONE_EVALUATION = "detect/evaluations/{features}/backbone/{boxes}"
DETECTION_QUARANTINE = "detect/quarantine.tsv"

# Soccer event spotting (Ch. 4).
SPOTTING = "spot"
GAME_LISTS = "spot/lists/{split}"
GAME = "spot/games/{game}.json"
GAME_FRAMES = "spot/frames/{game}.h5"
FRAME_FEATURES = "spot/features/{features}/full/{game}.h5"
PROJECTION = "spot/features/{features}/pca.safetensors"
PROJECTED_FEATURES = "spot/features/{features}/projected/{game}.h5"
SPOTTER = "spot/networks/{network}/seed_{seed}"
SPOTS = "spot/predictions/{network}/seed_{seed}/{split}"
SPOTS_EVALUATION = "spot/evaluations/{network}/seed_{seed}/{split}/evaluation.json"
SUBMISSION = "spot/submissions/{network}/seed_{seed}/{split}.zip"
VOTES = "spot/votes.json"
HIGHLIGHTS = "private/highlights/{game}"
GAME_QUARANTINE = "spot/quarantine.tsv"

# Tables and figures; what lies below private/ shows original frames.
TABLE = "tables/{name}"
FIGURE = "figures/{name}.png"
PRIVATE_FIGURE = "private/{name}.png"
SENSITIVE_INFORMATION = "statistics/sensitive_information"
FIGURE_5_3 = "statistics/figure_5_3.png"
CONTACT_SHEET = "private/contact_sheet.png"
REPORT = "report"


def filled(path: str, **wildcards: object) -> str:
    """A path with those wildcards filled in that are given."""
    for name, value in wildcards.items():
        path = path.replace(f"{{{name}}}", str(value))
    return path
