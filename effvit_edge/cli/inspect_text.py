"""What ``effvit-edge inspect`` prints for people."""

from __future__ import annotations

from typing import Any

Facts = dict[str, Any]

_ATTENTION = {
    "native": "plain operators",
    "operator with a body": "one operator, with a body that everything runs",
    "plugin": "one operator, for TensorRT with the plugin only",
}
_SHOWN_LABELS = 12
_WIDTH = 11


def describe(facts: Facts) -> list[str]:
    """Lines of a name and a value, the most telling first."""
    rows = _card_rows(facts)
    if "weights" in facts:
        weights = ", ".join(f"{count:,} {dtype}" for dtype, count in facts["weights"].items())
        rows.append(("weights", weights))
    if "engine" in facts:
        rows += _engine_rows(facts["engine"])
    if "opsets" in facts:
        rows += _file_rows(facts)
    if "layers" in facts:
        rows += _graph_rows(facts)
    elif facts["kind"] == "engine":
        rows.append(("layers", "unknown: the ONNX file it was built from is not beside it"))
    rows += _ancestor_rows(facts["ancestors"])
    return [f"{name:{_WIDTH}}{value}".rstrip() for name, value in rows]


def _card_rows(facts: Facts) -> list[tuple[str, str]]:
    card = facts["card"]
    spec = card["preprocess"]
    rows = [
        ("artifact", f"{facts['kind']} {facts['path']}, {facts['size_bytes'] / 1e6:.2f} MB"),
        ("sha256", facts["sha256"]),
        ("model", f"{card['variant']}, {card['mode']}, {card['precision']}"),
        ("frames", f"{card['num_frames']} at {card['fps']:g} a second"),
        (
            "input",
            f"{spec['height']}x{spec['width']} pixels, {spec['resize']}, "
            f"crop ratio {spec['crop_ratio']:g}",
        ),
    ]
    return rows + [("labels", _labels(group, card)) for group in card["label_groups"]]


def _labels(group: Facts, card: Facts) -> str:
    labels = group["labels"]
    shown = ", ".join(labels[:_SHOWN_LABELS]) + (", …" if len(labels) > _SHOWN_LABELS else "")
    name = f" {group['name']}" if len(card["label_groups"]) > 1 else ""
    several = "" if group["exclusive"] else " (any number at once)"
    return f"{len(labels)}{name}{several}: {shown}"


def _engine_rows(engine: Facts) -> list[tuple[str, str]]:
    device, gate = engine["device"], engine["gate"]
    where = "any device that TensorRT-RTX supports"
    if device is not None:
        where = f"{device['name']}, compute {device['compute_capability']}, CUDA {device['cuda']}"
    checked = "not compared with its parent"
    if gate is not None:
        checked = (
            f"max difference {gate['max_abs']:.1e}, cosine {gate['cosine']:.6f}, "
            f"same label {gate['top1_agreement']:.1%} of {gate['answers']} answers"
        )
    power = f", {engine['power_mode']}" if engine["power_mode"] else ""
    options = ", ".join(f"{name} {value}" for name, value in engine["options"].items())
    return [
        ("built for", f"{engine['flavour']} {engine['tensorrt']}, {engine['system']}"),
        ("device", where + power),
        ("built", f"{engine['built_at']} in {engine['build_seconds']:.0f} s"),
        ("options", options),
        ("plugin", engine["plugin"] or "none"),
        ("gate", checked),
    ]


def _file_rows(facts: Facts) -> list[tuple[str, str]]:
    opsets = ", ".join(f"{domain or 'ai.onnx'} {v}" for domain, v in facts["opsets"].items())
    return [
        ("format", f"opset {opsets}, IR {facts['ir_version']}"),
        ("verify", facts["verify"] or "no NAME.verify.npz beside it"),
    ]


def _graph_rows(facts: Facts) -> list[tuple[str, str]]:
    states = [t for t in facts["inputs"] if t["name"].startswith("state_")]
    kinds = " and ".join(sorted({tensor["dtype"] for tensor in states}))
    state = "none"
    if states:
        state = f"{facts['state_bytes'] / 1e6:.2f} MB in {len(states)} tensors of {kinds}"
    rows = [
        (kind[:-1], f"{tensor['name']} {tensor['dtype']} {list(tensor['shape'])}")
        for kind in ("inputs", "outputs")
        for tensor in facts[kind]
        if "state_" not in tensor["name"]
    ]
    rows += [("state", state), ("attention", _ATTENTION[facts["attention"]])]
    quantised = f"{facts['quantize_nodes']} Q, {facts['dequantize_nodes']} DQ"
    rows.append(("Q/DQ", quantised if facts["dequantize_nodes"] else "none"))
    return [*rows, ("MACs", _macs(facts)), *_layer_rows(facts)]


def _macs(facts: Facts) -> str:
    if facts["macs"] is None:
        return "unknown: the file does not describe the tensors within"
    unit = "frame" if facts["card"]["mode"] == "stream" else "clip"
    image = facts["inputs"][0]["shape"]
    batched = len(image) > (4 if unit == "clip" else 3)
    of_what = f"{image[0]} {unit}s at once" if batched else f"one {unit}"
    return f"{facts['macs'] / 1e6:,.1f} M for {of_what}"


def _layer_rows(facts: Facts) -> list[tuple[str, str]]:
    rows = []
    for number, layer in enumerate(facts["layers"]):
        share = ""
        if facts["macs"] and layer["macs"]:
            share = f"{layer['macs'] / facts['macs']:7.1%}"
        text = f"{layer['count']:5} {layer['precision']:5} {layer['kind']:24}{share}"
        rows.append(("" if number else "layers", text))
    return rows


def _ancestor_rows(ancestors: list[Facts]) -> list[tuple[str, str]]:
    if not ancestors:
        return [("made from", "no other artifact")]
    return [
        (
            "" if number else "made from",
            f"{ancestor['sha256'][:16]}…  {ancestor['path'] or 'not found beside it'}",
        )
        for number, ancestor in enumerate(ancestors)
    ]
