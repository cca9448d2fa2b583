"""Out-of-fold predictions, the models that are fitted on them, and the stages of a training run."""
