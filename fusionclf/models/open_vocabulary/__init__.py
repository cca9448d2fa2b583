"""The stacked head: scores of classes from base learners and class names."""
