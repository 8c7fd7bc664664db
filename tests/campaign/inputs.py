"""Bad inputs, each with the words that its error must have: what is given, to what, and what must be said of it.

Every one must end in the error for the person at the keyboard, soon, without a traceback, and with nothing written.
"""

import dataclasses
import datetime
import functools
import io
import json
import os
import signal
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import click
import cv2
import numpy as np
import pandas as pd
import torch
from click.testing import CliRunner
from PIL import Image
from ruamel.yaml import YAML

from pipeline.__main__ import main
from pipeline.databases import readers
from pipeline.errors import InputError
from pipeline.evaluation import protocols
from pipeline.flow import estimators
from pipeline.frames.video_file import VideoFile
from pipeline.learning.checkpoint import Checkpoint
from pipeline.networks.stanet import trained
from pipeline.networks.stanet.network import STANet
from pipeline.params import load_params, parse_params
from pipeline.storage import class_names, parts, sources, tables
from tests.campaign.outcome import Outcome
from tests.conftest import write_frame
from tests.official import write_xlsx
from tests.stages.conftest import ROOT

_SECONDS = 20


class Case(NamedTuple):
    """A bad input."""

    kind: str
    name: str
    give: Callable[[Path], object]
    """Gives it, in an empty folder."""
    words: tuple[str, ...]
    """What the error must have."""


class _TooLong(Exception):
    pass


def run(outcome: Outcome) -> None:
    """Try all cases."""
    for case in cases():
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            outcome.add(f"bad inputs: {case.kind}", case.name, _fault(case, Path(folder)))


def _fault(case: Case, folder: Path) -> str | None:
    def late(number: int, frame: object) -> None:
        raise _TooLong

    signal.signal(signal.SIGALRM, late)
    signal.alarm(_SECONDS)
    try:
        case.give(folder)
    except (InputError, click.ClickException) as error:
        said = str(error)
        missing = [word for word in case.words if word not in said]
        return f"the error lacks {missing}: {said[:300]}" if missing or not said else None
    except _TooLong:
        return f"no answer within {_SECONDS} s"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    finally:
        signal.alarm(0)
    return "it was accepted"


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _settings()
    yield from _yaml_files()
    yield from _tables()
    yield from _table_files()
    yield from _pictures()
    yield from _videos()
    yield from _networks()
    yield from _results()
    yield from _commands()


# --- params.yaml ------------------------------------------------------------------------------------------------------

_NO_COUNT = (0, -1, 1.5, "two", None, True, [1], 2**40, 10**30, float("inf"), float("nan"))
_VALUES: dict[str, tuple[Any, ...]] = {
    "seed": (-1, 1.5, "x", None, 2**64, float("nan")),
    "lambda": (-1e-9, "x", None, float("inf"), float("nan"), 1e12, [1]),
    "dataset": ("", "casme", None, 3, "a b"),
    "classes": ("four", None, 3),
    "subjects": ([], ["one"], ["a", "a"], "sub01", None, [1, 2], ["a b", "c"], ["a;rm -rf", "c"], ["$(x)", "c"]),
    "protocol": ("", "k-fold", "database", "kfold", None, 3),
    "folds": ([], ["sub01"], ["a", "a"], ["fold1", "fold2"], "sub01", None, [1, 2], ["a b", "c"], ["$(x)", "c"]),
    "held_out": ([], ["nobody"], "some", None, 3),
    "interpolation.frames": (*_NO_COUNT, 1, 10**4),
    "resize.size": (*_NO_COUNT, 63, 10**6),
    "flow.method": ("", "flownet", None, 1),
    "flow.weights": (None, 3, "a\0b", "x" * 2000),
    "flow.tf32": ("yes", 1, None),
    "model.spatial_attention": ("yes", 1, None),
    "model.pooling": (*_NO_COUNT, 65),
    "model.regions": (*_NO_COUNT, 1000),
    "model.readout": ("first", None, 1),
    "train.epochs": (*_NO_COUNT, 10**7),
    "train.lr": (0, -1, "x", None, float("inf"), 1e9),
    "train.weight_decay": (-1, "x", None, float("nan"), 1e12),
    "train.batch_size": (*_NO_COUNT, 10**6),
    "train.threads": (*_NO_COUNT, 10**6),
    "train.precision": ("float16", None, 32),
    "train.augmentation.crop": (*_NO_COUNT, 31, 10**5),
    "train.augmentation.scales": ([], [0], [-1], [1e9], ["x"], None, 1, [1.0] * 100, [float("nan")]),
    "train.augmentation.views": ("some", None, 1),
    "selection.epochs": ([0], [-1], [1.5], ["x"], [2, 2], 3, None, [10**7]),
    "selection.lambda": ([-1], ["x"], [float("nan")], [1e-8, 1e-8], 1e-8, None, [1e12]),
    "selection.folds": (*_NO_COUNT, 1, 101),
    "selection.score": ("uar", None, 1),
    "networks.names": (["vgg"], ["stanet"], ["cnn_lstm", "cnn_lstm"], "cnn_lstm", None, [1]),
    "networks.cnn_lstm": (None, [], 3, {"epoch": 1}, {"weights": {"class": 1}}),
    "networks.cnn_lstm.epochs": (*_NO_COUNT, 10**7),
    "networks.cnn_lstm.features": (*_NO_COUNT,),
    "networks.cnn_lstm.lr": (0, -1, "x", None, float("inf"), 1e9),
    "networks.cnn_lstm.weights.class_error": (-1, "x", None, float("nan")),
    "synthesize.subjects": (*_NO_COUNT, 10**6),
    "synthesize.height": (*_NO_COUNT, 10**6),
    "synthesize.frames": ([1], [0, 5], "x", None, [1, 10**9]),
    "synthesize.noise": (-1, "x", None, float("inf"), 1e9),
    "synthesize.layout": ("smic2", None),
    "runtime.device": ("gpu", "cuda:x", None, 0),
    "runtime.progress": ("yes", 1, None),
    "report.clips": (["a", "a"], list("abcde"), "x", None),
    "databases": ({}, None, 3, []),
    "databases.synthetic.raw": ("relative", "../up", "/a/../b", None, "/a\0b", "/" + "x" * 2000),
    "databases.synthetic.missing_frames": ("accept", 0, -1, 2.5, True, None),
    "databases.synthetic.face": ("cut", None),
    "databases.synthetic.face_boxes": ({"a": [1, 2, 3]}, {"a": [0, 0, 0, 5]}, {"a": [0, 0, 10**12, 5]}, [], None),
    "databases.synthetic.annotation.file": ("", "../x", None, "/elsewhere", "a\nb"),
    "databases.synthetic.annotation.sha256": ("xyz", None, 3),
}


def _settings() -> Iterator[Case]:
    for key, values in _VALUES.items():
        for value in values:

            def give(folder: Path, key: str = key, value: Any = value) -> None:
                yaml = YAML()
                document = yaml.load(ROOT / "params.yaml")
                section = document
                *path, last = key.split(".")
                for name in path:
                    section = section[name]
                section[last] = value
                text = io.StringIO()
                yaml.dump(document, text)
                parse_params(text.getvalue(), Path("params.yaml"))

            shown = repr(value) if len(repr(value)) < 60 else f"{repr(value)[:50]}..."
            yield Case("params.yaml, values", f"{key}: {shown}", give, ("params.yaml",))


def _yaml_files() -> Iterator[Case]:
    text = (ROOT / "params.yaml").read_text()
    broken = {
        "empty": "",
        "a list": "- 1\n",
        "a word": "hello\n",
        "no YAML": "a: [1\n",
        "a tabulator": "a:\n\tb: 1\n",
        "NUL": text + "\0",
        "a key twice": text + "seed: 1\n",
        "an unknown key": text + "speed: 1\n",
        "a misspelt key": text.replace("lambda:", "lamda:"),
        "an alias of itself": "a: &a [*a]\n",
        "a mapping in itself": text.replace("\nseed: 0", "\nseed: &x {a: *x}"),
        "a billion": "a: &a [1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)),
        "deep": "[" * 5000,
        "deep mappings": "a: " + "{a: " * 3000 + "1" + "}" * 3000,
        "a key that is a list": "? [a]\n: 1\n" + text,
        "a long number": f"seed: {'9' * 6000}\n",
        "a tag": "!!python/object/apply:os.system ['true']\n",
        "old form": "dataset: casme\nraw: /x\n",
    }
    for name, content in broken.items():

        def give(folder: Path, content: str = content) -> None:
            (folder / "params.yaml").write_text(content)
            load_params(Path("params.yaml"))

        yield Case("params.yaml, files", name, give, ("params.yaml",))

    def bytes_of(content: bytes) -> Callable[[Path], object]:
        return lambda folder: ((folder / "params.yaml").write_bytes(content), load_params(Path("params.yaml")))

    yield Case("params.yaml, files", "no UTF-8", bytes_of(b"\xff\xfe\xff"), ("params.yaml",))
    yield Case("params.yaml, files", "missing", lambda folder: load_params(Path("params.yaml")), ("params.yaml",))
    yield Case(
        "params.yaml, files", "a folder", lambda f: ((f / "p").mkdir(), load_params(Path("p"))), ("p: expected",)
    )
    yield Case("params.yaml, files", "a pipe", lambda f: (os.mkfifo("p"), load_params(Path("p"))), ("p: expected",))


# --- tables of clips --------------------------------------------------------------------------------------------------


def _clips(folder: Path) -> list[dict[str, Any]]:
    rows = []
    for subject in ("p1", "p2"):
        for clip, label in (("a", "joy"), ("b", "fear")):
            frames = folder / subject / clip
            frames.mkdir(parents=True, exist_ok=True)
            for number in (1, 2, 3):
                write_frame(frames / f"{number}.png", number, 12, 10)
            rows.append(
                {
                    "clip": f"{subject}/{clip}",
                    "subject": subject,
                    "label": label,
                    "onset": 1,
                    "offset": 3,
                    "frames": f"{subject}/{clip}",
                }
            )
    return rows


_ROWS: dict[str, tuple[tuple[Any, str], ...]] = {
    "clip": (
        ("", "expected an id"),
        ("p2/a", "the same clip"),
        ("P2/A", "the same clip"),
        ("p1", "of no other clip's level"),
        ("../a", "expected an id"),
        ("/a", "expected an id"),
        ("a b", "expected an id"),
        ("a//b", "expected an id"),
        (".hidden", "expected an id"),
        ("c" * 280, "bytes, at most"),
        ("ü" * 140, "bytes, at most"),
        ("a\x07", "expected an id"),
        ("=a", "expected an id"),
        ("$(x)", "expected an id"),
        ("a;b", "expected an id"),
        ("p1/../a", "expected an id"),
    ),
    "subject": (
        ("", "expected a subject"),
        ("P2", "is written P2"),
        ("a b", "expected a subject"),
        ("-x", "expected a subject"),
        ("--help", "expected a subject"),
        ("a/b", "expected a subject"),
        ("..", "expected a subject"),
        ("a;b", "expected a subject"),
        ("$(x)", "expected a subject"),
        ("a\0b", "expected a subject"),
        ("ü", "expected a subject"),
        ("p\u200b1", "expected a subject"),
        ("s" * 252, "bytes, at most"),
        ("=1", "expected a subject"),
    ),
    "label": (
        ("", "no label"),
        ("jo\u200by", "U+200B"),
        ("\u202ejoy", "U+202E"),
        ("joy\x08", "U+0008"),
        ("jo\0y", "U+0000"),
        ("jo\ufffey", "U+FFFE"),
        ("ｊoy", "looks like"),
        ("=joy", "formula"),
        ("+joy", "formula"),
        ("-joy", "formula"),
        ("@joy", "formula"),
        ("l" * 90, "bytes, at most"),
    ),
    "onset": (
        ("", "frame numbers"),
        ("x", "frame numbers"),
        (1.5, "frame numbers"),
        (3, "not before"),
        (4, "not before"),
        (0, "frame 0"),
        (-(10**9), "missing"),
        ("inf", "frame numbers"),
    ),
    "offset": (
        ("", "frame numbers"),
        ("nan", "frame numbers"),
        (2.5, "frame numbers"),
        (1, "not before"),
        (4, "frame 4"),
        (10**9, "frames 4-1000000000"),
        (10**18, "missing"),
        (10**300, "missing"),
        ("1e400", "frame numbers"),
    ),
    "frames": (
        ("", "expected a folder"),
        ("nowhere", "is missing"),
        ("p2/a", "the same frames"),
        ("p2/../p2/a", "the same frames"),
        ("../x", "leads out"),
        ("/etc", "leads out"),
        ("p1/a/1.png", "is missing"),
        ("f/" * 2500, "bytes, at most"),
        ("f" * 300, "255 bytes"),
        ("a\0b", "U+0000"),
        ("pipe", "is missing"),
        ("empty", "found none"),
    ),
    "n_frames": ((7, "n_frames is 7"), (0, "n_frames is 0"), ("x", "n_frames is x")),
}


def _tables() -> Iterator[Case]:
    for column, values in _ROWS.items():
        for value, words in values:

            def give(folder: Path, column: str = column, value: Any = value) -> None:
                rows = _clips(folder)
                os.mkfifo(folder / "pipe")
                (folder / "empty").mkdir()
                rows[0][column] = value
                pd.DataFrame(rows).to_csv(folder / "clips.csv", index=False)
                readers.read("table", folder)

            shown = repr(value) if len(repr(value)) < 60 else f"{repr(value)[:50]}..."
            yield Case("tables, cells", f"{column} {shown}", give, (words, "clips.csv"))


def _table_files() -> Iterator[Case]:
    def table(change: Callable[[str], str | bytes], name: str = "clips.csv") -> Callable[[Path], object]:
        def give(folder: Path) -> None:
            text = pd.DataFrame(_clips(folder)).to_csv(index=False)
            content = change(text)
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
            readers.read("table", folder)

        return give

    kind = "tables, files"
    yield Case(kind, "empty", table(lambda text: ""), ("has no column clip",))
    yield Case(kind, "the header alone", table(lambda text: text.splitlines()[0]), ("no sample at all",))
    yield Case(kind, "no header", table(lambda text: text.partition("\n")[2]), ("has no column",))
    for column in ("clip", "subject", "label", "onset", "offset", "frames"):
        without = table(lambda text, column=column: text.replace(column, f"x{column}", 1))
        yield Case(kind, f"without {column}", without, (f"has no column {column}",))
        twice = table(lambda text, column=column: text.replace(column, f"{column},{column.title()} ", 1))
        yield Case(kind, f"{column} twice", twice, ("expected one column", column))
    for number in (1, 2, 3):

        def quoted(text: str, number: int = number) -> str:
            lines = text.splitlines()
            lines[number] = lines[number].replace("p", '"p', 1)
            return "\n".join(lines)

        yield Case(kind, f"an open quotation mark in row {number + 1}", table(quoted), (f"clips.csv:{number + 1}",))
    yield Case(kind, "a cell too many", table(lambda text: text.replace("joy", "joy,ful", 1)), ("clips.csv:2",))
    yield Case(kind, "Latin 1", table(lambda text: text.replace("joy", "gröl").encode("latin-1")), ("UTF-8",))
    yield Case(kind, "zeros", table(lambda text: bytes(500)), ("has no column",))
    yield Case(kind, "noise as .xlsx", table(lambda text: b"PK" + bytes(90), "x.xlsx"), ("x.xlsx cannot be read",))
    yield Case(kind, "noise as .xls", table(lambda text: b"\xd0\xcf" + bytes(90), "x.xls"), ("x.xls cannot be read",))
    yield Case(kind, "no table", lambda folder: (_clips(folder), readers.read("table", folder)), ("found none",))
    yield Case(kind, "no folder", lambda folder: readers.read("table", folder / "x"), ("found nothing at",))

    def several(folder: Path) -> None:
        for name in ("a.csv", "b.csv"):
            pd.DataFrame(_clips(folder)).to_csv(folder / name, index=False)
        readers.read("table", folder)

    yield Case(kind, "two tables", several, ("a.csv", "b.csv"))

    def sheets(folder: Path) -> None:
        with pd.ExcelWriter(folder / "x.xlsx") as book:
            for name in ("one", "two"):
                pd.DataFrame(_clips(folder)).to_excel(book, sheet_name=name, index=False)
        readers.read("table", folder)

    yield Case(kind, "two sheets", sheets, ("x.xlsx", "one, two"))
    for cell, word in ((datetime.date(2024, 3, 5), "a date"), (datetime.time(3, 5), "a time"), (True, "a truth value")):

        def changed(folder: Path, cell: object = cell) -> None:
            rows = _clips(folder)
            rows[0]["label"] = cell
            write_xlsx(folder / "x.xlsx", [list(rows[0]), *(list(row.values()) for row in rows)])
            readers.read("table", folder)

        yield Case(kind, f"{word} as a label", changed, ("x.xlsx:2: label", word, "Format the column as text"))

    def linked(folder: Path) -> None:
        pd.DataFrame(_clips(folder)).to_csv(folder / "clips.csv", index=False)
        (folder / "link").symlink_to(folder / "p1")
        readers.read("table", folder)

    yield Case(kind, "a linked folder", linked, ("found links", "link"))
    yield Case(
        kind,
        "all clips excluded",
        lambda f: (
            pd.DataFrame(_clips(f)).to_csv(f / "clips.csv", index=False),
            readers.read("table", f, ["p1/a", "p1/b", "p2/a", "p2/b"]),
        ),
        ("no sample at all",),
    )


# --- pictures and videos ----------------------------------------------------------------------------------------------


def _pictures() -> Iterator[Case]:
    def frame(change: Callable[[bytes], bytes], suffix: str) -> Callable[[Path], object]:
        def give(folder: Path) -> None:
            rows = _clips(folder)
            old = folder / "p1/a/2.png"
            new = old.with_suffix(suffix)
            write_frame(new, 5, 12, 10)
            content = change(new.read_bytes())
            old.unlink(missing_ok=True)
            new.write_bytes(content)
            pd.DataFrame(rows).to_csv(folder / "clips.csv", index=False)
            readers.read("table", folder)

        return give

    def zeroed(content: bytes) -> bytes:
        middle = len(content) // 2
        return content[:middle] + bytes(min(400, len(content) - middle - 2)) + content[-2:]

    def flipped(share: float) -> Callable[[bytes], bytes]:
        def flip(content: bytes) -> bytes:
            place = int(share * len(content))
            return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]

        return flip

    def other_size(content: bytes) -> bytes:
        image = np.zeros((30, 20, 3), np.uint8)
        return bytes(cv2.imencode(".png", image)[1])

    changes: dict[str, Callable[[bytes], bytes]] = {
        "empty": lambda content: b"",
        "a tenth": lambda content: content[: len(content) // 10],
        "a half": lambda content: content[: len(content) // 2],
        "all but two bytes": lambda content: content[:-2],
        "zeros in the middle": zeroed,
        "text": lambda content: b"<html>not found</html>",
        "another size": other_size,
    }
    for suffix in (".jpg", ".png", ".bmp"):
        for name, change in changes.items():
            if (suffix, name) == (".bmp", "zeros in the middle"):
                continue  # a BMP has no redundancy: see docs/faults.md
            yield Case("pictures", f"{suffix}: {name}", frame(change, suffix), ("clips.csv:2", f"2{suffix}"))
    for share in (0.3, 0.5, 0.7, 0.9):
        yield Case("pictures", f".png: a bit at {share:.0%}", frame(flipped(share), ".png"), ("2.png",))

    def saved(options: Callable[[], dict[str, Any]], mode: str) -> Callable[[Path], object]:
        def give(folder: Path) -> None:
            rows = _clips(folder)
            with Image.open(folder / "p1/a/2.png") as image:
                image.load()
            changed = image.convert(mode)
            if mode == "RGBA":
                changed.putpixel((3, 4), (0, 0, 0, 0))
            changed.save(folder / "p1/a/2.png", **options())
            pd.DataFrame(rows).to_csv(folder / "clips.csv", index=False)
            readers.read("table", folder)

        return give

    def turned(orientation: int) -> dict[str, Any]:
        tags = Image.Exif()
        tags[0x0112] = orientation
        return {"exif": tags}

    yield Case("pictures", "a transparent pixel", saved(dict, "RGBA"), ("2.png has transparent pixels",))
    for orientation in range(2, 9):
        words = ("p1/a: its frames are turned", f"1 in frames 1, 3; {orientation} in frame 2")
        turn = functools.partial(turned, orientation)
        yield Case("pictures", f"EXIF orientation {orientation}", saved(turn, "RGB"), words)

    def pipe(folder: Path) -> None:
        rows = _clips(folder)
        (folder / "p1/a/2.png").unlink()
        os.mkfifo(folder / "p1/a/2.png")
        pd.DataFrame(rows).to_csv(folder / "clips.csv", index=False)
        readers.read("table", folder)

    yield Case("pictures", "a pipe", pipe, ("2.png is no file",))


def _videos() -> Iterator[Case]:
    noise = np.random.default_rng(0).uniform(0, 255, (120, 160, 3)).astype(np.float32)
    picture = cv2.GaussianBlur(noise, (0, 0), 3).astype(np.uint8)

    def video(change: Callable[[bytearray], bytes], suffix: str, codec: str) -> Callable[[Path], object]:
        def give(folder: Path) -> None:
            path = folder / f"clip.{suffix}"
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, (160, 120))
            for shift in range(20):
                writer.write(np.roll(picture, shift, 1))
            writer.release()
            path.write_bytes(change(bytearray(path.read_bytes())))
            list(VideoFile(path))

        return give

    def zeroed(content: bytearray) -> bytes:
        content[len(content) // 2 : len(content) // 2 + 400] = bytes(400)
        return bytes(content)

    for suffix, codec in (("avi", "MJPG"), ("mp4", "mp4v"), ("mkv", "MJPG")):
        yield Case("videos", f"{suffix}: zeros", video(zeroed, suffix, codec), (f"clip.{suffix}", "FFmpeg says"))
        yield Case("videos", f"{suffix}: empty", video(lambda content: b"", suffix, codec), ("expected a video",))
        yield Case("videos", f"{suffix}: text", video(lambda c: b"text" * 99, suffix, codec), ("expected a video",))


# --- networks ---------------------------------------------------------------------------------------------------------


def _checkpoint(**changes: Any) -> Checkpoint:
    model = {"spatial_attention": True, "temporal_attention": True, "pooling": 1, "regions": 1, "readout": "last"}
    values: dict[str, Any] = {
        "dataset": "synthetic",
        "held_out": "sub01",
        "classes": ["joy", "fear"],
        "params": {"model": model, "train": {"augmentation": {"crop": 56}}, "flow": {"method": "dis"}},
        "frames": 4,
        "size": 64,
        "versions": {},
        "device": "cpu",
        "state_dict": STANet(2, **model).state_dict(),
    }
    return Checkpoint(**(values | changes))


def _networks() -> Iterator[Case]:
    def load(content: bytes) -> Callable[[Path], object]:
        return lambda folder: ((folder / "x.pt").write_bytes(content), trained.load(Path("x.pt")))

    whole = _checkpoint()
    content = whole.to_bytes()
    kind = "networks"
    for name, broken in {
        "empty": b"",
        "text": b"no network",
        "a half": content[: len(content) // 2],
        "all but 100 bytes": content[:-100],
        "a zip": _zip({"a.txt": b"a"}),
    }.items():
        yield Case(kind, name, load(broken), ("x.pt: expected a network",))
    for member in zipfile.ZipFile(io.BytesIO(content)).infolist():
        if member.file_size < 3000 and not member.filename.endswith("data.pkl"):
            continue
        place = content.index(member.filename.encode()) + len(member.filename) + 100
        broken = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        yield Case(kind, f"a bit in {member.filename}", load(broken), ("x.pt", "damaged", member.filename))
    for value in (float("nan"), float("inf"), -float("inf")):
        state = {name: tensor.clone() for name, tensor in whole.state_dict.items()}
        name = next(name for name, tensor in state.items() if tensor.is_floating_point() and tensor.numel() > 5)
        state[name].view(-1)[3] = value
        broken = dataclasses.replace(whole, state_dict=state).to_bytes()
        yield Case(kind, f"{value} in the weights", load(broken), ("x.pt", "not finite", name))
    for name, values in {
        "frames": (-1, 0, 10**9, 2.5, "x", None, True),
        "size": (-1, 0, 10**9, 2.5, "x", None, True),
        "classes": ([], "joy", None, [1, 2], ["joy"], ["a", "b", "c"]),
        "params": (None, [], {}, {"model": None}),
        "versions": (None, [1]),
        "state_dict": ({"x": 1}, [1], {"x": torch.zeros(2)}),
    }.items():
        for value in values:
            broken = dataclasses.replace(whole, **{name: value}).to_bytes()
            yield Case(kind, f"{name} {value!r:.60}", load(broken), ("x.pt: expected a",))
    for name in ("pooling", "regions"):
        for value in (-1, 0, 10**9, 2.5, "x", None):
            model = whole.params["model"] | {name: value}
            broken = dataclasses.replace(whole, params=whole.params | {"model": model}).to_bytes()
            yield Case(kind, f"{name} {value!r}", load(broken), ("x.pt: expected a STANet",))
    yield Case(kind, "missing", lambda folder: trained.load(Path("x.pt")), ("x.pt", "no such file"))
    yield Case(kind, "a folder", lambda folder: (Path("x.pt").mkdir(), trained.load(Path("x.pt"))), ("x.pt",))
    yield Case(kind, "a pipe", lambda folder: (os.mkfifo("x.pt"), trained.load(Path("x.pt"))), ("x.pt",))


def _zip(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


# --- what stages have written -----------------------------------------------------------------------------------------


def _results() -> Iterator[Case]:
    def read(content: bytes | None, **options: Any) -> Callable[[Path], object]:
        def give(folder: Path) -> None:
            if content is not None:
                (folder / "x.csv").write_bytes(content)
            tables.read(Path("x.csv"), **options)

        return give

    columns = {"columns": ("clip", "label")}
    for name, content, options in (
        ("missing", None, {}),
        ("empty", b"", columns),
        ("no UTF-8", b"clip,label\n\xff\xfe,a\n", {}),
        ("zeros", bytes(100), columns),
        ("a column less", b"clip,x\na,b\n", columns),
        ("a cell less", b"clip,label\na\n", columns),
        ("a cell more", b"clip,label\na,b,c\n", columns),
        ("an open quotation mark", b'clip,label\n"a,b\nc,d\n', columns),
        ("no number", b"clip,label,n\na,b,x\n", columns | {"numbers": ("n",)}),
        ("an infinite number", b"clip,label,n\na,b,inf\n", columns | {"numbers": ("n",)}),
        ("no probability", b"clip,label,p_a\na,b,x\n", columns),
        ("an infinite probability", b"clip,label,p_a\na,b,1e999\n", columns),
    ):
        yield Case("results, tables", name, read(content, **options), ("expected", "dvc repro"))

    for name, text in {
        "empty": "",
        "no JSON": "[",
        "a word": '"joy"',
        "a number": "3",
        "numbers": "[1, 2]",
        "none": "[]",
        "one twice": '["a", "a"]',
        "an empty name": '["a", ""]',
        "a mapping": '{"a": 1}',
        "deep": "[" * 500,
    }.items():

        def give(folder: Path, text: str = text) -> None:
            (folder / "classes.json").write_text(text)
            class_names.read(Path("classes.json"))

        yield Case("results, classes.json", name, give, ("classes.json: expected", "dvc repro"))
    for name, text in {
        "empty": "",
        "no JSON": "{",
        "a list": "[]",
        "nothing in it": "{}",
        "other files": json.dumps({"recordings": 1, "resized": 2, "flow": 3, "truth": None}),
    }.items():

        def manifest(folder: Path, text: str = text) -> None:
            (folder / "x.json").write_text(text)
            parts.read([Path("x.json")])

        yield Case("results, manifests", name, manifest, ("x.json: expected the manifest", "dvc repro"))
    for name, text in {
        "empty": "",
        "no JSON": "{",
        "a list": "[]",
        "nothing in it": "{}",
        "a path alone": json.dumps({"arrays": "flow.h5", "recordings": None}),
        "no recordings": json.dumps({"arrays": {"path": "flow.h5", "sha256": "ab"}}),
        "other facts": json.dumps({"arrays": {"path": "flow.h5", "md5": "ab"}, "recordings": None}),
    }.items():

        def inputs(folder: Path, text: str = text) -> None:
            (folder / "x.json").write_text(text)
            sources.read({"synthetic": Path("x.json")})

        yield Case("results, inputs", name, inputs, ("x.json: expected the manifest", "dvc repro"))
    for name, text in {
        "empty": "",
        "no JSON": "{",
        "a list": "[]",
        "another fold": '{"fold2": ["sub01"]}',
        "a number": '{"fold1": 3}',
        "none": '{"fold1": null}',
        "deep": "[" * 500,
    }.items():

        def folds(folder: Path, text: str = text) -> None:
            (folder / "folds.json").write_text(text)
            protocols.read(Path("folds.json"), ["fold1"])

        yield Case("results, folds.json", name, folds, ("folds.json: expected", "dvc repro"))


# --- commands ---------------------------------------------------------------------------------------------------------


def _commands() -> Iterator[Case]:
    def command(*words: str, prepare: Callable[[Path], object] = lambda folder: None) -> Callable[[Path], object]:
        def give(folder: Path) -> None:
            (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
            (folder / "weights").mkdir()
            (folder / "weights/none").touch()
            (folder / "models/synthetic").mkdir(parents=True)
            prepare(folder)
            before = sorted(folder.rglob("*"))
            result = CliRunner().invoke(main, list(words), catch_exceptions=False)
            if sorted(folder.rglob("*")) != before:
                raise RuntimeError(f"it wrote {set(folder.rglob('*')) - set(before)}")
            if result.exit_code:
                raise InputError(result.output)

        return give

    def piped(folder: Path) -> None:
        os.mkfifo(folder / "pipe")

    def network(folder: Path) -> None:
        (folder / "x.pt").write_bytes(_checkpoint().to_bytes())

    def empty(folder: Path) -> None:
        (folder / "empty").mkdir()

    def asked(folder: Path) -> None:
        empty(folder)
        network(folder)

    for words, said, prepare in (
        (("use", "casme9"), "expected one of the databases", None),
        (("use", "casme"), "--from DIR", None),
        (("use", "casme", "--from", "nowhere"), "found nothing at", None),
        (("use", "casme", "--from", "empty"), "expected one annotation", empty),
        (("use", "smic", "--from", "empty"), "expected one folder", empty),
        (("use", "table", "--from", "empty"), "expected one annotation", empty),
        (("use", "table", "--from", "pipe"), "found nothing at", piped),
        (("use", "table", "--from", "x" * 300), "x", None),
        (("use", "table", "--from", "x/" * 3000), "x", None),
        (("use", "table", "--from", "empty", "--annotation", "nowhere.csv"), "found nothing at", empty),
        (("use", "casme2", "--from", "empty", "--flow", "fast"), "--flow: expected one of", empty),
        (("use", "synthetic", "--from", "empty"), "no folder to name", empty),
        (("use", "synthetic", "--classes", "four"), "four", None),
        (("use", "casme2", "--from", "empty", "--face", "cut"), "--face: expected crop or none", empty),
        (("use", "composite", "--face", "crop"), "--face: expected DATABASE=crop", None),
        (("score", "nowhere.csv"), "nowhere.csv", None),
        (("score", "weights"), "weights", None),
        (("score", "params.yaml"), "expected the columns", None),
        (("predict", "nowhere"), "expected a", None),
        (("predict", ""), "expected a", None),
        (("predict", "a\0b"), "expected a", None),
        (("predict", "x" * 5000), "expected a folder of frames", None),
        (("predict", "x/" * 2500), "expected a folder of frames", None),
        (("predict", "pipe"), "found a pipe", piped),
        (("predict", "/dev/null"), "a pipe or a device", None),
        (("predict", "empty"), "expected a trained network", empty),
        (("predict", "empty", "--model", "nowhere.pt"), "nowhere.pt", empty),
        (("predict", "empty", "--model", "params.yaml"), "params.yaml: expected a network", empty),
        (("predict", "empty", "--model", "pipe"), "pipe: expected a network", lambda f: (empty(f), piped(f))),
        (
            ("predict", "empty", "--model", "x.pt", "--picture", "x.gif"),
            ".png or .svg",
            asked,
        ),
        (("predict", "empty", "--model", "x.pt", "--picture", "no/x.png"), "x.png", asked),
        (("predict", "empty", "--onset", "x"), "onset", empty),
        (("predict", "empty", "--face", "cut"), "face", empty),
        (("folds", "--workers", "0"), "workers", None),
        (("folds", "--workers", "1", "--scheduler", "tcp://x:1"), "found both", None),
        (("folds", "--seeds", "2"), "--seeds is for --variants", None),
        (("ablate", "--seeds", "0"), "seeds", None),
        (("ablate", "--csv", "no/x.csv"), "found no folder", None),
        (("weights", "nowhere"), "no such file", None),
        (("weights", "params.yaml"), "cannot be used", None),
        (("weights", "weights/none"), "it is empty", None),
        (("weights", "weights"), "weights", None),
        (("weights", "pipe"), "pipe", piped),
        (("verify",), "dvc.lock: expected", None),
        (("dance",), "No such command", None),
    ):
        yield Case("commands", " ".join(words)[:60], command(*words, prepare=prepare or (lambda folder: None)), (said,))
    for name, text in (("empty", b""), ("text", b"x" * 500)):

        def weights(folder: Path, text: bytes = text) -> None:
            (folder / "w").write_bytes(text)
            estimators.estimator("flownet2", Path("w"), "cpu", False)

        yield Case("commands", f"flow.weights: {name}", weights, ("w",))
