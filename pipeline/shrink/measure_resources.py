"""Task `measure_resources`: how busy and how full a device is while a network goes through the test videos (Table 6.5).

One clip of every video, one at a time, loading included: what is measured is a whole evaluation. On a GPU its
utilisation and memory are read after every clip. A CPU has no such counters; there it is this process's share of the
cores and of the memory, and clips are loaded by the same process.
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from pipeline.classify.evaluate_classifier import EvaluationClips
from pipeline.classify.video_clips import Videos
from pipeline.config.tasks.shrink import MeasureResources
from pipeline.models.architecture import frames_needed
from pipeline.models.backbones import pathways
from pipeline.models.classifier_file import load_model
from pipeline.models.opened import Opened
from pipeline.runtime.device import check_device, pinned_threads
from pipeline.runtime.digest import code_digest
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output, write_json
from pipeline.runtime.progress import progress

Sample = tuple[float, float]


def measure_resources(
    model: Path, shards: Sequence[Path], output: Output, settings: MeasureResources, *, workers: int = 0
) -> None:
    """Evaluate a network clip by clip, and write the means over the clips.

    Args:
        model: The model file.
        shards: Frame shards.
        output: JSON: ``utilisation_percent`` and ``memory_percent``, both of the whole device, ``clips``, ``seconds``.
        settings: Split and device.
        workers: Processes that load data for a GPU; the utilisation depends on them.

    Raises:
        ActaError: the split has no video to evaluate.
    """
    file = Opened(model, "the model file")
    network, description = load_model(file)
    device = torch.device(settings.device)
    check_device(device.type, alone=True)
    architecture, split = description.architecture, settings.split.test
    network = network.to(device).eval()
    videos = Videos(shards, split, description.classes)
    entries = [e for e in videos.entries if settings.short_videos == "repeat" or e.frames >= architecture.span]
    if not entries:
        raise ActaError(f"split {split!r} has no video to evaluate, so nothing can be measured on it")
    positions = frames_needed([architecture])
    clips = EvaluationClips(videos, entries, positions, architecture.span, 1, description.view.test)
    count = workers if device.type == "cuda" else 0
    loader = DataLoader(
        clips, batch_size=None, num_workers=count, multiprocessing_context="forkserver" if count else None
    )
    samples, began = [], time.perf_counter()
    with pinned_threads(settings.threads), torch.inference_mode():
        sample = gpu_sampler(device) if device.type == "cuda" else cpu_sampler()
        for clip in progress(loader, total=len(entries), unit="videos", desc="measure"):
            network(pathways(clip.to(device), positions, architecture)).cpu()
            samples.append(sample())
    utilisation, memory = np.mean(samples, axis=0)
    write_json(
        output,
        {
            "device": settings.device,
            "name": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
            "utilisation_percent": float(utilisation),
            "memory_percent": float(memory),
            "clips": len(samples),
            "seconds": time.perf_counter() - began,
            "workers": count,
            "settings": settings.model_dump(mode="json"),
            "model": {"sha256": file.sha256},
            "code": code_digest(__name__),
        },
    )


def gpu_sampler(device: torch.device) -> Callable[[], Sample]:
    """What NVML says of a GPU: per cent of the time in which it computed, and of its memory that is taken."""

    def sample() -> Sample:
        free, total = torch.cuda.mem_get_info(device)
        return float(torch.cuda.utilization(device)), 100 * (total - free) / total

    return sample


def cpu_sampler() -> Callable[[], Sample]:
    """Per cent of the cores' time that this process took since the sample before, and of the memory that it has."""
    cores = len(os.sched_getaffinity(0))
    before = time.perf_counter(), time.process_time()

    def sample() -> Sample:
        nonlocal before
        now = time.perf_counter(), time.process_time()
        passed, computed = (later - earlier for later, earlier in zip(now, before, strict=True))
        before = now
        resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return 100 * computed / (passed * cores), 100 * resident / os.sysconf("SC_PHYS_PAGES")

    return sample
