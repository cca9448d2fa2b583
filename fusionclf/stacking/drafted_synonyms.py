"""Synonyms of a run's classes: from a file, or drafted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from accelerate import Accelerator

from fusionclf.catalog import Catalog, Split, read_synonyms
from fusionclf.catalog.drafting import SynonymDraft, TrainTitles, draft_synonyms, find_lexicon
from fusionclf.config.shipped import find_synonyms, shipped_synonyms
from fusionclf.console import Console
from fusionclf.files import write_text

AUTO, DRAFTED = "auto", "drafted"  # values of model.synonyms that name no file
MOST = 0.8  # share of the catalog's classes that a shipped file must name to be used by itself
DRAFT = "synonyms.yaml"  # of a run folder


@dataclass
class RunSynonyms:
    """Synonyms of the classes of a run.

    Attributes:
        names: class → further names.
        draft: the draft; None for names from a file, or without names.
    """

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    draft: SynonymDraft | None = None

    @classmethod
    def read(
        cls,
        setting: str | None,
        catalog: Catalog,
        split: Split,
        families: Mapping[str, str],
        console: Console,
    ) -> "RunSynonyms":
        """The synonyms that `model.synonyms` names; `drafted` drafts them from all but test rows.

        `auto` uses a shipped file that names most of the classes; if there is none, it drafts synonyms.

        Args:
            setting: the value of model.synonyms.
            catalog, split: the products.
            families: class → its lowest category.
            console: where the result is printed.
        """
        if not setting:
            return cls()
        if setting == AUTO:
            setting = _fitting(families) or DRAFTED
        if setting == DRAFTED:
            draft = draft_synonyms(families, train_titles(catalog, split), find_lexicon())
            console.info(draft.summary)
            return cls(draft.names, draft)
        file = find_synonyms(setting)
        names = read_synonyms(file)
        count = len(set(names) & set(families))
        console.info(f"{file}: synonyms of {count} of the catalog's {len(families)} classes")
        if not count:
            console.warn(
                f"model.synonyms={setting}: the file names no class of the catalog; set model.synonyms=auto"
            )
        return cls(names)

    def keep(self, folder: Path, accelerator: Accelerator) -> None:
        """Write drafted synonyms to a run folder, or use those that a resumed run holds; every process calls it."""
        if self.draft is None:
            return
        file = folder / DRAFT
        is_resumed = file.exists()
        if accelerator.is_main_process and not is_resumed:
            write_text(file, self.draft.to_yaml())
        accelerator.wait_for_everyone()
        if is_resumed:
            self.names = read_synonyms(file)


def _fitting(families: Mapping[str, str]) -> str | None:
    """The shipped file that names the most classes, if it names most of all."""
    shares = {
        name: len(set(read_synonyms(find_synonyms(name))) & set(families)) / max(len(families), 1)
        for name in shipped_synonyms()
    }
    best = max(shares, key=lambda name: shares[name], default=None)
    return best if best is not None and shares[best] >= MOST else None


def train_titles(catalog: Catalog, split: Split) -> TrainTitles:
    """Titles and classes of train and validation rows; no test row is among them."""
    rows = catalog.table.iloc[split.rows(catalog, None, "train", "validation")]
    rows = rows[rows["title"].str.strip() != ""]
    return TrainTitles(rows["title"].tolist(), rows["label"].tolist())
