"""What networks are before they are built: numbers that follow from the published ones and the reductions."""

import pytest

from pipeline.models.architecture import Architecture, Reduction, frames_needed, parse_reductions
from pipeline.runtime.errors import ActaError


def test_published_numbers() -> None:
    base = Architecture("r2plus1d_18", 400)
    assert (base.raw_frames, base.stage_blocks, base.channels(64), base.pixels(112)) == (16, (2, 2, 2, 2), 64, 112)
    assert base.pathways == (tuple(range(16)),)


@pytest.mark.parametrize(
    ("name", "slow", "fast"),
    [
        ("slowfast_4x16_r50", (0, 16, 32, 48), tuple(range(0, 64, 2))),
        ("slowfast_8x8_r50", tuple(range(0, 64, 8)), tuple(range(0, 64, 2))),
    ],
)
def test_slowfast_samples_two_pathways_from_one_clip(name: str, slow: tuple[int, ...], fast: tuple[int, ...]) -> None:
    assert Architecture(name, 400).pathways == (slow, fast)


def test_factors_accumulate_and_are_then_truncated() -> None:
    reduced = Architecture("r2plus1d_18", 400, reductions=parse_reductions("c,s,c,l"))
    assert [reduced.channels(n) for n in (64, 45, 144)] == [32, 22, 73]  # 64 / 1.96, not 45 / 1.4
    assert reduced.pixels(112) == 80
    assert reduced.stage_blocks == (1, 1, 1, 1)
    assert Architecture("slowfast_4x16_r50", 400, reductions=parse_reductions("l")).stage_blocks == (1, 2, 3, 1)


def test_t_keeps_the_first_frames_and_f_every_second() -> None:
    assert Architecture("r2plus1d_18", 400, reductions=parse_reductions("t")).pathways == (tuple(range(8)),)
    assert Architecture("r2plus1d_18", 400, reductions=parse_reductions("f")).pathways == (tuple(range(0, 16, 2)),)
    assert Architecture("r2plus1d_18", 400, reductions=parse_reductions("f,t")).pathways == ((0, 2, 4, 6),)
    assert Architecture("r2plus1d_18", 400, reductions=parse_reductions("t,f")).pathways == ((0, 2, 4, 6),)


def test_slowfast_samples_from_the_reduced_clip() -> None:
    reduced = Architecture("slowfast_4x16_r50", 400, reductions=parse_reductions("f"))
    assert reduced.pathways == ((0, 32), tuple(range(0, 64, 4)))
    assert Architecture("slowfast_4x16_r50", 400, reductions=parse_reductions("t,t,t")).pathways == ((0,), (0, 2, 4, 6))


def test_one_frame_is_the_end() -> None:
    last = Architecture("r2plus1d_18", 400, reductions=parse_reductions("t,t,t,t"))
    assert last.pathways == ((0,),)
    with pytest.raises(ActaError, match="reductions t,t,t,t,f leave nothing of a clip of 16 frames"):
        Architecture("r2plus1d_18", 400, reductions=parse_reductions("t,t,t,t,f"))


def test_channels_never_vanish() -> None:
    assert Architecture("r3d_18", 400, width=0.01).channels(64) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "r9d"}, "there is no backbone 'r9d'; choose one of r2plus1d_18"),
        ({"reductions": (Reduction("x", 2.0),)}, "there is no reduction 'x'; choose from s, t, f, c, l"),
        ({"reductions": (Reduction("s", 0.5),)}, "reduction 's' has the factor 0.5; at least 1 is needed"),
        (
            {"backbone": "slowfast_8x8_r50", "frames": 24, "reductions": (Reduction("f", 2.0),)},
            "of a clip of 12 frames the Slow pathway sees 1, and lateral connections bring it 2 of the Fast pathway; a "
            "multiple of 8 frames fits",
        ),
    ],
)
def test_networks_that_cannot_be(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ActaError, match=message):
        Architecture(**({"backbone": "r3d_18", "classes": 2} | changes))  # type: ignore[arg-type]


def test_parse_reductions() -> None:
    assert parse_reductions("c, f,t") == (("c", 1.4), ("f", 2.0), ("t", 2.0))
    assert parse_reductions("") == ()
    with pytest.raises(ActaError, match="there is no reduction 'x'; choose from s, t, f, c, l"):
        parse_reductions("c,x")


def test_span_is_what_the_clip_covers() -> None:
    """Operator t shortens it, f does not (Sec. 6.2.4: SlowFast needs 64 frames of a video, after one t 32)."""
    for reductions, span in (("", 64), ("c,s", 64), ("c,s,t", 32), ("c,s,t,s,f", 32)):
        assert Architecture("slowfast_4x16_r50", 51, reductions=parse_reductions(reductions)).span == span


@pytest.mark.parametrize(
    ("architecture", "operator", "message"),
    [
        (Architecture("r3d_18", 2, frames=1), "t", "leave nothing of a clip of 1 frames"),
        (Architecture("r3d_18", 2, blocks=(1, 1, 1, 1)), "l", r"operator l \(factor 2\) leaves r3d_18 as it is: its"),
        (Architecture("r3d_18", 2, width=0.0001), "c", r"as it is: its stem has 1 channels"),
        (Architecture("slowfast_8x8_r50", 2, frames=2), "t", r"as it is: it sees \[1, 1\] frames"),
    ],
)
def test_an_axis_that_cannot_shrink_further(architecture: Architecture, operator: str, message: str) -> None:
    with pytest.raises(ActaError, match=message):
        architecture.reduced(parse_reductions(operator), 112)


def test_a_side_of_one_pixel_cannot_shrink() -> None:
    with pytest.raises(ActaError, match="its side is 1 pixels"):
        Architecture("r3d_18", 2).reduced(parse_reductions("s"), 1)


def test_reduced_adds_to_what_was_done_before() -> None:
    twice = Architecture("r2plus1d_18", 2, reductions=parse_reductions("c")).reduced(parse_reductions("c,s"), 112)
    assert twice == Architecture("r2plus1d_18", 2, reductions=parse_reductions("c,c,s"))


def test_frames_needed_are_those_of_all_networks() -> None:
    both = [
        Architecture("r3d_18", 2, reductions=parse_reductions("t,t")),
        Architecture("r3d_18", 2, reductions=parse_reductions("f,f")),
    ]
    assert frames_needed(both) == [0, 1, 2, 3, 4, 8, 12]
