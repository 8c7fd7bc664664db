"""Which clip is meant: of the dataset or not, alone in its folder or not."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline import prediction
from pipeline.errors import InputError
from pipeline.params import Annotation, Database

TABLE = """clip,subject,label,onset,apex,offset,n_frames,frames,database
sub01/EP01_5-73,sub01,tense,73,80,90,18,sub01/EP01_5,casme
sub01/EP01_5-95,sub01,disgust,95,99,120,26,sub01/EP01_5,casme
sub02/EP02_1-8,sub02,disgust,8,,30,23,sub02/EP02_1,casme
"""


@pytest.fixture
def params(tmp_path, monkeypatch):
    """A study of three clips, two of which share a folder; its checkout is the current folder."""
    monkeypatch.chdir(tmp_path)
    for folder in ("data/casme", "raw/sub01/EP01_5", "raw/sub02/EP02_1", "raw/sub03/EP01_1"):
        Path(folder).mkdir(parents=True)
    Path("data/casme/clips.csv").write_text(TABLE)
    boxes = {"sub02/EP02_1-8": (1, 2, 30, 30)}
    casme = Database(
        str(tmp_path / "raw"),
        Annotation("auto", ""),
        exclude=(),
        missing_frames="refuse",
        face="none",
        face_boxes=boxes,
    )
    return SimpleNamespace(dataset="casme", databases={"casme": casme})


def test_by_its_id(params):
    clip = prediction._find("sub01/EP01_5-95", None, None, params)
    assert (clip.subject, clip.label, clip.onset, clip.offset) == ("sub01", "disgust", 95, 120)
    assert clip.source == Path(params.databases["casme"].raw) / "sub01/EP01_5"


def test_a_clip_of_the_dataset_may_lack_frames_where_its_table_says_so(params):
    assert not prediction._find("sub01/EP01_5-95", None, None, params).gaps
    counts = iter(("n_missing", "0", "2", "0", "0"))
    path = Path("data/casme/clips.csv")
    path.write_text("".join(f"{line},{next(counts)}\n" for line in path.read_text().splitlines()))
    found = [prediction._find(clip, None, None, params).gaps for clip in ("sub01/EP01_5-95", "sub01/EP01_5-73")]
    assert sorted(found) == [False, True]


def test_by_its_folder_with_its_frames_and_its_square(params):
    clip = prediction._find("raw/sub02/EP02_1", None, None, params)
    assert (clip.name, clip.onset, clip.offset, clip.box) == ("sub02/EP02_1-8", 8, 30, (1, 2, 30, 30))


def test_other_frames_of_a_clip_are_still_of_its_subject(params):
    clip = prediction._find("raw/sub02/EP02_1", 10, None, params)
    assert (clip.subject, clip.onset, clip.offset) == ("sub02", 10, 30)


def test_labels_may_be_numbers(params):
    path = Path("data/casme/clips.csv")
    path.write_text(path.read_text().replace("tense", "1").replace("disgust", "2"))
    assert prediction._find("sub02/EP02_1-8", None, None, params).label == "2"


def test_clips_that_share_a_folder_are_told_apart_by_their_frames(params):
    with pytest.raises(InputError, match=r"found 2 .*sub01/EP01_5-73, sub01/EP01_5-95.*--onset"):
        prediction._find("raw/sub01/EP01_5", None, None, params)
    assert prediction._find("raw/sub01/EP01_5", 95, None, params).name == "sub01/EP01_5-95"
    assert prediction._find("raw/sub01/EP01_5", 73, 90, params).name == "sub01/EP01_5-73"


def test_frames_of_neither_clip_of_a_folder_are_refused(params):
    with pytest.raises(InputError, match="--onset and --offset"):
        prediction._find("raw/sub01/EP01_5", 1, 20, params)


def test_in_a_study_of_several_databases_a_clip_is_looked_up_in_its_own(params):
    path = Path("data/casme/clips.csv")
    path.write_text(path.read_text().replace("\nsub02", "\ncasme-sub02"))
    params.databases["smic"] = replace(params.databases["casme"], raw="/elsewhere", face="crop", face_boxes={})
    clip = prediction._find("casme-sub02/EP02_1-8", None, None, params)
    assert clip.source == Path(params.databases["casme"].raw) / "sub02/EP02_1"
    assert (clip.face, clip.box) == ("none", (1, 2, 30, 30))
    with pytest.raises(InputError, match=r"--face crop or --face none.*casme none, smic crop"):
        prediction._common_face(params)


def test_any_other_folder_is_a_new_clip(params):
    clip = prediction._find("raw/sub03/EP01_1", None, 40, params)
    assert (clip.name, clip.subject, clip.onset, clip.offset) == ("sub03_EP01_1", None, None, 40)


def test_what_is_nowhere_is_an_error_that_says_what_can_be_given(params):
    with pytest.raises(InputError, match=r"sub09/EP01: expected a folder of frames, a video file, or the id"):
        prediction._find("sub09/EP01", None, None, params)
