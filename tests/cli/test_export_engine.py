"""``export --format engine``: over which steps, what is kept, and what each is held to."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from effvit_edge.cli import attention
from effvit_edge.cli.main import main
from effvit_edge.cli.session import open_model
from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import GateFailure
from effvit_edge.core.files import sha256_file
from effvit_edge.core.onnx_header import read_onnx_header
from effvit_edge.core.preprocess import preprocess_frame
from effvit_edge.engine.cache import engines_folder
from effvit_edge.engine.plugin import find
from effvit_edge.engine.plugin.find import PluginReport
from effvit_edge.engine.plugin.measured import measured_path, read_measured
from effvit_edge.runtime.graph import CARD_KEY
from effvit_edge.runtime.sidecar import read_sidecar, sidecar_path
from effvit_edge.train.checkpoint import save_model
from tests.cli.devices import ORIN, Device, pretend_device
from tests.tiny_models import tiny_card, write_model
from tests.unit.engine.test_build import write_samples
from tests.unit.export.networks import IMAGE, make_model
from tests.videos import write_video

Capture = pytest.CaptureFixture[str]
DEMO = Path(__file__).resolve().parents[2] / "models" / "demo.onnx"
FRAMES = [np.full((64, 64, 3), shade, np.uint8) for shade in range(0, 250, 10)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint's folder."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    model, card = make_model(IMAGE)
    save_model(folder, model, card)
    return folder


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Device:
    return pretend_device(monkeypatch, tmp_path / "device")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def engine(artifact: Path | str, output: Path, *options: str) -> int:
    return main(["export", str(artifact), "--format", "engine", "-o", str(output), *options])


def card_of(path: Path) -> ModelCard:
    return ModelCard.from_json(read_onnx_header(path).metadata[CARD_KEY], source=str(path))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_becomes_an_engine_with_its_graph_beside_it(
    run: Path, device: Device, out: Path, capsys: Capture
) -> None:
    plan = out / "m.plan"
    assert engine(run, plan) == 0
    said = capsys.readouterr().out
    assert names(out) == ["m.onnx", "m.plan", "m.plan.json", "m.verify.npz"]
    assert read_sidecar(plan).card.parent_sha256 == sha256_file(out / "m.onnx")
    assert card_of(out / "m.onnx").parent_sha256 == sha256_file(run / "model.safetensors")
    rows = [
        line.split()[0] for line in said.splitlines() if line.startswith("  ") and line[2] != " "
    ]
    assert rows == ["graph", "gate", "wrote", "engine", "gate"]
    assert "Engine for Orin, TensorRT 10.3.0" in said
    assert said.splitlines()[-1] == f"Next: effvit-edge label VIDEO --model {plan}"
    short = said.replace(str(out), "").replace(str(run), "").splitlines()
    assert max(map(len, short)) <= 80

    assert main(["inspect", str(plan), "--json"]) == 0
    chain = json.loads(capsys.readouterr().out)["ancestors"]
    assert [entry["path"] and Path(entry["path"]).name for entry in chain] == ["m.onnx", None]


def test_torch_is_not_in_the_process_that_builds(
    run: Path, device: Device, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """The stand-in tries to import it there, while it is loaded here."""
    monkeypatch.setenv("STAND_IN", "torch")
    assert "torch" in sys.modules
    assert engine(run, out / "m.plan") == 1
    assert "crashed with status 1" in capsys.readouterr().err
    assert names(out) == ["m.onnx", "m.verify.npz"]  # the step before is whole


def test_precision_is_reduced_between_the_two_arrows(
    run: Path, device: Device, out: Path, capsys: Capture
) -> None:
    plan = out / "m.plan"
    options = ["--precision", "fp16", "--limit-relative", "0.5", "--limit-agreement", "0", "--json"]
    assert engine(run, plan, *options) == 0
    report = json.loads(capsys.readouterr().out)
    graph, network = report["made_from"], report["made_from"]["made_from"]
    assert (report["path"], graph["path"]) == (str(plan), str(out / "m.onnx"))
    assert network["gate"]["max_abs"] <= network["gate"]["limit_max_abs"] == 1e-4
    for step in (graph, report):  # one option reaches both gates
        assert step["gate"]["limits"]["relative"] == 0.5
        assert step["gate"]["relative"] <= 0.5
    assert card_of(out / "m.onnx").precision == read_sidecar(plan).card.precision == "fp16"
    # the graph in float32 never was a file, so what it was made from is the parent
    assert card_of(out / "m.onnx").parent_sha256 == sha256_file(run / "model.safetensors")
    assert names(out) == ["m.onnx", "m.plan", "m.plan.json", "m.verify.npz"]

    # and the self-test of either file, which the card tells of it
    verify = out / "m.verify.npz"
    with np.load(verify) as file:
        clips, logits = file["clips"], file["logits"]
    np.savez(verify, clips=clips, logits=1.5 * logits)
    open_model(out / "m.onnx", "cpu").close()
    np.savez(verify, clips=clips, logits=4 * logits)
    with pytest.raises(GateFailure, match=r"limit 50\.00%"):
        open_model(out / "m.onnx", "cpu")


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A small ONNX file and its samples, in a folder of its own."""
    (tmp_path / "graph").mkdir()
    path = write_model(tmp_path / "graph" / "g.onnx", tiny_card("stream"))
    write_samples(path)
    return path


def test_an_onnx_file_is_built_as_it_is(
    graph: Path, device: Device, out: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("torch", "onnx"):
        monkeypatch.setitem(sys.modules, module, None)
    assert engine(graph, out / "m.plan", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["built"] and "made_from" not in report
    assert names(out) == ["m.plan", "m.plan.json"]
    assert engine(graph, out / "m.plan", "--json") == 0
    assert not json.loads(capsys.readouterr().out)["built"]
    assert engine(graph, out / "m.plan", "--json", "--rebuild") == 0
    assert json.loads(capsys.readouterr().out)["built"]


def reduced(graph: Path) -> Path:
    """The same file, said to be in FP16."""
    model = onnx.load(graph)
    card = json.loads(model.metadata_props[0].value)
    model.metadata_props[0].value = json.dumps({**card, "precision": "fp16"})
    onnx.save(model, graph)
    return graph


def test_a_precision_that_the_file_has_is_not_reduced_again(
    graph: Path, device: Device, out: Path, capsys: Capture
) -> None:
    for options in ([], ["--precision", "fp16"]):
        assert engine(reduced(graph), out / "m.plan", *options) == 0
    assert read_sidecar(out / "m.plan").card.precision == "fp16"
    capsys.readouterr()
    for asked in ("fp32", "int8"):
        more = ["--calibrate", "motion"] if asked == "int8" else []
        assert engine(graph, out / "n.plan", "--precision", asked, *more) == 2
        assert f"is fp16 already, so {asked} cannot be made of it" in capsys.readouterr().err


def test_an_engine_that_answers_otherwise_is_exit_4_and_has_no_name(
    graph: Path, device: Device, out: Path, capsys: Capture
) -> None:
    device.factor = 1.2
    assert engine(graph, out / "m.plan") == 4
    error = capsys.readouterr().err
    assert "of the largest logit (limit 1.00%)" in error and "No engine was written" in error
    assert names(out) == []
    assert engine(graph, out / "m.plan", "--limit-relative", "0.3") == 0
    assert "(limit 30.00%)" in capsys.readouterr().out


def test_an_engine_keeps_its_onnx_file_where_another_one_fails(
    run: Path, device: Device, out: Path, capsys: Capture
) -> None:
    options = ["--mode", "stream", "--precision", "fp16"]
    assert engine(run, out / "m.plan", *options) == 0
    before = {path.name: sha256_file(path) for path in out.iterdir()}
    device.factor = 1.5
    assert engine(run, out / "m.plan", *options, "--fp32-attention", "--rebuild") == 4
    assert "No engine was written" in capsys.readouterr().err
    assert {path.name: sha256_file(path) for path in out.iterdir()} == before
    assert read_sidecar(out / "m.plan").onnx_sha256 == before["m.onnx"]


def test_an_engine_of_wider_limits_opens_wherever_it_is_copied(
    graph: Path,
    device: Device,
    out: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("effvit_edge.engine.open_engine", device.open)
    device.factor = 1.2
    plan = out / "g.plan"
    assert engine(graph, plan, "--limit-relative", "0.3") == 0
    assert read_sidecar(plan).card.provenance["limits"] == {"relative": 0.3}
    there = tmp_path / "there"
    there.mkdir()
    for path in (plan, sidecar_path(plan), graph.with_name("g.verify.npz")):
        shutil.copy(path, there)
    video = write_video(tmp_path / "v.mp4", FRAMES)
    label = ["label", str(video), "--model", str(there / "g.plan")]
    assert main(label) == 0
    device.factor = 1.4
    assert main(label) == 4
    assert "of the largest logit (limit 30.00%)" in capsys.readouterr().err


def test_the_limit_of_labels_reaches_the_engine_if_it_is_given(
    graph: Path, device: Device, out: Path, capsys: Capture
) -> None:
    device.factor = -1.0
    wide = ["--limit-relative", "9", "--limit-cosine=-2"]
    assert engine(graph, out / "m.plan", *wide) == 0
    assert engine(graph, out / "n.plan", *wide, "--limit-agreement", "0.9") == 4
    assert "(limit 90.0%)" in capsys.readouterr().err


def test_another_onnx_file_beside_the_engine_is_not_replaced(
    run: Path, graph: Path, device: Device, out: Path, capsys: Capture
) -> None:
    plan, kept = out / "m.plan", out / "m.onnx"
    kept.write_bytes(graph.read_bytes())
    assert engine(run, plan) == 2
    assert "there is another one already" in capsys.readouterr().err
    assert kept.read_bytes() == graph.read_bytes()
    kept.write_bytes(b"no model")
    assert engine(run, plan) == 2
    kept.unlink()
    assert engine(run, plan) == engine(run, plan) == 0  # its own earlier one is


def test_the_file_that_is_converted_is_not_replaced(
    graph: Path, device: Device, capsys: Capture
) -> None:
    before = graph.read_bytes()
    assert engine(graph, graph.with_suffix(".plan"), "--precision", "fp16") == 2
    assert "is the file that is converted" in capsys.readouterr().err
    assert graph.read_bytes() == before


@pytest.mark.parametrize("options", [[], ["--precision", "fp16"], ["--attention", "measure"]])
def test_without_tensorrt_nothing_is_begun(
    options: list[str], run: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def load_model(folder: Path) -> Any:
        raise AssertionError("weights were loaded before TensorRT was looked for")

    monkeypatch.setattr("effvit_edge.train.checkpoint.load_model", load_model)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert engine(run, out / "m.plan", *options) == 3
    assert "TensorRT itself comes with JetPack" in capsys.readouterr().err
    assert names(out) == []


@pytest.mark.parametrize("form", ["plugin", "measure"])
def test_without_the_plugin_nothing_is_begun(
    form: str,
    run: Path,
    device: Device,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.setenv("EFFVIT_ENGINES", str(out / "none"))
    assert engine(run, out / "m.plan", "--attention", form) == 3
    assert "the attention plugin must be built on this device: make plugin" in (
        capsys.readouterr().err
    )
    assert names(out) == []


def test_measuring_keeps_a_record_that_auto_then_follows(
    run: Path, device: Device, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Both forms are exported, built, held to the network and timed; only the winner is written."""
    built = PluginReport(plugin=Path("plugin.so"), library=None, cubins=None, sources="abc")
    monkeypatch.setattr(find, "look_for_plugin", lambda: built)
    monkeypatch.setattr(attention, "look_for_plugin", lambda: built)
    monkeypatch.setattr(attention, "look_at_machine", lambda flavour: ORIN)
    monkeypatch.setattr("effvit_edge.engine.open_engine", device.open)
    monkeypatch.setattr("effvit_edge.engine.plugin.measure.ROUNDS", 3)
    options = ["--attention", "measure", "--json", "-o", str(out / "m.onnx")]
    assert main(["export", str(run), *options]) == 0
    report = json.loads(capsys.readouterr().out)
    choice = report["made_from"]
    assert names(out) == ["m.onnx", "m.verify.npz"]
    path = measured_path(engines_folder(), ORIN, built.sources)
    record = read_measured(path)
    assert record is not None and record.faster is (choice["attention"] == "plugin")
    assert (record.device, record.tensorrt) == (str(ORIN.device), "10.3.0")
    assert str(path) in choice["why"]
    attends = any("::" in op for op in read_onnx_header(out / "m.onnx").ops)
    assert attends is (choice["attention"] == "plugin")

    changed = {**json.loads(path.read_text()), "native_ms": 2.0, "plugin_ms": 1.0}
    path.write_text(json.dumps(changed))
    assert main(["export", str(run), "--attention", "auto", "-o", str(out / "a.onnx")]) == 0
    said = capsys.readouterr().out
    assert "1.00 ms with the plugin, 2.00 ms without (a ratio of 0.50)" in " ".join(said.split())
    plan = out / "a.plan"
    assert f"Next: effvit-edge export {out / 'a.onnx'} --format engine -o {plan}" in said


def test_measuring_needs_one_stream_and_a_network(
    run: Path, graph: Path, device: Device, out: Path, capsys: Capture
) -> None:
    assert engine(run, out / "m.plan", "--attention", "measure", "--batch", "2") == 2
    assert "times one stream" in capsys.readouterr().err
    assert engine(graph, out / "m.plan", "--attention", "measure") == 2
    assert "keeps its mode, sizes and attention" in capsys.readouterr().err


@pytest.fixture
def clips(tmp_path: Path, graph: Path) -> Path:
    """Two videos of the label that the graph gives grey frames, and one of another."""
    with open_model(graph) as session:
        spec, labels = session.card.preprocess, session.card.labels
        state, answers = session.init_state(), []
        for frame in FRAMES:
            logits, state = session.step(preprocess_frame(frame, spec), state)
            answers.append(np.exp(logits) / np.exp(logits).sum())
    after_warm_up = answers[session.card.num_frames - 1 :]
    own = labels[int(np.mean(after_warm_up, axis=0).argmax())]
    other = next(label for label in labels if label != own)
    for number, label in enumerate((own, own, other)):
        folder = tmp_path / "clips" / label
        folder.mkdir(parents=True, exist_ok=True)
        write_video(folder / f"{number}.mp4", FRAMES, fps=10)
    return tmp_path / "clips"


def test_an_engine_is_compared_on_labelled_data(
    graph: Path, device: Device, clips: Path, out: Path, capsys: Capture
) -> None:
    plan = out / "m.plan"
    for built in (True, False):  # one that is found is judged, too
        assert engine(graph, plan, "--verify", str(clips), "--json") == 0
        report = json.loads(capsys.readouterr().out)
        assert report["built"] is built
        assert report["accuracy"] == pytest.approx({"before": 2 / 3, "after": 2 / 3}, abs=1e-6)
    assert engine(graph, plan, "--verify", str(clips)) == 0
    assert "66.7% before, 66.7% after (limit: a loss of 1.0%)" in capsys.readouterr().out


def test_an_engine_that_tells_fewer_right_is_not_kept(
    graph: Path, device: Device, clips: Path, out: Path, capsys: Capture
) -> None:
    device.factor = -1.0  # the other label is then the more probable one
    wide = ["--limit-relative", "10", "--limit-cosine", "-2"]
    assert engine(graph, out / "m.plan", "--verify", str(clips), *wide) == 4
    error = capsys.readouterr().err
    assert "tells 33.3% of the sequences right, its ONNX file 66.7%" in " ".join(error.split())
    assert names(out) == []
    assert engine(graph, out / "m.plan", "--verify", str(clips), *wide, "--limit-drop", "1") == 0


def test_data_that_cannot_be_used_is_told_before_the_build(
    graph: Path, device: Device, tmp_path: Path, out: Path, capsys: Capture
) -> None:
    assert engine(graph, out / "m.plan", "--verify", str(tmp_path / "none")) == 2
    assert "none" in capsys.readouterr().err
    assert names(out) == []


def test_weak_precision_is_a_choice_of_the_builder(
    graph: Path, device: Device, out: Path, capsys: Capture
) -> None:
    plan = out / "m.plan"
    assert engine(graph, plan, "--weak-precision", "fp16") == 0
    assert read_sidecar(plan).options["weak_precision"] == "fp16"
    capsys.readouterr()
    arguments = ["export", str(graph), "--precision", "fp16", "--weak-precision", "fp16"]
    assert main([*arguments, "-o", str(out / "m.onnx")]) == 2
    assert "--weak-precision is for --format engine" in capsys.readouterr().err


def test_rebuild_is_for_engines(graph: Path, out: Path, capsys: Capture) -> None:
    arguments = ["export", str(graph), "--precision", "fp16", "--rebuild"]
    assert main([*arguments, "-o", str(out / "m.onnx")]) == 2
    assert "--rebuild is for --format engine" in capsys.readouterr().err


def test_a_network_that_fails_its_first_gate_gets_no_further(
    tmp_path: Path, device: Device, out: Path, capsys: Capture
) -> None:
    """Also where its graph would only be kept in memory."""
    model, card = make_model(IMAGE)
    with torch.no_grad():
        model.head.classifier.bias.fill_(float("nan"))
    save_model(tmp_path / "broken", model, card)
    for options in ([], ["--precision", "fp16"]):
        assert engine(tmp_path / "broken", out / "m.plan", *options) == 4
        assert "differs from the network" in capsys.readouterr().err
    assert names(out) == []
    assert not engines_folder().exists()
