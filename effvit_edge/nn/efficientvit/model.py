"""EfficientViT for images and for video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from effvit_edge.nn.attention import LinearAttention
from effvit_edge.nn.efficientvit.builders import Five, build_head, build_stages
from effvit_edge.nn.efficientvit.presets import Preset
from effvit_edge.nn.layers import Conv
from effvit_edge.nn.recompute import recomputed
from effvit_edge.nn.timeline import LoweredClip, Step, Timeline, VolumeClip

State = dict[str, Tensor]


class EfficientViT(nn.Module):
    """The image network; also what the video network runs on frames.

    Args:
        preset: the variant's numbers.
        num_classes: width of the logits.
        head_widths: of the two hidden layers of the head; the preset's where None.
        drop_path: stochastic depth of the last block, growing linearly from 0.
        head_dropout: before the classifier.
        eps: of the attention's denominator, in the image network's scale.
        temporal_kernels, temporal_strides: per (stem, stage 1, …, stage 4); all 1 for images.
    """

    is_video = False
    causal = False

    def __init__(
        self,
        preset: Preset,
        *,
        num_classes: int,
        head_widths: tuple[int, int] | None = None,
        drop_path: float = 0.0,
        head_dropout: float = 0.0,
        eps: float = 1e-5,
        temporal_kernels: Five = (1, 1, 1, 1, 1),
        temporal_strides: Five = (1, 1, 1, 1, 1),
    ) -> None:
        super().__init__()
        self.stem, self.stages = build_stages(
            preset.series,
            preset.widths,
            preset.depths,
            head_dim=preset.head_dim,
            eps=eps,
            temporal_kernels=temporal_kernels,
            temporal_strides=temporal_strides,
            drop_path=drop_path,
        )
        self.head = build_head(
            preset.series,
            preset.widths[-1],
            head_widths or preset.head_widths,
            num_classes,
            head_dropout,
        )
        for name, module in self.named_modules():
            if hasattr(module, "state_key"):
                module.state_key = name.replace(".", "_")
        self.preset_name = ""
        self.network_kwargs: dict[str, Any] = {}
        self.recompute = False
        """While training, keep no activations inside blocks and compute them again backwards."""

    @property
    def num_layers(self) -> int:
        """Layers from input to output, as :meth:`layer_of` counts them."""
        return len(self._blocks()) + 1

    @property
    def reach(self) -> int:
        """Frames before a frame that its answer depends on."""
        return 0

    def layer_of(self, parameter_name: str) -> int:
        """Which layer a parameter belongs to, for rates that fall towards the input.

        The stem's first convolution is layer 0, every block after it one more, and the whole head
        the last.
        """
        part, *place = parameter_name.split(".")
        if part == "stem":
            return int(place[0])
        if part != "stages":
            return self.num_layers - 1
        block = self.stages.get_submodule(".".join(place[:2]))
        return self._blocks().index(block)

    def _blocks(self) -> list[nn.Module]:
        stages = [block for stage in self.stages for block in stage.children()]
        return [*self.stem, *stages]

    def features(self, x: Tensor, time: Timeline) -> Tensor:
        """Pictures in the timeline's layout -> a feature a frame, ``(F, head_widths[0])``."""
        recompute = self.recompute and self.training and torch.is_grad_enabled()
        for block in self._blocks():
            x = recomputed(block, x, time) if recompute else block(x, time)
        return self.head.pool(x, time)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 3, H, W) -> (B, num_classes)``."""
        if x.dim() != 4:
            raise ValueError(f"an image network takes (B, 3, H, W), got {tuple(x.shape)}")
        time = LoweredClip(x.shape[0], causal=False, window=1)
        return self.head.classify(self.features(x, time))


class EfficientViT3d(EfficientViT):
    """The video network: the image network with temporal taps and attention over frames.

    Args:
        num_frames: ``T`` the network is made for.
        causal: frames see themselves and their past only, which makes streaming exact.
        window: ``M``, frames one attention window sums (causal; ``num_frames`` where None).
        temporal_padding: what taps that reach beyond the clip see: ``"zeros"``, or the clip's
            outermost frame again, ``"replicate"`` (centred only).
        Others as for :class:`EfficientViT`.
    """

    is_video = True

    def __init__(
        self,
        preset: Preset,
        *,
        num_classes: int,
        num_frames: int,
        causal: bool,
        window: int | None,
        temporal_kernels: Five,
        temporal_strides: Five,
        temporal_padding: str = "zeros",
        head_widths: tuple[int, int] | None = None,
        drop_path: float = 0.0,
        head_dropout: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        _check_temporal(num_frames, causal, window, temporal_kernels, temporal_strides)
        _check_padding(temporal_padding, causal)
        super().__init__(
            preset,
            num_classes=num_classes,
            head_widths=head_widths,
            drop_path=drop_path,
            head_dropout=head_dropout,
            eps=eps,
            temporal_kernels=temporal_kernels,
            temporal_strides=temporal_strides,
        )
        self.num_frames = num_frames
        self.causal = causal
        self.window = window or num_frames
        self.temporal_padding = temporal_padding

    @property
    def reach(self) -> int:
        """Frames before a frame that its answer depends on (causal), or a few more than those.

        Layer upon layer adds its taps and its window; the head's mean has a window, too.
        """
        taps = sum(m.kernel_frames - 1 for m in self.modules() if isinstance(m, Conv))
        windows = 1 + sum(isinstance(m, LinearAttention) for m in self.modules())
        return taps + windows * (self.window - 1)

    def forward(self, clip: Tensor) -> Tensor:
        """``(B, 3, T, H, W) -> (B, num_classes)``; causal: the last frame's logits, any ``T``."""
        batch = _batch_of(clip)
        pooled = self._clip_features(clip)
        return self.head.classify(pooled[-batch:])

    def forward_frames(self, clip: Tensor) -> Tensor:
        """Causal networks only: ``(B, 3, T, H, W) -> (B, T, num_classes)``, one label a frame.

        Raises:
            ValueError: the network is not causal.
        """
        self._require_causal("forward_frames")
        batch = _batch_of(clip)
        logits = self.head.classify(self._clip_features(clip))
        return logits.unflatten(0, (-1, batch)).transpose(0, 1)

    def forward_volume(self, clip: Tensor) -> Tensor:
        """:meth:`forward` by plain 3D convolutions, the reference the lowered form is held to."""
        batch = _batch_of(clip)
        time = self.clip_timeline(VolumeClip, batch)
        return self.head.classify(self.features(clip, time)[-batch:])

    def init_state(self, batch_size: int = 1, height: int = 224, width: int = 224) -> State:
        """The state before the first frame: zeros, on the network's device and in its precision.

        Args:
            batch_size: ``B``, streams stepped together.
            height: of the frames, pixels.
            width: of the frames, pixels.

        Raises:
            ValueError: the network is not causal.
        """
        self._require_causal("init_state")
        parameter = next(self.parameters())
        frame = torch.empty(batch_size, 3, height, width, device="meta", dtype=parameter.dtype)
        shapes = _state_on_meta(self, frame)
        return {
            name: torch.zeros(t.shape, dtype=t.dtype, device=parameter.device)
            for name, t in shapes.items()
        }

    def step(self, frame: Tensor, state: Mapping[str, Tensor]) -> tuple[Tensor, State]:
        """Label one new frame.

        Args:
            frame: ``(B, 3, H, W)``.
            state: from :meth:`init_state` or the step before.

        Returns:
            Logits ``(B, num_classes)`` and the next state.

        Raises:
            ValueError: the network is not causal, or the state was made for other frames.
        """
        self._require_causal("step")
        time = Step(frame.shape[0], window=self.window, state=state)
        logits = self.head.classify(self.features(frame, time))
        unused = sorted(state.keys() - time.next_state.keys())
        if unused:
            raise ValueError(f"this state is of another network, which has {unused[0]}")
        return logits, time.next_state

    def _clip_features(self, clip: Tensor) -> Tensor:
        # (B, 3, T, H, W) -> (T·B, 3, H, W)
        frames = clip.permute(2, 0, 1, 3, 4).reshape(-1, clip.shape[1], *clip.shape[3:])
        return self.features(frames, self.clip_timeline(LoweredClip, clip.shape[0]))

    def clip_timeline(self, form: type[LoweredClip], batch: int) -> LoweredClip:
        """How :meth:`features` treats whole clips of this network.

        Args:
            form: ``LoweredClip`` or ``VolumeClip``.
            batch: ``B``.
        """
        replicate = self.temporal_padding == "replicate"
        return form(batch, causal=self.causal, window=self.window, replicate=replicate)

    def _require_causal(self, what: str) -> None:
        if not self.causal:
            raise ValueError(f"{what} needs a causal network; build it with causal=True")


class _FirstStep(nn.Module):
    """The step from no state at all, as a module so that it can run on stand-in weights."""

    def __init__(self, network: EfficientViT3d) -> None:
        super().__init__()
        self.network = network

    def forward(self, frame: Tensor) -> State:
        time = Step(frame.shape[0], window=self.network.window, state=None)
        self.network.features(frame, time)
        return time.next_state


def _state_on_meta(network: EfficientViT3d, frame: Tensor) -> State:
    """Names and shapes of the state for ``frame``, by one step on torch's meta device."""
    first = _FirstStep(network)
    tensors = {**dict(first.named_parameters()), **dict(first.named_buffers())}
    stand_ins = {name: torch.empty_like(t, device="meta") for name, t in tensors.items()}
    modes = {module: module.training for module in first.modules()}
    try:
        first.eval()
        with torch.no_grad():
            state: State = functional_call(first, stand_ins, (frame,))
    finally:
        for module, training in modes.items():
            module.training = training
    return state


def _batch_of(clip: Tensor) -> int:
    if clip.dim() != 5:
        raise ValueError(f"a video network takes (B, 3, T, H, W), got {tuple(clip.shape)}")
    return clip.shape[0]


def _check_temporal(
    num_frames: int, causal: bool, window: int | None, kernels: Five, strides: Five
) -> None:
    if num_frames < 1:
        raise ValueError(f"num_frames must be at least 1, got {num_frames}")
    if window is not None and not causal:
        raise ValueError("window needs causal=True; a centred network attends to its whole clip")
    if window is not None and window < 1:
        raise ValueError(f"window must be at least 1 frame, got {window}")
    for name, values in (("temporal_kernels", kernels), ("temporal_strides", strides)):
        if len(values) != 5 or any(v < 1 for v in values):
            raise ValueError(
                f"{name} takes five numbers of at least 1 (stem, stages 1 to 4), got {values}"
            )
    if not causal and any(k % 2 == 0 for k in kernels):
        raise ValueError(f"a centred network takes odd temporal_kernels, got {kernels}")
    if causal and any(s != 1 for s in strides):
        raise ValueError(
            f"a causal network keeps every frame: temporal_strides must be all 1, got {strides}"
        )


def _check_padding(temporal_padding: str, causal: bool) -> None:
    if temporal_padding not in ("zeros", "replicate"):
        raise ValueError(f"temporal_padding is zeros or replicate, got {temporal_padding!r}")
    if causal and temporal_padding != "zeros":
        raise ValueError(
            "a causal network takes temporal_padding='zeros': a stream starts from nothing"
        )
