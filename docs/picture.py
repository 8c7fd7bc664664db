"""Make the picture on the front page, docs/report.png, from the report on the embedded dataset.

    make repro
    python -m docs.picture

Needs Chromium on the PATH. The report of a licensed dataset is never read: its faces must not be published.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import click
from PIL import Image, ImageChops

from pipeline import paths
from pipeline.errors import InputError

PICTURE = Path(__file__).with_name("report.png")
LARGEST = 300_000
"""Bytes that the front page may ask its readers to load."""
WIDTH, HEIGHT = 900, 4000
"""Pixels that are offered to the page; what stays empty below it is cut off."""
SHOWN = {"scores": '<p class="faint">', "where": "<figcaption>"}
"""Sections of the report that are shown, and the first words in each that are not."""


def excerpt(page: str) -> str:
    """The report with only what the picture shows, as HTML.

    Raises
    ------
    InputError
        The page lacks one of the sections of `SHOWN`.
    """
    head, *sections = re.split(r'(?=<h2 id=")', page)
    parts = [re.sub(r"<nav>.*?</nav>", "", head, flags=re.DOTALL)]
    for name, end in SHOWN.items():
        found = [section for section in sections if section.startswith(f'<h2 id="{name}"') and end in section]
        if len(found) != 1:
            raise InputError(f"expected one section {name} with {end} in the report, found {len(found)}")
        parts.append(found[0].partition(end)[0])
    return "".join(parts)


def draw(page: str, target: Path) -> None:
    """Draw an HTML page as a PNG of 256 colours, without the empty space below it.

    Raises
    ------
    InputError
        There is no Chromium.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise InputError("chromium is missing: install it (Debian and Ubuntu: apt install chromium)")
    with tempfile.TemporaryDirectory() as folder:
        source, shot = Path(folder, "page.html"), Path(folder, "page.png")
        source.write_text(page, encoding="utf-8")
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={shot}", source.as_uri()]
        subprocess.run(command, check=True, capture_output=True)
        picture = Image.open(shot).convert("RGB")
    paper = Image.new("RGB", picture.size, picture.getpixel((0, 0)))
    drawn = ImageChops.difference(picture, paper).getbbox() or (0, 0, WIDTH, HEIGHT)
    picture = picture.crop((0, 0, WIDTH, min(drawn[3] + 20, HEIGHT)))
    palette = picture.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=1)
    picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(target, optimize=True)


@click.command()
def main() -> None:
    """Draw docs/report.png from results/synthetic/report.html."""
    report = paths.report("synthetic")
    try:
        if not report.is_file():
            raise InputError(f"{report}: expected the report on the embedded dataset, found no file: run `dvc repro`")
        draw(excerpt(report.read_text(encoding="utf-8")), PICTURE)
    except InputError as error:
        raise click.ClickException(str(error)) from error
    size = PICTURE.stat().st_size
    click.echo(f"{PICTURE}: {size / 1000:.0f} kB")
    if size > LARGEST:
        raise click.ClickException(f"{PICTURE}: expected at most {LARGEST:,} bytes: lower WIDTH in docs/picture.py")


if __name__ == "__main__":
    main()
