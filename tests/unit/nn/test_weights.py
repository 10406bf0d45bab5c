from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from effvit_edge import nn
from effvit_edge.core.errors import EnvironmentFault, InputError
from tests.timm_shim import import_timm
from tests.unit.nn.networks import create_timm, timm_weights, to_official

Weights = dict[str, Tensor]


@pytest.fixture
def weights() -> Weights:
    return dict(timm_weights("b0"))


def _equal(model: torch.nn.Module, other: torch.nn.Module) -> bool:
    mine, theirs = model.state_dict(), other.state_dict()
    return all(torch.equal(mine[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w.safetensors"])
def test_files_of_either_kind_load_alike(tmp_path: Path, weights: Weights, name: str) -> None:
    path = tmp_path / name
    if name.endswith("safetensors"):
        safetensors.torch.save_file(weights, path)
    else:
        torch.save({"state_dict": weights}, path)
    from_file = nn.create_model("efficientvit_b0")
    from_memory = nn.create_model("efficientvit_b0")
    nn.load_image_weights(from_file, str(path))
    nn.load_image_weights(from_memory, weights)
    assert _equal(from_file, from_memory)


def test_our_own_image_weights_are_inflated(weights: Weights) -> None:
    image = nn.create_model("efficientvit_b0", num_classes=7)
    nn.load_image_weights(image, weights)
    video = nn.create_model("efficientvit3d_b0", num_classes=7, causal=True)
    report = nn.load_image_weights(video, image.state_dict())
    assert report.layout == "effvit_edge"
    assert report.eps is None
    own, theirs = video.state_dict(), image.state_dict()
    name = "stages.3.1.attention.aggregate_space.weight"
    assert torch.equal(own[name][:, :, -1], theirs[name])
    assert not own[name][:, :, :-1].any()


def test_centred_inflation_fills_the_centre_tap(weights: Weights) -> None:
    video = nn.create_model("efficientvit3d_b0", temporal_kernels=(5, 1, 1, 1, 1))
    nn.load_image_weights(video, weights, inflation="centre")
    kernel = video.state_dict()["stem.0.conv.weight"]
    assert torch.equal(kernel[:, :, 2], weights["stem.in_conv.conv.weight"])
    assert int((kernel != 0).sum()) == int((kernel[:, :, 2] != 0).sum())


@pytest.mark.parametrize(
    ("network", "inflation", "message"),
    [
        ({"causal": True}, "centre", "a causal network takes inflation='last', got 'centre'"),
        ({"causal": True}, "average", "a causal network takes inflation='last'"),
        ({}, "last", "a centred network takes inflation='centre', got 'last'"),
        ({}, "average", "temporal_padding='replicate'"),
    ],
)
def test_inflation_that_breaks_the_image_network_is_refused(
    weights: Weights, network: dict[str, Any], inflation: Any, message: str
) -> None:
    model = nn.create_model("efficientvit3d_b0", **network)
    with pytest.raises(ValueError, match=message):
        nn.load_image_weights(model, weights, inflation=inflation)


def test_a_classifier_for_other_classes_keeps_its_start_and_is_named(weights: Weights) -> None:
    model = nn.create_model("efficientvit_b0", num_classes=9)
    start = model.head.classifier.weight.clone()
    report = nn.load_image_weights(model, weights)
    assert torch.equal(model.head.classifier.weight, start)
    assert list(report.skipped) == ["head.classifier.4.weight", "head.classifier.4.bias"]
    assert list(report.initial) == ["head.classifier.weight", "head.classifier.bias"]
    reason = report.initial["head.classifier.weight"]
    assert "(1000, 1280) in the source and (9, 1280) in the network" in reason
    assert "head.classifier.4.weight" in str(report)


def test_a_head_of_other_widths_keeps_its_start_from_there_on(weights: Weights) -> None:
    model = nn.create_model("efficientvit_b0", head_widths=(1024, 64))
    report = nn.load_image_weights(model, weights)
    assert "head.in_conv.conv.weight" in report.loaded
    assert {"head.hidden.weight", "head.norm.bias", "head.classifier.bias"} <= set(report.initial)
    assert report.initial["head.classifier.bias"].startswith("goes with head.hidden.weight")


def test_a_backbone_alone_loads_and_leaves_the_head(weights: Weights) -> None:
    backbone = {name: t for name, t in weights.items() if not name.startswith("head.")}
    report = nn.load_image_weights(nn.create_model("efficientvit_b0"), backbone)
    assert not report.skipped
    assert all(name.startswith("head.") for name in report.initial)
    assert "in the network only" in report.initial["head.hidden.weight"]


def test_step_counters_may_be_missing(weights: Weights) -> None:
    bare = {name: t for name, t in weights.items() if not name.endswith("num_batches_tracked")}
    report = nn.load_image_weights(nn.create_model("efficientvit_b0"), bare)
    assert len(report.loaded) == len(bare)
    assert all(name.endswith("num_batches_tracked") for name in report.initial)


@pytest.mark.parametrize(("layout", "eps"), [("timm", 1e-5), ("official", 1e-15)])
def test_the_report_tells_the_eps_of_the_weights_and_leaves_the_network_its_own(
    weights: Weights, layout: str, eps: float
) -> None:
    source = to_official(weights, "b0") if layout == "official" else weights
    model = nn.create_model("efficientvit_b0")
    report = nn.load_image_weights(model, source)
    assert (report.layout, report.eps, report.model_eps) == (layout, eps, 1e-5)
    assert model.network_kwargs["eps"] == 1e-5
    assert ("eps=1e-15" in str(report)) == (layout == "official")


@pytest.mark.parametrize("layout", ["timm", "official"])
def test_another_variant_is_refused_with_the_first_differences(
    weights: Weights, layout: str
) -> None:
    source = to_official(weights, "b0") if layout == "official" else weights
    first = "backbone.input_stem.op_list.0" if layout == "official" else "stem.in_conv"
    model = nn.create_model("efficientvit3d_b1", causal=True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputError) as caught:
        nn.load_image_weights(model, source)
    message = str(caught.value)
    shapes = "is (8, 3, 3, 3) in the source and (16, 3, 3, 3) in the network"
    assert f"{first}.conv.weight {shapes}" in message
    assert "It fits the variant b0." in message
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_fewer_blocks_of_the_same_widths_are_refused() -> None:
    with torch.device("meta"):
        small = nn.create_model("efficientvit_l1").state_dict()
        large = nn.create_model("efficientvit_l2").to_empty(device="cpu")
    source = {name: torch.zeros(()).expand(tensor.shape) for name, tensor in small.items()}
    with pytest.raises(InputError, match=r"stages\.0\.2\.\S+ is in the network only.*variant l1"):
        nn.load_image_weights(large, source)


def test_a_tensor_nobody_knows_is_refused(weights: Weights) -> None:
    weights["stages.0.blocks.9.main.conv.weight"] = torch.zeros(1)
    with pytest.raises(InputError, match=r"stages\.0\.blocks\.9\S+ is in the source only"):
        nn.load_image_weights(nn.create_model("efficientvit_b0"), weights)


def test_video_weights_are_not_image_weights() -> None:
    video = nn.create_model("efficientvit3d_b0", num_classes=3)
    with pytest.raises(InputError, match="a video network's weights"):
        nn.load_image_weights(nn.create_model("efficientvit_b0", num_classes=3), video.state_dict())


def test_a_network_without_memory_is_refused(weights: Weights) -> None:
    with torch.device("meta"):
        model = nn.create_model("efficientvit_b0")
    with pytest.raises(ValueError, match="meta device"):
        nn.load_image_weights(model, weights)


def _save_object(path: Path) -> None:
    torch.save({"model": torch.nn.Linear(1, 1)}, path)


def _save_truncated(path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("w.pt", lambda path: None, "There is no weights file"),
        ("w.npz", Path.touch, "is not a weights file"),
        ("w.pt", Path.touch, "damaged"),
        ("w.pt", lambda path: path.write_text("no weights"), "damaged"),
        ("w.pt", _save_object, "holds Python objects"),
        ("w.pt", _save_truncated, "damaged"),
        ("w.pt", lambda path: torch.save([1, 2], path), "holds a list, not tensors by name"),
        ("w.pt", lambda path: torch.save({"epoch": 3}, path), "holds a int as 'epoch'"),
        ("w.pt", lambda path: torch.save({}, path), "starts with nothing"),
        (
            "w.pt",
            lambda path: torch.save({"fc.weight": torch.zeros(1)}, path),
            "neither official, timm nor effvit_edge names",
        ),
        ("w.safetensors", lambda path: path.write_text("text"), "not a whole safetensors file"),
    ],
)
def test_what_is_no_weights_file_is_refused_in_a_sentence(
    tmp_path: Path, name: str, write: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / name
    write(path)
    with pytest.raises(InputError, match=message) as caught:
        nn.load_image_weights(nn.create_model("efficientvit_b0"), path)
    assert name in str(caught.value)


def test_a_timm_model_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's part is replaced: what it would give is a timm network with weights."""
    network = create_timm("b0")
    asked: list[tuple[str, bool]] = []

    def create_model(name: str, *, pretrained: bool) -> torch.nn.Module:
        asked.append((name, pretrained))
        return network

    monkeypatch.setattr(import_timm(), "create_model", create_model)
    by_name, by_tensors = nn.create_model("efficientvit_b0"), nn.create_model("efficientvit_b0")
    nn.load_image_weights(by_name, "timm:efficientvit_b0.r224_in1k")
    nn.load_image_weights(by_tensors, network.state_dict())
    assert asked == [("efficientvit_b0.r224_in1k", True)]
    assert _equal(by_name, by_tensors)


def test_an_unreachable_hub_says_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(name: str, *, pretrained: bool) -> torch.nn.Module:
        raise OSError("no route to host")

    monkeypatch.setattr(import_timm(), "create_model", create_model)
    with pytest.raises(EnvironmentFault, match=r"no route to host.*give its path"):
        nn.load_image_weights(nn.create_model("efficientvit_b0"), "timm:efficientvit_b0")


@pytest.mark.parametrize(
    "name", ["efficientvit_b0.in22k", "efficientvit_b9", "resnet50", "efficientvit_m0"]
)
def test_a_name_timm_has_no_such_network_for(name: str) -> None:
    import_timm()
    with pytest.raises(InputError, match="it has efficientvit_b0"):
        nn.load_image_weights(nn.create_model("efficientvit_b0"), f"timm:{name}")


def test_without_timm_the_message_names_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(EnvironmentFault, match=r"needs timm.*give its path"):
        nn.load_image_weights(nn.create_model("efficientvit_b0"), "timm:efficientvit_b0")


def test_weights_of_lower_precision_are_cast(weights: Weights) -> None:
    half: Mapping[str, Tensor] = {name: t.half() for name, t in weights.items()}
    model = nn.create_model("efficientvit_b0")
    nn.load_image_weights(model, half)
    assert model.head.classifier.weight.dtype == torch.float32
    assert torch.equal(model.head.classifier.weight, half["head.classifier.4.weight"].float())
