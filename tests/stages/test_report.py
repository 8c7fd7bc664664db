"""The report of a study as DVC makes it, and as a browser that may not reach the network shows it."""

import html
import json
import re
import shutil
import subprocess

import pandas as pd
import pytest

from pipeline import params
from pipeline.report.provenance import parameters
from tests.tiny import TINY


def page(workspace):
    return (workspace.root / "results/synthetic/report.html").read_text(encoding="utf-8")


def words(source):
    """Text of the page, without its marks."""
    text = html.unescape(re.sub("<[^>]*>", " ", source[source.index("<body>") :]))
    return re.sub(r"\s+", " ", text)


def test_the_numbers_are_those_of_the_tables(finished):
    results, text = finished.root / "results/synthetic", words(page(finished))
    for value in json.loads((results / "metrics.json").read_text()).values():
        assert f"{100 * value:.2f} %" in text
    predictions = pd.read_csv(results / "predictions.csv")
    correct = predictions["label"] == predictions["predicted"]
    assert f"{correct.sum()} of 9 clips" in text
    for clip in predictions["clip"][~correct]:
        assert clip in text
    scores = json.loads((results / "attention.json").read_text())
    assert [entry["clip"] for entry in scores["clips"]] == list(predictions["clip"])
    for entry in scores["scores"]:
        assert f"{entry['mean']:.3f} ({entry['low']:.3f} to {entry['high']:.3f})" in text


def test_parameters_hashes_and_versions_are_there(finished):
    text = words(page(finished))
    loaded = params.load_params(finished.root / "params.yaml")
    for key, value in parameters(loaded).items():
        assert f"{key} {value}" in text
    for file in ("data/synthetic/flow.h5", "data/synthetic/stabilised.h5", "models/synthetic/sub02.pt"):
        [sum256] = finished.run("sha256sum", file).split()[:1]
        assert f"{file} {sum256}" in text
    [(name, sum256)] = json.loads(finished.read("data/synthetic/annotation.json")).items()
    assert finished.run("sha256sum", f"data/raw/synthetic/{name}").startswith(sum256)
    assert f"annotation: {name} {sum256}" in text


def test_each_clip_is_shown_to_the_network_that_did_not_train_on_its_subject(workspace):
    """With the networks of two subjects exchanged, the scores of their clips change and those of others do not."""
    folder = workspace.root / "models/synthetic"
    before = clip_scores(workspace)
    first, second, kept = (folder / f"{subject}.pt" for subject in TINY["subjects"])
    first.rename(kept.with_suffix(".kept"))
    second.rename(first)
    kept.with_suffix(".kept").rename(second)
    workspace.stage("report")
    after = clip_scores(workspace)
    for clip in before:
        same = clip.startswith(TINY["subjects"][2])
        assert (before[clip] == after[clip]) == same, clip


def clip_scores(workspace):
    """What the report says of each clip's feature map."""
    entries = json.loads(workspace.read("results/synthetic/attention.json"))["clips"]
    return {entry["clip"]: entry["roc_auc, before attention"] for entry in entries}


def test_partial_results_are_called_so_at_the_top(workspace):
    workspace.edit("held_out: all", "held_out: [sub02]")
    workspace.stage("task")
    for subject in ("sub01", "sub03"):
        workspace.stage("train", "stanet", subject)  # which leaves it out
    for method in TINY["comparators"]["methods"]:
        workspace.stage("classify", method)
    workspace.stage("aggregate", "stanet")
    for stage in ("largest_class", "compare", "report"):
        workspace.stage(stage)
    text = words(page(workspace))
    start = text[: text.index("Confusion")]
    assert "Partial results. 1 of 3 folds, 3 of 9 clips. Held out in turn: sub02. Not trained: sub01, sub03." in start


def test_a_clip_to_draw_that_does_not_exist_is_one_error(workspace):
    workspace.edit("clips: []", "clips: [sub01/EP99_09]")
    output = workspace.stage("report", fails=True)
    assert "report.clips" in output and "sub01/EP99_09" in output and "Traceback" not in output
    assert page(workspace)  # that of before


def test_the_figures_are_plots_of_dvc(workspace):
    output = workspace.dvc("plots", "show", "--json")
    for file in (workspace.root / "results/synthetic/figures").iterdir():
        assert f"results/synthetic/figures/{file.name}" in output.replace("\\\\", "/")


def test_faces_cropped_from_the_embedded_dataset_have_no_known_motion(workspace):
    workspace.edit("face: none\n", "face: crop\n")
    workspace.stage("gather", "synthetic")
    workspace.stage("report")
    scores = json.loads(workspace.read("results/synthetic/attention.json"))
    assert list(scores) == ["reason"] and "cropped" in scores["reason"]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on this machine")
def test_the_page_opens_in_a_browser_without_a_single_request(finished, tmp_path):
    log, picture = tmp_path / "net.json", tmp_path / "page.png"
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += [f"--log-net-log={log}", f"--screenshot={picture}", "--window-size=1280,4000"]

    def requested(target):
        """Addresses that the page asks for; a browser has business of its own, which no page initiated."""
        subprocess.run([*command, target], check=True, capture_output=True, timeout=120)
        assert picture.stat().st_size > 10_000
        events = [event.get("params", {}) for event in json.loads(log.read_text(encoding="utf-8"))["events"]]
        started = [params for params in events if "url" in params and "initiator" in params]
        return [params["url"] for params in started if params["initiator"] != "not an origin"]

    source = finished.root / "results/synthetic/report.html"
    assert requested(source.as_uri()) == []
    # The same page with one picture from elsewhere, and without the rule that forbids it: that would be seen.
    leaking = re.sub(
        "<meta http-equiv[^>]*>", '<img src="https://example.org/a.png">', source.read_text(encoding="utf-8")
    )
    (tmp_path / "leaking.html").write_text(leaking, encoding="utf-8")
    assert "https://example.org/a.png" in requested((tmp_path / "leaking.html").as_uri())
