"""The page says what the tables say, asks no host for anything, and shows no face that it must not show."""

import base64
import copy
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.evaluation import comparison, metrics, significance
from pipeline.report import attention_scores, drawing, page
from pipeline.report.figures import mean_face
from pipeline.report.published_composite import published
from tests.report.studies import CLASSES, FRAMES, SIZE, predictions, study, table1

pytestmark = pytest.mark.xdist_group("page")  # one process draws the page that most tests read


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


NAMES = ("table1", "confusions", "confusion", "subjects", "curves", "spatial", "temporal", "scores", "mistakes")


def page_of(made):
    """The page without its pictures, which take most of the time."""
    pictures = dict.fromkeys(NAMES, "data:,") | {"clips": {}}
    if not made.weights():
        del pictures["temporal"]
    if made.params.head_motion != "keep":
        pictures["head_motion"] = "data:,"
    scored = made.scored()
    summary = None if scored is None else attention_scores.summarise(scored)
    return Page(page.render(made, summary, pictures))


def write(made, folder):
    folder.mkdir()
    page.write(made, folder / "report.html", folder / "figures", folder / "attention.json")
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study, its page, and the folder of it."""
    made, folder = study(), tmp_path_factory.mktemp("report") / "out"
    return made, write(made, folder), folder


@pytest.fixture
def sketched(monkeypatch):
    """Figures are made, but their files are empty but for the kinds in the set: rendering takes most of the time."""
    rendered = set()
    write_figure = drawing.write

    def write_some(figure, path):
        if path.suffix in rendered:
            write_figure(figure, path)
        else:
            path.touch()

    monkeypatch.setattr(drawing, "write", write_some)
    return rendered


def percent(value):
    return f"{100 * value:.2f} %"


def test_the_scores_are_those_of_the_tables_with_their_intervals(whole):
    made, shown, _ = whole
    assert all(percent(value) in shown.text for value in made.metrics.values())
    correct = int((made.predictions["label"] == made.predictions["predicted"]).sum())
    assert f"{correct} of 24 clips" in shown.text
    low, high = significance.wilson_interval(correct, 24)
    assert f"{percent(low)} to {percent(high)}" in shown.text
    for low, high in significance.bootstrap_intervals(made.predictions, CLASSES).values():
        assert f"{percent(low)} to {percent(high)}" in shown.text


def test_a_metric_of_the_table_is_shown_with_its_interval(monkeypatch):
    def balance(confusion):
        return 0.9 * metrics.accuracy(confusion)

    monkeypatch.setitem(metrics.METRICS, "balance", metrics.Metric("Balance", balance))
    made = study()
    shown = page_of(made)
    low, high = significance.bootstrap_intervals(made.predictions, CLASSES)["balance"]
    assert f"Balance{percent(made.metrics['balance'])}" in shown.text
    assert f"{percent(low)} to {percent(high)}" in shown.text
    assert "<th>UF1</th><th>UAR</th><th>Balance</th><th>Won" in shown.source
    assert all(f"{value:.3f}" in shown.cells for value in made.table1["balance"])


@pytest.mark.parametrize("fit", ["translation", "affine"])
def test_the_figure_of_the_head_names_the_map_that_was_fitted(fit):
    made = study()
    params = copy.copy(made.params)
    object.__setattr__(params, "head_motion", fit)
    shown = page_of(dataclasses.replace(made, params=params))
    assert f"the {fit} map that most of the picture agrees on" in shown.text


def test_every_mistake_is_listed_most_confident_first(whole):
    made, shown, folder = whole
    wrong = made.predictions[made.predictions["label"] != made.predictions["predicted"]]
    table = shown.source[shown.source.index('id="mistakes"') : shown.source.index('id="again"')]
    listed = re.findall(r"<tr><td>(sub\d\d/EP\d+)</td>", table)
    confidence = [max(row.p_disgust, row.p_surprise, row.p_tense) for row in wrong.itertuples()]
    assert listed == list(wrong["clip"].iloc[np.argsort(confidence)[::-1]])
    assert all(f"{value:.3f}" in table for value in confidence)
    assert (folder / "figures/mistakes.png").exists()


def test_without_a_mistake_there_is_none(tmp_path, sketched):
    table = predictions(24, 4)
    shown = write(study(table=table.assign(label=table["predicted"])), tmp_path / "out")
    assert "No clip was misclassified" in shown.text and not (tmp_path / "out/figures/mistakes.png").exists()


def test_the_page_asks_no_host_for_anything(whole):
    _, shown, _ = whole
    assert all(address.startswith(("data:", "#")) for address in shown.addresses)
    assert not set(shown.tags) & {"script", "iframe", "object", "embed", "video", "audio", "base", "form"}
    style = shown.source[shown.source.index("<style>") : shown.source.index("</style>")]
    assert "url(" not in style and "@import" not in style and "@font-face" not in style
    assert "default-src 'none'; img-src data:" in shown.source


def test_every_figure_of_the_page_is_a_file_and_the_other_way_round(whole):
    _, shown, folder = whole
    pictures = {base64.b64decode(image.split(",")[1]) for image in shown.images}
    files = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    assert pictures == set(files.values())
    expected = {"table1", "confusions", "confusion", "subjects", "curves", "spatial_attention", "temporal_attention"}
    assert expected | {"attention_scores", "mistakes"} <= {Path(name).stem for name in files}
    assert sum(name.startswith("clip_") for name in files) == 3  # a typical one of each class
    assert len(shown.images) == len(re.findall('alt="[^"]+"', shown.source))


@pytest.mark.whole_run
def test_equal_studies_give_equal_bytes(whole, tmp_path):
    _, _, one = whole
    two = tmp_path / "again"
    write(study(), two)
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) > 10 and all((one / file).read_bytes() == (two / file).read_bytes() for file in files)


def test_results_of_some_folds_say_so_at_the_top(whole):
    shown = page_of(study(held_out=["sub02", "sub04"]))
    warning = shown.text[: shown.text.index("Confusion")]
    assert "Partial results. 2 of 4 folds, 12 of 24 clips." in warning
    assert "Held out in turn: sub02, sub04. Not trained: sub01, sub03." in warning
    assert "Partial results" not in whole[1].text


def test_one_fold_has_no_interval_over_subjects():
    shown = page_of(study(held_out=["sub02"]))
    assert "one subject: no interval over subjects" in shown.text
    assert "a single subject allows no interval" in shown.text


def test_folds_of_different_devices_are_a_warning(whole):
    devices = {"sub01": "cpu", "sub02": "cuda", "sub03": "cpu", "sub04": "cpu"}
    made = study()
    shown = page_of(dataclasses.replace(made, provenance=dataclasses.replace(made.provenance, devices=devices)))
    assert "Folds of different kinds of device. cpu: sub01, sub03, sub04; cuda: sub02." in shown.text
    assert "different kinds of device" not in whole[1].text


def test_table_1_has_a_row_per_method_with_its_tests_and_what_was_published(whole):
    made, shown, _ = whole
    section = shown.source[shown.source.index('id="table1"') : shown.source.index('id="confusion"')]
    for row in made.table1.itertuples():
        assert row.title in section and percent(row.accuracy).replace(" ", "&nbsp;") in section
        assert f"{row.correct}&nbsp;of&nbsp;{row.clips}" in section
    for row in made.table1.iloc[1:].itertuples():
        assert f"{row.permutation_p:.4f} ({row.permutation_holm:.4f})" in section
        assert f"{row.won}&nbsp;–&nbsp;{row.lost}" in section
    assert "a remark" in section and "one seed" in section
    assert "67.21&nbsp;% of 247 clips" in section and "magnified" in section
    for sentence in comparison.sentences(made.table1):
        assert sentence in shown.text


def test_a_dataset_that_is_not_in_the_paper_has_no_published_figures():
    made = study()
    shown = page_of(dataclasses.replace(made, table1=table1(made.predictions, "synthetic")))
    assert "The paper has none for this dataset." in shown.text and "Published" not in shown.cells
    assert "nan" not in shown.source[shown.source.index('id="table1"') : shown.source.index('id="confusion"')].lower()


def test_without_the_methods_of_the_papers_figures_there_are_no_other_confusion_matrices(tmp_path, sketched):
    made = study(12, 3, others={})
    shown = write(made, tmp_path / "out")
    assert "As in the paper's Figures 3 to 5" not in shown.text
    assert not (tmp_path / "out/figures/confusions.svg").exists()


def test_without_truth_attention_is_not_scored_and_the_reason_is_given(tmp_path, sketched):
    shown = write(study(12, 3, dataset="casme2", truth=None), tmp_path / "out")
    scores = json.loads((tmp_path / "out/attention.json").read_text())
    assert list(scores) == ["reason"] and "casme2" in scores["reason"] and scores["reason"] in shown.text
    assert not (tmp_path / "out/figures/attention_scores.svg").exists()


def test_scores_of_attention_are_those_of_the_file(whole):
    made, shown, folder = whole
    scores = json.loads((folder / "attention.json").read_text())
    assert list(scores) == ["scores", "differences", "weights", "clips"]
    assert [entry["clip"] for entry in scores["clips"]] == list(made.predictions["clip"])
    for entry in scores["scores"]:
        assert f"{entry['mean']:.3f} ({entry['low']:.3f} to {entry['high']:.3f})" in shown.cells
    assert f"{scores['weights']['median']:.3f}" in shown.text


def faces_in(folder, pictures):
    """Whether some pixels of a face are in the figures: a colour that nothing else in them has."""
    found = False
    for path in sorted((folder / "figures").glob("*.png")):
        picture = cv2.imread(str(path))[..., ::-1].astype(int)
        found |= bool((np.abs(picture - pictures).max(axis=-1) < 12).sum() > 200)
    return found


@pytest.mark.parametrize(
    ("dataset", "faces", "visible"),
    [
        ("casme2", False, False),
        ("casme2", True, True),
        pytest.param("synthetic", False, True, marks=pytest.mark.whole_run),
    ],
)
def test_faces_of_licensed_datasets_are_shown_on_request_only(tmp_path, sketched, dataset, faces, visible):
    sketched.add(".png")
    skin = (250, 20, 120)
    face = np.full((FRAMES + 1, SIZE, SIZE, 3), skin, np.uint8)
    made = study(12, 3, dataset=dataset, report={"faces": faces}, truth=None, frames=lambda clip: face)
    shown = write(made, tmp_path / "out")
    assert faces_in(tmp_path / "out", np.array(skin)) == visible
    assert ("Faces are not shown" in shown.text) != visible


def test_a_mean_face_is_one_of_a_crowd():
    bright = {f"sub{n + 1:02d}": np.full((FRAMES + 1, SIZE, SIZE, 3), 10 * n, np.uint8) for n in range(12)}
    made = study(48, 12, dataset="casme2", truth=None, frames=lambda clip: bright[clip.split("/")[0]])
    np.testing.assert_array_equal(mean_face(made), 55)
    few = study(24, 4, dataset="casme2", truth=None, frames=lambda clip: bright[clip.split("/")[0]])
    np.testing.assert_array_equal(mean_face(few), 190)


def test_a_chosen_clip_that_is_not_there_is_an_error_that_names_it(tmp_path):
    made = study(report={"clips": ["sub01/EP000", "sub02/EP001", "sub09/EP99"]}, held_out=["sub02"])
    with pytest.raises(InputError, match=r"report\.clips.*sub02.*found sub01/EP000, sub09/EP99.*clips\.csv"):
        write(made, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_network_without_attention_has_a_page_too(tmp_path, sketched):
    bare = {clip: shown._replace(mask=None, contrast=None, weights=None) for clip, shown in study().attention.items()}
    shown = write(study(attention=bare), tmp_path / "out")
    assert "no temporal attention" in shown.text and not (tmp_path / "out/figures/temporal_attention.svg").exists()
    assert json.loads((tmp_path / "out/attention.json").read_text())["weights"] is None


def test_what_is_needed_to_get_the_page_again_is_in_it(whole):
    made, shown, _ = whole
    origin = made.provenance
    for value in (*origin.annotation.values(), *origin.hashes.values(), *origin.estimator.values(), "torch 9.9"):
        assert value in shown.text
    assert {"lambda", "1e-08", "train.augmentation.crop", "168", "seed"} <= set(shown.cells)


@pytest.mark.whole_run
def test_a_page_of_250_clips_stays_small_and_shows_the_chosen_ones(tmp_path):
    """Frames of full size, noise in every picture, as many clips drawn as can be: the least that compresses."""
    chosen = [f"sub{n + 1:02d}/EP{n:03d}" for n in range(4)]
    write(study(250, 26, size=192, report={"clips": chosen}), tmp_path / "out")
    assert (tmp_path / "out/report.html").stat().st_size < 15e6
    drawn = {path.name for path in (tmp_path / "out/figures").glob("clip_*")}
    assert {f"clip_{clip.replace('/', '_')}.png" for clip in chosen} <= drawn


def test_a_composite_has_the_scores_of_its_parts_and_a_single_database_does_not():
    made = study()
    assert "same predictions, of the clips of one database only" not in page_of(made).text
    databases = made.predictions["subject"].map(lambda subject: "smic" if subject == "sub01" else "casme2")
    parts = metrics.per_part(made.predictions, databases, CLASSES)
    shown = page_of(dataclasses.replace(made, per_part=parts))
    for row in parts.to_dict("records"):
        place = shown.cells.index(row["part"])
        expected = [row["part"], str(row["clips"]), *(f"{100 * row[key]:.2f} %" for key in ("accuracy", "uf1", "uar"))]
        assert [cell.replace("\xa0", " ") for cell in shown.cells[place : place + 5]] == expected
    assert "same predictions, of the clips of one database only" in shown.text
    assert "Published on the composite" not in shown.text


def test_megc2019_stands_beside_published_figures_and_says_which_had_their_epoch_chosen_on_the_test_subject():
    made = study()
    made = dataclasses.replace(made, params=with_values(made.params, dataset="megc2019"))
    shown = page_of(made)
    facts = published()
    assert {entry.epoch_on_test_subject.split(",")[0] for entry in facts} == {"yes", "no"}
    for entry in facts:
        assert (
            entry.method in shown.cells and entry.protocol in shown.cells and entry.epoch_on_test_subject in shown.cells
        )
    lbp = [entry for entry in facts if entry.method.startswith("LBP-TOP")]
    assert {entry.part: (entry.uf1, entry.uar) for entry in lbp} == {
        "full": (0.5882, 0.5785),
        "smic": (0.2, 0.528),
        "casme2": (0.7026, 0.7429),
        "samm": (0.3954, 0.4102),
    }
    place = shown.cells.index("this study", shown.cells.index(facts[-1].method))
    assert shown.cells[place + 2].replace("\xa0", " ") == f"{100 * made.metrics['uf1']:.2f} %"
    assert shown.cells[place + 4] == "no, the last epoch counts"


def test_accepted_differences_from_the_official_list_stand_above_all_scores():
    sentence = "smic-s18/s18_sur_03: not among the recordings here, surprise in the official list"
    shown = page_of(dataclasses.replace(study(), deviations=(sentence,)))
    assert "1 accepted difference: " + sentence in shown.text
    assert shown.text.index(sentence) < shown.text.index("Accuracy")
    assert "Not the official clips" not in page_of(study()).text


def test_clips_that_lack_frames_are_counted_and_named_above_all_scores():
    made = study()
    assert "Missing frames" not in page_of(made).text
    counts = ["0"] * len(made.clips)
    counts[1], counts[3] = "3", "12"
    lacking = dataclasses.replace(made, clips=made.clips.assign(n_missing=counts))
    shown = page_of(lacking)
    named = f"{made.clips['clip'].iloc[1]} (3), {made.clips['clip'].iloc[3]} (12)."
    assert f"2 of {len(made.clips)} clips lack frames" in shown.text and named in shown.text
    assert shown.text.index(named) < shown.text.index("Accuracy")
    whole = dataclasses.replace(made, clips=made.clips.assign(n_missing="0"))
    assert "Missing frames" not in page_of(whole).text


def with_values(frozen, **changes):
    """A copy of checked parameters with values that need not fit together."""
    made = copy.copy(frozen)
    for key, value in changes.items():
        object.__setattr__(made, key, value)
    return made
