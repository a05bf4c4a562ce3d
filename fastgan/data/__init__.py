"""Images in: read from any usual source, brought to one size, hashed, and split once and for all."""

from fastgan.data.catalogue import CATALOGUE, NAMES
from fastgan.data.fetch import data_root, fetch
from fastgan.data.imageset import ImageSet
from fastgan.data.limits import Limits
from fastgan.data.load import load, samples
from fastgan.data.readers import Reader, register
from fastgan.data.sample import Entry, Sample, Source
from fastgan.data.sheet import contact_sheet
from fastgan.data.survey import Survey, survey
from fastgan.data.transform import ALPHAS, FITS, Transform

__all__ = [
    "ALPHAS",
    "CATALOGUE",
    "FITS",
    "NAMES",
    "Entry",
    "ImageSet",
    "Limits",
    "Reader",
    "Sample",
    "Source",
    "Survey",
    "Transform",
    "contact_sheet",
    "data_root",
    "fetch",
    "load",
    "register",
    "samples",
    "survey",
]
