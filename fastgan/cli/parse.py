"""What a user types, turned into values; a wrong form is a usage error (exit 2)."""

import re

import typer


def parse_size(text: str | None) -> tuple[int, int] | None:
    """`HxW` or `N` as (height, width); None stays None."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)(?:[xX](\d+))?", text)
    if not match:
        raise typer.BadParameter(f"--size must be HxW such as 64x64, got {text!r}")
    height = int(match[1])
    return height, int(match[2] or height)
