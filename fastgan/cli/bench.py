"""`fastgan bench`: how fast this machine runs GANs with fastgan and with everything else, each behind a gate."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from fastgan.bench.compare import ABSOLUTE_SECONDS, RELATIVE, Slack, compare
from fastgan.bench.engines import OURS, is_ours
from fastgan.bench.options import SUITES, WAITING, Options, peer_names
from fastgan.bench.output import default_out, read_result, write_result
from fastgan.bench.report import text
from fastgan.bench.run import FORMAT, run
from fastgan.cli.console import emit, note
from fastgan.cli.parse import parse_size
from fastgan.device import DEVICES, PRECISIONS
from fastgan.files import write_json

_COMPARE = "compare"
_PEERS = ", ".join(peer_names("all"))


def bench(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help=f"{', '.join(SUITES)}; or compare.")] = SUITES[0],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="A.json B.json", help="For compare: the old and the new result.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images a call. [default: the suite's sizes]")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Turns of each engine. [default: of the suite]")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of every engine. [default: all processors]")] = None,
    peers: Annotated[
        str, typer.Option(metavar="LIST", help=f"installed, all, none, or some of {_PEERS}.")
    ] = "installed",
    peer_python: Annotated[
        str | None, typer.Option(metavar="PATH", help="The Python that has TensorFlow and JAX, if it is another.")
    ] = None,
    size: Annotated[str, typer.Option(metavar="HxW", help="Of the images.")] = "64x64",
    width: Annotated[int, typer.Option(min=1, help="Channels of the generator's last hidden map.")] = 64,
    waiting: Annotated[
        str, typer.Option(help="How idle threads wait: passive, default, or both, one after the other.")
    ] = "both",
    seconds: Annotated[float, typer.Option(min=0.0, help="Least length of a timed block.")] = 0.3,
    device: Annotated[Literal[DEVICES], typer.Option(help="Where the engines compute.")] = "cpu",
    precision: Annotated[
        Literal[PRECISIONS] | None,
        typer.Option(help="Of all engines; half is for --device cuda. [default: fp32, of gpu-model fp16]"),
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Also write the result there; - prints it instead.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the page, pictures and results.json. [default: bench-results/...]")
    ] = None,
    slack: Annotated[float, typer.Option(min=0.0, help="For compare: share of the old time that is noise.")] = RELATIVE,
    slack_us: Annotated[
        float, typer.Option(min=0.0, help="For compare: microseconds of a call that are noise.")
    ] = ABSOLUTE_SECONDS * 1e6,
) -> None:
    """Time fastgan against every engine that is installed, after checking that all compute the same.

    Without arguments a quick suite of about two minutes. `compare` fails at the first regression.

    Example: fastgan bench generator --batch 64 --rounds 3
    """
    if suite == _COMPARE:
        _compare(files or [], Slack(slack, slack_us / 1e6))
        return
    options = _options(
        suite, files, batch, rounds, threads, peers, peer_python, size, width, waiting, seconds, precision, device
    )
    result = run(options, note)
    _deliver(result, json_file, out or default_out(suite))


def _options(
    suite, files, batch, rounds, threads, peers, peer_python, size, width, waiting, seconds, precision, device
) -> Options:
    if suite not in SUITES:
        raise typer.BadParameter(f"SUITE must be one of {', '.join(SUITES)} or compare, got {suite!r}")
    if files:
        raise typer.BadParameter(f"{files[0]} is for compare alone; the folder of a result is --out")
    if waiting not in ("both", *WAITING):
        raise typer.BadParameter(f"--waiting must be one of both, {', '.join(WAITING)}, got {waiting!r}")
    ways = WAITING if waiting == "both" else (waiting,)
    height_width = parse_size(size)
    place = precision, device
    try:
        return Options(
            suite, batch, rounds, threads or 0, peers, peer_python, height_width, width, ways, seconds, *place
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _deliver(result: dict, json_file: str | None, out: Path) -> None:
    written = write_result(result, out)
    if json_file == "-":
        emit("", result, True)
    else:
        if json_file:
            write_json(Path(json_file), result)
        emit(text(result), result, False)
    note(f"\n{written[0]}")
    if result["interrupted"]:
        raise typer.Exit(130)
    if wrong := [record for record in result["records"] if _failed(record)]:
        raise ValueError(f"{wrong[0]['suite']}, {wrong[0]['case']}, batch {wrong[0]['batch']}: {wrong[0]['refused']}")


def _failed(record: dict) -> bool:
    """fastgan is wrong, or its default does not run; a choice that is forced may not be there."""
    said = record["refused"]
    return bool(said) and (record["backend"] == OURS or (is_ours(record["backend"]) and said.startswith("wrong")))


def _compare(files: list[Path], slack: Slack) -> None:
    if len(files) != 2:
        raise typer.BadParameter(f"compare needs the old and the new JSON file, got {len(files)} files")
    comparison = compare(*(read_result(path, FORMAT) for path in files), slack)
    lines = [*comparison.lines, *(f"{title}: in one of them alone" for title in comparison.left_out)]
    sys.stdout.write("\n".join(lines) + "\n")
    if comparison.regression:
        raise ValueError(f"regression: {comparison.regression}")
