"""Accuracy on real actions: six yoga poses, four subject folds."""
