"""The sections of a recipe: every key that there is, with its type, its default and its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from effvit_edge.core.card import IMAGENET_MEAN, IMAGENET_STD, Preprocess
from effvit_edge.data.clip_spec import ClipSpec, Sampling


@dataclass(frozen=True)
class ModelRecipe:
    """Which network, where its weights start, and which of them are trained."""

    preset: str
    """Name from ``effvit-edge models``."""
    num_frames: int = 8
    """Attention window (causal) or clip length (centred), in frames. Image presets ignore it."""
    causal: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further keywords of ``nn.create_model``, as they are named there."""
    init: str | None = None
    """Start from a checkpoint folder, an image weights file (.pt, .safetensors) or ``timm:NAME``.
    An image network's weights are inflated; a head for other classes keeps its random start."""
    trainable: tuple[str, ...] = ()
    """Patterns of parameter names that are trained, such as ``head.*`` for a linear probe; all
    others keep their start, and so do the statistics of norms none of whose weights is trained.
    Empty: everything is trained."""
    batch_norm: Literal["batch", "sync", "frozen"] = "batch"
    """Statistics while training: each process's own batch, all processes' together, or the stored
    ones, which then never change."""


@dataclass(frozen=True)
class InputRecipe:
    """What the network sees; becomes the card's preprocessing."""

    height: int
    width: int
    fps: float
    frames: int
    """Frames in a training clip. Causal networks need at least three windows to learn the steady
    state; centred ones take exactly ``model.num_frames``."""
    resize: Literal["short_side", "squash", "letterbox"] = "short_side"
    crop_ratio: float = 1.0
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    sampling: Sampling = "rate"
    """``rate`` takes frames ``1 / fps`` seconds apart from a random start (dense sampling, and the
    only one for causal networks); ``uniform`` cuts a segment of any length into ``frames`` equal
    parts and takes one frame of each, at random while training and from the middle else."""
    lead_s: float = 0.0
    """Seconds before a segment that may be shown without a label, where the video has them: what
    a stream has seen when an action starts. ``rate`` only."""

    def preprocess(self) -> Preprocess:
        """The card's preprocessing section."""
        return Preprocess(
            self.height, self.width, self.resize, self.crop_ratio, self.mean, self.std
        )

    def clip_spec(self) -> ClipSpec:
        """What clips and sequences are made of."""
        return ClipSpec(self.preprocess(), self.fps, self.frames, self.sampling, self.lead_s)


@dataclass(frozen=True)
class MotionData:
    """Procedural motion, rendered while training."""

    kind: Literal["motion"] = "motion"
    textures: int = 200
    """Textures drawn for the bank."""
    switch_share: float = 0.3
    """Share of clips whose motion changes once, somewhere in the middle half."""
    switch_ignore: int = 4
    """Frames after a change without a label: what is seen does not say it yet."""
    plain_share: float = 0.0
    """Share of clips that show the whole scene moving, without blur, noise or compression."""
    plain_first: int = 0
    """Clips over which the share falls from 1 to ``plain_share``: the hard ones alone do not start
    the learning."""
    eval_sequences: int = 180
    eval_frames: int = 88
    """Long enough to compare the first full window with ten windows in."""


@dataclass(frozen=True)
class VideosData:
    """Real videos, as one of the known sets lists them; see docs/datasets.md."""

    kind: Literal["videos"] = "videos"
    root: str = ""
    """The folder of the videos."""
    set: str = "folder"
    """How they are listed: ``folder`` (one of videos for each class), ``csv``, ``prepared`` (by
    ``effvit-edge prepare``), or one of the published sets in docs/datasets.md."""
    annotations: str | None = None
    """The set's list or folder of lists, relative to ``root``; ``root`` itself where not given."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further keywords of the set, as docs/datasets.md names them."""
    train: tuple[str, ...] = ()
    """Filters of a CSV's training rows, such as ``split=train`` or ``fold!=0``."""
    eval: tuple[str, ...] = ()
    """Filters of evaluation rows."""
    eval_share: float = 0.2
    """Share of each class that is held out where the set has no split of its own."""
    cache_gb: float = 2.0
    """Decode once into memory up to this size, training videos first, evaluation videos into what
    they leave; beyond it every clip is decoded when used."""
    max_failed_share: float = 0.1
    """Stop when more than this share of the segments is missing or cannot be decoded."""


@dataclass(frozen=True)
class AugmentRecipe:
    """What training clips of videos may become; one draw a clip, the same for all its frames."""

    scale: tuple[float, float] = (0.4, 1.0)
    """Area of the random crop, as a share of the frame."""
    aspect: tuple[float, float] = (0.75, 1.333)
    """Shape of the random crop, width over height: relative to the input's for ``short_side``, to
    the whole frame's for ``squash`` and ``letterbox``."""
    flip: float | None = None
    """Probability of mirroring. Not given: 0.5, or 0 for sets where direction is the label."""
    color: float = 0.3
    """Strength of brightness, contrast and saturation change."""
    speed: tuple[float, float] = (1.0, 1.0)
    """Range of the playback speed (``rate`` sampling)."""
    randaugment: tuple[int, ...] = ()
    """RandAugment: operations a clip, and magnitude from 0 to 30. Empty: none."""
    erase: float = 0.0
    """Probability that one box is erased (random erasing)."""
    mixup: float = 0.0
    """Alpha of mixup; 0: none. Applied to whole batches on the device, as is cutmix."""
    cutmix: float = 0.0
    """Alpha of cutmix; 0: none. With both, each batch takes one of them at random."""
    mix_share: float = 1.0
    """Probability that a batch is mixed at all."""


@dataclass(frozen=True)
class OptimRecipe:
    """The optimiser under a cosine with linear warm-up, and the loss."""

    lr: float
    """Peak rate, for ``batch_size``; it is not scaled by anything."""
    batch_size: int
    """Clips a step, of all processes and accumulated parts together."""
    kind: Literal["adamw", "sgd"] = "adamw"
    steps: int = 0
    epochs: float = 0.0
    """Exactly one of ``steps`` and ``epochs`` is given; rendered data has no epochs."""
    min_steps: int = 0
    """With ``epochs``: at least so many steps, so that a small set trains long enough."""
    warmup_steps: int = 0
    warmup_epochs: float = 0.0
    """At most one of ``warmup_steps`` and ``warmup_epochs`` is given."""
    min_lr_ratio: float = 0.01
    weight_decay: float = 0.05
    """Not applied to norms and biases."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW."""
    momentum: float = 0.9
    """SGD."""
    layer_decay: float = 1.0
    """Each layer's rate is this times that of the layer after it; 1: all alike."""
    accumulate: int = 1
    """Parts that a process's share of a batch is computed in, to save memory."""
    clip_norm: float = 1.0
    """0: gradients are not clipped."""
    loss: Literal["cross_entropy", "bce"] = "cross_entropy"
    """``bce`` treats every class as a question of its own; multi-label sets need it."""
    group_weights: Mapping[str, float] = field(default_factory=dict)
    """Weight of each label group's loss, by name; 1 where not given."""
    label_smoothing: float = 0.0
    warmup_frames: int = 0
    """First frames of a clip that causal networks are not asked about."""
    ema: float = 0.0
    """Decay of the averaged weights; 0 keeps none."""
    max_nonfinite: int = 20
    """Stop after so many steps in a row without a finite loss and gradient."""


@dataclass(frozen=True)
class SpeedRecipe:
    """How the arithmetic runs; nothing here changes what is learnt beyond rounding."""

    device: str = "auto"
    workers: int = 1
    """Processes that make clips, for each training process."""
    threads: int = 0
    """Threads of the arithmetic on a CPU; 0 leaves torch's choice."""
    precision: Literal["fp32", "fp64", "bf16", "fp16"] = "fp32"
    """``bf16`` and ``fp16`` are autocast; weights and optimiser stay in fp32."""
    compile: bool = False
    recompute: bool = False
    """Keep no activations inside blocks and compute them again backwards: less memory, more time
    (gradient checkpointing)."""


@dataclass(frozen=True)
class EvalRecipe:
    """When and how to evaluate."""

    every: int = 0
    """Steps between evaluations; 0 evaluates at the end only."""
    every_epochs: float = 0.0
    """The same in epochs; at most one of the two is given."""
    max_frames: int = 512
    """Longest stretch of a video that a causal network sees at once; never less than half more than
    it looks back."""
    clips: int = 4
    """Clips a video for a centred network, spread over time."""
    crops: int = 1
    """Crops of each clip for a centred network, spread along the longer side: 1 or 3."""
    keep_best: bool = False
    """Also keep the checkpoint with the best top-1. Only honest with a validation set that is not
    the one reported."""


@dataclass(frozen=True)
class OutputRecipe:
    """Where results go."""

    folder: str = "runs/default"
    checkpoint_every: int = 500
    """Steps."""
    log_every: int = 20
    """Steps."""
    tensorboard: bool = True
    """Also write the metrics for TensorBoard."""
