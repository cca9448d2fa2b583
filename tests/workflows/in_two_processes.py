"""A command of fusionclf, then a stage that is cut and resumed, in the processes that a launcher started.

Started by test_processes.py: LAUNCHER -m tests.workflows.in_two_processes FOLDER COMMAND...
"""

import gc
import runpy
import sys

from accelerate import Accelerator

from tests.training import two_processes


def main() -> None:
    folder, *command = sys.argv[1:]
    gc.freeze()  # each end of a training collects garbage, among all that was imported
    end, Accelerator.end_training = (
        Accelerator.end_training,
        lambda self: None,
    )  # the processes stay for the stage
    sys.argv = ["fusionclf", *command]
    try:
        runpy.run_module("fusionclf", run_name="__main__")
    except SystemExit as done:
        if done.code:
            raise
    Accelerator.end_training = end
    sys.argv = ["two_processes", folder]
    two_processes.main()


if __name__ == "__main__":
    main()
