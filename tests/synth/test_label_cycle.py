"""Which class an image belongs to, and safe folder names."""

from urllib.parse import unquote

import numpy as np
import pytest

from fastgan.errors import DataError
from fastgan.synth.classes import class_folders, label_cycle, labels_of

NAMES = ("cat", "dog", "7", "a b")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("balanced", (0, 1, 2, 3)),
        ("dog,cat", (1, 0)),
        ("dog, dog, cat", (1, 1, 0)),
        ("3,0", (3, 0)),
        ("7", (2,)),
        ([0, "dog", 3], (0, 1, 3)),
    ],
    ids=["balanced", "names", "twice the share", "indices", "name wins over index", "mixed list"],
)
def test_cycle(wanted, expected):
    assert label_cycle(wanted, NAMES) == expected


@pytest.mark.parametrize("wanted", ["bird", "4", "-1", "cat,", [4], [-1], []], ids=repr)
def test_unknown_class_is_refused_naming_the_classes(wanted):
    with pytest.raises(DataError, match="0: cat, 1: dog, 2: 7, 3: a b"):
        label_cycle(wanted, NAMES)


def test_run_without_labels():
    assert label_cycle("balanced", ()) == ()
    with pytest.raises(DataError, match="without labels"):
        label_cycle("0", ())
    assert labels_of((), 5, 3).tolist() == [-1, -1, -1]


def test_labels_depend_on_the_index_alone():
    whole = labels_of((2, 0, 1), 0, 100)
    assert whole[:4].tolist() == [2, 0, 1, 2]
    assert np.array_equal(whole[64:90], labels_of((2, 0, 1), 64, 26))


HARD_NAMES = (
    *("shoe", "Shoe", "SHOE", "sHOE", "T-shirt/top", "a\\b", "..", ".", "", "50%", "50%25", "nul", "NUL.txt"),
    *(
        "tab\there",
        "end.",
        " lead",
        "tail ",
        "cafe\u0301",
        "\u4e2d\u6587",
        "a:b*c?",
        "line\nbreak",
        ".hidden",
        "x" * 300,
    ),
    *("x" * 301, "\u4e2d" * 90, "\x00"),
)


def test_folders_are_safe_distinct_and_reversible(tmp_path):
    folders = class_folders(HARD_NAMES)
    assert len({folder.casefold() for folder in folders}) == len(HARD_NAMES)
    for name, folder in zip(HARD_NAMES, folders, strict=True):
        assert len(folder.encode()) <= 255
        assert not set(folder) & set('/\\:*?"<>|\n\t\x00')
        assert folder[0] not in ". " and folder[-1] not in ". "
        (tmp_path / folder).mkdir()
        if "~" not in folder and name:
            assert unquote(folder) == name
    assert {p.name for p in tmp_path.iterdir()} == set(folders)


def test_ordinary_names_stay_as_they_are():
    names = ("cat", "Ankle boot", "0", "\u4e2d\u6587", "T-shirt", "a_b.c", "caf\u00e9")
    assert class_folders(names) == names
