"""Streams of random numbers: told apart by their names, and the same for ever."""

import torch

from pipeline.learning import seeds


def test_seeds_of_folds_differ_and_stay():
    names = [(0, "synthetic", "sub01"), (1, "synthetic", "sub01"), (0, "casme2", "sub01"), (0, "synthetic", "sub02")]
    found = [seeds.fold_seed(*name) for name in names]
    assert len(set(found)) == 4
    assert all(0 <= seed < 2**63 for seed in found)
    # `printf 0/synthetic/sub01 | sha256sum` begins with 75a735180919a312; of its 64 bits, the first 63.
    assert found[0] == 0x75A735180919A312 // 2


def test_a_stream_follows_from_its_seed_and_nothing_else():
    one = torch.randperm(100, generator=seeds.generator(5))
    torch.rand(7)
    assert torch.equal(torch.randperm(100, generator=seeds.generator(5)), one)
    assert not torch.equal(torch.randperm(100, generator=seeds.generator(6)), one)


def test_dropout_draws_from_the_seed_and_leaves_the_global_generator_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    drawn = []
    for seed in (1, 1, 2):
        with seeds.seeded(seed, torch.device("cpu")):
            drawn.append(torch.nn.functional.dropout(torch.ones(1000), 0.5))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
