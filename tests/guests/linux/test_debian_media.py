"""Pictures, sound, pages and numbers: programs of Debian as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.installed import Row, same_as_on_linux

pytestmark = pytest.mark.slow

POSTSCRIPT = b"""/Helvetica findfont 20 scalefont setfont 72 700 moveto (Hello from a page) show
0 1 5 { dup mul == } for showpage
"""
PDF = b"""%PDF-1.4
1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj
2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj
3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents 4 0 R
/Resources<</Font<</F 5 0 R>>>>>> endobj
4 0 obj <</Length 43>> stream
BT /F 18 Tf 10 50 Td (Hello from a page) Tj ET
endstream endobj
5 0 obj <</Type/Font/Subtype/Type1/BaseFont/Helvetica>> endobj
trailer <</Root 1 0 R>>
"""
SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">
<circle cx="10" cy="10" r="8" fill="teal"/></svg>
"""
MODEL = b"""var x >= 0; var y >= 0; maximize z: 3*x + 2*y;
s.t. c: x + y <= 4; d: x + 3*y <= 6; solve; display x, y, z; end;
"""
PICTURE = b"P6\n8 8\n255\n" + bytes(range(192))
FFMPEG = "ffmpeg -hide_banner -loglevel error"
SOURCES = "-f lavfi -i testsrc=duration=0.4:size=64x48:rate=10 -f lavfi -i sine=duration=0.4"
EXACT = "-fflags +bitexact -flags:v +bitexact -flags:a +bitexact -threads 2"
"""Without versions and times; two threads whatever the machine has."""
TO = "-c:v mpeg4 -c:a aac -f matroska -"

ROWS = {
    "gs": Row(
        "ghostscript",
        ["gs", "-q", "-dNOPAUSE", "-dBATCH", "-sDEVICE=txtwrite", "-sOutputFile=-", "{here}/page"],
        files={"page": POSTSCRIPT},
        include=[
            "/usr/share/ghostscript",
            "/var/lib/ghostscript",
            "/usr/share/color/icc/ghostscript",
            "/usr/share/fonts/type1",
        ],
        large=True,
    ),
    "pdftotext": Row(
        "poppler-utils", ["pdftotext", "{here}/page", "-"], files={"page": PDF}, large=True
    ),
    "rsvg-convert": Row("librsvg2-bin", ["rsvg-convert"], SVG, large=True),
    "cwebp": Row("webp", ["cwebp", "-quiet", "-o", "-", "--", "-"], PICTURE),
    "convert": Row(
        "imagemagick",
        ["convert-im6.q16", "-size", "32x32", "gradient:red-blue", "-rotate", "45", "ppm:-"],
        include=["/etc/ImageMagick-6", "/usr/lib/x86_64-linux-gnu/ImageMagick-6*"],
        large=True,
    ),
    "dot": Row(
        "graphviz",
        ["dot", "-Tplain"],
        b"digraph g { a -> b; b -> c; a -> c }",
        include=["/usr/lib/x86_64-linux-gnu/graphviz"],
        large=True,
    ),
    "gnuplot": Row(
        "gnuplot-nox",
        ["gnuplot", "-e", "set terminal dumb 60 15; plot sin(x), cos(x)"],
        large=True,
    ),
    "troff": Row(
        "groff-base",
        ["troff", "-a"],
        b".sp\nhello \\fBworld\\fP\n",
        include=["/usr/share/groff"],
        large=True,
    ),
    "sox": Row(
        "sox",
        ["sox", "-R", "-n", "-t", "wav", "-", "synth", "0.05", "sine", "440", "reverb"],
        large=True,
    ),
    "ffmpeg": Row("ffmpeg", f"{FFMPEG} {SOURCES} {EXACT} {TO}".split(), large=True),
    "file": Row(
        "file",
        ["file", "-b", "/usr/bin/true", "{here}/picture.svg"],
        files={"picture.svg": SVG},
        include=["/usr/bin/true", "/usr/lib/file/magic.mgc", "/usr/share/misc/magic.mgc"],
    ),
    "figlet": Row("figlet", ["figlet", "limpet"], include=["/usr/share/figlet"]),
    "units": Row(
        "units", ["units", "-t", "3 miles", "km"], include=["/usr/share/units"], large=True
    ),
    "glpsol": Row(
        "glpk-utils", ["glpsol", "--math", "{here}/model"], files={"model": MODEL}, large=True
    ),
    "minisat": Row(
        "minisat", ["minisat", "-verb=0"], b"p cnf 2 2\n1 -2 0\n-1 2 0\n", status=10, large=True
    ),
    "gp": Row("pari-gp", ["gp", "-q", "-f"], b"factor(2^67-1)\nprint(zeta(3))\n", large=True),
}


@pytest.mark.parametrize("name", ROWS)
def test_as_on_linux(name: str, tmp_path: Path) -> None:
    """The same output and status, natively and on each backend."""
    same_as_on_linux(ROWS[name], tmp_path)
