"""Chains of a model somebody else wrote, run as the chains of fastgan: `fuse_`, `unfuse_`, `report`."""

from fastgan.fusion.fuse import fuse_, unfuse_
from fastgan.fusion.reporting import Report, report

__all__ = ["Report", "fuse_", "report", "unfuse_"]
