"""What the columns of an unknown catalog are: guesses with reasons, and the file catalog.yaml that they become."""

from fusionclf.catalog.describing.description import Description, describe_table, unused_line
from fusionclf.catalog.describing.evidence import Guess
from fusionclf.catalog.describing.yaml_lines import yaml_text

__all__ = ["Description", "Guess", "describe_table", "unused_line", "yaml_text"]
