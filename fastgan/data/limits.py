"""How much one image, file or data set may ask for before it is refused."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Upper bounds that keep a hostile or mistaken file from filling the memory.

    Args:
        pixels: height * width of one image, checked from its header before anything is decoded.
        member_bytes: bytes of one encoded image, as a file or as a member of an archive.
        total_bytes: bytes of one array, or of all members of one archive, after decompression.
    """

    pixels: int = 64_000_000
    member_bytes: int = 256 << 20
    total_bytes: int = 32 << 30


DEFAULT_LIMITS = Limits()
