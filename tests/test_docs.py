"""The README and every page of docs/ tell the truth: links, files, commands, parameters, options and outputs."""

import argparse
import importlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
from dvc.cli.parser import get_main_parser
from ruamel.yaml import YAML

from docs import picture
from pipeline.__main__ import main
from pipeline.databases.layouts import LAYOUTS
from pipeline.errors import InputError
from pipeline.synthetic import generator
from pipeline.synthetic.plan import draw_plan
from tests.test_dvc_yaml import STAGES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*DOCS.glob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md"))]
)
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
SETTINGS = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")

MARKS = ("# needs data", "# needs a GPU", "# needs a cluster")
"""How the first line of a block of commands says that not everybody can run it."""

RUN = {
    "make repro": (".ci/run", "make repro"),
    "make test": (".ci/run", "make test"),
    "make test-all": (".ci/run", "make test-all"),
    "dvc repro": ("tests/stages/conftest.py", '"repro"'),
    "dvc exp run --queue": ("tests/stages/test_real_datasets.py", '"exp", "run", "--queue"'),
    "dvc exp run --run-all": ("tests/stages/test_real_datasets.py", '"exp", "run", "--run-all"'),
    "dvc exp run --temp": ("tests/stages/test_real_datasets.py", '"exp", "run", "--temp"'),
    "dvc exp run": ("tests/stages/test_pipeline.py", '"exp", "run", "-S"'),
    "dvc exp show": ("tests/stages/test_ablation.py", '"exp", "show"'),
    "dvc metrics diff --all": ("tests/stages/test_pipeline.py", '"metrics", "diff", "--all"'),
    "dvc plots show": ("tests/stages/test_pipeline.py", '"plots", "show"'),
    "python -m pipeline ablate": ("tests/stages/test_ablation.py", 'ABLATE = ("ablate",)'),
    "python -m pipeline compare": ("tests/runs/test_compare_results.py", '["compare", *arguments]'),
    "python -m pipeline folds": ("tests/stages/test_folds.py", 'FOLDS = ("folds", '),
    "python -m pipeline leakage": ("tests/stages/test_composite.py", '"leakage")'),
    "python -m pipeline predict": ("tests/stages/test_prediction.py", 'pipeline("predict", '),
    "python -m pipeline score": ("tests/stages/test_composite.py", '"score", "results/composite/predictions.csv"'),
    "python -m pipeline synthesize": ("tests/stages/test_composite.py", '"synthesize", name'),
    "python -m pipeline use composite": ("tests/stages/test_composite.py", '"composite", "--casme2"'),
    "python -m pipeline recover": ("tests/runs/test_recovery.py", '["recover"]'),
    "python -m pipeline verify": ("tests/runs/test_integrity.py", '["verify", *options]'),
    "python -m pipeline use synthetic --protocol": (
        "tests/stages/test_networks.py",
        '"use", "synthetic", "--protocol"',
    ),
    "python -m pipeline use synthetic": ("tests/adoption/test_adopt.py", 'use("synthetic")'),
}
"""Where each command that everybody can run is run, and the words of it there; the longest beginning counts, and all
options of the command are used in that file."""

NOT_RUN = {
    "git": "is git's own",
    "cd": "is the shell's own",
    ".": "activates the environment that `make` made",
    "dvc checkout": "is DVC's own, after git has restored dvc.lock",
    "ruff": "is the linter's own",
    "python -m pytest": "runs the tests",
    "python -m tests.campaign": "is a campaign that takes an hour, run by hand",
}
"""Commands that everybody can run and no test does, with the reason."""


class Block(NamedTuple):
    """A fenced block of shell commands."""

    page: str
    mark: str
    """The first line, if it says what the block needs."""
    commands: tuple[tuple[str, ...], ...]
    """Words of each command."""

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.commands[0])}"


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)


def blocks() -> Iterator[Block]:
    """All blocks of commands; what stands between `<<'END'` and `END` is no command."""
    for page, text in TEXTS.items():
        for fenced in re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE):
            first = fenced.strip().splitlines()[0].strip()
            script = re.sub(r"<<'END'.*?^END$", "", fenced.replace("\\\n", " "), flags=re.DOTALL | re.MULTILINE)
            script = script.replace("<this repository>", "repository")
            commands = []
            for line in script.splitlines():
                lexer = shlex.shlex(line, posix=True, punctuation_chars="&;<>()")
                lexer.whitespace_split = True
                words: list[str] = []
                for word in [*lexer, ";"]:
                    if word in ("&&", "&", ";"):
                        while words and re.match(r"[A-Z_]+=", words[0]):  # a variable set for one command
                            words.pop(0)
                        commands += [tuple(words)] if words else []
                        words = []
                    else:
                        words.append(word)
            yield Block(page, first if first.startswith("# needs") else "", tuple(commands))


BLOCKS = list(blocks())


def spans() -> Iterator[tuple[str, str]]:
    """All code within sentences and tables, with its page."""
    for page, text in TEXTS.items():
        for span in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose(text)):
            yield page, span


def anchors(text: str) -> set[str]:
    """Anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rows(page: str, heading: str | None = None) -> Iterator[list[str]]:
    """Cells of every row of the tables of a page, or of the section below a heading."""
    text = TEXTS[page]
    if heading is not None:
        text = re.split(r"^## ", text.partition(f"\n## {heading}\n")[2], flags=re.MULTILINE)[0]
    for line in re.findall(r"^\| (.+) \|$", text, re.MULTILINE):
        yield [cell.strip() for cell in line.split(" | ")]


# --- the front page -------------------------------------------------------------------------------------------------


def test_the_front_page_is_one_page():
    assert len(TEXTS["README.md"].splitlines()) <= 150
    assert TEXTS["README.md"].count("![") == 1 and "(docs/report.png)" in TEXTS["README.md"]


def test_the_picture_is_small_enough():
    assert picture.PICTURE.read_bytes().startswith(b"\x89PNG") and picture.PICTURE.stat().st_size <= picture.LARGEST


@pytest.mark.parametrize("page", [name for name in TEXTS if name.startswith("docs/") and name != "docs/README.md"])
def test_the_index_names_every_page(page):
    assert f"]({Path(page).name})" in TEXTS["docs/README.md"]


# --- links and files ------------------------------------------------------------------------------------------------


def links() -> Iterator[tuple[str, str]]:
    for page, text in TEXTS.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
            if not target.startswith(("https://", "http://")):
                yield page, target


@pytest.mark.parametrize(("page", "target"), list(dict.fromkeys(links())))
def test_a_link_leads_somewhere(page, target):
    path, _, anchor = target.partition("#")
    file = (ROOT / page).parent / path if path else ROOT / page
    assert file.exists(), f"{page} links to {target}"
    assert not anchor or anchor in anchors(file.read_text(encoding="utf-8"))


def named_files() -> Iterator[tuple[str, str]]:
    for page, span in spans():
        if re.fullmatch(r"(pipeline|stages|tests|benchmarks|docs|weights)/[\w./]*", span):
            yield page, span


@pytest.mark.parametrize(("page", "file"), list(dict.fromkeys(named_files())))
def test_a_file_that_is_named_exists(page, file):
    brought = file.startswith("weights/") and file != "weights/none"
    assert brought or (ROOT / file).exists(), f"{page} names {file}"


# --- commands -------------------------------------------------------------------------------------------------------


@cache
def dvc_parser() -> argparse.ArgumentParser:
    """DVC's own, which takes a while to be made."""
    return get_main_parser()


def understand(words: tuple[str, ...]) -> None:
    """Let the program that a command names read its words, without running it; raise what is wrong with them."""
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {*words[1:]} - {"--quiet"} <= {*targets}, f"make has {', '.join(targets)}"
    elif words[0] == "dvc":
        # DVC ends with exit code 254 at words that it does not know.
        arguments = dvc_parser().parse_args(list(words[1:]))
        for change in getattr(arguments, "set_param", None) or []:
            setting(change)
    elif words[:2] == ("python", "-m") and words[2].split(".")[0] in ("pipeline", "benchmarks", "docs"):
        command, arguments = command_of(words)
        command.make_context(words[2], list(arguments))
    elif words[:2] == ("python", "-m"):
        assert find_spec(words[2]), f"there is no module {words[2]}"


def command_of(words: tuple[str, ...]) -> tuple[click.Command, tuple[str, ...]]:
    """Command and arguments of `python -m ...`, for the modules of this repository."""
    if words[2] == "pipeline":
        assert words[3] in main.commands, f"python -m pipeline has {', '.join(main.commands)}"
        return main.commands[words[3]], words[4:]
    return importlib.import_module(words[2]).main, words[3:]


def setting(change: str) -> None:
    """`key=value` as `dvc exp run -S` takes it: the key is one of params.yaml."""
    key, _, value = change.partition("=")
    node: Any = SETTINGS
    for part in key.split("."):
        node = node[part]
    assert value and not isinstance(node, dict), change


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_command_is_one_that_there_is(block):
    for words in block.commands:
        understand(words)


def inline_commands() -> list[tuple[str, str]]:
    """Commands within sentences; COMMAND stands for all of them."""
    starts = re.compile(r"(make|dvc|python -m (pipeline|benchmarks\.\w+|docs\.\w+)) [\w-]")
    return [(page, span) for page, span in spans() if starts.match(span) and "COMMAND" not in span]


@pytest.mark.parametrize(("page", "command"), list(dict.fromkeys(inline_commands())))
def test_a_command_within_a_sentence_is_one_that_there_is(page, command):
    words = tuple(shlex.split(re.sub(r"\bN\b", "1", command)))
    understand(words)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_command_is_run_by_a_test_or_marked(block):
    if block.mark:
        assert block.mark.startswith(MARKS)
        return
    for words in block.commands:
        command = shlex.join(words)
        starts = [start for start in (*RUN, *NOT_RUN) if f"{command} ".startswith(f"{start} ")]
        assert starts, f"{block.page}: {command} is neither run by a test nor marked"
        start = max(starts, key=len)
        if start in RUN:
            where = (ROOT / RUN[start][0]).read_text(encoding="utf-8")
            options = [word for word in words[len(start.split()) :] if word.startswith("-")]
            assert not [option for option in options if f'"{option}"' not in where], f"{block.page}: {command}"


@pytest.mark.parametrize(("file", "words"), RUN.values(), ids=list(RUN))
def test_a_command_is_run_where_it_is_said_to_be(file, words):
    assert words in (ROOT / file).read_text(encoding="utf-8")


def test_what_needs_data_is_marked():
    """A folder of one's own, a cluster or a video cannot be in a fresh clone."""
    for block in BLOCKS:
        words = {word for command in block.commands for word in command}
        if words & {"--scheduler", "sbatch"} or any(word.startswith("/data/") for word in words):
            assert block.mark, block


def test_the_clip_that_is_predicted_is_one_of_the_embedded_dataset():
    named = {words[4] for block in BLOCKS for words in block.commands if words[3:4] == ("predict",) and not block.mark}
    drawn = SETTINGS["synthesize"]
    stream = generator._stream(drawn["seed"], generator._PLAN)  # private: the plan without a minute of drawing
    plan = draw_plan(stream, drawn["subjects"], drawn["clips"], drawn["frames"], LAYOUTS[drawn["layout"]])
    assert named and named <= {clip.clip for clip in plan}


# --- reference pages ------------------------------------------------------------------------------------------------


def leaves(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys and values of params.yaml; the names of databases are `<database>`."""
    for key, value in node.items():
        name = prefix + ("<database>" if prefix == "databases." else key)
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{name}.")
        else:
            yield name, value


def test_the_page_of_parameters_has_every_key_and_its_default():
    documented = {
        key.strip("`"): YAML(typ="safe", pure=True).load(default.strip("`"))
        for key, default, *_ in rows("docs/parameters.md")
        if key.startswith("`")
    }
    assert documented == dict(leaves(SETTINGS))


def test_the_page_of_parameters_is_in_the_order_of_the_file():
    documented = [key.strip("`") for key, *_ in rows("docs/parameters.md") if key.startswith("`")]
    assert documented == [key for key, _ in leaves(SETTINGS)]


def test_the_page_of_commands_has_every_command():
    assert set(re.findall(r"^## (.+)$", TEXTS["docs/commands.md"], re.MULTILINE)) == set(main.commands)


@pytest.mark.parametrize("name", main.commands)
def test_the_page_of_commands_has_every_option(name):
    documented = {cell.strip("`").split()[0] for cell, *_ in rows("docs/commands.md", name) if cell.startswith("`--")}
    known = {option.opts[0] for option in main.commands[name].params if option.param_type_name == "option"}
    assert documented == known


def outputs() -> set[str]:
    """Paths that the stages of dvc.yaml write, as the page of outputs spells them."""
    found = set()
    for stage in STAGES.values():
        body = stage.get("do", stage)
        for out in [*body.get("outs", []), *body.get("metrics", [])]:
            path = next(iter(out)) if isinstance(out, dict) else out
            path = path.replace("${key}", "<database>").replace("${dataset}", "<dataset>")
            found.add(re.sub(r"\$\{item\.(\w+)\}", r"<\1>", path))
    return found


def test_the_page_of_outputs_has_every_output_and_no_other():
    cells = (cell.strip("`").rstrip("/") for cell, *_ in rows("docs/outputs.md") if cell.startswith("`"))
    documented = {cell for cell in cells if cell.startswith(("data/", "models/", "results/"))}
    below = {path for out in outputs() for path in documented if path == out or path.startswith(f"{out}/")}
    assert documented == below
    assert all(any(path == out or path.startswith(f"{out}/") for path in documented) for out in outputs())


# Words of mermaid's flowcharts: as the name of a node each ends the whole picture in a syntax error.
RESERVED = {"call", "class", "classDef", "click", "default", "direction", "end", "flowchart", "graph", "href"}
RESERVED |= {"interpolate", "linkStyle", "style", "subgraph"}


def test_the_drawing_of_the_pipeline_has_every_stage_and_names_that_mermaid_takes():
    text = TEXTS["docs/first-study.md"]
    [drawing] = re.findall(r"```mermaid\nflowchart LR\n(.*?)```", text, re.DOTALL)
    nodes = dict(re.findall(r"(\w+)\[\(?(\w+)", drawing))
    assert STAGES.keys() <= set(nodes.values())
    named = set(re.findall(r"\w+", re.sub(r"\[.*?\]", "", drawing)))
    assert named == nodes.keys() and not named & RESERVED
    assert [cell.strip("`") for cell, *_ in rows("docs/first-study.md", "What ran") if cell.startswith("`")] == list(
        STAGES
    )


# --- what stands beside them ----------------------------------------------------------------------------------------


def test_citation_and_licence_are_there():
    citation = YAML(typ="safe", pure=True).load(ROOT / "CITATION.cff")
    assert citation["license"] == "MIT" and "MIT License" in (ROOT / "LICENSE").read_text()
    assert any("Spatial-Temporal Attention Network" in reference["title"] for reference in citation["references"])
    assert all("name" in author or {"family-names", "given-names"} <= author.keys() for author in citation["authors"])


def test_every_change_says_what_reruns():
    entries = re.split(r"^- ", TEXTS["CHANGELOG.md"], flags=re.MULTILINE)[1:]
    assert entries and all("*Reruns:*" in entry for entry in entries)


def test_checks_before_a_commit_use_tools_that_are_there():
    config = YAML(typ="safe", pure=True).load(ROOT / ".pre-commit-config.yaml")
    [local] = config["repos"]
    assert local["repo"] == "local"
    tools = [hook["entry"].split()[:3] for hook in local["hooks"]]
    assert all(words[:2] == [".venv/bin/python", "-m"] and find_spec(words[2]) for words in tools)


@pytest.mark.parametrize("section", picture.SHOWN)
def test_a_report_without_what_the_picture_shows_is_one_clear_error(section):
    other = {name: end for name, end in picture.SHOWN.items() if name != section}
    page = "<body><nav>away</nav>" + "".join(f'<h2 id="{name}">{name}{end}' for name, end in other.items())
    with pytest.raises(InputError, match=f"expected one section {section} .* found 0"):
        picture.excerpt(page)


def test_the_report_has_what_the_picture_shows():
    picture.excerpt((ROOT / "pipeline/report/page.html.jinja").read_text(encoding="utf-8"))


def test_the_picture_shows_the_chosen_sections_only():
    page = "<head><body><nav>away</nav>" + "".join(
        f'<h2 id="{name}">{name} kept{end}away' for name, end in picture.SHOWN.items()
    )
    shown = picture.excerpt(page + '<h2 id="mistakes">away')
    assert "away" not in shown and shown.startswith("<head>")
    assert all(f"{name} kept" in shown for name in picture.SHOWN)
