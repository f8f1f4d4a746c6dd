# Progressive architecture shrinkage (Ch. 6): what hypotheses, selections, studies and tables read.

SHRINK = CONFIG.shrink

ITERATIONS = range(1, SHRINK.iterations + 1)

SHRINK_OPERATORS = {name: plan.operators for name, plan in SHRINK.plans.items()}


def shrunk(path):
    """A path in an iteration's folder."""
    return result(f"shrink/{{recipe}}/{{plan}}/iteration_{{iteration}}/{path}")


def base_of(wildcards):
    return model_of(SHRINK.split, wildcards.recipe, "none", "cross_entropy")


def about(model):
    """The description beside a model file."""
    return lambda wildcards: model(wildcards).replace(".safetensors", ".json")


def base_evaluation(wildcards):
    row = Evaluation(wildcards.recipe, "none", "cross_entropy", "none")
    return result(f"evaluations/{evaluation_path(SHRINK.split, row)}")


def previous_of(wildcards):
    """The winner of the iteration before; in the first one the base network."""
    before = int(wildcards.iteration) - 1
    if before == 0:
        return base_of(wildcards)
    plan = SHRINK.plans[wildcards.plan].follow or wildcards.plan
    return result(
        f"shrink/{wildcards.recipe}/{plan}/iteration_{before}/selected.safetensors"
    )


def folders_of(wildcards, started=False):
    """The folders of an iteration's hypotheses, in the order that breaks ties; of their first epochs if ``started``."""
    base = f"shrink/{wildcards.recipe}/{wildcards.plan}/iteration_{wildcards.iteration}"
    names = SHRINK.plans[wildcards.plan].operators
    return [result(f"{base}/{o}/started" if started else f"{base}/{o}") for o in names]


def measured(wildcards, started=False):
    """What a selection reads of the hypotheses."""
    names = ("model.safetensors", "model.json", "metrics.json", "evaluation.json")
    return [
        f"{folder}/{name}"
        for folder in folders_of(wildcards, started)
        for name in names
    ]


def stored_logits(wildcards):
    return (
        result(f"shrink/{wildcards.recipe}/{wildcards.plan}/teacher_logits.h5")
        if SHRINK.plans[wildcards.plan].stored
        else []
    )


def early(name):
    """Files of successive halving, where the plan has it."""

    def of(wildcards):
        if SHRINK.plans[wildcards.plan].halving is None:
            return []
        folder = f"shrink/{wildcards.recipe}/{wildcards.plan}/iteration_{wildcards.iteration}"
        return result(f"{folder}/{name.format(operators=wildcards.operators)}")

    return of


def extras(wildcards, input):
    """Command-line options for the inputs that not every plan has."""
    names = ("stored", "started", "survivors")
    return " ".join(
        f"--{name} {path}" for name in names if (path := getattr(input, name))
    )


# Fine-tuning on this dataset of networks that were made on another one (Table 6.6).
def transferred(wildcards):
    if SHRINK.transfer is None:
        raise WorkflowError(
            "shrink.transfer is null: it says where the networks to fine-tune are"
        )
    if wildcards.network == "base":
        return SHRINK.transfer.base.replace("{recipe}", wildcards.recipe)
    iteration = wildcards.network.removeprefix("pas_")
    path = SHRINK.transfer.reduced.replace("{recipe}", wildcards.recipe)
    return path.replace("{iteration}", iteration)


def is_slowfast(recipe):
    return CLASSIFY.recipes[recipe].backbone.name.startswith("slowfast")


def shrink_results(name, recipes=SHRINK.recipes):
    """What a table or figure of Ch. 6 is made of."""
    if name == "table_6_6":
        networks = ["base", *(f"pas_{n}" for n in ITERATIONS)]
        return [
            result(f"transfer/{split}/{recipe}/{network}/{file}")
            for split in CLASSIFY.splits
            for recipe in recipes
            for network in networks
            for file in ("evaluation.json", "model.json")
        ]
    if name == "table_6_7":  # activations are compared in ResNets only
        recipes = [r for r in recipes if not is_slowfast(r)]
    wanted = [
        result(f"shrink/{recipe}/pas/iteration_{n}/selected.json")
        for recipe in recipes
        for n in ITERATIONS
    ]
    if name == "table_6_5":
        wanted += [
            path.replace("selected.json", "export/export.json") for path in wanted
        ]
    if name == "shrink_beyond":
        wanted += [
            result(f"shrink/{recipe}/{plan}/iteration_{n}/selected.json")
            for recipe in recipes
            for n in ITERATIONS
            for plan in BEYOND
        ]
        wanted += [
            result(f"shrink/{recipe}/stored/teacher_logits.json") for recipe in recipes
        ]
        wanted += [
            result(
                f"shrink/{recipe}/halving/iteration_{n}/{operators}/started/metrics.json"
            )
            for recipe in recipes
            for n in ITERATIONS
            for operators in SHRINK_OPERATORS["halving"]
        ]
    networks = networks_of(name, recipes, SHRINK.iterations, SHRINK_OPERATORS)
    return wanted + [
        result(f"shrink/{network}/{file}")
        for network in networks
        for file in ("evaluation.json", "metrics.json")
    ]


def figure_of(wildcards):
    """Figure 6.3 is R(2+1)D's, Figure 6.4 SlowFast's."""
    return "figure_6_4" if is_slowfast(wildcards.recipe) else "figure_6_3"


def figures_of(name):
    """The pictures of the base networks of one family; all of them where there is none."""
    chosen = [r for r in SHRINK.recipes if is_slowfast(r) == (name == "figure_6_4")]
    return [
        result(f"figures/shrink_{recipe}.png") for recipe in chosen or SHRINK.recipes
    ]
