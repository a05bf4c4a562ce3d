"""`fastgan tune`: which operators this GPU computes right, and which of them `auto` takes from now on."""

from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from fastgan import tuned
from fastgan.cli.console import emit, note, progress_bar
from fastgan.tuned import PRECISIONS, Entry, NetworkEntry, Table
from fastgan.tuning import Scope
from fastgan.tuning import tune as measure

_DEFAULT = Scope()


def tune(
    device: Annotated[Literal["cuda"], typer.Option(help="What is measured.")] = "cuda",
    dtype: Annotated[
        str, typer.Option(metavar="LIST", help=f"Some of {', '.join(PRECISIONS)}, separated by commas.")
    ] = ",".join(PRECISIONS),
    seconds: Annotated[float, typer.Option(min=0.0, help="Least length of a timed block.")] = _DEFAULT.seconds,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table of format tuned/1 as JSON.")] = False,
) -> None:
    """Check and time the Triton operators on this GPU, and let `auto` take those that are right and faster.

    Minutes; the table is kept for this device, driver and these versions. Without one `auto` is ATen.

    Example: fastgan tune --dtype fp16,tf32
    """
    with progress_bar("tune") as progress:
        table = measure(device, _precisions(dtype), scope=_DEFAULT._replace(seconds=seconds), progress=progress)
    path = tuned.save(table)
    emit(text(table), tuned.as_json(table), as_json)
    note(f"\n{path}")


def _precisions(given: str) -> Sequence[str]:
    names = list(dict.fromkeys(name.strip() for name in given.split(",")))
    for name in names:
        if name not in PRECISIONS:
            raise typer.BadParameter(f"--dtype must be some of {', '.join(PRECISIONS)}, got {name!r}")
    return names


def text(table: Table) -> str:
    """What was measured, a line for each class of shapes, and what follows."""
    rows = [(each.operator, each.precision, each.shape_class, verdict(each, table.backend)) for each in table.entries]
    rows += [(each.network, each.precision, "forward and backward", _of_network(each)) for each in table.networks]
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]
    return "\n".join([*lines, "", summary(table)])


def verdict(entry: Entry, backend: str) -> str:
    """Who runs a class, and by how much: aten / ours; "ATen" also where the difference may be noise."""
    if not entry.passed:
        return f"ATen; {backend} failed the self-check: {entry.reason}"
    if entry.chosen == backend:
        return f"{backend} {entry.speedup:.2f}x"
    return f"ATen; {backend} {entry.speedup:.2f}x"


def summary(table: Table) -> str:
    """One paragraph: how many classes, and where models run on chains."""
    failed = sum(not each.passed for each in table.entries)
    chains = f"at {', '.join(table.chains)}" if table.chains else "at no precision"
    return (
        f"{table.machine['device']}: {table.backend} for {len(table.chosen())} of {len(table.entries)} classes, "
        f"{failed} failed the self-check; models run on chains {chains}"
    )


def _of_network(entry: NetworkEntry) -> str:
    return f"chains {entry.speedup:.2f}x of modules"
