"""The stacked head: scores of classes from base learners and from what the classes are called."""
