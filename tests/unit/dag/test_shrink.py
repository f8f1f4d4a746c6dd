"""What the rules of progressive architecture shrinkage read (Ch. 6)."""

from types import SimpleNamespace

import pytest

from pipeline.dag import shrink
from pipeline.dag.run import Run
from pipeline.runtime.errors import ActaError
from tests.unit.dag.changed import changed, wild

RECIPE = "r2plus1d_deep"
SHRUNK = f"results/demo/shrink/{RECIPE}"
BASE = f"results/demo/models/split1/{RECIPE}/none/cross_entropy/model.safetensors"


def of(plan: str, iteration: int, operators: str = "s") -> SimpleNamespace:
    return wild(recipe=RECIPE, plan=plan, iteration=iteration, operators=operators)


def test_the_base_network_is_one_of_chapter_five(run: Run) -> None:
    assert shrink.base(run, of("pas", 3)) == BASE
    assert shrink.base_evaluation(run, of("pas", 3)) == (
        f"results/demo/evaluations/split1/{RECIPE}/none/cross_entropy/on_none/evaluation.json"
    )


def test_a_student_is_shrunk_on_its_own_frames(run: Run) -> None:
    other = changed(run, shrink__base={"variant": "faces", "strategy": "kd", "model": None})
    student = f"split1/{RECIPE}/faces/kd"
    assert shrink.base(other, of("pas", 1)) == f"results/demo/models/{student}/model.safetensors"
    assert shrink.previous(other, of("pas", 1)) == shrink.base(other, of("pas", 1))
    assert shrink.base_evaluation(other, of("pas", 1)) == f"results/demo/evaluations/{student}/on_faces/evaluation.json"
    assert shrink.frames(other, of("pas", 1)) == [f"results/demo/frames/faces/{n}-of-2.h5" for n in (0, 1)]


def test_a_model_file_is_evaluated_first(run: Run) -> None:
    published = {"variant": "none", "strategy": None, "model": "models/{recipe}.safetensors"}
    other = changed(run, shrink__base=published)
    assert shrink.base(other, of("pas", 2)) == f"models/{RECIPE}.safetensors"
    assert shrink.base_evaluation(other, of("pas", 2)) == f"{SHRUNK}/base/evaluation.json"
    assert shrink.frames(other, of("pas", 2))[0] == "results/demo/frames/none/0-of-2.h5"


@pytest.mark.parametrize(
    ("plan", "iteration", "expected"),
    [
        ("pas", 1, BASE),
        ("pas", 2, f"{SHRUNK}/pas/iteration_1/selected.safetensors"),
        ("pas", 5, f"{SHRUNK}/pas/iteration_4/selected.safetensors"),
        ("without_kd", 1, BASE),
        ("without_kd", 3, f"{SHRUNK}/pas/iteration_2/selected.safetensors"),  # it follows pas
        ("inherit", 3, f"{SHRUNK}/inherit/iteration_2/selected.safetensors"),
    ],
)
def test_a_hypothesis_starts_from_the_winner_before(run: Run, plan: str, iteration: int, expected: str) -> None:
    assert shrink.previous(run, of(plan, iteration)) == expected


def test_hypotheses_in_the_order_of_the_operators(run: Run) -> None:
    folder = f"{SHRUNK}/pas/iteration_2"
    assert shrink.folders(run, of("pas", 2)) == [f"{folder}/{operator}" for operator in "stfcl"]
    assert shrink.folders(run, of("pairs", 1)) == [
        f"{SHRUNK}/pairs/iteration_1/{operators}" for operators in ("st", "sf", "tf", "sc", "fc")
    ]
    assert shrink.folders(run, of("halving", 1), started=True)[0] == f"{SHRUNK}/halving/iteration_1/s/started"
    files = ("model.safetensors", "model.json", "metrics.json", "evaluation.json")
    assert shrink.measured(run, of("mse", 4)) == [f"{SHRUNK}/mse/iteration_4/l/{file}" for file in files]
    assert shrink.measured(run, of("halving", 1), started=True)[:4] == [
        f"{SHRUNK}/halving/iteration_1/s/started/{file}" for file in files
    ]


def test_only_some_plans_have_stored_logits_and_halves(run: Run) -> None:
    assert shrink.stored_logits(run, of("pas", 1)) == []
    assert shrink.stored_logits(run, of("stored", 1)) == f"{SHRUNK}/stored/teacher_logits.h5"
    state = "{operators}/started/state.ckpt"
    assert shrink.begun(run, of("pas", 1, "c"), state) == []
    assert shrink.begun(run, of("halving", 2, "c"), state) == f"{SHRUNK}/halving/iteration_2/c/started/state.ckpt"
    assert shrink.begun(run, of("halving", 2), "survivors.json") == f"{SHRUNK}/halving/iteration_2/survivors.json"


def test_options_of_what_there_is() -> None:
    assert shrink.options(SimpleNamespace(stored=[], started=[], survivors=[])) == ""
    assert shrink.options(SimpleNamespace(stored="a.h5", started=[], survivors="b.json")) == (
        "--stored a.h5 --survivors b.json"
    )
    assert shrink.options(SimpleNamespace(stored=[])) == ""  # a rule without the others


def test_networks_that_are_fine_tuned_elsewhere(run: Run) -> None:
    with pytest.raises(ActaError, match=r"shrink\.transfer is null"):
        shrink.transferred(run, wild(recipe=RECIPE, network="base"))
    transfer = {"base": "k/{recipe}/model.safetensors", "reduced": "k/{recipe}/{iteration}/selected.safetensors"}
    other = changed(run, shrink__transfer=transfer)
    assert shrink.transferred(other, wild(recipe=RECIPE, network="base")) == f"k/{RECIPE}/model.safetensors"
    assert shrink.transferred(other, wild(recipe=RECIPE, network="pas_3")) == f"k/{RECIPE}/3/selected.safetensors"


def test_exports_of_the_winners(run: Run) -> None:
    assert list(shrink.iterations(run)) == [1, 2, 3, 4, 5]
    assert shrink.exports(changed(run, shrink__iterations=2)) == [
        f"{SHRUNK}/pas/iteration_1/export/export.json",
        f"{SHRUNK}/pas/iteration_2/export/export.json",
    ]


def networks(names: list[str]) -> list[str]:
    return [f"{SHRUNK}/{name}/{file}" for name in names for file in ("evaluation.json", "metrics.json")]


WINNERS = [f"{SHRUNK}/pas/iteration_{n}/selected.json" for n in (1, 2)]
TRAINED = [f"pas/iteration_{n}/{o}" for n in (1, 2) for o in "stfcl"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("table_6_1", WINNERS + networks(TRAINED)),
        ("shrink_costs", WINNERS + networks(TRAINED)),
        ("table_6_2", WINNERS + networks([*TRAINED, "pas/iteration_1/alone", "pas/iteration_2/alone"])),
        ("table_6_3", WINNERS),
        (
            "table_6_4",  # of iteration 3, or the last where there are fewer
            WINNERS
            + networks([f"{p}/iteration_2/{o}" for p in ("pas", "without_kd", "without_fine_tuning") for o in "stf"]),
        ),
        (
            "table_6_5",
            WINNERS
            + [f"{SHRUNK}/pas/iteration_{n}/{file}.json" for n in (1, 2) for file in ("export/export", "resources")]
            + [f"{SHRUNK}/resources.json"]
            + networks(TRAINED),
        ),
        ("table_6_7", WINNERS[:1] + networks([f"{plan}/iteration_1/l" for plan in ("pas", "mse", "margin_relu")])),
        (
            "table_6_8",
            WINNERS[:1] + networks([f"{p}/iteration_1/{o}" for p in ("pas", "teacher_eval") for o in "stfcl"]),
        ),
    ],
)
def test_results_of_a_table(run: Run, name: str, expected: list[str]) -> None:
    assert sorted(shrink.results_of(changed(run, shrink__iterations=2), name)) == sorted(expected)


def test_results_beyond_the_thesis(run: Run) -> None:
    found = shrink.results_of(changed(run, shrink__iterations=1), "shrink_beyond")
    trained = [f"{plan}/iteration_1/{o}" for plan in ("pas", "inherit", "halving", "stored") for o in "stfcl"]
    trained += [f"pairs/iteration_1/{o}" for o in ("st", "sf", "tf", "sc", "fc")]
    selected = [
        f"{SHRUNK}/{plan}/iteration_1/selected.json" for plan in ("pas", "inherit", "halving", "pairs", "stored")
    ]
    begun = [f"{SHRUNK}/halving/iteration_1/{o}/started/metrics.json" for o in "stfcl"]
    logits = [f"{SHRUNK}/stored/teacher_logits.json"]
    assert sorted(found) == sorted(selected + begun + logits + networks(trained))


def test_results_of_the_networks_that_are_fine_tuned(run: Run) -> None:
    assert shrink.results_of(changed(run, shrink__iterations=1), "table_6_6") == [
        f"results/demo/transfer/split1/{RECIPE}/{network}/{file}"
        for network in ("base", "pas_1")
        for file in ("evaluation.json", "model.json")
    ]


@pytest.fixture
def both(run: Run) -> Run:
    return changed(run, shrink__recipes=["r2plus1d", "slowfast"], shrink__iterations=1)


def test_activations_are_compared_in_resnets_only(both: Run) -> None:
    assert all("/slowfast/" not in path for path in shrink.results_of(both, "table_6_7"))
    assert any("/slowfast/" in path for path in shrink.results_of(both, "table_6_1"))
    assert all("/r2plus1d/" not in path for path in shrink.results_of(both, "table_6_1", ["slowfast"]))


def test_a_figure_is_of_one_family_of_networks(run: Run, both: Run) -> None:
    figures = [f"results/demo/figures/shrink_{recipe}.png" for recipe in ("r2plus1d", "slowfast")]
    assert [shrink.figures_of(both, name) for name in ("figure_6_3", "figure_6_4")] == [figures[:1], figures[1:]]
    assert shrink.figures_of(run, "figure_6_4") == [f"results/demo/figures/shrink_{RECIPE}.png"]  # there is no SlowFast
