"""No test is left out unseen: pytest skips folders of certain names and refuses two files of one name."""

from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def test_every_test_file_is_collected(request):
    assert TESTS.name == "tests"
    skipped = set(request.config.getini("norecursedirs"))
    folders = {part for path in TESTS.rglob("test_*.py") for part in path.relative_to(TESTS).parts[:-1]}
    assert not folders & skipped, "pytest does not look into folders of these names"


def test_every_test_file_has_a_name_of_its_own():
    names = Counter(path.name for path in TESTS.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
