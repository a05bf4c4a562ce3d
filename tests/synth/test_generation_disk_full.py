"""A full disk loses nothing that was written; with room made, the same command ends in the same set."""

import multiprocessing
import resource
import threading

import pytest

from fastgan.cli.app import run as fastgan
from fastgan.errors import OutputError
from fastgan.synth import generate, verify
from fastgan.synth.store import SetFolder
from fastgan.synth.writers import ImageFolderWriter

pytestmark = pytest.mark.slow


def test_tmpfs_fills_up_and_grows(run, small_disk, tmp_path, capsys):
    disk, resize = small_disk("6m")
    command = f"generate {run.path} --n 3000 --device cpu --out {disk / 'set'}".split()
    assert fastgan(command) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("fastgan: the disk is full: 1024 of 3000 images are in") and "same command" in last

    state = disk / "set" / ".fastgan"
    assert not list(state.glob("staging-*"))  # the half shard was given back
    (record,) = (state / "journal").glob("*.json")
    images = list((disk / "set").glob("*/*.png"))
    assert len(images) == 1024

    resize("40m")
    before = {p: p.stat().st_mtime_ns for p in images}
    assert fastgan(command) == 0
    assert {p: p.stat().st_mtime_ns for p in images} == before  # kept, not written again
    assert verify(disk / "set").checked == 3000
    undisturbed = generate(run, 3000, tmp_path / "whole", device="cpu")
    assert (disk / "set" / "manifest.json").read_bytes() == undisturbed.read_bytes()


def test_images_computed_ahead_take_no_room_from_a_whole_shard(run, small_disk, monkeypatch):
    """The first shard waits here with its commit until all that may be ahead of it has been encoded."""
    encode, commit = ImageFolderWriter.encode, SetFolder.commit
    encoded = threading.Semaphore(0)

    def encode_and_count(self, *arguments):
        try:
            return encode(self, *arguments)
        finally:
            encoded.release()

    def commit_late(self, shard, *hashes):
        if shard.index == 0:
            for _ in range(1 + 16):  # its own block, and a usual shard of them
                assert encoded.acquire(timeout=60)
        commit(self, shard, *hashes)

    monkeypatch.setattr(ImageFolderWriter, "encode", encode_and_count)
    monkeypatch.setattr(SetFolder, "commit", commit_late)
    disk, _ = small_disk("1m")  # 256 pages, and an image takes one
    with pytest.raises(OutputError, match="the disk is full: 192 of 3000 images"):
        generate(run, 3000, disk / "set", device="cpu", shard_size=64)


def generate_with_short_files(limit, ended, *arguments, **options) -> None:
    """Generate where no file may be longer than `limit` bytes; put the error into the queue `ended`."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        generate(*arguments, **options)
    except OutputError as error:
        ended.put(str(error))


@pytest.mark.parametrize("format", ["imagefolder", "webdataset", "npy"])
def test_files_that_may_not_grow(new_run, tmp_path, format):
    """RLIMIT_FSIZE needs no root: every write beyond it fails as on a full disk."""
    run = new_run(tmp_path / "run", size=(32, 32))
    out = tmp_path / "set"
    options = {"format": format, "shard_size": 64, "png_level": 0, "device": "cpu"}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fastgan.synth"])
    ended = context.SimpleQueue()
    limit = 2000  # room for job.json, for no image
    generate(run, 130, tmp_path / "whole", **options)
    process = context.Process(target=generate_with_short_files, args=(limit, ended, run.path, 130, out), kwargs=options)
    process.start()
    process.join(60)
    assert process.exitcode == 0 and not ended.empty()
    assert ended.get().startswith("the disk is full: ")
    assert not list((out / ".fastgan").glob("staging-*"))
    manifest = generate(run, 130, out, **options)
    assert manifest.read_bytes() == (tmp_path / "whole" / "manifest.json").read_bytes()
    assert verify(out).ok
