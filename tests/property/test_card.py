from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from effvit_edge.core.card import LabelGroup, ModelCard, Preprocess

names = st.text(min_size=1, max_size=12).filter(str.strip)
unit = st.floats(0, 1)
above_zero = st.floats(0, 1e6, exclude_min=True)
free = st.dictionaries(
    st.text(max_size=6).filter(lambda key: key != "num_classes"),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=6)
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)  # fmt: skip
groups = st.lists(
    st.builds(LabelGroup, names, st.lists(names, min_size=1, max_size=5, unique=True).map(tuple)),
    min_size=1,
    max_size=3,
    unique_by=lambda group: group.name,
).map(tuple)
preprocesses = st.builds(
    Preprocess,
    height=st.integers(1, 4096),
    width=st.integers(1, 4096),
    resize=st.sampled_from(("short_side", "squash", "letterbox")),
    crop_ratio=st.floats(0, 1, exclude_min=True),
    mean=st.tuples(unit, unit, unit),
    std=st.tuples(above_zero, above_zero, above_zero),
)
cards = st.builds(
    ModelCard,
    family=names,
    variant=names,
    mode=st.sampled_from(("clip", "stream")),
    num_frames=st.integers(1, 10_000),
    fps=above_zero,
    preprocess=preprocesses,
    label_groups=groups,
    network=free,
    precision=st.sampled_from(("fp32", "fp16", "int8")),
    parent_sha256=st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
    provenance=free,
)


@given(cards)
def test_every_card_survives_being_written(card: ModelCard) -> None:
    again = ModelCard.from_json(card.to_json(), "here")
    assert again == card
    assert again.to_json() == card.to_json()
