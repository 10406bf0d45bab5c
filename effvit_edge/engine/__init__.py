"""From ONNX to TensorRT on the device itself: engines, their cache and the attention plugin.

Nothing here imports torch: a Jetson may have none.
"""
