"""Task `draw_architecture`: the thesis's layers next to those of the networks as they are built here.

Tables 3.1, 4.1 and 6.10.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.config.tasks.report import DrawArchitecture
from pipeline.models.architecture import Architecture
from pipeline.models.backbones import build
from pipeline.models.classifier_file import Description, read_description
from pipeline.models.rms_net import RmsNet, RmsNetArchitecture
from pipeline.models.stage import GraphAttentionLayer, Stage
from pipeline.models.stage_architecture import StageArchitecture
from pipeline.report.catalogue import values
from pipeline.report.differs import joined, said
from pipeline.report.numbered import write_numbered_table
from pipeline.report.tables import Row
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output

# Table 6.10, whose numbers are of this network and this training crop.
_PRINTED, _CROP = "slowfast_4x16_r50", 224
_SHORTCUT = re.compile("branch1|downsample")
_STAGES = ("res2", "res3", "res4", "res5")


def draw_architecture(name: str, results: Path, output: Output, settings: DrawArchitecture) -> None:
    """Write a table of the layers of networks.

    Args:
        name: table_3_1, table_4_1 or table_6_10.
        results: ``results/<dataset>``, whose selected networks table_6_10 shows.
        output: Ends in ``.csv``; ``.md`` and ``.html`` are written next to it.
        settings: The networks of Table 6.10.

    Raises:
        ActaError: there is no such table, or a model file cannot be read.
    """
    if name not in TABLES:
        raise ActaError(f"there is no table of architectures {name!r}; there are {', '.join(TABLES)}")
    write_numbered_table(name, list(TABLES[name](settings, results)), output)


def _compared(
    what: str, name: str, thesis: Sequence[str | None], own: Sequence[str | None], parameters: int, differs: str | None
) -> Row:
    """A row: the thesis's input and output of a layer, and our own."""
    row: Row = {what: name, "thesis_input": thesis[0], "thesis_output": thesis[1]}
    return row | {"input": own[0], "output": own[1], "parameters": parameters, "differs": differs}


def _table_3_1(settings: DrawArchitecture, results: Path) -> Iterator[Row]:
    heads, classes = 4, 80
    with torch.device("meta"):
        network = Stage(replace(StageArchitecture.published("i3d", classes), layers=1, heads=heads))
    layer = network.layers[0]
    assert isinstance(layer, GraphAttentionLayer)
    wide, inner = layer.project.in_features, layer.project.out_features // heads
    own = {
        "FC11": (f"[N × {wide}] × {heads}", f"[N × {inner}] × {heads}", layer.project.weight.numel()),
        "FC12": (f"[N × N × {2 * inner}] × {heads}", f"[N × N] × {heads}", layer.attend.numel()),
        "FC13": (f"N × {layer.join.in_features}", f"N × {layer.join.out_features}", _count(layer.join)),
        "LNorm": (f"N × {layer.norm.normalized_shape[0]}",) * 2 + (_count(layer.norm),),
        "FC3": (f"A × {network.classifier.in_features}", f"A × {classes}", _count(network.classifier)),
    }
    assert network.object_projection is not None
    linear = network.object_projection
    sizes = f"objects × {linear.in_features}", f"objects × {linear.out_features}"
    yield _compared(
        "block",
        "linear layer of objects",
        (None, None),
        sizes,
        _count(linear),
        "not in the thesis's table, but in Sec. 3.2.2",
    )
    for block, enters, leaves in values("table_3_1", list[tuple[str, str, str]]):
        if block not in own:
            raise ActaError(f"Table 3.1 has the block {block!r}; known: {', '.join(own)}")
        *measured, parameters = own[block]
        box = f"a node has {wide} numbers: {wide - 4} and its box's four" if measured != [enters, leaves] else None
        yield _compared("block", block, (enters, leaves), measured, parameters, box)


def _table_4_1(settings: DrawArchitecture, results: Path) -> Iterator[Row]:
    # Sec. 4.2.2: T = 41, kernels of 9 frames, dropout 0.1.
    published = RmsNetArchitecture(
        classes=3,
        features=512,
        clip=41,
        projection=256,
        convolutions=(256, 128),
        kernel=9,
        dropout=0.1,
        hidden=64,
        regression=True,
    )
    with torch.device("meta"):
        network = RmsNet(published)
    first, _, second, _, dropout = network.convolutions
    built: list[nn.Module | None] = [
        network.project, first, second, dropout, None, network.hidden[0], network.classify, network.regress,
    ]  # fmt: skip
    printed = values("table_4_1", list[tuple[str, str | None, str | None]])
    for (layer, enters, leaves), module in zip(printed, built, strict=True):
        differs = "one output more, for background" if leaves == "C" else None
        parameters = _count(module) if module else 0
        yield _compared("layer", layer, (enters, leaves), _channels(module), parameters, differs)


def _channels(module: nn.Module | None) -> tuple[str | None, str | None]:
    if isinstance(module, nn.Linear):
        return str(module.in_features), str(module.out_features)
    if isinstance(module, nn.Conv1d):
        return f"{module.kernel_size[0]} × {module.in_channels}", str(module.out_channels)
    return None, None


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _table_6_10(settings: DrawArchitecture, results: Path) -> Iterator[Row]:
    for recipe in settings.recipes:
        for number in range(settings.iterations + 1):
            path = results / "shrink" / recipe / "pas" / f"iteration_{max(1, number)}" / "selected.safetensors"
            description = read_description(path)
            if number == 0:
                description = replace(description, architecture=replace(description.architecture, reductions=()))
            yield from _network(recipe, number, description)


def _network(recipe: str, number: int, description: Description) -> Iterator[Row]:
    architecture, crop = description.architecture, description.view.crop
    printed = values("table_6_10", dict[str, list[tuple[int | None, int | None, int, int]]], "sizes")
    factors = {o: math.prod(r.factor for r in architecture.reductions if r.operator == o) for o in "stfcl"}
    shown = architecture.backbone == _PRINTED
    differs = joined(
        [
            None if shown else "the thesis has no such table",
            said("width", architecture.width, 1),
            said("crop", crop, _CROP),
        ]
    )
    built = layers(architecture)
    for stage, pathways in shapes(architecture, crop).items():
        for place, shape in enumerate(pathways):
            row: Row = {
                "recipe": recipe,
                "network": f"PAS-{number}" if number else "base",
                "operators": ",".join(reduction.operator for reduction in architecture.reductions),
                "pathway": ("Slow", "Fast")[place] if len(pathways) > 1 else None,
                "stage": stage,
            }
            theirs = printed.get(stage, [])[place : place + 1] if shown else []
            row |= _thesis_layers(stage, place, factors["c"]) if shown else dict.fromkeys(_THESIS_LAYERS)
            row |= dict(zip(("kernels", "strides"), built.get(stage, _NO_LAYERS)[place], strict=True))
            row |= _thesis(*theirs[0], factors) if theirs else dict.fromkeys(_THESIS)
            row |= dict(zip(("blocks", "channels", "frames", "side"), shape, strict=True))
            yield row | {"differs": differs}


_THESIS = ("thesis_blocks", "thesis_channels", "thesis_frames", "thesis_side")


def _thesis(
    blocks: int | None, channels: int | None, frames: int, side: int, factors: dict[str, float]
) -> dict[str, str | None]:
    """What the formulas of Table 6.10 give; they round nothing."""
    reduced = (
        blocks and blocks / factors["l"],
        channels and channels / factors["c"],
        frames / (factors["t"] * factors["f"]),
        side / factors["s"],
    )
    return dict(zip(_THESIS, (None if value is None else f"{value:.4g}" for value in reduced), strict=True))


Kernel = tuple[int, int, int | None]
_THESIS_LAYERS = ("thesis_kernels", "thesis_strides")
_NO_LAYERS = [(None, None)] * 2


def _thesis_layers(stage: str, place: int, factor: float) -> dict[str, str | None]:
    """Kernels and strides of Table 6.10, with the formula's channels."""
    kernels = values("table_6_10", dict[str, list[list[Kernel]]], "kernels").get(stage)
    strides = values("table_6_10", dict[str, list[tuple[int, int]]], "strides").get(stage)
    reduced = [(time, side, count and count / factor) for time, side, count in kernels[place]] if kernels else []
    told = (_kernels(reduced) if reduced else None, _strides(*strides[place]) if strides else None)
    return dict(zip(_THESIS_LAYERS, told, strict=True))


def _kernels(kernels: Sequence[tuple[int, int, float | None]]) -> str:
    """``T×S², C`` of each; of several in brackets."""
    told = [f"{time}×{side}²" + (f", {count:.4g}" if count else " max") for time, side, count in kernels]
    return told[0] if len(told) == 1 else f"[{'; '.join(told)}]"


def _strides(time: int, side: int) -> str:
    return f"{time}, {side}²"


def layers(architecture: Architecture) -> dict[str, list[tuple[str | None, str]]]:
    """Kernels and strides of each stage by pathway, of a network that is built; of blocks the first, which strides."""
    found: dict[str, list[tuple[str | None, str]]] = {
        "data layer": [(None, _strides(stride, 1)) for stride in architecture.strides]
    }
    with torch.device("meta"):
        model = build(architecture)
    for stage, modules in _watched(model, architecture).items():
        if stage in _STAGES:
            first = ("pathway0_res0.", "pathway1_res0.") if architecture.is_slowfast else ("0.",)
            parts = [(modules[0], prefix) for prefix in first]
        else:
            parts = [(module, "") for module in modules]
        found[stage] = [_layers_of(module, prefix) for module, prefix in parts]
    return found


def _layers_of(module: nn.Module, prefix: str) -> tuple[str, str]:
    """Of what is named so within a module, one after another, without the shortcut of a block."""
    kernels: list[tuple[int, int, float | None]] = []
    time, space = 1, 1
    for name, layer in module.named_modules():
        if name.startswith(prefix) and isinstance(layer, nn.Conv3d | nn.MaxPool3d) and not _SHORTCUT.search(name):
            sides, steps = tuple(layer.kernel_size), tuple(layer.stride)  # type: ignore[arg-type]
            kernels.append((sides[0], sides[1], layer.out_channels if isinstance(layer, nn.Conv3d) else None))
            time, space = time * steps[0], space * steps[1]
    return _kernels(kernels), _strides(time, space)


Shape = tuple[int | None, int | None, int | None, int | None]


def shapes(architecture: Architecture, crop: int) -> dict[str, list[Shape]]:
    """Residual blocks, output channels, frames and side of each stage, by pathway, of a network that is built.

    The raw clip is the one after operators t and f. ``crop``: side of the base network's view in pixels.
    """
    side = architecture.pixels(crop)
    clip = int(architecture.span / math.prod(r.factor for r in architecture.reductions if r.operator == "f"))
    shapes_by_stage: dict[str, list[Shape]] = {
        "raw clip": [(None, None, clip, side)],
        "data layer": [(None, None, len(frames), side) for frames in architecture.pathways],
    }
    with torch.device("meta"), torch.no_grad():
        model = build(architecture).eval()
        for stage, modules in _watched(model, architecture).items():
            shapes_by_stage[stage] = []
            for module in modules:
                module.register_forward_hook(_note(shapes_by_stage[stage], stage, architecture))
        model([torch.empty(1, 3, len(frames), side, side) for frames in architecture.pathways])
    return shapes_by_stage | {"fc": [(None, architecture.classes, None, None)]}


def _watched(model: nn.Module, architecture: Architecture) -> dict[str, list[nn.Module]]:
    """The modules whose outputs are those of a stage."""
    if not architecture.is_slowfast:
        names = {"conv1": ["stem"]} | {stage: [f"layer{n}"] for n, stage in enumerate(_STAGES, 1)}
    else:
        stems = ("s1.pathway0_stem", "s1.pathway1_stem")
        names = {"conv1": [f"{stem}.conv" for stem in stems], "pool1": [f"{stem}.pool" for stem in stems]}
        names |= {stage: [f"s{n}"] for n, stage in enumerate(_STAGES, 2)}
    return {stage: [model.get_submodule(name) for name in children] for stage, children in names.items()}


def _note(
    noted: list[Shape], stage: str, architecture: Architecture
) -> Callable[[nn.Module, object, Tensor | tuple[Tensor, ...]], None]:
    blocks = architecture.stage_blocks[_STAGES.index(stage)] if stage in _STAGES else None

    def hook(module: nn.Module, inputs: object, outputs: Tensor | tuple[Tensor, ...]) -> None:
        for output in outputs if isinstance(outputs, tuple) else (outputs,):
            _, channels, frames, _, side = output.shape
            noted.append((blocks, None if stage == "pool1" else channels, frames, side))

    return hook


TABLES: dict[str, Callable[[DrawArchitecture, Path], Iterator[Row]]] = {
    "table_3_1": _table_3_1,
    "table_4_1": _table_4_1,
    "table_6_10": _table_6_10,
}
