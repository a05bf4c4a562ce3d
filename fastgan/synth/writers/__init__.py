"""The file formats a generated set can have: a table from name to writer, one writer a file.

A new format is a class with the methods of `Writer` and a line in `WRITERS`; nothing else knows the formats.
"""

from fastgan.synth.writers.base import Layout, Shard, Writer
from fastgan.synth.writers.imagefolder import ImageFolderWriter
from fastgan.synth.writers.npy import NpyWriter
from fastgan.synth.writers.webdataset import WebDatasetWriter

WRITERS: dict[str, type[Writer]] = {
    "imagefolder": ImageFolderWriter,
    "webdataset": WebDatasetWriter,
    "npy": NpyWriter,
}

__all__ = ["WRITERS", "Layout", "Shard", "Writer"]
