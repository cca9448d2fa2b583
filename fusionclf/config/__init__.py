"""The run's settings: one frozen pydantic tree, YAML in, key.path=value overrides."""

from fusionclf.config.reading import (
    SettingsType,
    build_settings,
    dump_yaml,
    load_settings,
    merge,
    parse_override,
    read_yaml,
)
from fusionclf.config.sections import (
    BaselineConfig,
    CatalogConfig,
    OptimiserConfig,
    PicturesConfig,
    RunConfig,
    ScheduleConfig,
    Section,
    SplitConfig,
    TrainConfig,
)

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
    "dump_yaml",
    "load_settings",
    "merge",
    "parse_override",
    "read_yaml",
]
