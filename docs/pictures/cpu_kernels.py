"""The drawings of docs/cpu-kernels.md: `python docs/pictures/cpu_kernels.py` writes the SVG files beside this one."""

from html import escape
from itertools import product
from pathlib import Path

INK, MUTED, RULE, PAPER, BLANK = "#22211e", "#5c5952", "#8f8b80", "#ffffff", "#f3f1ec"
PHASES = ("#c6def2", "#fbdcb8", "#cdeacb", "#e8d2ee")
OURS = "#b8500f"


class Drawing:
    def __init__(self, width: int, height: int, title: str):
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'font-family="Helvetica, Arial, sans-serif" role="img">',
            f"<title>{escape(title)}</title>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
            f'<path d="M0 0 8 4 0 8z" fill="{INK}"/></marker></defs>',
            f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
        ]

    def box(self, x: float, y: float, width: float, height: float, fill: str = PAPER, line: str = RULE, weight=1.0):
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}" stroke="{line}" '
            f'stroke-width="{weight:g}"/>'
        )

    def text(self, x: float, y: float, words: str, size=12, color: str = INK, anchor="middle", bold=False):
        """Lines, the first one's base at y."""
        weight = ' font-weight="bold"' if bold else ""
        for i, line in enumerate(words.split("\n")):
            self._parts.append(
                f'<text x="{x:g}" y="{y + i * 1.25 * size:g}" font-size="{size}" fill="{color}" '
                f'text-anchor="{anchor}"{weight}>{escape(line)}</text>'
            )

    def cell(self, x: float, y: float, width: float, height: float, words="", fill: str = PAPER, size=12, weight=1.0):
        """A box with lines in its middle."""
        self.box(x, y, width, height, fill, weight=weight)
        if words:
            lines = words.count("\n") + 1
            self.text(x + width / 2, y + height / 2 + 0.36 * size - (lines - 1) * 0.625 * size, words, size)

    def arrow(self, *points: tuple[float, float], color: str = INK):
        path = " ".join(f"{x:g} {y:g}" for x, y in points)
        self._parts.append(
            f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="1.4" marker-end="url(#tip)"/>'
        )

    def __str__(self) -> str:
        return "\n".join([*self._parts, "</svg>\n"])


def phases() -> Drawing:
    """A transposed convolution 4x4 of stride 2, padding 1, as four correlations 2x2."""
    d = Drawing(880, 470, "A transposed 4x4 convolution of stride 2 as four 2x2 correlations, one per output phase")
    top, side = 50, 34
    d.text(30, 30, "input x", 13, anchor="start", bold=True)
    for r, c in product(range(4), repeat=2):
        d.box(30 + c * side, top + r * side, side, side, BLANK if r < 3 and c < 3 else PAPER)
    d.box(30, top, 3 * side, 3 * side, "none", INK, 2.2)
    d.text(30 + 1.5 * side, top + 1.5 * side + 4, "i, j")
    d.text(30, top + 4 * side + 22, "one pixel and its\n3x3 neighbours", 12, MUTED, "start")
    left = 270
    d.text(left, 30, "weight w: 4x4 taps", 13, anchor="start", bold=True)
    for r, c in product(range(4), repeat=2):
        d.cell(left + c * 44, top + r * 44, 44, 44, f"w{r}{c}", PHASES[phase_of(r, c)])
    d.text(left, top + 4 * 44 + 22, "every second tap, down and\nacross, has the same phase", 12, MUTED, "start")
    left = 540
    d.text(left, 30, "output y: twice as high and wide", 13, anchor="start", bold=True)
    for r, c in product(range(8), repeat=2):
        d.box(left + c * 24, top + r * 24, 24, 24, PHASES[2 * (r % 2) + c % 2])
    d.box(left + 48, top + 48, 48, 48, "none", INK, 2.2)
    d.text(
        left + 206,
        top + 62,
        "the four outputs of\nthe pixel: 2i, 2i + 1\nby 2j, 2j + 1,\none of each phase",
        12,
        MUTED,
        "start",
    )
    names = ("y[2i, 2j]", "y[2i, 2j + 1]", "y[2i + 1, 2j]", "y[2i + 1, 2j + 1]")
    for phase, name in enumerate(names):
        left, below = 30 + phase * 214, 330
        down, right = divmod(phase, 2)
        d.text(left, below - 14, f"phase {phase}", 13, anchor="start", bold=True)
        for r, c in product(range(3), repeat=2):
            inside = down <= r < down + 2 and right <= c < right + 2
            d.cell(
                left + c * 26,
                below + r * 26,
                26,
                26,
                "i, j" if r == c == 1 else "",
                PHASES[phase] if inside else PAPER,
                10,
            )
        d.text(left + 93, below + 44, "×", 18)
        for r, c in product(range(2), repeat=2):
            ky, kx = (3 - down - 2 * r, 3 - right - 2 * c)
            d.cell(left + 108 + c * 36, below + 3 + r * 36, 36, 36, f"w{ky}{kx}", PHASES[phase])
        d.text(left, below + 106, f"their sum is {name}", 12, MUTED, "start")
    return d


def phase_of(ky: int, kx: int) -> int:
    return 2 * (1 - ky % 2) + 1 - kx % 2


PLANES = (
    ("d00 − d01", "− d10 + d11"), ("d01 − d11",), ("d01 − d02", "− d11 + d12"),
    ("d10 − d11",), ("d11",), ("d11 − d12",),
    ("d10 − d11", "− d20 + d21"), ("d11 − d21",), ("d11 − d12", "− d21 + d22"),
)  # fmt: skip
TAPS = (
    ("g00",), ("g00 + g01",), ("g01",),
    ("g00 + g10",), ("g00 + g01", "+ g10 + g11"), ("g01 + g11",),
    ("g10",), ("g10 + g11",), ("g11",),
)  # fmt: skip
OUTPUTS = ("m0 + m1\n+ m3 + m4", "m1 − m2\n+ m4 − m5", "m3 + m4\n− m6 − m7", "m4 − m5\n− m7 + m8")


def tile() -> Drawing:
    """F(2x2, 2x2) of one tile, phase, input channel and output channel."""
    d = Drawing(880, 420, "One tile of F(2x2, 2x2): nine products for four outputs")
    wide, high = 82, 40
    for top, name, cells, source in ((50, "nine planes of inputs", PLANES, 3), (250, "nine sums of taps", TAPS, 2)):
        title = "3x3 inputs" if source == 3 else "2x2 taps"
        letter, fill = ("d", PHASES[0]) if source == 3 else ("g", PHASES[1])
        inset = (120 - source * 36) / 2
        d.text(24, top - 14, title, 13, anchor="start", bold=True)
        for r, c in product(range(source), repeat=2):
            d.cell(24 + c * 36, top + inset + r * 36, 36, 36, f"{letter}{r}{c}", fill)
        d.arrow((24 + source * 36 + 8, top + 60), (186, top + 60))
        d.text(194, top - 14, name, 13, anchor="start", bold=True)
        for p, lines in enumerate(cells):
            d.cell(194 + p % 3 * wide, top + p // 3 * high, wide, high, "\n".join(lines), fill, 11)
    d.text(24, 192, "transform_inputs: subtractions", 12, MUTED, "start")
    d.text(24, 392, "added as the micro-kernel reads them", 12, MUTED, "start")
    left, top = 510, 150
    d.arrow((194 + 3 * wide + 6, 110), (470, 110), (470, 186), (left - 6, 186))
    d.arrow((194 + 3 * wide + 6, 310), (470, 310), (470, 234), (left - 6, 234))
    d.text(484, 215, "×", 20)
    d.text(left, top - 14, "nine products", 13, anchor="start", bold=True)
    for p in range(9):
        d.cell(left + p % 3 * 40, top + p // 3 * 40, 40, 40, f"m{p}", PHASES[2])
    d.text(left, top + 144, "of each input channel,\nsummed over channels", 12, MUTED, "start")
    d.arrow((left + 128, top + 60), (left + 166, top + 60))
    left += 174
    d.text(left, top - 14, "2x2 outputs", 13, anchor="start", bold=True)
    for i, words in enumerate(OUTPUTS):
        d.cell(left + i % 2 * wide, top + 12 + i // 2 * 48, wide, 48, words, PHASES[3], 11)
    d.text(left, top + 144, "transform_products,\nonce for all channels", 12, MUTED, "start")
    return d


def path() -> Drawing:
    """One group of tiles of 128 -> 64 channels, 16x16 to 32x32, through the machine."""
    d = Drawing(880, 500, "The path of a group of tiles through memory, caches and registers")
    bands = (("memory,\nL3", 40, 86), ("L2\n1 MiB", 136, 96), ("L1\n48 KiB", 242, 96), ("registers", 348, 96))
    for name, top, height in bands:
        d.box(14, top, 852, height, BLANK, "#d8d4c8")
        d.text(24, top + height / 2 - 2, name, 12, MUTED, "start", bold=True)
    for x, words in ((160, "1 load"), (302, "2 inputs"), (480, "3 products"), (658, "4 outputs"), (794, "5 finish")):
        d.text(x, 26, words, 13, OURS, bold=True)
    x0, x1, x2, x3, x4 = 104, 236, 400, 592, 738
    d.cell(x0, 54, 112, 58, "input map x\n4 images\n512 KiB", PHASES[0], 11)
    d.cell(x2, 54, 160, 58, "packed weights\n[panel][phase][tap]\n[channel][16], 512 KiB", PHASES[1], 11)
    d.cell(x4, 54, 112, 58, "output map y\n1 MiB", PHASES[3], 11)
    d.cell(x0, 152, 112, 64, "padded rows\n4 x 18 x 18 x 128\n648 KiB", PHASES[0], 11)
    d.cell(x1, 152, 132, 64, "slab of planes\n1 block x 25 planes\n402 KiB", PHASES[0], 11)
    d.cell(x3, 152, 132, 64, "products of 64 tiles\n2 wide panels\nof 202 KiB", PHASES[2], 11)
    d.cell(x1, 258, 132, 64, "12 tiles\nx 64 channels\n3 KiB", PHASES[0], 11)
    d.cell(x2, 258, 160, 64, "a product's weights,\nformed of 4 taps:\n64 x 32, 8 KiB", PHASES[1], 11)
    d.cell(x3, 258, 132, 64, "outputs of 6 tiles\n96 pixels x 32\n12 KiB", PHASES[3], 11)
    d.cell(x0, 364, 112, 64, "s x + t, act", PAPER, 11)
    d.cell(x1, 364, 132, 64, "5x5 inputs\nto 25 planes", PAPER, 11)
    d.cell(x2, 364, 160, 64, "12 x 2 vectors of sums\n+ 2 of weights\n+ 1 input, broadcast", PHASES[2], 11, weight=2)
    d.cell(x3, 364, 132, 64, "25 products\nto 16 outputs", PAPER, 11)
    d.cell(x4, 364, 112, 64, "bias;\nor act', s,\nds and dt", PAPER, 11)
    d.arrow((x0, 83), (x0 - 12, 83), (x0 - 12, 396), (x0, 396))
    d.arrow((x0 + 56, 364), (x0 + 56, 216))
    d.arrow((x0 + 112, 184), (x1 - 9, 184), (x1 - 9, 396), (x1, 396))
    d.arrow((x1 + 132, 396), (x1 + 143, 396), (x1 + 143, 184), (x1 + 132, 184))
    d.arrow((x1 + 66, 216), (x1 + 66, 258))
    d.arrow((x1 + 100, 322), (x1 + 100, 343), (x2 + 30, 343), (x2 + 30, 364))
    d.arrow((x2 + 80, 112), (x2 + 80, 258))
    d.arrow((x2 + 80, 322), (x2 + 80, 364))
    d.arrow((x2 + 160, 384), (x2 + 171, 384), (x2 + 171, 172), (x3, 172))
    d.arrow((x3, 198), (x2 + 183, 198), (x2 + 183, 408), (x3, 408))
    d.arrow((x3 + 66, 364), (x3 + 66, 322))
    d.arrow((x3 + 132, 290), (x4 + 30, 290), (x4 + 30, 364))
    d.arrow((x4 + 84, 364), (x4 + 84, 112))
    note = (
        "Numbers: 128 to 64 channels, 16x16 to 32x32, AVX-512, float32, a group of 4 images (64 tiles a phase). "
        "Where a cache is\nnamed, that is what a size was chosen for; the hardware decides. "
        "Steps 2 to 4 are repeated for each phase, slab and wide panel."
    )
    d.text(24, 466, note, 12, MUTED, "start")
    return d


if __name__ == "__main__":
    for name, drawing in (("phases", phases()), ("tile", tile()), ("path", path())):
        Path(__file__).with_name(f"cpu-kernels-{name}.svg").write_text(str(drawing), encoding="utf-8")
