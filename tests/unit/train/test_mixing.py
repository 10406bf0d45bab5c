from __future__ import annotations

import numpy as np
import pytest
import torch

from effvit_edge.train.mixing import Box, Mix, draw_mix
from effvit_edge.train.sections import AugmentRecipe
from tests.timm_shim import import_timm

HEIGHT, WIDTH = 12, 20


def draws(augment: AugmentRecipe, count: int) -> list[Mix | None]:
    random = np.random.default_rng(0)
    return [draw_mix(augment, random, height=HEIGHT, width=WIDTH) for _ in range(count)]


def test_mixup_blends_with_the_batch_read_backwards() -> None:
    clips = torch.randn(4, 3, 2, 5, 6)
    mixed = Mix(share=0.3).apply(clips)
    torch.testing.assert_close(mixed[0], 0.3 * clips[0] + 0.7 * clips[3])
    torch.testing.assert_close(mixed[2], 0.3 * clips[2] + 0.7 * clips[1])


def test_cutmix_pastes_the_same_box_into_every_frame() -> None:
    clips = torch.arange(2.0)[:, None, None, None, None].expand(2, 3, 4, HEIGHT, WIDTH)
    mixed = Mix(share=1 - 6 / 240, box=Box(1, 3, 5, 8)).apply(clips)
    expected = torch.zeros(HEIGHT, WIDTH)
    expected[1:3, 5:8] = 1
    assert torch.equal(mixed[0], expected.expand(3, 4, HEIGHT, WIDTH))
    assert torch.equal(mixed[1], 1 - mixed[0])


@pytest.mark.parametrize("box", [None, Box(2, 7, 0, 9)])
def test_mixed_clips_are_torchvisions(box: Box | None) -> None:
    import_timm()  # which makes torchvision importable
    from torchvision.transforms import v2
    from torchvision.tv_tensors import Video

    # Theirs takes the clip before, ours the batch read backwards: of two they are the same.
    clips = torch.randn(2, 4, 3, HEIGHT, WIDTH)  # (B, T, 3, H, W), as theirs wants them
    labels = torch.tensor([0, 1])
    if box is None:
        theirs, share = v2.MixUp(num_classes=2), 0.3
        parameters = {"lam": share}
    else:
        theirs = v2.CutMix(num_classes=2)
        share = 1 - 5 * 9 / (HEIGHT * WIDTH)
        corners = (box.left, box.top, box.right, box.bottom)
        parameters = {"box": corners, "lam_adjusted": share}
    parameters |= {"labels": labels, "batch_size": 2}
    expected = theirs.transform(Video(clips), parameters)
    soft = theirs.transform(labels, parameters)
    ours = Mix(share, box).apply(clips.transpose(1, 2))
    torch.testing.assert_close(ours.transpose(1, 2), torch.Tensor(expected))
    assert soft[0].tolist() == pytest.approx([share, 1 - share])


def test_the_layout_in_memory_stays() -> None:
    time_major = torch.randn(3, 2, HEIGHT, WIDTH, 3).permute(1, 4, 0, 2, 3)
    for mix in (Mix(0.5), Mix(0.9, Box(0, 2, 0, 2))):
        assert mix.apply(time_major).stride() == time_major.stride()


def test_the_share_is_that_of_the_pixels_kept() -> None:
    whole = torch.zeros(2, 1, 1, HEIGHT, WIDTH)
    whole[1] = 1
    cut_off = 0
    for mix in draws(AugmentRecipe(cutmix=1.0), 200):
        assert mix is not None and mix.box is not None
        kept = 1 - float(mix.apply(whole)[0].mean())
        assert mix.share == pytest.approx(kept, abs=1e-6)
        assert 0 <= mix.box.top <= mix.box.bottom <= HEIGHT
        assert 0 <= mix.box.left <= mix.box.right <= WIDTH
        cut_off += mix.box.top == 0 or mix.box.bottom == HEIGHT
    assert cut_off > 20


def test_shares_follow_the_beta_distribution() -> None:
    shares = [mix.share for mix in draws(AugmentRecipe(mixup=0.2), 4000) if mix is not None]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.02)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * 0.2 + 1)), abs=0.01)


def test_some_batches_are_left_alone_and_the_others_take_either() -> None:
    found = draws(AugmentRecipe(mixup=0.8, cutmix=1.0, mix_share=0.5), 1000)
    mixed = [mix for mix in found if mix is not None]
    assert len(mixed) == pytest.approx(500, abs=60)
    assert sum(mix.box is not None for mix in mixed) == pytest.approx(250, abs=50)


def test_without_alphas_nothing_is_mixed() -> None:
    assert draws(AugmentRecipe(), 3) == [None, None, None]
