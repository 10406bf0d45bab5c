"""Sessions that run a model: one protocol over ONNX Runtime and a fake, none of them needing torch.

``open_session(path, provider="auto")`` is the way in.
"""

from effvit_edge.runtime.base import Logits, Session, State
from effvit_edge.runtime.fake import FakeSession
from effvit_edge.runtime.open import PROVIDERS, open_session

__all__ = ["PROVIDERS", "FakeSession", "Logits", "Session", "State", "open_session"]
