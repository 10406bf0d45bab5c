"""How fast a clip is read from the middle of a video: this package's footage and torchcodec."""
