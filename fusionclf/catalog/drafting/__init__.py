"""Synonyms of classes, drafted without a person."""

from fusionclf.catalog.drafting.draft import Synonym, SynonymDraft, TrainTitles, draft_synonyms
from fusionclf.catalog.drafting.language_model import Endpoint, EndpointError, suggest
from fusionclf.catalog.drafting.lexicon import find_lexicon

__all__ = [
    "Endpoint",
    "EndpointError",
    "Synonym",
    "SynonymDraft",
    "TrainTitles",
    "draft_synonyms",
    "find_lexicon",
    "suggest",
]
