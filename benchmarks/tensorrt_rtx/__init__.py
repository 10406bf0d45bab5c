"""Every exported graph, parsed and built by TensorRT-RTX on a CPU."""
