from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from effvit_edge.core.card import Mode
from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.runtime import open_session
from effvit_edge.runtime.open import default_threads
from tests.tiny_models import LABELS, SIDE, WINDOW, brightness_logits, tiny_card, write_model


def test_clip_logits_equal_numpy(tmp_path: Path) -> None:
    clip = np.random.default_rng(1).integers(0, 256, (WINDOW, SIDE, SIDE, 3), np.uint8)
    with open_session(write_model(tmp_path / "m.onnx", tiny_card("clip"))) as session:
        logits = session.run(clip)
    np.testing.assert_allclose(
        logits, brightness_logits(clip.mean(axis=(0, 1, 2)) / 255), atol=1e-5
    )


def test_stream_logits_equal_numpy_frame_by_frame(tmp_path: Path) -> None:
    frames = np.random.default_rng(2).integers(0, 256, (6, SIDE, SIDE, 3), np.uint8)
    mean = np.zeros(3)
    with open_session(write_model(tmp_path / "m.onnx", tiny_card("stream"))) as session:
        state = session.init_state()
        for frame in frames:
            logits, state = session.step(frame, state)
            mean = 0.5 * mean + 0.5 * frame.mean(axis=(0, 1)) / 255
            np.testing.assert_allclose(logits, brightness_logits(mean), atol=1e-5)


def test_a_model_without_a_card_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx", tiny_card("clip"), with_card=False)
    with pytest.raises(InputError, match=r"m\.onnx has no model card.*effvit-edge export"):
        open_session(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "clip"}, "expected input frames uint8"),
        ({"labels": (*LABELS, "more")}, r"expected output logits float32 \[4\].*got.*\[3\]"),
    ],
    ids=["mode", "labels"],
)
def test_a_card_that_does_not_fit_its_graph_is_refused(
    tmp_path: Path, change: dict, message: str
) -> None:
    path = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    model = onnx.load(path)
    onnx.helper.set_model_props(
        model, {"effvit_edge.card": tiny_card(**{"mode": "stream", **change}).to_json()}
    )
    onnx.save(model, path)
    with pytest.raises(InputError, match=message):
        open_session(path)


@pytest.mark.parametrize("mode", ["clip", "stream"])
def test_an_export_for_several_streams_is_told_apart(tmp_path: Path, mode: Mode) -> None:
    path = write_model(tmp_path / "m.onnx", tiny_card(mode))
    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        sizes = [size.dim_value for size in value.type.tensor_type.shape.dim]
        value.CopyFrom(
            onnx.helper.make_tensor_value_info(
                value.name, value.type.tensor_type.elem_type, [3, *sizes]
            )
        )
    del model.graph.value_info[:]
    for node in model.graph.node:
        if node.op_type == "ReduceMean":
            rank = 3 if mode == "stream" else 4
            axes = next(i for i in model.graph.initializer if i.name == node.input[1])
            axes.CopyFrom(onnx.numpy_helper.from_array(np.arange(1, rank), axes.name))
    onnx.save(model, path)
    with pytest.raises(InputError, match=r"for 3 streams at.*without --batch: several sources"):
        open_session(path)


def test_a_stream_without_a_state_answers_for_each_frame_alone(tmp_path: Path) -> None:
    """As an image preset is exported."""
    path = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    model = onnx.load(path)
    del model.graph.input[1], model.graph.output[1]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(3, "f"), "state_mean"))
    onnx.save(model, path)
    frames = np.random.default_rng(2).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
    with open_session(path, "cpu") as session:
        state = session.init_state()
        for frame in frames:
            logits, state = session.step(frame, state)
            colour = 0.5 * frame.mean(axis=(0, 1)) / 255
            np.testing.assert_allclose(logits, brightness_logits(colour), atol=1e-5)
        assert dict(state) == {}


def test_a_graph_with_an_input_too_many_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    model = onnx.load(path)
    extra = onnx.helper.make_tensor_value_info("volume", onnx.TensorProto.FLOAT, [1])
    model.graph.input.append(extra)
    onnx.save(model, path)
    with pytest.raises(InputError, match="no input 'volume'"):
        open_session(path)


def test_a_state_without_its_successor_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    model = onnx.load(path)
    del model.graph.output[1]
    onnx.save(model, path)
    with pytest.raises(InputError, match="expected output next_state_mean"):
        open_session(path)


def test_a_card_that_is_not_json_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"effvit_edge.card": "{"})
    onnx.save(model, path)
    with pytest.raises(InputError, match=r"card of .*m\.onnx"):
        open_session(path)


def test_files_that_are_no_models_are_refused(tmp_path: Path) -> None:
    whole = write_model(tmp_path / "m.onnx", tiny_card("stream")).read_bytes()
    half, text = tmp_path / "half.onnx", tmp_path / "text.onnx"
    half.write_bytes(whole[: len(whole) // 2])
    text.write_text("not a model")
    for path in (half, text):
        with pytest.raises(InputError, match=f"{path.name} cannot be loaded as an ONNX model"):
            open_session(path)


def test_paths_that_are_no_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no model at"):
        open_session(tmp_path / "absent.onnx")
    with pytest.raises(InputError, match=r"is a folder.*effvit-edge export"):
        open_session(tmp_path)


def test_providers(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    with open_session(path, "cpu", threads=2) as session:
        assert session.provider_report.endswith("on the CPU, 2 threads")
    with pytest.raises(InputError, match="TensorRT runs an engine"):
        open_session(path, "tensorrt")
    with pytest.raises(InputError, match=r"no provider 'gpu'.*auto, cpu, cuda, tensorrt"):
        open_session(path, "gpu")
    with pytest.raises(InputError, match="at least 1, got 0"):
        open_session(path, "cpu", threads=0)
    with pytest.raises(InputError, match="device must be 0 or more, got -1"):
        open_session(path, "cpu", device=-1)


def test_falling_back_from_cuda_is_visible(tmp_path: Path) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    path = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    with open_session(path) as session:
        assert "on the CPU" in session.provider_report
        assert "not CUDA: this ONNX Runtime is built without it" in session.provider_report
    with pytest.raises(EnvironmentFault, match=r"CUDA was asked for.*ort-gpu"):
        open_session(path, "cuda")


@pytest.mark.parametrize(
    ("starts", "told"),
    [
        (True, "does not start on this machine"),
        (False, "libcudnn.so.9 cannot be opened"),
    ],
    ids=["silently on the CPU", "with an error"],
)
def test_a_cuda_that_does_not_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, starts: bool, told: str
) -> None:
    import onnxruntime

    real = onnxruntime.InferenceSession

    def create(path: str, options: object, providers: list[str], provider_options: object) -> Any:
        if "CUDAExecutionProvider" in providers and not starts:
            raise RuntimeError("libcudnn.so.9 cannot be opened.\nMore.")
        return real(path, options, ["CPUExecutionProvider"])

    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    monkeypatch.setattr(onnxruntime, "InferenceSession", create)
    path = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    with open_session(path) as session:
        assert f"on the CPU, {default_threads()} thread" in session.provider_report
        assert told in session.provider_report
    with pytest.raises(EnvironmentFault, match=told):
        open_session(path, "cuda")


def test_default_threads_leave_room_for_decoding() -> None:
    assert 1 <= default_threads() <= 4
