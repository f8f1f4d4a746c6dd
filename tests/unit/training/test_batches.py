"""Which samples each process is given."""

import torch

from pipeline.training.batches import MicroBatches
from pipeline.training.distributed import Group
from tests.networks import train_settings


def test_each_process_reads_its_own_part_and_together_what_one_reads(config):
    """Four micro-batches a step: whichever of one, two or four processes there are, the batches are the same."""
    chosen = train_settings(config, recipe__batch=8, recipe__micro_batch=2)
    batches = {}
    for world in (1, 2, 4):
        groups = [Group(rank, world, torch.device("cpu")) for rank in range(world)]
        epochs, seed = chosen.training.epochs, chosen.training.seed
        parts = [list(MicroBatches(24, chosen.recipe, epochs, seed, group)) for group in groups]
        numbers = [{number for batch in part for _, number in batch} for part in parts]
        assert sum(map(len, numbers)) == len(set().union(*numbers)) == 24, "no sample is read by two processes"
        assert all(len({n // 6 for n in part}) == 4 // world for part in numbers), "ranges, as samples lie in shards"
        batches[world] = sorted(map(tuple, (batch for part in parts for batch in part)))
    assert batches[1] == batches[2] == batches[4]
