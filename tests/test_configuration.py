"""docs/configuration.md and the code name the same switches."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATTERNS = ("fastgan/**/*.py", "kernels/**/*.py", "bench/**/*.py", "csrc/**/*.cpp", "csrc/**/*.cu", "setup.py")
READ = re.compile(r"""(?:environ(?:\.get\(|\[|\.setdefault\(|\.pop\()|getenv\()\s*["'](FASTGAN_\w+)["']""")
LISTED = re.compile(r"^\| `(FASTGAN_\w+)` \|", re.MULTILINE)


def read_by(patterns) -> dict[str, str]:
    """Variable -> one file that reads it."""
    files = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    return {name: str(path.relative_to(ROOT)) for path in files for name in READ.findall(path.read_text())}


def listed() -> set[str]:
    return set(LISTED.findall((ROOT / "docs/configuration.md").read_text()))


def test_what_is_read_is_listed():
    missing = {name: path for name, path in read_by(PATTERNS).items() if name not in listed()}
    assert not missing, f"not in docs/configuration.md: {missing}"


def test_what_is_listed_is_read():
    read = set(read_by((*PATTERNS, "tests/**/*.py", "tests/**/*.cpp")))
    assert listed() <= read, f"read nowhere: {sorted(listed() - read)}"


def test_the_pattern_sees_every_way_to_read():
    source = """os.environ.get("FASTGAN_A") os.environ["FASTGAN_B"] os.getenv('FASTGAN_C') std::getenv("FASTGAN_D")"""
    assert READ.findall(source) == ["FASTGAN_A", "FASTGAN_B", "FASTGAN_C", "FASTGAN_D"]
