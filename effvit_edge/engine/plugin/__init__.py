"""ReLU linear attention over space and time as one operator: its specification.

Notation: ``B`` batch (cameras), ``T`` frames of a clip, ``F = T·B`` frames on the batch axis,
time-major, ``M`` attention window in frames, ``d`` head dimension (16 or 32), ``N = H·W`` tokens of
a frame, ``D = heads·(d + 1)·d``.

Two operators of the domain ``effvit_edge``, version 1. No tensor has more than four axes. ONNX and
TensorRT have no operator of these names (``LinearAttention`` is one of both, and TensorRT's parser
looks names up without their domain).

``ReluLinearAttention3d`` (a clip; also a step of window 1, which has no ring: ``batch = B, T = 1``)

    ========== ============================== ===================================================
    qkv        (F, heads, 3d, N)              a head's d rows of queries, keys, values, no ReLU yet
    → out      (F, heads, d, N)               of the type of ``qkv``
    ``batch``  int, default 1                 ``B``; divides ``F``
    ``causal`` int, default 1                 0: every frame sees the whole clip
    ``window`` int, required when causal      ``M``; ignored otherwise
    ``eps``    float, required                ``eps_ref``, in the scale of the image network
    ========== ============================== ===================================================

``ReluLinearAttention3dStep`` (one frame of each of ``B`` streams, ``M ≥ 2``)

    =============== ========================= ===================================================
    qkv             (B, heads, 3d, N)         as above
    ring            (B, M − 1, D)             summaries of the last frames, oldest first; zeros
                                              before the first frame
    frames_seen     (B, 1, 1, 1)              ``min(frames so far, this one included, M)``; of the
                                              type of ``ring``
    → out           (B, heads, d, N)          of the type of ``qkv``
    → next_ring     (B, M − 1, D)             of the type of ``ring``; may share its memory
    ``eps``         float, required           as above
    =============== ========================= ===================================================

Types: ``qkv`` float32 with a float32 ring, ``qkv`` float16 with a float16 or float32 ring.

For a frame ``t`` and each head, with ``κ = max(2, 0.2·√(M·N)) / (M·N)`` (``M = T`` for a clip that
is not causal),

    ``S_f = [V_f; 1] · (κ·relu(K_f))ᵀ``, a ``(d + 1) × d`` matrix, row-major in the ring;
    ``[num; den] = (Σ_f S_f) · relu(Q_t)/s``, ``s = max(Σ relu(Q_t), 2⁻¹⁴)``, a sum for each token;
    ``out = num / max(den + eps·κ·frames_summed/s, 2⁻¹²⁶)``,

``f`` over ``max(0, t − M + 1) … t``, or over the whole clip; ``frames_summed`` is how many those
are. Zero queries or keys give zeros; NaN stays NaN.

Every product and sum is FP32, whatever the storage. With FP16 storage three things are rounded:
the input, the output, which is a weighted mean of values and so as large as they are, and the
ring, whose entries are ``max(2/M, 0.2·√(N/M))·mean(V·relu(K))`` a frame by the factor ``κ``:
within FP16 up to σ = 32. The ring entry of the newest frame enters its own sum before it is
rounded.

Names, fields and arithmetic are the same in the Python plugin (`python_plugin`) and the C++ one
(``cpp/``); both call the C interface in ``kernels/api.h``.
"""

from effvit_edge.core.attention_op import CLIP_OP, DOMAIN, STEP_OP, VERSION

__all__ = ["CLIP_OP", "DOMAIN", "HEAD_DIMS", "STEP_OP", "VERSION"]

HEAD_DIMS = (16, 32)
