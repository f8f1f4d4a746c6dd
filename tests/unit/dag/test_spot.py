"""What the rules of soccer event spotting read (Ch. 4)."""

import pytest

from pipeline.dag import spot
from pipeline.dag.run import Run
from tests.unit.dag.changed import changed

RESULTS = "results/demo/spot"
FINE_TUNED = "finetuned_mobilenet_v2"


def test_seeds_are_the_networks_own_or_all(run: Run) -> None:
    assert [list(spot.seeds(run, network)) for network in ("rms_net", "clip_11")] == [[1, 2, 3], [1]]


def test_splits_that_are_read(run: Run) -> None:
    assert spot.steering(run) == ["train", "valid"]
    assert spot.used(run) == ["train", "valid", "test"]
    challenge = changed(run, spot__splits__train=["train", "valid", "test"], spot__splits__submitted="valid")
    assert spot.steering(challenge) == ["train", "valid", "test", "valid"]
    assert spot.used(challenge) == ["train", "valid", "test"]


def test_the_chosen_network_is_that_of_its_first_training(run: Run) -> None:
    path = "spot/predictions/{network}/seed_{seed}/{split}"
    assert spot.of_main_network(run, path, split="test") == f"{RESULTS}/predictions/rms_net/seed_1/test"
    other = changed(run, spot__main_network="clip_11", spot__networks__clip_11={"clip": 11, "seeds": [7]})
    assert spot.of_main_network(other, path) == f"{RESULTS}/predictions/clip_11/seed_7/{{split}}"


def test_a_network_sees_projected_features(run: Run) -> None:
    assert spot.shown_path(run, "rms_net") == "spot/features/mobilenet/projected/{game}.h5"
    assert spot.shown(run, "rms_net", ["valid", "test"]) == [
        f"{RESULTS}/features/mobilenet/projected/{game}.h5" for game in ("b", "c", "d")
    ]
    assert spot.shown_options(run, "rms_net") == f"--shards '{RESULTS}/features/mobilenet/projected/{{shard}}.h5'"


def test_a_network_with_a_backbone_sees_frames(run: Run) -> None:
    assert spot.shown_path(run, FINE_TUNED) == "spot/frames/{game}.h5"
    assert spot.shown(run, FINE_TUNED, ["train"]) == [f"{RESULTS}/frames/a.h5"]
    assert spot.shown_options(run, FINE_TUNED) == f"--shards '{RESULTS}/frames/{{shard}}.h5'"


def test_without_a_projection_it_sees_all_numbers(run: Run) -> None:
    whole = changed(run, spot__features__mobilenet__pca=None)
    assert spot.shown_path(whole, "rms_net") == "spot/features/mobilenet/full/{game}.h5"


@pytest.fixture
def imported(run: Run) -> Run:
    """With SoccerNet's own features, whose files the games' manifests name."""
    theirs = {"imported": "ResNET PCA512.npy", "backbone": None, "crop": None, "pca": None}
    features = run.config.model_dump(mode="json")["spot"]["features"]["mobilenet"] | theirs
    names = {name: network for name, network in run.config.spot.networks.items() if name != FINE_TUNED}
    return changed(run, spot__features={"theirs": features}, spot__network__input="theirs", spot__networks=names)


def test_imported_features_lie_with_the_games(imported: Run) -> None:
    assert spot.shown_path(imported, "rms_net") is None
    assert spot.shown(imported, "rms_net", ["train"]) == []
    assert spot.shown_options(imported, "rms_net") == "--imported 'ResNET PCA512.npy'"


def test_weights_of_a_backbone(run: Run) -> None:
    backbone = run.config.spot.features["mobilenet"].backbone
    assert backbone is not None
    given = backbone.model_copy(update={"weights": "my weights.pth"})
    assert (spot.backbone_option(None), spot.backbone_option(backbone)) == ("", "")
    assert spot.backbone_option(given) == "--weights 'my weights.pth'"
    assert spot.backbone_digest(run, None) == ""
    assert spot.backbone_digest(run, backbone) == run.weights_digest(None, "mobilenet_v2")
    assert spot.backbone_digest(run, given) == "missing"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("table_4_2", ["clip_11", "rms_net"]),  # the demo has no longer clips, and not the challenge's network
        ("table_4_3", ["rms_net", "centred", "no_regression", "no_masking"]),
        ("table_4_5", ["after_1_5", "after_1_4", "after_1_3", "after_1_2", "after_1", "rms_net"]),
        ("table_4_6", [FINE_TUNED, "rms_net"]),
        ("figure_4_5", ["rms_net", "no_regression"]),
        ("figure_4_7", []),
    ],
)
def test_networks_of_a_table(run: Run, name: str, expected: list[str]) -> None:
    assert spot.networks(run, name) == expected


def evaluation(network: str, seed: int, split: str) -> str:
    return f"{RESULTS}/evaluations/{network}/seed_{seed}/{split}/evaluation.json"


def test_evaluations_of_tables_and_figures(run: Run) -> None:
    assert spot.evaluations_of(run, "table_4_2") == [
        *(evaluation("clip_11", 1, split) for split in ("valid", "test")),
        *(evaluation("rms_net", seed, split) for seed in (1, 2, 3) for split in ("valid", "test")),
    ]
    assert spot.evaluations_of(run, "figure_4_4") == [evaluation("rms_net", seed, "test") for seed in (1, 2, 3)]
    assert spot.evaluations_of(run, "figure_4_7") == []


def test_what_trained_is_not_reported(run: Run) -> None:
    both = changed(run, spot__splits__train=["train", "valid"])
    assert spot.evaluations_of(both, "table_4_3")[:1] == [evaluation("rms_net", 1, "test")]
    assert all("/valid/" not in path for path in spot.evaluations_of(both, "table_4_3"))


def test_whether_pictures_are_needed_at_all(run: Run, imported: Run) -> None:
    assert spot.sees_frames(run)
    assert not spot.sees_frames(imported)
