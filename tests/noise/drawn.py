"""What noise makes of labels."""

from pathlib import Path

from lnl.labels import Labels, NoiseRecord


def record_of(noise, clean, images, classes, data_dir=Path()) -> NoiseRecord:
    """The record of noise that is added to true labels."""
    return noise(Labels.true(clean, classes), images, data_dir).noise
