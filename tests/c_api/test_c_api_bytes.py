"""Images of the C API: the bytes of Python's frozen generator, for every plan, capability, count and pool."""

import locale
import shutil
import subprocess
import threading

import numpy as np
import pytest
import torch
from c_library import backwards, pool, real_threads
from plans import PLANS, inputs, python_images

import fastgan
from fastgan import native
from fastgan.frozen import save
from fastgan.models import Generator
from fastgan.models.pixels import to_uint8
from fastgan.noise import Stream, normal
from fastgan.synth.blocks import BLOCK, BlockSource

POOLS = {
    "no pool": lambda: None,
    "one thread": lambda: pool(1, backwards),
    "three tasks on the calling thread": lambda: pool(3, backwards),
    "two threads": lambda: pool(2, real_threads),
    "three threads": lambda: pool(3, real_threads),
    "sixteen threads": lambda: pool(16, real_threads),
}


@pytest.mark.parametrize("name", PLANS)
def test_images_have_the_bytes_of_python(name, plan, library, capability):
    frozen, path = plan(name)
    generator = library.load(path, capability)
    assert generator.capability == capability
    for count in (1, 9, 66):
        arguments, z, labels = inputs(frozen, count)
        right = python_images(frozen, arguments)
        assert native.last_cpu_capability() == capability
        assert right.min() < -0.5 and right.max() > 0.5
        assert generator.images(z, labels, pixels=False).tobytes() == right.tobytes()
        if name != "vectors":
            pixels = to_uint8(torch.from_numpy(right).movedim(-1, 1)).numpy()
            assert generator.images(z, labels, pixels=True).tobytes() == pixels.tobytes()


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("name", ["keras 64x64x3, ten classes", "maps for latents, a permutation"])
def test_no_pool_changes_a_byte(name, kind, plan, library, capability):
    frozen, path = plan(name)
    arguments, z, labels = inputs(frozen, 67)
    generator = library.load(path, capability)
    right = python_images(frozen, arguments)
    assert generator.images(z, labels, False, POOLS[kind]()).tobytes() == right.tobytes()


def test_the_capability_is_that_of_the_handle_on_every_thread(plan, library, need):
    """Two handles at once: neither takes the other's, nor what is forced in this process."""
    best = library.load(plan("dcgan 64x64x3")[1]).capability
    need("the best capability is the default one" if best == "default" else None, "avx2")
    frozen, path = plan("dcgan 64x64x3")
    _, z, _ = inputs(frozen, 20)
    right = {name: library.load(path, name).images(z, None, False) for name in ("default", best)}
    assert right["default"].tobytes() != right[best].tobytes()
    found = []

    def call(name: str) -> None:
        generator = library.load(path, name)
        for _ in range(5):
            found.append(generator.images(z, None, False, pool(2, real_threads)).tobytes() == right[name].tobytes())

    threads = [threading.Thread(target=call, args=(name,)) for name in right]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 10


def test_several_threads_use_one_handle(plan, library):
    frozen, path = plan("keras 28x28x1")
    generator = library.load(path)
    batches = [inputs(frozen, count)[1] * scale for count, scale in ((3, 1), (40, 0.5), (65, 2))]
    right = [generator.images(z.astype(np.float32), None, True).tobytes() for z in batches]
    wrong = []

    def call(z: np.ndarray, expected: bytes) -> None:
        for _ in range(6):
            if generator.images(z.astype(np.float32), None, True, pool(2, backwards)).tobytes() != expected:
                wrong.append(len(z))

    threads = [threading.Thread(target=call, args=pair) for pair in zip(batches, right, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_without_images_nothing_is_written(plan, library):
    frozen, path = plan("keras 8x8x3, three classes")
    generator = library.load(path)
    assert generator.images(*inputs(frozen, 0)[1:], pixels=True).shape == (0, 8, 8, 3)
    assert generator.images(*inputs(frozen, 0)[1:], False, pool(2, real_threads)).shape == (0, 8, 8, 3)


def test_a_generator_says_what_it_is(plan, library):
    def facts(name: str) -> tuple[int, ...]:
        g = library.load(plan(name)[1], None)
        assert g.image_size == g.height * g.width * g.channels
        return g.latent_size, g.height, g.width, g.channels, g.classes

    assert facts("keras 40x64x4, one class") == (20, 40, 64, 4, 1)
    assert facts("maps for latents, a permutation")[0] == 30
    assert facts("vectors") == (7, 1, 1, 9, 0)


def test_a_file_of_pixels_gives_floats_too(library, tmp_path):
    """`output` says what Python gives; in C the caller chooses."""
    model = Generator((8, 8), 3, 6, 4, 0, "keras").init_weights(1)
    float_path = save(fastgan.freeze(model), tmp_path / "float")
    uint8_path = save(fastgan.freeze(model, output="uint8", batch_invariant=False), tmp_path / "uint8")
    z = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)
    for pixels in (False, True):
        images = [library.load(path).images(z, None, pixels) for path in (float_path, uint8_path)]
        assert images[0].tobytes() == images[1].tobytes()


def test_tf32_is_float32_on_the_cpu(library, capability, tmp_path):
    """As in Python, which computes such a file with the same kernels."""
    model = Generator((8, 8), 3, 6, 4, 3, "keras").init_weights(1)
    plain, rounding = fastgan.freeze(model), fastgan.freeze(model, precision="tf32")
    generator = library.load(save(rounding, tmp_path / "tf32"), capability)
    arguments, z, labels = inputs(rounding, 9)
    images = generator.images(z, labels, pixels=False)
    assert images.tobytes() == python_images(rounding, arguments).tobytes()
    assert images.tobytes() == python_images(plain, arguments).tobytes()
    pixels = to_uint8(torch.from_numpy(images).movedim(-1, 1)).numpy()
    assert generator.images(z, labels, pixels=True).tobytes() == pixels.tobytes()


@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_latents_are_fastgans_noise(seed, plan, library):
    generator = library.load(plan("keras 28x28x1")[1])
    for first, count in ((0, 70), (2**40 + 3, 2), (2**64 - 5, 5)):
        right = normal(seed, Stream.LATENT, first, count, generator.latent_size)
        assert generator.latents(seed, first, count).tobytes() == right.tobytes()


@pytest.mark.parametrize("classes", [0, 10])
def test_image_i_is_that_of_generate(classes, library, tmp_path):
    """`fastgan generate` takes its images from a BlockSource; without --classes labels go round."""
    model = Generator((28, 28), 1, 20, 8, classes, "keras").init_weights(2)
    blocks = BlockSource(model, 11, range(classes), torch.device("cpu"))
    generator = library.load(save(blocks.frozen, tmp_path / "plan"))
    for block in (0, 3):
        first = block * BLOCK
        labels = (first + np.arange(BLOCK)) % classes if classes else None
        images = generator.images(generator.latents(11, first, BLOCK), labels, pixels=True)
        assert images.tobytes() == blocks(block).images.tobytes()


COMMAS = """LC_NUMERIC
decimal_point "<U002C>"
thousands_sep "<U002E>"
grouping 3;3
END LC_NUMERIC
"""


def test_a_locale_with_commas_changes_nothing(plan, library, need, tmp_path, monkeypatch):
    """The slope of a leaky ReLU stands in the file as 0.3."""
    need(None if shutil.which("localedef") else "there is no localedef", "localedef")
    (tmp_path / "source").write_text(COMMAS)
    made = ["localedef", "-c", "--no-archive", "-i", str(tmp_path / "source"), str(tmp_path / "xx_XX")]
    subprocess.run(made, capture_output=True)
    need(None if (tmp_path / "xx_XX/LC_NUMERIC").is_file() else "localedef makes no locale here", "localedef")
    frozen, path = plan("keras 8x8x3, three classes")
    _, z, labels = inputs(frozen, 4)
    right = library.load(path).images(z, labels, False)
    monkeypatch.setenv("LOCPATH", str(tmp_path))
    locale.setlocale(locale.LC_NUMERIC, "xx_XX")
    try:
        assert locale.localeconv()["decimal_point"] == ","
        assert library.load(path).images(z, labels, False).tobytes() == right.tobytes()
    finally:
        locale.setlocale(locale.LC_NUMERIC, "C")
