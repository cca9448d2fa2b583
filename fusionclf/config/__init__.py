"""The run's settings: one frozen pydantic tree, from YAML, key.path=value texts or Python values."""

from fusionclf.config.catalog_file import CATALOG_FILE, described_values, find_catalog_file
from fusionclf.config.data_sections import (
    CHOSEN,
    CatalogConfig,
    PicturesConfig,
    PictureSettings,
    Section,
    SplitConfig,
)
from fusionclf.config.loading import (
    Overrides,
    build_settings,
    dump_yaml,
    load_settings,
    nested_settings,
    override,
    read_settings,
)
from fusionclf.config.sections import (
    BaselineConfig,
    ImportConfig,
    ImportedFile,
    RunConfig,
    TrainConfig,
    current_scheme,
)
from fusionclf.config.yaml_text import read_yaml

__all__ = [
    "CATALOG_FILE",
    "CHOSEN",
    "BaselineConfig",
    "CatalogConfig",
    "ImportConfig",
    "ImportedFile",
    "Overrides",
    "PictureSettings",
    "PicturesConfig",
    "RunConfig",
    "Section",
    "SplitConfig",
    "TrainConfig",
    "build_settings",
    "current_scheme",
    "described_values",
    "dump_yaml",
    "find_catalog_file",
    "load_settings",
    "nested_settings",
    "override",
    "read_settings",
    "read_yaml",
]
