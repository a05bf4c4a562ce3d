"""Memory that kernels keep: counted, bounded, and really used again."""

import torch

from fastgan import native

MOST_OF_A_THREAD = 3 * 8 * 2**20


def test_what_threads_keep_is_counted_bounded_and_used_again(leaf):
    x, weight = torch.randn(4, 64, 16, 16), torch.randn(64, 64, 4, 4)

    def run():
        return leaf.affine_act_conv(x, weight, None, None, None, 0, 1.0, [2, 2], [1, 1], [8, 8], False, False)

    run()
    kept = native.kept_scratch()
    assert 0 < kept <= MOST_OF_A_THREAD * (torch.get_num_threads() + 8)
    for _ in range(3):
        run()
    assert native.kept_scratch() <= kept + MOST_OF_A_THREAD  # another thread of the pool may have come to it


def test_a_large_block_is_given_back(leaf):
    before = native.kept_scratch()
    x, weight = torch.zeros(1, 3, 1536, 1536), torch.zeros(16, 3, 4, 4)  # a padded image of 27 MiB
    leaf.affine_act_conv(x, weight, None, None, None, 0, 1.0, [2, 2], [1, 1], [768, 768], False, False)
    assert native.kept_scratch() <= before + 2**20
