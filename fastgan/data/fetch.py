"""Bring a known data set to this machine by whichever road works first, checked and written whole."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from fastgan.data import fashion_mnist
from fastgan.errors import DataError
from fastgan.files import atomic_open, write_bytes
from fastgan.progress import Progress

_CONNECT_SECONDS = 10
_CLIENT_SECONDS = 300
_CHUNK = 1 << 18


def data_root() -> Path:
    """Where fetched sets live: `$FASTGAN_DATA`, or `~/.cache/fastgan`."""
    root = os.environ.get("FASTGAN_DATA")
    return Path(root).expanduser().absolute() if root else Path.home() / ".cache" / "fastgan"


def fetch(name: str, root: str | Path | None = None, progress: Progress | None = None) -> Path:
    """Make a known set available and return where it is.

    Fashion-MNIST comes from, in this order: files already fetched; the installed operating system package;
    the package client's download, unpacked without root; the public upstream address. Whatever the road, the
    four files must hold the same bytes once unpacked (SHA-256), and only then are they put, whole, into
    `root`/fashion-mnist with the licence.

    Args:
        name: "digits" or "fashion-mnist".
        root: the folder for fetched sets; None means `data_root()`.
        progress: called with (bytes done, bytes expected or 0, text).

    Raises:
        ValueError: unknown name.
        DataError: no road worked; the sentence gives each one's reason.
    """
    if name == "digits":
        import sklearn.datasets

        return Path(sklearn.datasets.__file__).parent / "data" / "digits.csv.gz"
    if name != fashion_mnist.NAME:
        raise ValueError(f"fetch: name must be digits or {fashion_mnist.NAME}, got {name!r}")
    target = (Path(root) if root is not None else data_root()) / name
    if fashion_mnist.complete(target):
        return target
    reasons = []
    for road, bring in ROADS:
        with tempfile.TemporaryDirectory(prefix="fastgan-fetch-") as temporary:
            try:
                _install(bring(Path(temporary), progress), target)
                return target
            except DataError as error:
                reasons.append(f"{road}: {error}")
            except OSError as error:
                raise DataError(f"{name} cannot be stored in {target} ({error.strerror or error})") from None
    raise DataError(f"{name} cannot be had here ({'; '.join(reasons)})")


def _install(folder: Path, target: Path) -> None:
    """Check all four files, then copy them: a folder is never left with some checked and some not."""
    for name in fashion_mnist.FILES:
        if not (folder / name).is_file():
            raise DataError(f"{name} is missing")
        fashion_mnist.check_content(folder / name, name)
    write_bytes(target / "LICENSE", fashion_mnist.LICENCE.encode())
    notice = folder / "copyright"
    if notice.is_file():
        write_bytes(target / "copyright", notice.read_bytes())
    for name in fashion_mnist.FILES:
        with open(folder / name, "rb") as source, atomic_open(target / name) as out:
            shutil.copyfileobj(source, out)


def from_installed_package(temporary: Path, progress: Progress | None) -> Path:
    """The files of an installed operating system package."""
    if not fashion_mnist.complete(fashion_mnist.PACKAGE_FOLDER):
        raise DataError(f"the package {fashion_mnist.PACKAGE} is not installed")
    return fashion_mnist.PACKAGE_FOLDER


def from_package_client(temporary: Path, progress: Progress | None) -> Path:
    """`apt-get download` and `dpkg-deb -x` into a temporary folder: no root, nothing is installed.

    A machine that has never fetched package lists gets them into the temporary folder, which needs no root
    either.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise DataError("there is no apt-get or no dpkg-deb")
    if progress:
        progress(0, 0, f"downloading the package {fashion_mnist.PACKAGE}")
    options = ["-o", f"Acquire::http::Timeout={_CONNECT_SECONDS}", "-o", "Acquire::Retries=0"]
    download = ["download", fashion_mnist.PACKAGE]
    try:
        _client(["apt-get", "-q", *options, *download], temporary)
    except DataError as first:
        options += own_lists(temporary)
        if progress:
            progress(0, 0, "fetching package lists into a temporary folder")
        try:
            _client(["apt-get", "-q", *options, "update"], temporary)
            _client(["apt-get", "-q", *options, *download], temporary)
        except DataError as second:
            raise DataError(f"{first}, and with fresh package lists {second}") from None
    packages = sorted(temporary.glob(f"{fashion_mnist.PACKAGE}_*.deb"))
    if not packages:
        raise DataError("apt-get left no package file")
    if progress:
        progress(0, 0, "unpacking it")
    unpacked = temporary / "unpacked"
    _client(["dpkg-deb", "-x", str(packages[0]), str(unpacked)], temporary)
    folder = unpacked / fashion_mnist.PACKAGE_FOLDER.relative_to("/")
    notice = unpacked / "usr/share/doc" / fashion_mnist.PACKAGE / "copyright"
    if folder.is_dir() and notice.is_file():
        shutil.copyfile(notice, folder / "copyright")
    return folder


def own_lists(temporary: Path) -> list[str]:
    """Options that make apt-get keep its lists and caches in `temporary`, so that no root is needed."""
    for name in ("lists/partial", "cache/archives/partial"):
        (temporary / name).mkdir(parents=True, exist_ok=True)
    return ["-o", f"Dir::State::Lists={temporary / 'lists'}", "-o", f"Dir::Cache={temporary / 'cache'}"]


def _client(command: list[str], folder: Path) -> None:
    """Run a package client in `folder`; its last line of complaint becomes the DataError."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=_CLIENT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"{' '.join(command[:1])} gave no answer within {_CLIENT_SECONDS} s") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.startswith("E:")]
        raise DataError(f"{command[0]} said: {lines[-1] if lines else f'exit {done.returncode}'}")


def from_upstream(temporary: Path, progress: Progress | None) -> Path:
    """The project's own address: plain HTTP, so each .gz must have its published SHA-256 to be unpacked."""
    for name, file in fashion_mnist.FILES.items():
        _download(fashion_mnist.UPSTREAM + name, temporary / name, file.upstream_sha256, progress)
    return temporary


def _download(url: str, path: Path, sha256: str, progress: Progress | None) -> None:
    digest = hashlib.sha256()
    done = 0
    try:
        with urllib.request.urlopen(url, timeout=_CONNECT_SECONDS) as answer, open(path, "wb") as out:
            expected = int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read(_CHUNK):
                done += len(chunk)
                if done > fashion_mnist.LARGEST_FILE:
                    raise DataError(f"{url} is larger than it can be")
                digest.update(chunk)
                out.write(chunk)
                if progress:
                    progress(done, expected, path.name)
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError, ValueError) as error:
        raise DataError(f"{url} gave no file ({getattr(error, 'reason', None) or error})") from None
    if digest.hexdigest() != sha256:
        raise DataError(f"{url} gave a file with the wrong SHA-256")


ROADS: tuple[tuple[str, Callable[[Path, Progress | None], Path]], ...] = (
    ("installed package", from_installed_package),
    ("package client", from_package_client),
    ("upstream address", from_upstream),
)
