from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from effvit_edge.core.motion import LABELS, Composition, TextureBank, render_sequence
from effvit_edge.core.motion.degrade import Clip, degrade, directional_kernel, sharpness
from tests.unit.core.motion_measures import measured_shift, measured_similarity

SPEED = 0.02
SIZE = 96
ZOOM_OF = {"closer": SPEED, "farther": -SPEED}
TURN_OF = {"clockwise": 61 * SPEED, "counterclockwise": -61 * SPEED}
SHIFT_OF = {"left": (-SPEED, 0), "right": (SPEED, 0), "up": (0, -SPEED), "down": (0, SPEED)}


@pytest.fixture(scope="module")
def bank() -> TextureBank:
    return TextureBank(seed=3, count=40, size=256)


def clean_clip(bank: TextureBank, seed: int, label: str, num_frames: int = 3) -> Clip:
    rng = np.random.default_rng(seed)
    return render_sequence(
        bank, rng, [(label, num_frames)], SIZE, SPEED, composition="scene", degraded=False
    )


def per_frame_motion(bank: TextureBank, label: str) -> np.ndarray:
    """Medians over scenes of the shift along x and y, log growth and clockwise degrees."""
    measured = []
    for seed in range(6):
        clip = clean_clip(bank, seed, label)
        pair = clip[0], clip[2]
        measured.append([*measured_shift(*pair), *measured_similarity(*pair)[2:]])
    return np.median(measured, axis=0) / 2


@pytest.mark.parametrize("label", LABELS)
def test_what_opencv_measures_is_what_the_label_says(bank: TextureBank, label: str) -> None:
    x, y, growth, degrees = per_frame_motion(bank, label)
    expected_x, expected_y = SHIFT_OF.get(label, (0, 0))
    assert x == pytest.approx(expected_x, abs=0.3 * SPEED)
    assert y == pytest.approx(expected_y, abs=0.3 * SPEED)
    assert growth == pytest.approx(ZOOM_OF.get(label, 0), abs=0.2 * SPEED)
    assert degrees == pytest.approx(TURN_OF.get(label, 0), abs=0.2 * 61 * SPEED)


def test_still_scenes_move_by_less_than_a_tenth_of_a_pixel(bank: TextureBank) -> None:
    for seed in range(10):
        clip = clean_clip(bank, seed, "still", 8)
        shift = np.abs(measured_shift(clip[0], clip[-1]))
        assert (64 * shift < 0.2).all()


@pytest.mark.parametrize("composition", ["object", "object_over_motion"])
def test_the_object_moves_as_labelled_and_the_ground_does_not(
    bank: TextureBank, composition: Composition
) -> None:
    for label, (x, y) in SHIFT_OF.items():
        agreement = []
        for seed in range(6):
            rng = np.random.default_rng(seed)
            clip = render_sequence(
                bank, rng, [(label, 2)], SIZE, 0.03, composition=composition, degraded=False
            )
            before, after = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in clip)
            rest = np.zeros((SIZE, SIZE, 2), dtype=np.float32)
            flow = cv2.calcOpticalFlowFarneback(before, after, rest, 0.5, 3, 15, 5, 7, 1.5, 0)
            flow = np.asarray(flow)
            speed = np.hypot(flow[..., 0], flow[..., 1]) / SIZE
            moving = speed > 0.015
            assert moving.mean() < 0.9
            along = (flow[..., 0] * x + flow[..., 1] * y) / SIZE / SPEED
            agreement.append(np.median(along[moving]) if moving.any() else 0.0)
        assert np.median(agreement) == pytest.approx(0.03, rel=0.4)


def test_motion_changes_at_the_border_and_the_scene_goes_on(bank: TextureBank) -> None:
    rng = np.random.default_rng(8)
    segments = [("left", 6), ("right", 5), ("still", 4)]
    clip = render_sequence(bank, rng, segments, 64, 0.03, composition="scene", degraded=False)
    assert clip.shape == (15, 64, 64, 3) and clip.dtype == np.uint8
    shifts = [measured_shift(*pair)[0] for pair in itertools.pairwise(clip)]
    np.testing.assert_allclose(np.sign(np.round(shifts, 2)), [-1] * 5 + [1] * 5 + [0] * 4)


def test_the_same_seed_gives_the_same_frames_whatever_was_drawn_before() -> None:
    first, second = TextureBank(5, count=6, size=128), TextureBank(5, count=6, size=128)
    for index in range(len(second)):
        second.texture(index)
        second.outline(index)
    clips = [
        render_sequence(bank, np.random.default_rng(seed), [("up", 4)], 32)
        for bank, seed in ((first, 1), (second, 1), (second, 2))
    ]
    np.testing.assert_array_equal(clips[0], clips[1])
    assert (clips[1] != clips[2]).any()


def test_a_single_frame_does_not_tell_the_motion(bank: TextureBank) -> None:
    # Chance is 0.11, and a spread of five standard errors ends at 0.21.
    count = 720
    features, truth = [], np.arange(count) % len(LABELS)
    for index in range(count):
        rng = np.random.default_rng(index)
        frame = render_sequence(bank, rng, [(LABELS[truth[index]], 3)], 32, 0.06)[-1]
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float64)
        small = cv2.resize(grey, (8, 8), interpolation=cv2.INTER_AREA)
        spectrum = np.log1p(np.abs(np.fft.rfft2(grey - grey.mean())))[::4, ::2]
        features.append(np.concatenate([small.ravel(), spectrum.ravel()]))
    table = np.array(features)
    table = (table - table.mean(axis=0)) / (table.std(axis=0) + 1e-9)
    train, test = slice(0, 480), slice(480, None)
    gram = table[train].T @ table[train] + 100 * np.eye(table.shape[1])
    weights = np.linalg.solve(gram, table[train].T @ np.eye(len(LABELS))[truth[train]])
    accuracy = ((table[test] @ weights).argmax(axis=1) == truth[test]).mean()
    assert accuracy < 0.21


def test_recording_never_moves_the_picture(bank: TextureBank) -> None:
    for seed in range(12):
        clip = clean_clip(bank, seed, "still", 1).repeat(3, axis=0)
        recorded = degrade(np.random.default_rng(seed), clip)
        assert recorded.shape == clip.shape and recorded.dtype == np.uint8
        shift = np.abs(measured_shift(recorded[0], recorded[-1]))
        assert (SIZE * shift < 0.3).all()


@pytest.mark.parametrize("length", [1.0, 3.3, 9.0])
@pytest.mark.parametrize("angle", [0.0, 0.7, 2.5])
def test_a_directional_blur_keeps_brightness_and_is_centred(length: float, angle: float) -> None:
    kernel = directional_kernel(length, angle)
    assert kernel.sum() == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-6)


def test_sharpness_needs_detail_along_both_directions() -> None:
    ramp = np.arange(0, 64, dtype=np.uint8)
    stripes = np.broadcast_to((ramp // 4 % 2 * 100)[None, :, None], (64, 64, 3))
    checks = np.broadcast_to(
        ((ramp[:, None] // 4 + ramp[None, :] // 4) % 2 * 100)[:, :, None], (64, 64, 3)
    )
    assert sharpness(stripes) == pytest.approx(0.0, abs=1e-3)
    assert sharpness(checks) > 10.0


@pytest.mark.parametrize(
    "segments, message",
    [
        ([], "at least one segment"),
        ([("left", 0)], "segment 'left' has 0 frames"),
        ([("round", 3)], "unknown motion 'round'"),
    ],
)
def test_bad_segments_are_refused(
    bank: TextureBank, segments: list[tuple[str, int]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        render_sequence(bank, np.random.default_rng(0), segments, 32)


def test_a_bank_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="count >= 1 and size >= 32, not 0 and 64"):
        TextureBank(0, count=0, size=64)
