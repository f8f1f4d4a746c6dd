"""Settings with which less is found or hidden than usual: what a certificate has to say first."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.config.detectors import DETECTORS

# The values of the shipped config.yaml; where the variants differ, the laxer one.
_ENLARGE, _KERNEL, _BLOCKS = 1.2, 1.0, 4
_INTERVAL, _LONG_SIDE = 0.1, 640


def unusual(detect: Mapping[str, Any], obfuscate: Mapping[str, Any], auditors: Mapping[str, float]) -> list[str]:
    """A phrase on each setting that is laxer than usual.

    ``detect`` and ``obfuscate`` are `SearchSettings` and `ObfuscateSettings` of `pipeline.config.privacy` as JSON;
    ``auditors`` are the lowest scores that count, by name.
    """
    return [*_of_hiding(obfuscate), *(() if obfuscate["filter"] == "frame" else _of_search(detect)), *_of(auditors)]


def _of_search(detect: Mapping[str, Any]) -> Iterator[str]:
    for network in (detect, *([detect["faces"]] if detect["faces"] else [])):
        name, threshold, side = network["detector"], network["threshold"], network["long_side"]
        own = DETECTORS[name].threshold
        if threshold is not None and threshold > own:
            yield f"{name} counts from a score of {threshold:g} on (its own: {own:g})"
        if side is not None and side < _LONG_SIDE:
            yield f"{name} sees pictures of at most {side} pixels (usual: {_LONG_SIDE} and more)"
    if detect["interval"] > _INTERVAL:
        yield f"frames are searched at least every {detect['interval']:g} s (usual: {_INTERVAL:g} s)"


def _of_hiding(obfuscate: Mapping[str, Any]) -> Iterator[str]:
    hiding = obfuscate["filter"]
    if hiding in ("blur", "frame") and obfuscate["kernel"] < _KERNEL:
        yield f"the blur's kernel is {obfuscate['kernel']:g} of the longer side (usual: {_KERNEL:g})"
    if hiding == "pixelate" and obfuscate["blocks"] > _BLOCKS:
        yield f"a mosaic has {obfuscate['blocks']} blocks along the longer side (usual: {_BLOCKS})"
    if hiding != "frame" and obfuscate["enlarge"] < _ENLARGE:
        yield f"boxes are enlarged {obfuscate['enlarge']:g} times (usual: {_ENLARGE:g} and more)"


def _of(auditors: Mapping[str, float]) -> Iterator[str]:
    for name, threshold in auditors.items():
        own = DETECTORS[name].threshold
        if threshold > own:
            yield f"the auditor {name} counts from a score of {threshold:g} on (its own: {own:g})"
