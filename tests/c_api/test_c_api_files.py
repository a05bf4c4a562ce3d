"""Files that are not what format frozen/1 allows: each is refused with a sentence that says what is wrong."""

import ctypes
import json
import random
import struct
from collections.abc import Callable

import numpy as np
import pytest
from c_library import BAD_FILE, UNSUPPORTED, Refused, backwards, pool
from plans import PlanFile, inputs, python_images

from fastgan.errors import DataError
from fastgan.frozen import load

CLASSES = "keras 8x8x3, three classes"
PERMUTED = "maps for latents, a permutation"

UNREADABLE = "the memory cannot be read as a frozen generator ("
NO_PLAN = "the memory holds no whole plan ("

BYTES = {
    "empty": (lambda data: b"", "it has only 0 bytes"),
    "seven bytes": (lambda data: data[:7], "it has only 7 bytes"),
    "size of the header alone": (lambda data: data[:8], "it ends within its header"),
    "cut in the header": (lambda data: data[:200], "it ends within its header"),
    "cut in the numbers": (lambda data: data[:-4], "data_offsets of tensor"),
    "a byte more": (lambda data: data + b"\0", "there is more data than tensors"),
    "text": (lambda data: b"no safetensors at all", "its header would be of"),
    "huge header": (lambda data: struct.pack("<Q", 2**63) + data[8:], "its header would be of 9223372036854775808"),
    "no header": (lambda data: bytes(8) + data[8:], "there is no value at byte 0"),
    "short header": (lambda data: struct.pack("<Q", 100) + data[8:], "at byte 100"),
    "no UTF-8": (lambda data: data.replace(b"bias3", b"bias\xff", 1), "a string is no UTF-8"),
    "half a character": (lambda data: data.replace(b'bias3"', b'bias\xc3"', 1), "a string is no UTF-8"),
    "a long form": (lambda data: data.replace(b"bias3", b"bi\xe0\x80\x80", 1), "a string is no UTF-8"),
    "control character": (lambda data: data.replace(b"bias3", b"bias\x01", 1), "holds a control character"),
    "byte 0": (lambda data: data.replace(b"bias3", b"bias\0", 1), "holds a control character"),
}

TEXTS = {  # replacements in the header
    "a name twice": (b'"bias3": ', b'"weight0": ', "a name comes twice"),
    "no colon": (b'"dtype": ', b'"dtype"  ', "a ':' is missing"),
    "a comma for a bracket": (b'"F32", "shape": [', b'"F32", "shape": ,', "there is no value"),
    "an open array": (b'"data_offsets": [0', b'"data_offsets": [[0', "a ']' is missing"),
    "comma at the end": (b"]}, ", b"],}, ", "a name is missing"),
    "unknown word": (b'"F32"', b"nulL", "there is no value"),
    "leading zero": (b'offsets": [0, ', b'offsets": [00, ', "a ']' is missing"),
    "a point without digits": (b'offsets": [0, ', b'offsets": [0., ', "a digit is missing"),
    "an exponent without digits": (b'offsets": [0, ', b'offsets": [0e+, ', "a digit is missing"),
    "minus alone": (b'offsets": [0, ', b'offsets": [-, ', "there is no value"),
    "unknown escape": (b'"F32"', b'"F\\x"', "there is no such escape"),
    "escape without number": (b'"F32"', b'"\\u12G4"', "an escape is no hexadecimal number"),
    "half a surrogate": (b'"F32"', b'"\\ud800"', "a surrogate stands alone"),
    "two halves in the wrong order": (b'"F32"', b'"\\udc00\\ud800"', "a surrogate stands alone"),
    "two first halves": (b'"F32"', b'"\\ud800\\ud800"', "a surrogate stands alone"),
    "nested": (b'"F32"', b"[" * 9 + b"]" * 9, "values are nested too deeply"),
    "another dtype": (b'"F32"', b'"F16"', "has dtype 'F16'"),
    "dtype in strange letters": (b'"F32"', b'"\\n\\u00e9\\ud83d\\ude00"', "has dtype '???????'"),
    "dtype is a number": (b'"F32"', b"32", "dtype of tensor 'bias3' is no string"),
    "a fraction for an offset": (b'offsets": [0, ', b'offsets": [0.0, ', "is no integer"),
    "a huge offset": (b'offsets": [0, ', b'offsets": [99999999999999999999, ', "is out of range"),
    "a negative offset": (b'offsets": [0, ', b'offsets": [-4, ', "is out of range"),
}


def tensor(name: str, **changes) -> Callable[[PlanFile], None]:
    return lambda file: file.header[name].update(changes)


def fields(**changes) -> Callable[[PlanFile], None]:
    return lambda file: file.plan.update(changes)


def step(number: int, **changes) -> Callable[[PlanFile], None]:
    return lambda file: file.steps[number].update(changes)


def overlap(file: PlanFile) -> None:
    begin, end = file.header["shift1"]["data_offsets"]
    file.header["shift1"].update(data_offsets=[begin - 4 * 64, end], shape=[4, 64])


def gap(file: PlanFile) -> None:
    begin, end = file.header["shift1"]["data_offsets"]
    file.header["shift1"].update(data_offsets=[begin + 4 * 64, end], shape=[2, 64])


def twice(file: PlanFile) -> None:
    file.steps[1]["shift"] = "scale1"


def longer(name: str) -> Callable[[PlanFile], None]:
    """The tensor has one more in its first dimension, zeros; what lies behind it moves."""

    def change(file: PlanFile) -> None:
        entry = file.header[name]
        first, *others = entry["shape"]
        begin, end = entry["data_offsets"]
        more = (end - begin) // first
        file.data = file.data[:end] + bytes(more) + file.data[end:]
        for other in file.header.values():
            if "data_offsets" in other:
                other["data_offsets"] = [place + more if place >= end else place for place in other["data_offsets"]]
        entry.update(shape=[first + 1, *others], data_offsets=[begin, end + more])

    return change


def source_unlike_the_row(file: PlanFile) -> None:
    """The last convolution reads half of the row before it; all else fits."""
    last_convolution(source=[2, 4, 4], result=[4, 8, 3])(file)
    file.plan.update(image=[3, 4, 8])


def channels_that_do_not_divide(file: PlanFile) -> None:
    """Tables of 48 channels for a row of 64 numbers; all else fits."""
    for name in ("scale1", "shift1"):
        file.header[name].update(shape=[4, 48])
    file.steps[1].update(channels=48, classes=4)
    file.plan.update(num_classes=4)


def row_unlike_the_permutation(file: PlanFile) -> None:
    """A row of 240 numbers comes to a permutation of 192; all else fits."""
    file.steps[0].update(result=[5, 6, 8])
    file.steps[2].update(source=[30, 4, 2], result=[30, 4, 3])
    file.plan.update(image=[3, 30, 4])


def last_convolution(**changes) -> Callable[[PlanFile], None]:
    return lambda file: next(s for s in file.steps[::-1] if s["kind"] == "convolution").update(changes)


HEADERS = {
    "metadata missing": (lambda file: file.header.pop("__metadata__"), "the header has no metadata"),
    "metadata of another": (lambda f: f.header.update(__metadata__={"format": "pt"}), "the metadata has no fastgan"),
    "metadata with more": (
        lambda f: f.header["__metadata__"].update(format="pt"),
        "the metadata has a field too many",
    ),
    "a tensor is a number": (lambda file: file.header.update(bias3=3), "tensor 'bias3' is no object"),
    "a tensor without shape": (lambda f: f.header["bias3"].pop("shape"), "tensor 'bias3' has no shape"),
    "a tensor with more": (tensor("bias3", device="cpu"), "tensor 'bias3' has a field too many"),
    "negative shape": (tensor("bias3", shape=[-1]), "shape of tensor 'bias3' is out of range"),
    "shape as text": (tensor("bias3", shape="16"), "shape of tensor 'bias3' is no array"),
    "a shape that overflows": (tensor("bias3", shape=[2**33, 2**33]), "shape of tensor 'bias3' is out of range"),
    "bytes that overflow": (tensor("bias3", shape=[2**62 + 3]), "tensor 'bias3' has another shape than data"),
    "another shape": (tensor("bias3", shape=[17]), "tensor 'bias3' has another shape than data"),
    "three offsets": (tensor("bias3", data_offsets=[0, 4, 8]), "data_offsets of tensor 'bias3' are not two"),
    "offsets backwards": (tensor("bias3", data_offsets=[8, 4]), "data_offsets of tensor 'bias3' is out of range"),
    "an overlap": (overlap, "the tensors overlap or leave a gap"),
    "a gap": (gap, "the tensors overlap or leave a gap"),
    "too many tensors": (
        lambda f: f.header.update(
            {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(9000)}
        ),
        "an object has too many members",
    ),
}

FIELDS = {
    "no object": (lambda file: setattr(file, "plan", [1]), "the plan is no object"),
    "no number": (lambda file: setattr(file, "plan", 3), "the plan is no object"),
    "format is a number": (fields(format=1), "format of the plan is no string"),
    "unknown field": (fields(colour="blue"), "the plan has a field too many"),
    "field missing": (lambda file: file.plan.pop("image"), "the plan has no image"),
    "version is a number": (fields(fastgan=1), "fastgan of the plan is no string"),
    "negative classes": (fields(num_classes=-1), "num_classes of the plan is out of range"),
    "classes true": (fields(num_classes=True), "num_classes of the plan is no integer"),
    "classes with a fraction": (fields(num_classes=3.0), "num_classes of the plan is no integer"),
    "other classes": (fields(num_classes=4), "step 1: a table has another number of classes"),
    "output": (fields(output="png"), "output is 'png'"),
    "output null": (fields(output=None), "output of the plan is no string"),
    "precision": (fields(precision="fp8"), "precision is 'fp8'"),
    "invariance": (fields(batch_invariant=1), "batch_invariant of the plan is neither true nor false"),
    "input of two": (fields(input_shape=[4, 5]), "input_shape is neither [F] nor [C, H, W]"),
    "input empty": (fields(input_shape=[0]), "input_shape of the plan is out of range"),
    "input huge": (fields(input_shape=[2**31 - 1] * 3), "input_shape of the plan is out of range"),
    "input of text": (fields(input_shape=["20"]), "input_shape of the plan is no integer"),
    "other input": (fields(input_shape=[19]), "step 0: a convolution does not read what is there"),
    "image of two": (fields(image=[8, 8]), "image is neither [F] nor [C, H, W]"),
    "other image": (fields(image=[3, 8, 9]), "the plan gives another image"),
    "huge image": (fields(image=[2**14, 2**14, 2]), "image of the plan is out of range"),
    "pixels of a vector": (fields(image=[192], output="uint8"), "output is 'uint8' for a vector"),
    "steps are an object": (fields(steps={}), "steps of the plan is no array"),
    "no steps": (fields(steps=[]), "a tensor belongs to no step"),
    "a step is a number": (lambda file: file.steps.append(1), "is no object"),
}

STEPS = {
    "no kind": (lambda file: file.steps[0].pop("kind"), "step 0 has no kind"),
    "unknown kind": (step(0, kind="pooling"), "step 0 is of kind 'pooling'"),
    "kind is a number": (step(0, kind=0), "kind of step 0 is no string"),
    "step field missing": (lambda file: file.steps[0].pop("padding"), "step 0 has no padding"),
    "step field too many": (step(0, groups=1), "step 0 has a field too many"),
    "fields of another kind": (step(0, kind="affine"), "step 0 has no scale"),
    "no such tensor": (step(0, weight="weight9"), "step 0 refers to no tensor 'weight9'"),
    "a tensor by number": (step(0, weight=0), "weight of step 0 is no string"),
    "a tensor twice": (twice, "tensor 'scale1' is used twice"),
    "a tensor left over": (step(3, bias=None), "a tensor belongs to no step"),
    "another rank": (step(0, weight="bias3"), "tensor 'bias3' has not 4 dimensions"),
    "source of two": (step(0, source=[1, 20]), "source of step 0 are not 3 numbers"),
    "kernel of three": (step(0, kernel=[1, 1, 1]), "kernel of step 0 are not 2 numbers"),
    "no kernel": (step(0, kernel=[0, 1]), "kernel of step 0 is out of range"),
    "no stride": (step(0, stride=[1, 0]), "stride of step 0 is out of range"),
    "negative padding": (step(0, padding=[-1, 0]), "padding of step 0 is out of range"),
    "huge padding": (step(0, padding=[2**31, 0]), "padding of step 0 is out of range"),
    "transposed is a number": (step(0, transposed=1), "transposed of step 0 is neither true nor false"),
    "padding without result": (step(0, padding=[1, 1]), "step 0: a convolution gives another map"),
    "a larger result": (step(0, result=[1, 1, 10**6]), "step 0: a weight has another shape"),
    "a huge result": (step(0, result=[2**14, 2**14, 2]), "step 0: a row is too long"),
    "another kernel": (last_convolution(kernel=[3, 3], padding=[0, 0]), "a convolution gives another map"),
    "not transposed": (last_convolution(transposed=False), "a convolution gives another map"),
    "a far output padding": (last_convolution(stride=[1, 1]), "a convolution gives another map"),
    "a long stride": (
        last_convolution(stride=[2**20] * 2, padding=[(3 * 2**20 + 4 - 8) // 2] * 2),
        "a stride is too long",
    ),
    "a wide padding": (
        step(0, source=[1, 1, 20], padding=[2**20] * 2, stride=[2**21] * 2, result=[2, 2, 64]),
        "step 0: a row is too long",
    ),
    "source unlike the row": (source_unlike_the_row, "step 3: a convolution does not read what is there"),
    "a longer weight": (longer("weight3"), "step 3: a weight has another shape"),
    "a longer bias": (longer("bias3"), "step 3: a bias has another size"),
    "a longer scale": (longer("scale1"), "step 1: a scale has another size"),
    "a longer shift": (longer("shift1"), "step 1: a shift has another size"),
    "other channels": (step(1, channels=5), "step 1 has a table of other channels"),
    "channels do not divide": (channels_that_do_not_divide, "step 1: a scale has another number of channels"),
    "no channels": (step(1, channels=0), "channels of step 1 is out of range"),
    "negative classes of a step": (step(1, classes=-3), "classes of step 1 is out of range"),
    "one row of classes": (step(1, classes=0), "step 1: a scale has another size"),
    "unknown activation": (step(2, activation="gelu"), "step 2 has activation 'gelu'"),
    "activation none": (step(2, activation="none"), "step 2 has activation 'none'"),
    "slope is a text": (step(2, negative_slope="0.3"), "negative_slope of step 2 is no number"),
    "slope is infinite": (step(2, negative_slope=float("inf")), "there is no value at byte"),
    "slope is too large": (
        lambda file: file.texts.append((b'slope\\": 0.3', b'slope\\": 1e999')),
        "negative_slope of step 2 is out of range",
    ),
}


def changed(path, change: Callable[[PlanFile], None]) -> bytes:
    file = PlanFile.read(path)
    change(file)
    return bytes(file)


def refused(library, data: bytes, status: int, sentence: str) -> None:
    with pytest.raises(Refused) as caught:
        library.load(data)
    assert caught.value.status == status
    assert sentence in str(caught.value)


@pytest.fixture
def path(plan):
    return plan(CLASSES)[1]


def test_the_file_itself_is_good(path, library):
    assert bytes(PlanFile.read(path)) != path.read_bytes()  # put together again, with other spaces
    assert library.load(bytes(PlanFile.read(path))).image_size == 192


@pytest.mark.parametrize("name", BYTES)
def test_bytes_that_are_no_such_file(name, path, library):
    change, sentence = BYTES[name]
    data = path.read_bytes()
    assert change(data) != data
    refused(library, change(data), BAD_FILE, UNREADABLE)
    refused(library, change(data), BAD_FILE, sentence)


@pytest.mark.parametrize("name", TEXTS)
def test_a_header_that_is_no_such_json(name, path, library):
    before, after, sentence = TEXTS[name]
    data = changed(path, lambda file: file.texts.append((before, after)))
    refused(library, data, BAD_FILE, UNREADABLE)
    refused(library, data, BAD_FILE, sentence)


@pytest.mark.parametrize("name", HEADERS)
def test_tensors_that_are_none(name, path, library):
    change, sentence = HEADERS[name]
    refused(library, changed(path, change), BAD_FILE, UNREADABLE + sentence)


@pytest.mark.parametrize("name", [*FIELDS, *STEPS])
def test_plans_that_do_not_hold_together(name, path, library):
    change, sentence = (FIELDS | STEPS)[name]
    data = changed(path, change)
    refused(library, data, BAD_FILE, NO_PLAN)
    refused(library, data, BAD_FILE, sentence)


def test_another_format_is_named(path, library):
    for found in ("frozen/2", "", "frozen/1 "):
        sentence = f"the memory has format '{found}', this version of fastgan reads 'frozen/1'"
        refused(library, changed(path, fields(format=found)), BAD_FILE, sentence)
    refused(library, changed(path, lambda file: file.plan.pop("format")), BAD_FILE, "has format ''")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_precision_that_is_not_computed(precision, path, library):
    sentence = f"the memory has precision {precision}, this library computes fp32"
    refused(library, changed(path, fields(precision=precision)), UNSUPPORTED, sentence)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: f.numbers("index1", "<i8").__setitem__(3, 10**6), "step 1: no such place in a row"),
        (lambda f: f.numbers("index1", "<i8").__setitem__(0, -1), "step 1: no such place in a row"),
        (lambda f: f.steps[1].update(size=12), "step 1 has an index of another size"),
        (lambda f: f.header["index1"].update(dtype="F32", shape=[384]), "tensor 'index1' has another dtype"),
        (row_unlike_the_permutation, "step 1: a permutation has another size"),
    ],
    ids=["place-beyond", "place-below", "another-size", "index-of-floats", "row-of-another-size"],
)
def test_a_permutation_that_does_not_fit(change, sentence, library, plan):
    data = changed(plan(PERMUTED)[1], change)
    refused(library, data, BAD_FILE, sentence)


def test_a_name_of_any_letters_is_found(path, library):
    """Names are compared as text, escaped or not: here one has a quote, a line break and an emoji."""
    name = 'a "b"\n\\ \u00e9 \U0001f600'
    file = PlanFile.read(path)
    file.header = {name if key == "weight0" else key: value for key, value in file.header.items()}
    file.steps[0]["weight"] = name
    raw = json.dumps(name, ensure_ascii=False).encode()
    assert library.load(bytes(file)).classes == 3
    file.texts.append((json.dumps(name).encode() + b": {", raw + b": {"))
    assert library.load(bytes(file)).classes == 3


def test_any_alignment_of_the_memory(path, library):
    data = path.read_bytes()
    for shift in range(1, 9):
        memory = ctypes.create_string_buffer(b"x" * shift + data)
        handle = ctypes.c_void_p()
        start = ctypes.c_void_p(ctypes.addressof(memory) + shift)
        library.call("load_memory", start, ctypes.c_size_t(len(data)), None, ctypes.byref(handle))
        library.c.fastgan_free(handle)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to three small changes, most of them in the header."""
    data = bytearray(data)
    (header,) = struct.unpack("<Q", data[:8])
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(8, min(len(data), 8 + header)) if rng.random() < 0.9 else rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            data[at] ^= 1 << rng.randrange(8)
        else:
            data[at] = rng.choice(b'0123456789-.,:[]{}"etn ')
    return bytes(data)


@pytest.mark.parametrize("name", [CLASSES, PERMUTED])
def test_what_is_taken_is_taken_by_python_too(name, plan, library, tmp_path):
    """Files with small damage: C refuses them, or Python reads them and gives the same bytes."""
    rng, data, taken = random.Random(1), plan(name)[1].read_bytes(), 0
    for number in range(400):
        damaged = mutate(data, rng)
        try:
            generator = library.load(damaged)
        except Refused as refusal:
            assert refusal.status in (BAD_FILE, UNSUPPORTED)
            continue
        (tmp_path / "plan").write_bytes(damaged)
        try:
            frozen = load(tmp_path / "plan")
        except DataError as error:
            pytest.fail(f"mutation {number} is read by C and not by Python: {error}")
        arguments, z, labels = inputs(frozen, 3)
        got = generator.images(z, labels, False, pool(2, backwards))
        np.testing.assert_array_equal(got, python_images(frozen, arguments).reshape(got.shape))
        taken += damaged != data
    assert taken > 3
