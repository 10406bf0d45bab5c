"""EfficientViT (Cai et al. 2023) for images and, with temporal taps and windows, for video."""
