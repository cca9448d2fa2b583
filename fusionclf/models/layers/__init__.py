"""Building blocks of encoders."""
