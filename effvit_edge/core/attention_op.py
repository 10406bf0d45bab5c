"""Names of the attention operators, for those who write them and those who run them.

What the operators compute is specified in ``engine.plugin``.
"""

DOMAIN = "effvit_edge"
OPSET = 1
"""Of the domain."""
CLIP_OP = "ReluLinearAttention3d"
STEP_OP = "ReluLinearAttention3dStep"
VERSION = "1"
"""Of the TensorRT plugins of the same names."""
