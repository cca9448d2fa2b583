"""What the commands do, each from catalog to run folder or report. Import the submodule that is needed:
`train` and `predict` need torch, the others do not."""
