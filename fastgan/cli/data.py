"""`fastgan data`: fetch known sets, list them, and look into any set before a training."""

import io
from pathlib import Path
from typing import Annotated, Any

import typer

from fastgan.cli.console import emit, progress_bar
from fastgan.cli.parse import parse_size
from fastgan.data import ALPHAS, CATALOGUE, FITS, NAMES, ImageSet, Survey, contact_sheet, load, survey
from fastgan.data import fetch as fetch_set
from fastgan.files import write_bytes
from fastgan.models import check_size, nearest_size

app = typer.Typer(help="Fetch, list and inspect data sets.", no_args_is_help=True)
_Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
_SHOWN = 10  # skipped files and sizes that are listed by name without --json


def _one_of(option: str, allowed: tuple[str, ...]):
    def check(value: str) -> str:
        if value not in allowed:
            raise typer.BadParameter(f"{option} must be one of {', '.join(allowed)}, got {value!r}")
        return value

    return check


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(NAMES)}.", callback=_one_of("NAME", NAMES))],
    root: Annotated[
        Path | None,
        typer.Option(help="Folder for fetched sets. [default: $FASTGAN_DATA or ~/.cache/fastgan]"),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Bring a known data set to this machine, checked by SHA-256, and print where it is.

    Example: fastgan data fetch fashion-mnist
    """
    with progress_bar(f"fetching {name}") as progress:
        path = fetch_set(name, root, progress)
    emit(str(path), {"name": name, "path": str(path), "licence": CATALOGUE[name].licence}, as_json)


@app.command("list")
def list_sets(as_json: _Json = False) -> None:
    """List the data sets that have a name.

    Example: fastgan data list
    """
    rows = [
        {"name": name, "here": known.here(), "licence": known.licence, "about": known.about}
        for name, known in CATALOGUE.items()
    ]
    lines = [
        f"{row['name']:<15}{'here' if row['here'] else 'to fetch':<10}{row['licence']:<14}{row['about']}"
        for row in rows
    ]
    emit("\n".join(lines), rows, as_json)


@app.command()
def inspect(
    source: Annotated[
        str,
        typer.Argument(help="A folder of images (one subfolder a class), .npz, .npy, IDX, .tar, or a set's name."),
    ],
    size: Annotated[str | None, typer.Option(metavar="HxW", help="Image size. [default: from the data]")] = None,
    fit: Annotated[str, typer.Option(help="crop, pad or stretch.", callback=_one_of("--fit", FITS))] = "crop",
    channels: Annotated[
        str, typer.Option(help="auto, 1, 3 or 4.", callback=_one_of("--channels", ("auto", "1", "3", "4")))
    ] = "auto",
    alpha: Annotated[
        str,
        typer.Option(help="Transparent images: keep, white or black.", callback=_one_of("--alpha", ALPHAS)),
    ] = "white",
    grid: Annotated[Path | None, typer.Option(help="Write a PNG contact sheet by class here.")] = None,
    as_json: _Json = False,
) -> None:
    """Show what a training would see: classes, splits, sizes, the transform, and what was skipped and why.

    Example: fastgan data inspect digits
    """
    wanted = parse_size(size)
    if wanted is not None:
        check_size(wanted)
    if (channels == "4") != (alpha == "keep") and (channels == "4" or channels != "auto"):
        raise typer.BadParameter("--alpha keep goes with --channels 4 or auto, and --channels 4 with --alpha keep")
    with progress_bar("reading") as progress:
        found = survey(source, progress=progress)
        images = load(
            source,
            size=wanted,
            fit=fit,
            channels=channels,
            alpha=alpha,
            valid_size=nearest_size,
            progress=progress,
        )
    if grid is not None:
        buffer = io.BytesIO()
        contact_sheet(images).save(buffer, "PNG")
        write_bytes(grid, buffer.getvalue())
    emit(_text(images, found, grid), _payload(images, found, grid), as_json)


def _payload(images: ImageSet, found: Survey, grid: Path | None) -> dict[str, Any]:
    return {
        **images.describe(),
        "class_counts": images.class_counts(),
        "natural_sizes": [{"size": list(size), "images": n} for size, n in found.sizes.most_common()],
        "grey": found.grey,
        "alpha": found.alpha,
        "skipped_files": [{"name": name, "reason": reason} for name, reason in images.skipped],
        "grid": None if grid is None else str(grid),
    }


def _text(images: ImageSet, found: Survey, grid: Path | None) -> str:
    counts = images.counts()
    classes = f"{len(images.classes)} classes" if images.classes else "no classes (trains without labels)"
    lines = [
        f"{images.name}: {len(images):,} images, {classes}",
        f"splits: {counts['train']:,} train, {counts['val']:,} val, {counts['test']:,} test",
        f"natural sizes: {_sizes(found)}",
        f"kinds: {found.grey:,} of {len(found):,} grey, {found.alpha:,} with transparency",
        f"used as: {_transform(images)}",
    ]
    if images.dropped:
        lines.append(f"left out: {images.dropped:,} images whose twin is in another official split")
    for name, row in images.class_counts().items():
        lines.append(f"  {name:<24} {row['train']:>8,} train {row['val']:>7,} val {row['test']:>7,} test")
    if images.skipped:
        lines.append(f"skipped: {len(images.skipped):,}")
        lines += [f"  {name}: {reason}" for name, reason in images.skipped[:_SHOWN]]
        if len(images.skipped) > _SHOWN:
            lines.append(f"  and {len(images.skipped) - _SHOWN:,} more; --json names them all")
    if grid is not None:
        lines.append(f"contact sheet: {grid}")
    return "\n".join(lines)


def _sizes(found: Survey) -> str:
    shown = found.sizes.most_common(_SHOWN)
    text = ", ".join(f"{h}x{w} ({n:,})" for (h, w), n in shown)
    return text + (f" and {len(found.sizes) - _SHOWN:,} more" if len(found.sizes) > _SHOWN else "")


def _transform(images: ImageSet) -> str:
    t = images.transform
    kind = {1: "grey", 3: "RGB", 4: "RGBA"}[t.channels]
    return f"{t.size[0]}x{t.size[1]} {kind}, fit {t.fit}, alpha {t.alpha}"
