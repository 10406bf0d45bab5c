"""The attention kernels of the TensorRT plugin against torch's, on a CUDA device."""
