"""Wrong arguments and pools that do not do their work: a status, a sentence, and nothing else happens."""

import ctypes

import numpy as np
import pytest
from c_library import (
    BAD_ARGUMENT,
    CANNOT_READ,
    POOL_FAILED,
    Error,
    Library,
    Pool,
    Refused,
    address,
    backwards,
    pool,
    real_threads,
)
from plans import inputs

NAME = "keras 8x8x3, three classes"


@pytest.fixture
def generator(plan, library):
    return library.load(plan(NAME)[1])


def refused(status: int, sentence: str, f, *arguments) -> None:
    with pytest.raises(Refused) as caught:
        f(*arguments)
    assert caught.value.status == status and sentence in str(caught.value), caught.value


def generate(library: Library, handle, count=2, z=0, labels=0, pool=None, out=0, name="generate_floats") -> None:
    """The plain call; what is 0 is given memory that is good."""
    room = max(0, min(count, 8))
    z = address(np.zeros((room, 20), np.float32)) if z == 0 else z
    labels = np.zeros(room, np.int64) if isinstance(labels, int) else labels
    memory = np.zeros((room, 8, 8, 3), np.float32)
    out = address(memory) if out == 0 else out
    library.call(name, handle, ctypes.c_int64(count), z, address(labels), pool, out)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"handle": None}, "generator must not be NULL"),
        ({"count": -1}, "count must not be negative"),
        ({"count": 2**62}, "count is larger than any memory"),
        ({"count": 2**55}, "count is larger than any memory"),  # of which the latents still have a size
        ({"z": None}, "z must not be NULL"),
        ({"out": None}, "images must not be NULL"),
        ({"out": None, "name": "generate_pixels"}, "pixels must not be NULL"),
        ({"labels": None}, "labels must not be NULL for a generator with classes"),
        ({"labels": np.array([0, 3])}, "labels must be from 0 to 2, got labels[1] = 3"),
        ({"labels": np.array([-1, 0])}, "labels must be from 0 to 2, got labels[0] = -1"),
        ({"pool": ctypes.byref(Pool())}, "pool->parallel_for must not be NULL"),
        ({"pool": ctypes.byref(pool(0, backwards))}, "pool->threads must be from 1 to 1024, got 0"),
        ({"pool": ctypes.byref(pool(1025, backwards))}, "pool->threads must be from 1 to 1024, got 1025"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_arguments_of_generate(arguments, sentence, library, generator):
    handle = arguments.pop("handle", generator.handle)
    generate(library, generator.handle)
    refused(BAD_ARGUMENT, sentence, lambda: generate(library, handle, **arguments))


def test_labels_without_classes(plan, library):
    frozen, path = plan("keras 28x28x1")
    z = inputs(frozen, 2)[1]
    sentence = "labels must be NULL for a generator without classes"
    refused(BAD_ARGUMENT, sentence, library.load(path).images, z, np.zeros(2, np.int64), False)


def test_pixels_of_a_vector(plan, library):
    frozen, path = plan("vectors")
    sentence = "this generator gives vectors, which have no pixels"
    refused(BAD_ARGUMENT, sentence, library.load(path).images, inputs(frozen, 2)[1], None, True)


def test_arguments_of_load(library, plan, tmp_path):
    path, handle = str(plan(NAME)[1]).encode(), ctypes.c_void_p()
    out = ctypes.byref(handle)
    refused(BAD_ARGUMENT, "path must not be NULL", library.call, "load_file", None, None, out)
    refused(BAD_ARGUMENT, "generator must not be NULL", library.call, "load_file", path, None, None)
    size = ctypes.c_size_t(8)
    refused(BAD_ARGUMENT, "data must not be NULL", library.call, "load_memory", None, size, None, out)
    refused(BAD_ARGUMENT, "generator must not be NULL", library.call, "load_memory", b"12345678", size, None, None)
    for name in ("haswell", ""):
        sentence = f"default on this machine, got '{name}'"
        refused(BAD_ARGUMENT, sentence, library.call, "load_file", path, name.encode(), out)


def test_files_that_cannot_be_read(library, tmp_path):
    missing = tmp_path / "missing"
    refused(CANNOT_READ, f"{missing} does not exist; `fastgan export` writes one", library.load, missing)
    refused(CANNOT_READ, f"{tmp_path} cannot be read (Is a directory)", library.load, tmp_path)
    refused(CANNOT_READ, "does not exist", library.load, tmp_path / "no" / "folder")


def test_a_long_path_keeps_its_end_and_the_reason(library, tmp_path):
    path = tmp_path.joinpath(*["folder" * 10] * 8, "the end")
    with pytest.raises(Refused) as caught:
        library.load(path)
    assert str(caught.value).startswith("...") and "/the end does not exist; `fastgan" in str(caught.value)


def test_a_line_break_in_a_path_does_not_break_the_line(library, tmp_path):
    refused(CANNOT_READ, "/a?b\u00e9 does not exist", library.load, tmp_path / "a\nb\u00e9")


def test_arguments_of_draw_latents(library, generator):
    z = address(np.zeros((4, 20), np.float32))

    def draw(handle, first: int, count: int, z) -> None:
        library.call("draw_latents", handle, ctypes.c_uint64(0), ctypes.c_uint64(first), ctypes.c_int64(count), z)

    draw(generator.handle, 2**64 - 4, 4, z)
    draw(generator.handle, 2**64 - 1, 0, None)
    refused(BAD_ARGUMENT, "first + count must not be above 2^64", draw, generator.handle, 2**64 - 3, 4, z)
    refused(BAD_ARGUMENT, "count must not be negative", draw, generator.handle, 0, -4, z)
    refused(BAD_ARGUMENT, "z must not be NULL", draw, generator.handle, 0, 4, None)
    refused(BAD_ARGUMENT, "generator must not be NULL", draw, None, 0, 4, z)


def test_errors_need_no_memory_for_their_text(library, generator):
    z = address(np.zeros((1, 20), np.float32))
    status = library.c.fastgan_generate_floats(generator.handle, ctypes.c_int64(-1), z, None, None, z, None)
    assert status == BAD_ARGUMENT
    library.c.fastgan_free(None)


def test_a_good_call_clears_the_text(library, generator):
    error = Error(b"old")
    z = address(np.zeros((1, 20), np.float32))
    arguments = ctypes.c_uint64(0), ctypes.c_uint64(0), ctypes.c_int64(1), z
    assert library.c.fastgan_draw_latents(generator.handle, *arguments, ctypes.byref(error)) == 0
    assert error.message == b""


def only_some(tasks, call):
    real_threads(tasks - 1, call)


def none(tasks, call):
    pass


def twice(tasks, call):
    backwards(tasks, call)
    call(0)


def one_for_another(tasks, call):
    backwards(tasks - 1, call)
    call(0)


def too_many(tasks, call):
    real_threads(tasks, call)
    call(tasks)


def negative(tasks, call):
    backwards(tasks, call)
    call(-1)


@pytest.mark.parametrize(
    "run", [only_some, none, twice, one_for_another, too_many, negative], ids=lambda run: run.__name__
)
def test_a_pool_must_run_every_task_once(run, plan, generator):
    frozen, _ = plan(NAME)
    _, z, labels = inputs(frozen, 40)
    refused(POOL_FAILED, "must run each of 3 tasks once", generator.images, z, labels, False, pool(3, run))
    right = generator.images(z, labels, False)
    assert generator.images(z, labels, False, pool(3, backwards)).tobytes() == right.tobytes()


def test_a_pool_of_one_thread_is_not_called(plan, generator):
    frozen, _ = plan(NAME)
    _, z, labels = inputs(frozen, 40)
    assert np.isfinite(generator.images(z, labels, False, pool(1, none))).all()


def test_a_call_asks_the_pool_once(plan, generator):
    frozen, _ = plan(NAME)
    asked = []
    _, z, labels = inputs(frozen, 130)
    generator.images(z, labels, False, pool(4, lambda tasks, call: (asked.append(tasks), backwards(tasks, call))))
    assert asked == [4]
