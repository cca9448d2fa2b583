"""The run's settings: one frozen pydantic tree, YAML in, key.path=value overrides."""

from fusionclf.config.data_sections import CatalogConfig, PicturesConfig, Section, SplitConfig
from fusionclf.config.loading import (
    SettingsType,
    build_settings,
    dump_yaml,
    load_settings,
    merge,
    override,
    read_settings,
)
from fusionclf.config.sections import (
    BaselineConfig,
    OptimiserConfig,
    RunConfig,
    ScheduleConfig,
    TrainConfig,
    current_scheme,
)
from fusionclf.config.yaml_text import read_yaml

__all__ = [
    "BaselineConfig",
    "CatalogConfig",
    "OptimiserConfig",
    "PicturesConfig",
    "RunConfig",
    "ScheduleConfig",
    "Section",
    "SettingsType",
    "SplitConfig",
    "TrainConfig",
    "build_settings",
    "current_scheme",
    "dump_yaml",
    "load_settings",
    "merge",
    "override",
    "read_settings",
    "read_yaml",
]
