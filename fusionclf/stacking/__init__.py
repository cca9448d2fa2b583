"""Out-of-fold predictions, what is fitted on them, and the stages of a training run."""
