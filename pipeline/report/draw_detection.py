"""Task `draw_detection`: the tables and figures of Chapter 3."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.config.tasks.report import DrawDetection
from pipeline.report.catalogue import check_name
from pipeline.report.detection import write_detection_table
from pipeline.report.detection_figures import draw_examples, draw_gains
from pipeline.report.thesis_detection import FIGURES, TABLES
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output


def draw_detection(
    name: str,
    results: Path,
    output: Output,
    settings: DrawDetection,
    *,
    label_map: Path | None = None,
    truth: Path | None = None,
    frames: Sequence[Path] = (),
    features: Sequence[Path] = (),
) -> None:
    """Write a table, or draw a figure, of Chapter 3.

    Args:
        name: table_3_2 … table_3_10, figure_3_4, figure_3_5 or figure_3_6.
        results: ``results/<dataset>/detect``.
        output: A table ends in ``.csv`` (``.md`` and ``.html`` are written next to it), a figure in ``.png``.
        settings: The features and networks.
        label_map: For the figures: actions that count (pbtxt).
        truth: For Figures 3.5 and 3.6: annotated boxes (CSV).
        frames: For Figures 3.5 and 3.6: shards of original frames.
        features: For Figures 3.5 and 3.6: feature shards of the first features.

    Raises:
        ActaError: there is no such table or figure, an option is missing for it, or a result cannot be read.
    """
    check_name(name, (*TABLES, *FIGURES))
    if name in TABLES:
        write_detection_table(name, results, settings, output)
        return
    if label_map is None:
        raise ActaError(f"{name} needs --label-map")
    if name == "figure_3_4":
        draw_gains(results, settings, label_map, output)
        return
    if truth is None or not frames or not features:
        raise ActaError(f"{name} needs --truth, --frames and --features")
    first = next(iter(settings.features))
    detected = results / f"evaluations/{first}/stage/seed_{settings.seeds[0]}/detected/detections.csv"
    draw_examples(name, detected, truth, label_map, frames, features, output, settings.start)
