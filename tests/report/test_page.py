"""The page says what the tables say, asks no host for anything, and shows no face that it must not show."""

import base64
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from pipeline import params
from pipeline.errors import InputError
from pipeline.evaluation import metrics, significance
from pipeline.report import attention_scores
from pipeline.report import page as report
from pipeline.stanet.introspection import Attention, Grid
from pipeline.synthetic.truth import Truth

COMMITTED = params.load_params(Path(__file__).parents[2] / "params.yaml")
CLASSES = ["disgust", "surprise", "tense"]
SIZE, FRAMES = 40, 4
GRID = Grid(size=SIZE, crop=32, first=3.0, step=8)
CURVE = pd.DataFrame(
    {"epoch": [1, 2], "loss": [1.0, 0.5], "cross_entropy": [1.0, 0.5], "mask_l1": [9.0, 8.0], "accuracy": [0.3, 0.6]}
)


def study(clips=24, subjects=4, *, dataset="synthetic", held_out="all", faces=False, chosen=(), size=SIZE, **changes):
    """A study with numbers drawn at random; no network and no file behind it."""
    rng = np.random.default_rng(5)
    names = [f"sub{n + 1:02d}" for n in range(subjects)]
    table = pd.DataFrame({"clip": [f"{names[n % subjects]}/EP{n:03d}" for n in range(clips)]})
    table["subject"] = [names[n % subjects] for n in range(clips)]
    table["label"] = [CLASSES[n // subjects % 3] for n in range(clips)]
    probabilities = rng.dirichlet(np.ones(3), clips)
    for number, name in enumerate(CLASSES):
        table[f"p_{name}"] = probabilities[:, number]
    table.insert(3, "predicted", [CLASSES[n] for n in probabilities.argmax(axis=1)])
    folds = names if held_out == "all" else held_out
    predictions = table[table["subject"].isin(folds)].reset_index(drop=True)
    grid = dataclasses.replace(GRID, size=size, crop=size - 8)
    maps = {clip: rng.uniform(size=(FRAMES, 4, 4)).astype(np.float32) for clip in predictions["clip"]}
    settings = changed(
        dataset=dataset, subjects=tuple(names), held_out=held_out if held_out == "all" else tuple(held_out),
        report=params.Report(faces=faces, clips=tuple(chosen)),
    )  # fmt: skip
    pictures = {clip: rng.integers(0, 255, (FRAMES + 1, size, size, 3)).astype(np.uint8) for clip in table["clip"][:8]}
    flows = {clip: rng.normal(size=(FRAMES, 2, size, size)).astype(np.float16) for clip in table["clip"][:8]}
    some = list(pictures)
    region = np.zeros((size, size), bool)
    region[8:20, 8:20] = True
    values = {
        "params": settings,
        "classes": CLASSES,
        "clips": table[["clip", "subject", "label"]],
        "predictions": predictions,
        "metrics": metrics.scores(metrics.confusion_matrix(predictions["label"], predictions["predicted"], CLASSES)),
        "per_subject": metrics.per_subject(predictions),
        "curves": dict.fromkeys(folds, CURVE),
        "devices": dict.fromkeys(folds, "cpu"),
        "trained_with": {subject: {"torch": "9.9", "python": "3.99"} for subject in folds},
        "drawn_with": {"matplotlib": "7.7"},
        "estimator": {"method": "dis", "weights_sha256": "ab" * 32},
        "published": (),
        "annotation": {"coding.xlsx": "cd" * 32},
        "hashes": {"data/x/flow.h5": "ef" * 32},
        "attention": {
            clip: Attention(
                np.ones(3) / 3,
                maps[clip],
                maps[clip] / 9,
                maps[clip],
                rng.dirichlet(np.ones(FRAMES)),
                grid,
                maps[clip] / 3,
            )
            for clip in predictions["clip"]
        },
        "truth": {clip: Truth(region, rng.uniform(size=FRAMES)) for clip in predictions["clip"]},
        "frames": lambda clip: pictures[some[hash_of(clip) % len(some)]],
        "flow": lambda clip: flows[some[hash_of(clip) % len(some)]],
    }
    return report.Study(**(values | changes))


def changed(**values):
    """The committed parameters with other values; pydantic's constructor, which `replace` calls, wants `lambda`."""
    copy = object.__new__(params.Params)
    for field in dataclasses.fields(COMMITTED):
        object.__setattr__(copy, field.name, values.get(field.name, getattr(COMMITTED, field.name)))
    return copy


def hash_of(clip):
    """The same in every process."""
    return sum(map(ord, clip))


class Page(HTMLParser):
    """Text, pictures and whatever a browser might fetch."""

    def __init__(self, source):
        super().__init__()
        self.source = source
        self.addresses, self.images, self.tags, self.words, self.cells = [], [], [], [], []
        self.feed(self.source)
        self.text = re.sub(r"\s+", " ", "".join(self.words))
        self.cells = [re.sub(r"\s+", " ", cell).strip() for cell in self.cells]

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "td":
            self.cells.append("")
        for name, value in attributes:
            if name in ("src", "href", "srcset", "data", "poster", "action", "xlink:href"):
                self.addresses.append(value)
                if tag == "img":
                    self.images.append(value)

    def handle_data(self, data):
        self.words.append(data)
        if self.cells and self.tags[-1] == "td":
            self.cells[-1] += data


NAMES = ("comparison", "confusion", "subjects", "curves", "spatial", "temporal", "scores", "mistakes")


def page_of(made):
    """The page without its pictures, which take most of the time."""
    pictures = dict.fromkeys(NAMES, "data:,") | {"clips": {}}
    if next(iter(made.attention.values())).weights is None:
        del pictures["temporal"]
    scored = report._score(made)
    summary = None if scored is None else attention_scores.summarise(scored)
    return Page(report.render(made, summary, pictures))


def write(made, folder):
    folder.mkdir()
    report.write(made, folder / "report.html", folder / "figures", folder / "attention.json")
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study, its page, and the folder of it."""
    made, folder = study(), tmp_path_factory.mktemp("report") / "out"
    return made, write(made, folder), folder


def percent(value):
    return f"{100 * value:.2f} %"


def test_the_scores_are_those_of_the_tables_with_their_intervals(whole):
    made, page, _ = whole
    assert all(percent(value) in page.text for value in made.metrics.values())
    correct = int((made.predictions["label"] == made.predictions["predicted"]).sum())
    assert f"{correct} of 24 clips" in page.text
    low, high = significance.wilson_interval(correct, 24)
    assert f"{percent(low)} to {percent(high)}" in page.text
    for low, high in significance.bootstrap_intervals(made.predictions, CLASSES).values():
        assert f"{percent(low)} to {percent(high)}" in page.text
    assert percent(made.predictions["label"].value_counts().max() / 24) in page.cells


def test_every_mistake_is_listed_most_confident_first(whole):
    made, page, folder = whole
    wrong = made.predictions[made.predictions["label"] != made.predictions["predicted"]]
    table = page.source[page.source.index('id="mistakes"') : page.source.index('id="again"')]
    listed = re.findall(r"<tr><td>(sub\d\d/EP\d+)</td>", table)
    confidence = [max(row.p_disgust, row.p_surprise, row.p_tense) for row in wrong.itertuples()]
    assert listed == list(wrong["clip"].iloc[np.argsort(confidence)[::-1]])
    assert all(f"{value:.3f}" in table for value in confidence)
    assert (folder / "figures/mistakes.png").exists()


def test_without_a_mistake_there_is_none(tmp_path):
    right = study().predictions
    right = right.assign(label=right["predicted"])
    scores = metrics.scores(metrics.confusion_matrix(right["label"], right["predicted"], CLASSES))
    page = write(study(predictions=right, metrics=scores, per_subject=metrics.per_subject(right)), tmp_path / "out")
    assert "No clip was misclassified" in page.text and not (tmp_path / "out/figures/mistakes.png").exists()


def test_the_page_asks_no_host_for_anything(whole):
    _, page, _ = whole
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert not set(page.tags) & {"script", "iframe", "object", "embed", "video", "audio", "base", "form"}
    style = page.source[page.source.index("<style>") : page.source.index("</style>")]
    assert "url(" not in style and "@import" not in style and "@font-face" not in style
    assert "default-src 'none'; img-src data:" in page.source


def test_every_figure_of_the_page_is_a_file_and_the_other_way_round(whole):
    _, page, folder = whole
    shown = {base64.b64decode(image.split(",")[1]) for image in page.images}
    files = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    assert shown == set(files.values())
    expected = {"comparison", "confusion", "subjects", "curves", "spatial_attention", "temporal_attention"}
    assert expected | {"attention_scores", "mistakes"} <= {Path(name).stem for name in files}
    assert sum(name.startswith("clip_") for name in files) == 3  # a typical one of each class
    assert len(page.images) == len(re.findall('alt="[^"]+"', page.source))


def test_a_typical_clip_has_the_median_probability_of_its_class(whole):
    made = whole[0]
    for label in CLASSES:
        clips = made.predictions[made.predictions["label"] == label]
        own = clips[f"p_{label}"]
        [typical] = clips["clip"][own == own.sort_values().iloc[(len(own) - 1) // 2]]
        assert len(own) > 3 and typical in report._to_draw(made)
    assert len(report._to_draw(made)) == 3


def test_equal_studies_give_equal_bytes(whole, tmp_path):
    _, _, one = whole
    two = tmp_path / "again"
    write(study(), two)
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) > 10 and all((one / file).read_bytes() == (two / file).read_bytes() for file in files)


def test_results_of_some_folds_say_so_at_the_top(whole):
    page = page_of(study(held_out=["sub02", "sub04"]))
    warning = page.text[: page.text.index("Confusion")]
    assert "Partial results. 2 of 4 folds, 12 of 24 clips." in warning
    assert "Held out in turn: sub02, sub04. Not trained: sub01, sub03." in warning
    assert "Partial results" not in whole[1].text


def test_one_fold_has_no_interval_over_subjects():
    page = page_of(study(held_out=["sub02"]))
    assert "one subject: no interval over subjects" in page.text
    assert "a single subject allows no interval" in page.text


def test_folds_of_different_devices_are_a_warning(whole):
    devices = {"sub01": "cpu", "sub02": "cuda", "sub03": "cpu", "sub04": "cpu"}
    page = page_of(study(devices=devices))
    assert "Folds of different kinds of device. cpu: sub01, sub03, sub04; cuda: sub02." in page.text
    assert "different kinds of device" not in whole[1].text


def test_the_papers_column_stands_beside_ours():
    published = (("Sparse MDMO", 74.83), ("STANet (paper)", 76.61))
    page = page_of(study(dataset="casme", truth=None, published=published))
    assert {"Sparse MDMO", "74.83 %", "STANet (paper)", "76.61 %"} <= set(page.cells)
    assert "Table 1" in page.text


def test_without_truth_attention_is_not_scored_and_the_reason_is_given(tmp_path):
    page = write(study(12, 3, dataset="casme2", truth=None), tmp_path / "out")
    scores = json.loads((tmp_path / "out/attention.json").read_text())
    assert list(scores) == ["reason"] and "casme2" in scores["reason"] and scores["reason"] in page.text
    assert not (tmp_path / "out/figures/attention_scores.svg").exists()


def test_scores_of_attention_are_those_of_the_file(whole):
    made, page, folder = whole
    scores = json.loads((folder / "attention.json").read_text())
    assert list(scores) == ["scores", "differences", "weights", "clips"]
    assert [entry["clip"] for entry in scores["clips"]] == list(made.predictions["clip"])
    for entry in scores["scores"]:
        assert f"{entry['mean']:.3f} ({entry['low']:.3f} to {entry['high']:.3f})" in page.cells
    assert f"{scores['weights']['median']:.3f}" in page.text


def entry(mean, low, high, chance=0.5, **more):
    return {"mean": mean, "low": low, "high": high, "chance": chance, "clips": 60, "above_chance": 40} | more


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.6, 0.8, "the mask is better than chance"),
        (0.1, 0.3, "the mask is worse than chance"),
        (0.4, 0.6, "the mask is neither measurably better nor measurably worse than chance"),
    ],
)
def test_findings_follow_the_numbers(low, high, words):
    mask = entry((low + high) / 2, low, high, kind="spatial", what="mask", measure="roc_auc")
    [sentence] = report.findings({"scores": [mask], "differences": []})
    assert words in sentence and f"{low:.3f} to {high:.3f}" in sentence and "40 of 60 clips" in sentence


@pytest.mark.parametrize(("low", "high", "more"), [(-0.1, 0.1, False), (-0.3, -0.1, False), (0.1, 0.3, True)])
def test_a_mask_that_knows_no_more_than_other_clips_do_is_called_that(low, high, more):
    mask = entry(0.7, 0.6, 0.8, kind="spatial", what="mask", measure="roc_auc")
    than = entry((low + high) / 2, low, high, what="mask", than="mask of other clips", measure="roc_auc")
    sentences = report.findings({"scores": [mask], "differences": [than]})
    assert (
        any("nothing shows that the mask's mean over channels knows more" in sentence for sentence in sentences) != more
    )


@pytest.mark.parametrize(("mask", "contrast", "said"), [(0.0, 0.2, True), (0.2, 0.2, False), (0.0, 0.0, False)])
def test_a_mask_whose_channels_cancel_is_called_that(mask, contrast, said):
    differences = [
        entry(shift, shift - 0.1, shift + 0.1, what=what, than=f"{what} of other clips", measure="roc_auc")
        for what, shift in (("mask", mask), ("mask contrast", contrast))
    ]
    sentences = report.findings({"scores": [], "differences": differences})
    assert any("cancel in the mean" in sentence for sentence in sentences) == said


def faces_in(folder, pictures):
    """Whether some pixels of a face are in the figures: a colour that nothing else in them has."""
    found = False
    for path in sorted((folder / "figures").glob("*.png")):
        picture = cv2.imread(str(path))[..., ::-1].astype(int)
        found |= bool((np.abs(picture - pictures).max(axis=-1) < 12).sum() > 200)
    return found


@pytest.mark.parametrize(
    ("dataset", "faces", "shown"), [("casme2", False, False), ("casme2", True, True), ("synthetic", False, True)]
)
def test_faces_of_licensed_datasets_are_shown_on_request_only(tmp_path, dataset, faces, shown):
    skin = (250, 20, 120)
    face = np.full((FRAMES + 1, SIZE, SIZE, 3), skin, np.uint8)
    made = study(12, 3, dataset=dataset, faces=faces, truth=None, frames=lambda clip: face)
    page = write(made, tmp_path / "out")
    assert faces_in(tmp_path / "out", np.array(skin)) == shown
    assert ("Faces are not shown" in page.text) != shown


def test_a_mean_face_is_one_of_a_crowd():
    bright = {f"sub{n + 1:02d}": np.full((FRAMES + 1, SIZE, SIZE, 3), 10 * n, np.uint8) for n in range(12)}
    made = study(48, 12, dataset="casme2", truth=None, frames=lambda clip: bright[clip.split("/")[0]])
    np.testing.assert_array_equal(report._mean_face(made), 55)
    few = study(24, 4, dataset="casme2", truth=None, frames=lambda clip: bright[clip.split("/")[0]])
    np.testing.assert_array_equal(report._mean_face(few), 190)


def test_a_chosen_clip_that_is_not_there_is_an_error_that_names_it(tmp_path):
    made = study(chosen=["sub01/EP000", "sub02/EP001", "sub09/EP99"], held_out=["sub02"])
    with pytest.raises(InputError, match=r"report\.clips.*sub02.*found sub01/EP000, sub09/EP99.*clips\.csv"):
        write(made, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_network_without_attention_has_a_page_too(tmp_path):
    bare = {clip: shown._replace(mask=None, contrast=None, weights=None) for clip, shown in study().attention.items()}
    page = write(study(attention=bare), tmp_path / "out")
    assert "no temporal attention" in page.text and not (tmp_path / "out/figures/temporal_attention.svg").exists()
    assert json.loads((tmp_path / "out/attention.json").read_text())["weights"] is None


def test_what_is_needed_to_get_the_page_again_is_in_it(whole):
    made, page, _ = whole
    for value in (*made.annotation.values(), *made.hashes.values(), *made.estimator.values(), "torch 9.9"):
        assert value in page.text
    assert {"lambda", "1e-08", "train.augmentation.crop", "168", "seed"} <= set(page.cells)
    shown = report.parameters(made.params)
    assert "raw" not in shown and not any(key.startswith("runtime") for key in shown)


def test_a_page_of_250_clips_stays_small_and_shows_the_chosen_ones(tmp_path):
    """Frames of full size, noise in every picture, as many clips drawn as can be: the least that compresses."""
    chosen = [f"sub{n + 1:02d}/EP{n:03d}" for n in range(4)]
    write(study(250, 26, size=192, chosen=chosen), tmp_path / "out")
    assert (tmp_path / "out/report.html").stat().st_size < 15e6
    drawn = {path.name for path in (tmp_path / "out/figures").glob("clip_*")}
    assert {f"clip_{clip.replace('/', '_')}.png" for clip in chosen} <= drawn
