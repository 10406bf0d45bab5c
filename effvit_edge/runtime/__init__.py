"""Sessions that run a model: one protocol over ONNX Runtime, TensorRT and a fake; none needs torch.

``open_session(path, provider="auto")`` is the way in. What it opens has tested itself on
``NAME.verify.npz``, where that lies beside the model, and is warm.
"""

from effvit_edge.runtime.base import Logits, Session, State
from effvit_edge.runtime.fake import FakeSession
from effvit_edge.runtime.open import PROVIDERS, open_session
from effvit_edge.runtime.tuning import Tuning

__all__ = ["PROVIDERS", "FakeSession", "Logits", "Session", "State", "Tuning", "open_session"]
