"""Statistics of samples: two-sample tests, calibration, multiple testing and proper scores.

Plain NumPy and SciPy on arrays of any unit; nothing here knows images of a denoiser, torch or files. Only `two_sample.c2st`
needs scikit-learn, from the extra ``validate``.
"""
