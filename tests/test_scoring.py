"""`python -m pipeline score`: three forms of files, what is refused, and what usual mistakes would give."""

import functools
import hashlib
import io
import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.metrics import f1_score, recall_score

from pipeline.__main__ import main
from pipeline.databases import megc2019
from pipeline.databases.profiles import PROFILES, THREE
from pipeline.evaluation import metrics, prediction_files, significance
from pipeline.evaluation.prediction_files import Headers

rng = np.random.default_rng(3)
CLIPS = [
    *[("casme2", f"sub{s:02d}", f"EP{c:02d}_01f") for s in (1, 2, 6) for c in range(4)],
    *[("samm", f"{s:03d}", f"{s:03d}_1_{c}") for s in (6, 7) for c in range(1, 5)],
    *[("smic", f"s{s:02d}", f"s{s:02d}_ne_{c:02d}") for s in (1, 3) for c in range(1, 4)],
]
TRUTH = rng.integers(0, 3, len(CLIPS))
GUESS = np.where(rng.random(len(CLIPS)) < 0.6, TRUTH, rng.integers(0, 3, len(CLIPS)))
OTHER = np.where(rng.random(len(CLIPS)) < 0.4, TRUTH, rng.integers(0, 3, len(CLIPS)))


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Intervals from few draws: how many there are is tested elsewhere."""
    intervals = functools.partial(significance.bootstrap_intervals, resamples=40)
    monkeypatch.setattr(significance, "bootstrap_intervals", intervals)


def score(*arguments, fails=False):
    result = CliRunner().invoke(main, ["score", *map(str, arguments)])
    assert result.exit_code == (1 if fails else 0), result.output
    assert not result.exception or isinstance(result.exception, SystemExit)
    return result.output


def ours(folder, guess=GUESS, name="predictions.csv"):
    """A predictions.csv of a composite."""
    table = pd.DataFrame(
        {
            "clip": [f"{part}-{subject}/{clip}" for part, subject, clip in CLIPS],
            "subject": [f"{part}-{subject}" for part, subject, _ in CLIPS],
            "label": [THREE[n] for n in TRUTH],
            "predicted": [THREE[n] for n in guess],
        }
    )
    table.assign(p_negative=0.5, p_positive=0.3, p_surprise=0.2).to_csv(folder / name, index=False)
    return folder / name


def log(folder, guess=GUESS, subject=lambda part, name: name, clip=lambda name: name):
    """The challenge's form of the same."""
    lines, last = [], None
    for (part, person, name), truth, predicted in zip(CLIPS, TRUTH, guess, strict=True):
        if (part, person) != last:
            lines += ["", f"{part} {subject(part, person)}"]
            last = part, person
        lines.append(f"{clip(name)} {truth} {predicted}")
    (folder / "log.txt").write_text("\n".join(lines[1:]) + "\n")
    return folder / "log.txt"


def test_the_scores_are_those_of_scikit_learn_over_all_clips_and_of_each_part(tmp_path):
    result = json.loads(score(ours(tmp_path), "--json"))
    [file] = result["files"]
    assert [part["part"] for part in file["parts"]] == ["full", "casme2", "samm", "smic"]
    parts = np.array([part for part, _, _ in CLIPS])
    for part in file["parts"]:
        rows = np.ones(len(CLIPS), bool) if part["part"] == "full" else parts == part["part"]
        present = sorted(set(TRUTH[rows]))
        options = {"labels": present, "average": "macro", "zero_division": 0}
        assert part["clips"] == rows.sum()
        assert part["scores"]["uf1"] == pytest.approx(f1_score(TRUTH[rows], GUESS[rows], **options))
        assert part["scores"]["uar"] == pytest.approx(recall_score(TRUTH[rows], GUESS[rows], **options))
        low, high = part["over_subjects"]["uf1"]
        assert low <= part["scores"]["uf1"] <= high
    correct = int((TRUTH == GUESS).sum())
    assert file["parts"][0]["over_clips"]["accuracy"] == list(significance.wilson_interval(correct, len(CLIPS)))
    assert np.array(file["confusion"]).sum() == len(CLIPS) and file["classes"] == list(THREE)
    assert result["paired"] is None


def test_a_table_of_ones_own_is_a_part_of_a_composite_like_any_other(tmp_path):
    path = changed(ours(tmp_path), lambda lines: [line.replace("smic-", "table-") for line in lines])
    [file] = json.loads(score(path, "--json"))["files"]
    assert [part["part"] for part in file["parts"]] == ["full", "casme2", "samm", "table"]


def without_origin(output):
    [file] = json.loads(output)["files"]
    return {key: value for key, value in file.items() if key != "file"}


@pytest.mark.parametrize(
    ("subject", "clip"),
    [
        (lambda part, name: name, lambda name: name),
        (lambda part, name: name.lstrip("0"), lambda name: name),  # SAMM's 006 as 6
        (lambda part, name: name, lambda name: f"{name[:3]}_{name}" if name[0] == "0" else name),  # 006_006_1_2
    ],
)
def test_the_challenges_log_gives_what_our_own_file_gives(tmp_path, subject, clip):
    assert without_origin(score(log(tmp_path, subject=subject, clip=clip), "--json")) == without_origin(
        score(ours(tmp_path), "--json")
    )


def as_others_write(part, subject, clip):
    """Ids and databases as they stand in tables that circulate."""
    number = int(subject.lstrip("sub0"))
    return {
        "casme2": ("CASME II", f"{number}", f"{subject}_{clip}"),
        "samm": ("SAMM", f"{number}", f"{subject}_{clip} .png"),
        "smic": ("SMIC-HS", subject, f"{subject}_{clip}.jpg"),
    }[part]


def theirs(folder, names=as_others_write):
    rows = ["database,subject,clip,label,predicted"]
    for place, truth, guess in zip(CLIPS, TRUTH, GUESS, strict=True):
        rows.append(",".join((*names(*place), str(truth), str(guess))))
    (folder / "theirs.csv").write_text("\n".join(rows) + "\n")
    return folder / "theirs.csv"


@pytest.fixture
def official(monkeypatch):
    """The clips of these tests as the official list."""
    lines, counts = [], {}
    for (part, subject, clip), truth in zip(CLIPS, TRUTH, strict=True):
        lines.append(hashlib.sha256(f"{part},{subject},{clip},{truth}\n".encode()).hexdigest())
        counts.setdefault(part, {}).setdefault(subject, 0)
        counts[part][subject] += 1
    monkeypatch.setattr(megc2019, "official", lambda: megc2019.OfficialList(frozenset(lines), counts))


def test_names_as_others_write_them_are_mapped_to_the_official_ones(tmp_path, official):
    path = theirs(tmp_path)
    found = score(path, "--part", "database", "--against", "megc2019", "--json")
    assert without_origin(found) == without_origin(score(ours(tmp_path), "--json"))


@pytest.mark.parametrize(
    ("part", "subject", "clip", "official_clip"),
    [
        ("samm", "6", "6_6_1", "006_6_1"),
        ("samm", "006", "006_6_1", "006_6_1"),
        ("samm", "006", "006_006_6_1.png", "006_6_1"),
        ("casme2", "sub1", "1_EP02_01f", "1_EP02_01f"),
        ("casme2", "1", "1_EP02_01f", "EP02_01f"),
        ("CAS(ME)II", "1", "sub01_EP19_05f", "EP19_05f"),
        ("casme2", "sub01", "sub02_EP02_01f", "sub02_EP02_01f"),  # of another subject: it stays as it is
        ("smic", "s1", "s1_s1_ne_01", "s01_ne_01"),
        ("smic", "s11", "s1_ne_01", "s1_ne_01"),
        ("mine", "6", "6_a.png", "6_a.png"),
    ],
)
def test_a_clip_is_renamed_only_where_it_is_certain(tmp_path, part, subject, clip, official_clip):
    path = tmp_path / "x.csv"
    path.write_text(f"part,subject,clip,label,predicted\n{part},{subject},{clip},0,1\n")
    read = prediction_files.read(path, Headers(part="part"), tuple(PROFILES), megc2019.DATABASES)
    assert read.table["clip"][0] == official_clip


def test_names_that_cannot_be_mapped_are_shown_beside_the_official_ones(tmp_path, official):
    path = theirs(tmp_path, lambda part, subject, clip: (part, subject, f"v{clip}"))
    said = score(path, "--part", "database", "--against", "megc2019", fails=True)
    assert "12 of 12 clips of casme2 have no name as in the list, such as casme2-sub01/EP02_01f" in said
    assert "8 of 8 clips of samm have no name" in said and "found samm-006/v006_1_1. Rename" in said
    path = theirs(tmp_path, lambda part, subject, clip: (part.replace("smic", "HS"), subject, clip))
    said = score(path, "--part", "database", "--against", "megc2019", fails=True)
    assert "Databases in the list: casme2, samm, smic; found hs." in said and "no name as" not in said


def nameless(folder):
    """A log that does not say which clips its lines are about."""
    path = log(folder)
    lines = [line.split() for line in path.read_text().splitlines()]
    path.write_text("\n".join(" ".join(words[1:] if len(words) == 3 else words) for words in lines))
    return path


def test_a_log_without_clip_ids_is_scored_but_not_checked(tmp_path, official):
    assert without_origin(score(nameless(tmp_path), "--json")) == without_origin(score(ours(tmp_path), "--json"))
    assert "cannot be checked: no clip ids" in score(tmp_path / "log.txt", "--against", "megc2019", fails=True)
    assert "cannot be checked: no clip ids" in score(ours(tmp_path), tmp_path / "log.txt", fails=True)
    (tmp_path / "log.txt").write_text("casme2 sub01\nEP02_01f 0 2\n1 2\n")
    assert "log.txt:3: expected clips that are all named or none" in score(tmp_path / "log.txt", fails=True)


def test_a_log_may_call_its_databases_as_others_do(tmp_path):
    path = log(tmp_path)
    text = path.read_text().replace("casme2 ", "CASME II ").replace("smic ", "SMIC-HS ")
    path.write_text(text)
    assert without_origin(score(path, "--json")) == without_origin(score(ours(tmp_path), "--json"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_file_tells_its_encoding(tmp_path, encoding):
    expected = without_origin(score(ours(tmp_path), "--json"))
    path = ours(tmp_path)
    path.write_text(path.read_text(), encoding=encoding)
    assert without_origin(score(path, "--json")) == expected
    path.write_bytes("clip,subject,label,predicted\na,1,größe,größe\n".encode("cp1252"))
    assert "predictions.csv:2: expected text in UTF-8, or in UTF-16 with its mark" in score(path, fails=True)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_with_columns_of_other_names(tmp_path, separator):
    rows = [separator.join(("file", "who", "is", "was", "set"))]
    for (part, subject, clip), truth, guess in zip(CLIPS, TRUTH, GUESS, strict=True):
        rows.append(separator.join((clip, subject, THREE[truth], THREE[guess], part)))
    path = tmp_path / "mine.txt"
    path.write_text("\ufeff" + "\r\n".join(rows) + "\r\n\r\n", encoding="utf-8")
    names = ["--clip", "file", "--subject", "who", "--truth", "is", "--predicted", "was", "--part", "set"]
    assert without_origin(score(path, *names, "--json")) == without_origin(score(ours(tmp_path), "--json"))
    assert "expected the columns clip, subject, label, predicted; found file, who" in score(path, fails=True)


def test_names_that_look_like_numbers_and_classes_of_ones_own_stay_text(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("clip,subject,label,predicted\n007,01,0,0\n008,01,1,0\n007,02,0,1\n")
    [file] = json.loads(score(path, "--json"))["files"]
    assert file["classes"] == ["0", "1"] and [part["part"] for part in file["parts"]] == ["full"]
    assert file["parts"][0]["subjects"] == 2 and file["confusion"] == [[1, 1], [1, 0]]


def test_subjects_of_one_name_in_two_databases_are_two_people(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("clip,subject,label,predicted,database\na,1,joy,joy,mine\na,1,anger,joy,yours\n")
    [file] = json.loads(score(path, "--part", "database", "--json"))["files"]
    assert [(part["part"], part["subjects"]) for part in file["parts"]] == [("full", 2), ("mine", 1), ("yours", 1)]


def test_a_study_of_one_database_has_one_part(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text(
        "clip,subject,label,predicted,p_tense,p_disgust\nsub01/EP01_5-73,sub01,tense,tense,1,0\n"
        "sub02/EP01_5-73,sub02,disgust,tense,1,0\n"
    )
    [file] = json.loads(score(path, "--json"))["files"]
    assert file["classes"] == ["tense", "disgust"]  # as its columns have it
    assert [part["part"] for part in file["parts"]] == ["full"]


def test_wrong_recipes_are_computed_by_hand(tmp_path):
    """Fold a: 2 negative right; fold b: 1 negative wrong, 1 positive right."""
    path = tmp_path / "x.csv"
    path.write_text(
        "clip,subject,label,predicted\n1,a,negative,negative\n2,a,negative,negative\n"
        "3,b,negative,positive\n4,b,positive,positive\n"
    )
    [file] = json.loads(score(path, "--json"))["files"]
    assert file["parts"][0]["scores"] == pytest.approx({"accuracy": 0.75, "uf1": (0.8 + 2 / 3) / 2, "uar": 5 / 6})
    recipes = file["recipes"]
    fold_b = (0 + 2 / 3) / 2
    assert recipes["mean over folds"] == pytest.approx({"accuracy": 0.75, "uf1": (1 + fold_b) / 2, "uar": 0.75})
    assert recipes["mean over folds, absent classes counted as 0"]["uf1"] == pytest.approx((0.5 + fold_b) / 2)
    assert recipes["mean over folds, absent classes counted as 1"]["uar"] == pytest.approx((1 + 0.5) / 2)
    running = recipes["mean of the running scores after each fold"]
    assert running == pytest.approx({"accuracy": 0.875, "uf1": (1 + (0.8 + 2 / 3) / 2) / 2, "uar": (1 + 5 / 6) / 2})
    text = score(path)
    assert "mean over folds: Accuracy 0.7500 (+0.0000), UF1 0.6667 (-0.0667)" in text
    assert "best epoch of each subject: cannot be seen in predictions" in text


def test_a_class_that_a_scorer_drops_is_shown(tmp_path):
    recipes = json.loads(score(ours(tmp_path), "--json"))["files"][0]["recipes"]
    kept = (TRUTH != 0) & (GUESS != 0)
    matrix = metrics.confusion_matrix(TRUTH[kept].astype(str), GUESS[kept].astype(str), ["0", "1", "2"])
    assert recipes["without the clips that are or were called negative"] == pytest.approx(metrics.scores(matrix))


def test_two_files_are_tested_clip_by_clip_and_subject_by_subject(tmp_path):
    first, second = ours(tmp_path), ours(tmp_path, OTHER, "other.csv")
    paired = json.loads(score(first, second, "--json"))["paired"]
    one, other = TRUTH == GUESS, TRUTH == OTHER
    assert paired["only_first"] == (one & ~other).sum() and paired["only_second"] == (other & ~one).sum()
    assert paired["mcnemar"] == significance.mcnemar(one, other)
    persons = [part + subject for part, subject, _ in CLIPS]
    assert paired["permutation"] == significance.permutation_test(one, other, persons)
    assert paired["corrected"] == significance.holm([paired["mcnemar"], paired["permutation"]])
    assert paired["differences"]["accuracy"] == pytest.approx(other.mean() - one.mean())
    text = score(first, second)
    assert "second minus first: Accuracy -" in text and "subjects as units: p = " in text


@pytest.mark.parametrize("strip", ["", "0"])  # SAMM's subjects are 006, or 6
def test_a_log_and_our_file_can_be_compared(tmp_path, strip):
    theirs = log(tmp_path, subject=lambda part, name: name.lstrip(strip), clip=lambda name: name)
    paired = json.loads(score(ours(tmp_path), theirs, "--json"))["paired"]
    assert paired["only_first"] == paired["only_second"] == 0 and paired["mcnemar"] == 1


def test_csv_has_a_row_per_file_and_part(tmp_path):
    table = pd.read_csv(io.StringIO(score(ours(tmp_path), ours(tmp_path, OTHER, "other.csv"), "--csv")))
    assert table["part"].tolist() == ["full", "casme2", "samm", "smic"] * 2
    assert table["accuracy"][0] == (TRUTH == GUESS).mean() and "uf1_low_subjects" in table


def changed(path, change):
    lines = path.read_text().splitlines()
    path.write_text("\n".join(change(lines)) + "\n")
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda lines: [*lines, lines[1]],
            "expected one prediction for each clip, found more for casme2-sub01/EP00_01f",
        ),
        (
            lambda lines: [*lines, "samm-6/006_1_9,samm-6,negative,negative,1,0,0"],
            "expected one name for each subject, found samm-006 and samm-6",
        ),
        (
            lambda lines: [*lines, "a,b,,negative,1,0,0"],
            "predictions.csv:28: expected a value in every column, found none",
        ),
        (lambda lines: lines[:1], "expected predictions, found none"),
    ],
)
def test_a_file_that_is_not_right_is_one_clear_error(tmp_path, change, message):
    output = score(changed(ours(tmp_path), change), fails=True)
    assert message in output and "Traceback" not in output


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("casme2 sub01\nEP01 0\n", "log.txt:2: expected the fold of a subject of casme2, samm, smic; found 'EP01 0'"),
        ("casme2 sub01\nEP01 0 1 2\n", "log.txt:2: expected `database subject` or `clip truth predicted`"),
        ("casme2 sub01\nEP01 0 7\n", "expected the classes 0, 1, 2 or negative, positive, surprise; found 7"),
        ("samm 6\na 0 1\n\nsamm 006\nb 0 1\n", "expected one name for each subject, found 6 and 006"),
        ("", "expected the columns clip, subject, label, predicted; found none"),
    ],
)
def test_a_log_that_is_not_right_is_one_clear_error(tmp_path, lines, message):
    (tmp_path / "log.txt").write_text(lines)
    output = score(tmp_path / "log.txt", fails=True)
    assert message in output and "Traceback" not in output


def test_two_files_with_other_truths_or_clips_are_refused(tmp_path):
    first = ours(tmp_path)
    second = changed(ours(tmp_path, OTHER, "other.csv"), lambda lines: lines[:-1])
    assert "smic-s03/s03_ne_03: only in" in score(first, second, fails=True)
    truth = THREE[TRUTH[0]]
    wrong = "surprise" if truth != "surprise" else "negative"
    second = changed(
        ours(tmp_path, OTHER, "other.csv"), lambda lines: [lines[0], lines[1].replace(truth, wrong, 1), *lines[2:]]
    )
    assert f"casme2-sub01/EP00_01f: truth {truth} in" in score(first, second, fails=True)


def clips_csv(folder):
    table = pd.read_csv(ours(folder), dtype=str)[["clip", "subject", "label"]]
    table.assign(database=[part for part, _, _ in CLIPS]).to_csv(folder / "clips.csv", index=False)
    return folder / "clips.csv"


def test_against_a_clips_csv_missing_and_unknown_clips_and_other_truths_are_named(tmp_path):
    expected = clips_csv(tmp_path)
    score(ours(tmp_path), "--against", expected)
    score(log(tmp_path), "--against", expected)
    lines = expected.read_text().splitlines()
    swapped = lines[2].replace(THREE[TRUTH[1]], "surprise" if TRUTH[1] != 2 else "negative")
    expected.write_text("\n".join([lines[0], swapped, *lines[3:], lines[1].replace("EP00", "EP99")]) + "\n")
    output = score(ours(tmp_path), "--against", expected, fails=True)
    assert f"casme2-sub01/EP00_01f: not in {expected}" in output
    assert "casme2-sub01/EP99_01f: missing" in output
    assert f"casme2-sub01/EP01_01f: truth {THREE[TRUTH[1]]}, " in output and "3 differences" in output
    assert "found no file nowhere.csv" in score(ours(tmp_path), "--against", "nowhere.csv", fails=True)


def test_against_the_official_list(tmp_path, monkeypatch):
    lines = [f"{part},{subject},{clip},{truth}\n" for (part, subject, clip), truth in zip(CLIPS, TRUTH, strict=True)]
    counts: dict[str, dict[str, int]] = {}
    for part, subject, _ in CLIPS:
        counts.setdefault(part, {}).setdefault(subject, 0)
        counts[part][subject] += 1
    listed = megc2019.OfficialList(frozenset(hashlib.sha256(line.encode()).hexdigest() for line in lines), counts)
    monkeypatch.setattr(megc2019, "official", lambda: listed)
    score(log(tmp_path), "--against", "megc2019")
    score(ours(tmp_path), "--against", "megc2019")
    short = changed(ours(tmp_path), lambda rows: [*rows[:-1], rows[-1].replace("s03_ne_03", "s03_ne_99")])
    output = score(short, "--against", "megc2019", fails=True)
    assert "smic-s03/s03_ne_99: " in output and "smic, s03: 1 clip missing that no table here names" in output
    own = tmp_path / "own.csv"
    own.write_text("clip,subject,label,predicted\na,b,negative,negative\n")
    assert "expected the database of every clip, found none" in score(own, "--against", "megc2019", fails=True)


def test_a_wrong_call_is_one_clear_error(tmp_path):
    path = ours(tmp_path)
    assert "expected one file or two, found 3" in score(path, path, path, fails=True)
    assert "found both" in score(path, "--json", "--csv", fails=True)
    assert "expected a text file of predictions" in score(tmp_path / "nowhere.csv", fails=True)
