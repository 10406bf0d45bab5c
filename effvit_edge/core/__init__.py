"""What every other part stands on: errors, the model card, preprocessing, sampling, the clock.

Standard library and numpy only; OpenCV is imported when a function that needs it is called.
"""
