"""What the attention operators are called, and the one number that all who compute them share.

What the operators compute is specified in ``engine.plugin``.
"""

import math

DOMAIN = "effvit_edge"
OPSET = 1
"""Of the domain."""
CLIP_OP = "ReluLinearAttention3d"
STEP_OP = "ReluLinearAttention3dStep"
VERSION = "1"
"""Of the TensorRT plugins of the same names."""

KEY_GAIN = 0.2
"""Times the root of the tokens, see `key_factor`."""
LEAST_KEY_GAIN = 2.0


def key_factor(tokens: int) -> float:
    """What the keys of a window of that many tokens, ``M·N ≥ 1``, are multiplied by.

    It cancels in the ratio and keeps sums in half precision's range. The denominator is
    ``gain·mean(K)`` and the numerator of biased values ``gain·mean(K·V)``, where the factor is the
    gain over the tokens. The numerator of unbiased values falls with the root of the tokens, so the
    gain grows with it to keep it clear of subnormals; 0.2 times the root stays below 65504 up to
    σ = 32, values of mean 4σ and 12,544 tokens. Below 100 tokens the gain stays at 2: less lets
    single products of keys and queries vanish at σ = 0.05, where a window of one token has nothing
    else, and 4 lets those of keys and values overflow at σ = 32.
    """
    return max(LEAST_KEY_GAIN, KEY_GAIN * math.sqrt(tokens)) / tokens
