"""`python -m pipeline synthesize` and `use` for CAS(ME)³, MMEW and 4DME, whose copies have faults."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline import params
from pipeline.__main__ import main
from pipeline.databases import readers
from pipeline.databases.recordings import UnusableRows
from pipeline.synthetic import traps
from tests.tiny import shrink

pytestmark = pytest.mark.xdist_group("trees with traps")  # one process makes what the tests share

ROOT = Path(__file__).parents[2]
NAMES = ("casme3", "fourdme", "mmew")
SMALL = {"synthesize": {"clips": 24, "frames": [10, 12], "height": 64, "width": 64}}
DEFECTS = {
    "casme3": {"frames": 4, "other": 2},
    "fourdme": {"frames": 1, "other": 0},
    "mmew": {"frames": 1, "other": 2},
}


def run(*arguments, fails=False):
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert (result.exit_code == 1) == fails and result.exit_code in (0, 1), result.output
    assert not result.exception or isinstance(result.exception, SystemExit)
    return result.output


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A folder with params.yaml, a tree of each database, and what `synthesize` said of it."""
    folder = tmp_path_factory.mktemp("today")
    shutil.copy(ROOT / "params.yaml", folder)
    shrink(folder / "params.yaml")
    shrink(folder / "params.yaml", SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, {
            name: run("synthesize", name, f"trees/{name}", "--seed", seed) for seed, name in enumerate(NAMES)
        }


@pytest.fixture
def checkout(shared, tmp_path, monkeypatch):
    """An empty checkout beside the trees, without the steps that the estimate takes."""
    folder = tmp_path / "checkout"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights/none").touch()
    shutil.copy(shared[0] / "params.yaml", folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("pipeline.adoption.estimate._seconds_per_view", lambda *_: (0.1, "CPU"))
    monkeypatch.setattr("pipeline.adoption.estimate._seconds_per_pair", lambda *_: (0.1, ""))
    return folder


def loaded():
    return params.load_params(Path("params.yaml"))


def tree(shared, name):
    return shared[0] / "trees" / name


def rest(shared, name):
    """The clips that stay defects where 3 frames in a row may be missing, by id or, where that is none, by row."""
    try:
        readers.read(name, tree(shared, name), largest_gap=3)
    except UnusableRows as error:
        return [line.split(": ")[1] for line in str(error).splitlines() if line.startswith("  ")]
    return []


@pytest.fixture
def mended(shared, checkout):
    """The checkout, with what cannot be used excluded."""
    entries = [entry for name in NAMES for entry in rest(shared, name)]
    shrink(checkout / "params.yaml", {"databases": {"synthetic": {"exclude": entries}}})
    return checkout


@pytest.mark.parametrize("name", NAMES)
def test_synthesize_says_what_is_wrong_with_the_tree(shared, name):
    output = shared[1][name]
    assert "It has the faults of the released copies:" in output and "missing" in output
    assert output.endswith(f"trees/{name}: 24 clips of 3 subjects, as {name}\n")
    assert not (tree(shared, name) / "truth.h5").exists()


def test_synthesize_gives_equal_bytes(shared, checkout):
    for seed, name in enumerate(NAMES):
        run("synthesize", name, f"again/{name}", "--seed", seed)
        files = sorted(path.relative_to(tree(shared, name)) for path in tree(shared, name).rglob("*") if path.is_file())
        assert files == sorted(p.relative_to(f"again/{name}") for p in Path(f"again/{name}").rglob("*") if p.is_file())
        assert all(
            (tree(shared, name) / file).read_bytes() == Path(f"again/{name}", file).read_bytes() for file in files
        )


@pytest.mark.parametrize(
    ("option", "least"),
    [(("--clips", traps.LEAST_CLIPS - 1), "clips: expected 14 or more"), ((), "frames: expected 8 or more")],
)
def test_a_tree_without_a_place_for_every_trap_is_refused(checkout, option, least):
    if not option:
        shrink(checkout / "params.yaml", {"synthesize": {"frames": [7, 12]}})
    assert least in run("synthesize", "mmew", "few", *option, fails=True)
    assert not Path("few").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_as_it_comes_is_refused_with_all_its_defects(shared, checkout, name):
    before = Path("params.yaml").read_bytes()
    output = run("use", name, "--from", tree(shared, name), fails=True)
    count = sum(DEFECTS[name].values())
    assert f"{count} defect{'s' * (count > 1)} in this copy of {name}:" in output
    assert sum(" missing in " in line for line in output.splitlines()) == DEFECTS[name]["frames"]
    assert "--missing-frames N" in output and Path("params.yaml").read_bytes() == before


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_is_studied_once_gaps_are_allowed_and_the_rest_is_excluded(shared, mended, name):
    before = {path: path.read_bytes() for path in tree(shared, name).rglob("*") if path.is_file()}
    output = run("use", name, "--from", tree(shared, name), "--missing-frames", 3, "--flow", "dis")
    assert {path: path.read_bytes() for path in tree(shared, name).rglob("*") if path.is_file()} == before
    assert "missing frames, interpolated over, in " in output and " instead of " in output
    study = loaded()
    assert study.dataset == name and study.databases[name].missing_frames == 3
    assert study.databases[name].largest_gap == 3
    assert Path(f"inspect/{name}/contact_sheet.png").exists() and "training  3 folds" in output
    assert "rows of the annotation: " in output and "the release has " in output


def test_counts_stand_beside_those_of_the_release_of_casme3(shared, mended):
    output = run("use", "casme3", "--from", tree(shared, "casme3"), "--missing-frames", 3, "--flow", "dis")
    assert "rows of the annotation: 26; the release has 860" in output
    assert "the release       860        94         4" in output
    assert "WARNING: this copy is not what the release has" in output
    three = run("use", "casme3", "--classes", "three", "--flow", "dis")
    assert "the release       699        88         3" in three


def test_counts_stand_beside_those_of_the_release_of_mmew(shared, mended):
    output = run(
        "use", "mmew", "--classes", "7", "--from", tree(shared, "mmew"), "--missing-frames", 3, "--flow", "dis"
    )
    assert "the release       300        30         7" in output


def test_clips_of_several_emotions_are_counted_and_named(shared, mended):
    output = run("use", "fourdme", "--from", tree(shared, "fourdme"), "--missing-frames", 3, "--flow", "dis")
    assert "left out, because the task does not use them: 1 negative+repression, 2 positive+surprise\n" in output
    [line] = [line for line in output.splitlines() if line.startswith("of several labels, which no task uses: ")]
    assert line.count("S01_") == 3
    assert "which counts" in output


@pytest.mark.parametrize(
    ("name", "given", "task", "dataset"),
    [
        ("casme3", None, "own", "casme3"),
        ("casme3", "4", "own", "casme3"),
        ("casme3", "7", "seven", "casme3-7"),
        ("casme3", "three", "three", "casme3-3"),
        ("mmew", "6", "six", "mmew-6"),
        ("mmew", "seven", "seven", "mmew-7"),
        ("mmew", "3", "three", "mmew-3"),
        ("fourdme", "three", "three", "fourdme-3"),
        ("fourdme", "5", "own", "fourdme"),
    ],
)
def test_tasks_by_name_and_by_number(shared, mended, name, given, task, dataset):
    options = [] if given is None else ["--classes", given]
    run("use", name, "--from", tree(shared, name), "--missing-frames", 3, "--flow", "dis", *options)
    assert (loaded().classes, loaded().dataset) == (task, dataset)


def test_a_task_that_a_database_does_not_have_is_refused(checkout):
    output = run("use", "casme3", "--from", ".", "--classes", "6", fails=True)
    assert "classes: expected a task of casme3, own (4), seven (7), three (3); found 6" in output
    assert "of casme2, own (5), three (3); found seven" in run(
        "use", "casme2", "--from", ".", "--classes", "seven", fails=True
    )


def test_what_is_allowed_is_remembered_and_can_be_taken_back(shared, mended):
    run("use", "fourdme", "--from", tree(shared, "fourdme"), "--missing-frames", 3, "--flow", "dis")
    assert "params.yaml stays as it is" in run("use", "fourdme", "--flow", "dis")
    output = run("use", "fourdme", "--missing-frames", "refuse", fails=True)
    assert "frames 9-11" in output or " missing in " in output
    assert loaded().databases["fourdme"].missing_frames == 3


@pytest.mark.parametrize("given", ["0", "-1", "1001", "2.5", "all", ""])
def test_another_largest_gap_is_refused(checkout, given):
    output = run("use", "table", "--from", ".", f"--missing-frames={given}", fails=True)
    assert f"--missing-frames: expected refuse, or a number of frames from 1 to 1000; found {given}" in output


@pytest.mark.parametrize(("name", "face"), [("casme3", "crop"), ("fourdme", "crop"), ("mmew", "none")])
def test_mmew_is_not_cropped_again_and_the_others_are(shared, mended, name, face):
    output = run("use", name, "--from", tree(shared, name), "--missing-frames", 3, "--flow", "dis")
    assert loaded().databases[name].face == face and f"face: {face}, because" in output


def test_a_composite_of_any_databases_with_three_classes(shared, mended):
    folders = [word for name in NAMES for word in (f"--{name}", tree(shared, name))]
    gaps = [word for name in NAMES for word in ("--missing-frames", f"{name}=3")]
    excluded = [entry for name in NAMES for entry in rest(shared, name)]
    output = run("use", "composite", *folders, *gaps, "--as", "today", "--flow", "dis")
    study = loaded()
    assert study.dataset == "today" and study.classes == "three" and set(study.databases) == set(NAMES)
    assert {section.missing_frames for section in study.databases.values()} == {3}
    assert sorted(entry for section in study.databases.values() for entry in section.exclude) == sorted(excluded)
    assert {"casme3-spNO.1", "fourdme-S01", "mmew-S01"} <= set(study.subjects) and len(study.subjects) == 9
    counts = output[output.index("today: ") :].splitlines()
    assert counts[2].split() == ["clips", "negative", "positive", "surprise", "All", "clips"]
    assert [line.split()[0] for line in counts[3:6]] == list(NAMES)


def test_gaps_in_a_composite_are_those_of_a_database_in_it(shared, checkout):
    folders = [word for name in NAMES for word in (f"--{name}", tree(shared, name))]
    assert "--missing-frames: expected DATABASE=N in a study of several databases; found 3" in run(
        "use", "composite", *folders, "--missing-frames", 3, fails=True
    )
    assert "--missing-frames: expected one of casme3, fourdme, mmew; found smic" in run(
        "use", "composite", *folders, "--missing-frames", "smic=3", fails=True
    )
    assert "found what is for a study of several" in run(
        "use", "mmew", "--from", ".", "--missing-frames", 3, "--missing-frames", 4, fails=True
    )
    assert "found casme3, too" in run("use", "megc2019", "--casme3", tree(shared, "casme3"), fails=True)


def test_params_of_an_older_version_say_which_key_is_missing(checkout):
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("    missing_frames: refuse\n", ""))
    output = run("use", "synthetic", fails=True)
    assert "put these lines in:\ndatabases:\n  synthetic: {missing_frames: refuse}\n" in output
