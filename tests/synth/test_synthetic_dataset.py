"""SyntheticDataset: image i is the same whoever asks, and torch's tools take it."""

import pickle

import numpy as np
import pytest
import torch
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.data import ConcatDataset, DataLoader

from fastgan.errors import RunError
from fastgan.frozen import FrozenGenerator, freeze
from fastgan.models import to_uint8
from fastgan.noise import Stream, normal
from fastgan.synth import SyntheticDataset

N = 150  # two whole blocks of 64 and a part of a third


@pytest.fixture(scope="module")
def images(run) -> torch.Tensor:
    """All images in order: uint8 [N, 3, 8, 8]."""
    dataset = SyntheticDataset(run, N, seed=3)
    return torch.stack([dataset[i][0] for i in range(N)])


def test_images_are_the_generator_at_the_documented_noise(run, images):
    z = torch.from_numpy(normal(3, Stream.LATENT, 64, 64, 16))
    c = torch.arange(64, 128) % 4
    with torch.no_grad():
        frozen = freeze(run.load_generator(), "uint8")(z, c).permute(0, 3, 1, 2)
        model = to_uint8(run.load_generator()(z, c)).permute(0, 3, 1, 2)
    assert torch.equal(images[64:128], frozen)
    assert (images[64:128].int() - model.int()).abs().max() <= 1  # on the edge between two levels
    assert images.float().std() > 30  # not all one grey: the comparisons below mean something


def test_shape_dtype_and_labels(run):
    dataset = SyntheticDataset(run.path, N, classes="bag,con")
    image, label = dataset[3]
    assert (image.shape, image.dtype, image.is_contiguous()) == ((3, 8, 8), torch.uint8, True)
    assert (label, type(label)) == (2, int)
    assert dataset.classes == ("bag", "T-shirt/top", "con", "BAG")
    assert dataset.targets.tolist() == [dataset[i][1] for i in range(N)]


@pytest.mark.parametrize("cache_mb", [0, 256], ids=["one block kept", "all kept"])
def test_order_of_access_and_n_do_not_matter(run, images, cache_mb):
    order = np.random.default_rng(0).permutation(N)
    longer = SyntheticDataset(run, 10 * N, seed=3, cache_mb=cache_mb)
    for i in order[:40]:
        assert torch.equal(longer[int(i)][0], images[i]), i
    assert torch.equal(longer[-1][0], longer[10 * N - 1][0])


@pytest.mark.parametrize(("cache_mb", "passes"), [(0, 5), (256, 3)], ids=["one block kept", "all kept"])
def test_finished_blocks_are_kept_within_the_limit(run, cache_mb, passes):
    dataset, seen = SyntheticDataset(run, N, cache_mb=cache_mb), []

    def count(module, *_):
        if isinstance(module, FrozenGenerator):
            seen.append(module)

    with register_module_forward_hook(count):
        for i in (0, 1, 64, 65, 128, 0, 64, 66):
            dataset[i]
    assert len(seen) == passes


def test_other_seed_other_images(run, images):
    assert not torch.equal(SyntheticDataset(run, N, seed=4)[0][0], images[0])


def test_workers_and_batches_do_not_matter(run, images):
    loader = DataLoader(SyntheticDataset(run, N, seed=3), batch_size=7, num_workers=2)
    batches = list(loader)
    assert torch.equal(torch.cat([image for image, _ in batches]), images)
    assert torch.cat([label for _, label in batches]).tolist() == [i % 4 for i in range(N)]


def test_more_torch_threads_give_the_same_bits(new_run, tmp_path):
    run = new_run(tmp_path / "run", size=(32, 32), width=16)
    one = SyntheticDataset(run, 64)[0][0]
    torch.set_num_threads(2)
    assert torch.equal(SyntheticDataset(run, 64)[0][0], one)
    assert torch.get_num_threads() == 2  # and the caller's setting is back


def test_precision_reaches_the_arithmetic(run, images):
    half = torch.stack([SyntheticDataset(run, N, seed=3, precision="bf16")[i][0] for i in range(8)])
    assert not torch.equal(half, images[:8])
    assert (half.float() - images[:8].float()).abs().mean() < 2


def test_concatenated_with_real_images(run):
    real = [(torch.zeros(3, 8, 8, dtype=torch.uint8), 0) for _ in range(5)]
    both = ConcatDataset([real, SyntheticDataset(run, 10, transform=lambda image: image)])
    image, label = next(iter(DataLoader(both, batch_size=15)))
    assert image.shape == (15, 3, 8, 8) and label.tolist() == [0] * 5 + [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


def test_transform_gets_the_uint8_tensor(run):
    dataset = SyntheticDataset(run, 4, transform=lambda image: image.float() / 255)
    assert dataset[0][0].dtype == torch.float32 and dataset[0][0].max() <= 1


def test_writing_into_an_image_leaves_the_data_set_alone(run):
    dataset = SyntheticDataset(run, 4)
    before = dataset[0][0].clone()
    dataset[0][0].zero_()
    assert torch.equal(dataset[0][0], before)


def test_pickles_without_the_generator(run):
    dataset = SyntheticDataset(run, N)
    image = dataset[9][0]
    raw = pickle.dumps(dataset)
    assert len(raw) < 2000
    assert torch.equal(pickle.loads(raw)[9][0], image)


def test_run_without_labels(unlabelled_run):
    image, label = SyntheticDataset(unlabelled_run, 3)[2]
    assert image.shape == (1, 8, 8) and label == -1


@pytest.mark.parametrize("index", [N, -N - 1])
def test_index_out_of_range(run, index):
    with pytest.raises(IndexError, match=f"got {index}"):
        SyntheticDataset(run, N)[index]


def test_weights_that_change_under_it_are_refused(new_run, new_weights, tmp_path):
    run = new_run(tmp_path / "run")
    dataset = SyntheticDataset(run, 4)
    new_weights(run, step=2, init_seed=9)
    with pytest.raises(RunError, match="have changed"):
        dataset[0]
