from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from effvit_edge import nn
from effvit_edge.core.card import LabelGroup, Preprocess
from effvit_edge.core.errors import InputError
from effvit_edge.train.mixing import Mix
from effvit_edge.train.objective import Loss, Objective, frame_logits, normalise
from effvit_edge.train.sections import OptimRecipe
from tests.timm_shim import import_timm

SPEC = Preprocess(4, 4, "squash", 1.0, (0.5, 0.4, 0.3), (0.25, 0.2, 0.1))


def test_normalised_frames_are_in_channel_first_order() -> None:
    frames = torch.zeros(2, 3, 4, 5, 3, dtype=torch.uint8)
    frames[1, 2, 3, 4] = torch.tensor([255, 0, 51], dtype=torch.uint8)
    clip = normalise(frames, SPEC)
    assert clip.shape == (2, 3, 3, 4, 5)
    expected = [(1 - 0.5) / 0.25, (0 - 0.4) / 0.2, (0.2 - 0.3) / 0.1]
    assert clip[1, :, 2, 3, 4].tolist() == pytest.approx(expected, abs=1e-5)
    exact = normalise(frames, SPEC, torch.float64)
    assert exact.dtype == torch.float64
    assert exact[1, :, 2, 3, 4].tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("causal", [True, False])
def test_the_layout_in_memory_changes_no_number(causal: bool) -> None:
    torch.manual_seed(0)
    model = nn.create_model(
        "efficientvit3d_b0", num_classes=3, num_frames=2, causal=causal, head_widths=(16, 16)
    ).eval()
    frames = torch.randint(0, 256, (2, 2, 32, 32, 3), dtype=torch.uint8)
    clip = normalise(frames, SPEC)
    with torch.no_grad():
        torch.testing.assert_close(
            frame_logits(model, clip), frame_logits(model, clip.contiguous()), rtol=1e-4, atol=1e-5
        )


def test_an_image_network_answers_for_each_frame_by_itself() -> None:
    torch.manual_seed(0)
    model = nn.create_model("efficientvit_b0", num_classes=3, head_widths=(16, 16)).eval()
    clip = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        answers = frame_logits(model, clip)
        assert answers.shape == (2, 4, 3)
        for b, t in ((0, 0), (1, 0), (0, 3), (1, 2)):
            torch.testing.assert_close(answers[b, t], model(clip[b : b + 1, :, t])[0])


VERBS = LabelGroup("verb", ("take", "put", "open"))
NOUNS = LabelGroup("noun", ("cup", "pan"))
TAGS = LabelGroup("tag", ("fast", "slow", "near", "far"), exclusive=False)


def one_group(classes: int = 3) -> tuple[LabelGroup, ...]:
    return (LabelGroup("class", tuple(f"c{i}" for i in range(classes))),)


def optim(**changes: object) -> OptimRecipe:
    return OptimRecipe(lr=1.0, batch_size=1, **changes)  # type: ignore[arg-type]


def mean_loss(
    objective: Objective, logits: torch.Tensor, targets: torch.Tensor, mix: Mix | None = None
) -> Loss:
    return objective(logits, targets, denominator=objective.count(targets), mix=mix)


def test_frames_in_warm_up_or_without_label_do_not_count() -> None:
    logits = torch.randn(2, 5, 3)
    targets = torch.tensor([[0, 1, 2, -1, 1], [2, 2, -1, 0, 0]])[..., None]
    objective = Objective(one_group(), optim(warmup_frames=2), per_frame=True)
    loss = mean_loss(objective, logits, targets)
    kept = [(0, 2), (0, 4), (1, 3), (1, 4)]
    losses = [-math.log(logits[b, t].softmax(-1)[targets[b, t, 0]]) for b, t in kept]
    right = [bool(logits[b, t].argmax() == targets[b, t, 0]) for b, t in kept]
    assert objective.count(targets) == 4
    assert loss.total.item() == pytest.approx(sum(losses) / 4, rel=1e-5)
    assert loss.right.tolist() == pytest.approx([sum(right) / 4])


def test_an_answer_about_the_clip_is_held_to_its_last_label() -> None:
    logits = torch.randn(1, 1, 3)
    targets = torch.tensor([[0, 0, 2]])[..., None]
    objective = Objective(one_group(), optim(warmup_frames=2), per_frame=False)
    loss = mean_loss(objective, logits, targets)
    assert objective.count(targets) == 1
    assert loss.total.item() == pytest.approx(-math.log(logits[0, 0].softmax(-1)[2]), rel=1e-5)


@pytest.mark.parametrize("kind", ["cross_entropy", "bce"])
def test_a_batch_without_labels_has_no_loss(kind: str) -> None:
    logits = torch.randn(1, 2, 3, requires_grad=True)
    objective = Objective(one_group(), optim(loss=kind, label_smoothing=0.1), per_frame=True)
    loss = mean_loss(objective, logits, torch.full((1, 2, 1), -1))
    loss.total.backward()
    assert loss.total.item() == 0.0
    assert logits.grad is not None and not logits.grad.any()


def test_smoothed_cross_entropy_is_torchs() -> None:
    logits, numbers = torch.randn(4, 2, 5), torch.randint(0, 5, (4, 2))
    objective = Objective(one_group(5), optim(label_smoothing=0.1), per_frame=True)
    loss = mean_loss(objective, logits, numbers[..., None])
    expected = F.cross_entropy(logits.reshape(8, 5), numbers.reshape(8), label_smoothing=0.1)
    torch.testing.assert_close(loss.total, expected)


def test_smoothed_binary_cross_entropy_is_timms() -> None:
    import_timm()
    from timm.loss import BinaryCrossEntropy

    logits, numbers = torch.randn(4, 2, 5), torch.randint(0, 5, (4, 2))
    objective = Objective(one_group(5), optim(loss="bce", label_smoothing=0.1), per_frame=True)
    loss = mean_loss(objective, logits, numbers[..., None])
    expected = BinaryCrossEntropy(smoothing=0.1)(logits.reshape(8, 5), numbers.reshape(8))
    torch.testing.assert_close(loss.total, expected)


def test_several_labels_of_a_frame_are_questions_of_their_own() -> None:
    logits = torch.tensor([[[2.0, -1.0, 0.5, 0.0], [0.0, 3.0, 0.0, 0.0]]])
    targets = torch.tensor([[[1, 0, 0, 1], [-1, -1, -1, -1]]])
    loss = mean_loss(Objective((TAGS,), optim(loss="bce"), per_frame=True), logits, targets)
    by_hand = [math.log1p(math.exp(-2)), math.log1p(math.exp(-1)), math.log1p(math.exp(0.5))]
    assert loss.total.item() == pytest.approx((sum(by_hand) + math.log(2)) / 4, rel=1e-5)
    assert loss.right.tolist() == [1.0]  # the best answer, "fast", applies


def test_each_group_has_its_own_softmax_and_weight() -> None:
    logits = torch.randn(3, 1, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[[0, 1]], [[2, 0]], [[1, -1]]])  # the last clip has no noun
    objective = Objective((VERBS, NOUNS), optim(group_weights={"noun": 0.5}), per_frame=True)
    loss = mean_loss(objective, logits, targets)
    verbs = F.cross_entropy(logits[:, 0, :3], targets[:, 0, 0], reduction="sum")
    nouns = F.cross_entropy(logits[:2, 0, 3:], targets[:2, 0, 1], reduction="sum")
    torch.testing.assert_close(loss.total, (verbs + 0.5 * nouns) / 3)
    assert loss.total.dtype == torch.float64
    right = [(logits[:, 0, :3].argmax(-1) == targets[:, 0, 0]).sum() / 3]
    right += [(logits[:, 0, 3:].argmax(-1) == targets[:, 0, 1]).sum() / 3]
    assert loss.right.tolist() == pytest.approx([float(share) for share in right])
    assert objective.accuracies(loss.right).keys() == {"accuracy", "accuracy_noun"}


def test_parts_of_a_batch_add_up_to_the_whole() -> None:
    logits, targets = torch.randn(4, 3, 3), torch.randint(-1, 3, (4, 3, 1))
    objective = Objective(one_group(), optim(label_smoothing=0.1), per_frame=True)
    whole, count = mean_loss(objective, logits, targets), objective.count(targets)
    parts = [objective(logits[i::2], targets[i::2], denominator=count) for i in (0, 1)]
    torch.testing.assert_close(parts[0].total + parts[1].total, whole.total)
    torch.testing.assert_close(parts[0].right + parts[1].right, whole.right)


@pytest.mark.parametrize("kind", ["cross_entropy", "bce"])
def test_a_mixed_loss_is_that_of_soft_targets(kind: str) -> None:
    logits, numbers = torch.randn(4, 1, 5, dtype=torch.float64), torch.tensor([0, 3, 3, 1])
    objective = Objective(one_group(5), optim(loss=kind, label_smoothing=0.1), per_frame=True)
    loss = mean_loss(objective, logits, numbers[:, None, None], Mix(share=0.3))
    hard = F.one_hot(numbers, 5).double() * 0.9 + 0.1 / 5
    soft = 0.3 * hard + 0.7 * hard.flip(0)
    if kind == "bce":
        expected = F.binary_cross_entropy_with_logits(logits[:, 0], soft)
    else:
        expected = F.cross_entropy(logits[:, 0], soft)
    torch.testing.assert_close(loss.total, expected)
    best = logits[:, 0].argmax(-1)
    shares = 0.3 * (best == numbers) + 0.7 * (best == numbers.flip(0))
    assert loss.right.tolist() == pytest.approx([float(shares.mean())])


def test_mixing_leaves_the_number_of_answers() -> None:
    targets = torch.tensor([[[1]], [[-1]], [[0]]])
    logits = torch.zeros(3, 1, 3)  # every answered frame costs log 3
    loss = mean_loss(Objective(one_group(), optim(), per_frame=True), logits, targets, Mix(0.3))
    assert loss.total.item() == pytest.approx(math.log(3))


@pytest.mark.parametrize(
    ("groups", "changes", "sentence"),
    [
        ((TAGS,), {}, "several labels of 'tag' can apply at once.* Set optim.loss to bce"),
        ((VERBS, NOUNS), {"group_weights": {"nuon": 2.0}}, "no label group 'nuon'.* mean 'noun'"),
        ((VERBS,), {"group_weights": {"verb": -1.0}}, "'verb' must not be negative, got -1"),
    ],
)
def test_a_loss_that_does_not_fit_the_labels_is_refused(
    groups: tuple[LabelGroup, ...], changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        Objective(groups, optim(**changes), per_frame=True)
