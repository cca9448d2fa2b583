"""Tables → tensors: decoded-picture cache, transforms, text, batches."""

from fusionclf.batches.cache import PictureCache, decode_pictures, open_cache
from fusionclf.batches.features import cached_features, fingerprint, mean_features, text_fingerprint
from fusionclf.batches.hashed_ngrams import HashedNGrams, HashedTitles
from fusionclf.batches.loader import (
    Batch,
    ProductSource,
    by_length,
    epoch_order,
    in_batches,
    in_thread,
    in_weighted_batches,
    prefetch,
)
from fusionclf.batches.text import (
    Column,
    MergedTitles,
    NamedTitles,
    TextBatch,
    TextPreparer,
    TitleTable,
    Tokeniser,
    joined_lengths,
)
from fusionclf.batches.transforms import STATISTICS, PictureTransform, View, cover_size

__all__ = [
    "STATISTICS",
    "Batch",
    "Column",
    "HashedNGrams",
    "HashedTitles",
    "MergedTitles",
    "NamedTitles",
    "PictureCache",
    "PictureTransform",
    "ProductSource",
    "TextBatch",
    "TextPreparer",
    "TitleTable",
    "Tokeniser",
    "View",
    "by_length",
    "cached_features",
    "cover_size",
    "decode_pictures",
    "epoch_order",
    "fingerprint",
    "in_batches",
    "in_thread",
    "in_weighted_batches",
    "joined_lengths",
    "mean_features",
    "open_cache",
    "prefetch",
    "text_fingerprint",
]
