from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
import torch

from effvit_edge.core.card import Preprocess
from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.data.augment import Augmentation, ClipAugmenter
from effvit_edge.data.borrowed import BorrowedTransforms
from tests.timm_shim import import_timm

MEAN = (0.2, 0.4, 0.6)
SPEC = Preprocess(48, 64, "squash", 1.0, MEAN, (0.2, 0.2, 0.2))


@pytest.fixture(scope="module", autouse=True)
def torchvision() -> None:
    """Make torchvision importable, once."""
    import_timm()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")


def picture(seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), np.uint8))


def still(frames: int = 5) -> np.ndarray:
    return np.stack([picture()] * frames)


@pytest.mark.parametrize(("randaugment", "erase"), [((2, 9), 0.0), ((), 1.0), ((3, 15), 0.5)])
def test_every_frame_of_a_clip_gets_the_same(randaugment: tuple[int, ...], erase: float) -> None:
    apply = BorrowedTransforms(MEAN, randaugment, erase)
    results = [apply(still(), np.random.default_rng(seed)) for seed in range(12)]
    for clip in results:
        assert clip.shape == (5, 48, 64, 3) and clip.dtype == np.uint8
        assert (clip == clip[0]).all()
    assert len({clip.tobytes() for clip in results}) > 6


def test_a_clip_follows_from_its_generator_and_leaves_torchs_alone() -> None:
    apply = BorrowedTransforms(MEAN, (2, 9), 0.5)
    before = torch.get_rng_state()
    first = apply(still(), np.random.default_rng(3))
    torch.manual_seed(99)
    torch.rand(7)
    assert np.array_equal(first, apply(still(), np.random.default_rng(3)))
    torch.set_rng_state(before)
    apply(still(), np.random.default_rng(4))
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_erased_has_the_mean_colour() -> None:
    """It is as if nothing were there: the mean normalises to zero."""
    white = np.full((3, 48, 64, 3), 255, np.uint8)
    for seed in range(5):
        clip = BorrowedTransforms(MEAN, (), 1.0)(white, np.random.default_rng(seed))
        changed = (clip != 255).any(axis=-1)
        assert 0.01 < changed.mean() < 0.4
        assert (clip[changed] == np.array([51, 102, 153])).all()


def test_randaugment_mirrors_nothing() -> None:
    """So that "left" stays left: what comes out is always nearer to the picture than its mirror."""
    ramp = np.broadcast_to(np.linspace(20, 230, 64, dtype=np.uint8)[:, None], (48, 64, 3))
    clip = np.stack([ramp])
    apply = BorrowedTransforms((0.5, 0.5, 0.5), (1, 9), 0.0)
    for seed in range(60):
        row = apply(clip, np.random.default_rng(seed))[0, 20:28].mean(axis=(0, 2))
        # Solarising turns the bright end dark, nothing else turns the slope about.
        assert row[:32].mean() <= row[24:40].mean() + 1


def test_it_comes_after_crop_and_colour_and_changes_none_of_their_draws() -> None:
    plain = ClipAugmenter(SPEC, Augmentation((0.3, 1.0), (0.8, 1.2), flip=0.5, color=0.3))
    chosen = Augmentation((0.3, 1.0), (0.8, 1.2), flip=0.5, color=0.3, randaugment=(2, 9))
    rng, again = np.random.default_rng(5), np.random.default_rng(5)
    base = plain(still(), rng)
    expected = BorrowedTransforms(MEAN, (2, 9), 0.0)(base, rng)
    assert np.array_equal(ClipAugmenter(SPEC, chosen)(still(), again), expected)


def test_without_torchvision_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.transforms.v2", None)
    with pytest.raises(EnvironmentFault, match=r"need torchvision.*Install the one that belongs"):
        ClipAugmenter(SPEC, Augmentation(erase=0.1))
    ClipAugmenter(SPEC, Augmentation())  # nobody asks for it
