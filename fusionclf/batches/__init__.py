"""Tables → tensors: decoded-picture cache, transforms, text, batches."""

from fusionclf.batches.cache import PictureCache, decode_pictures, open_cache
from fusionclf.batches.disk import cache_folder
from fusionclf.batches.features import cached_features, fingerprint, text_fingerprint
from fusionclf.batches.loader import (
    Batch,
    ProductSource,
    ahead,
    by_length,
    count_batches,
    epoch_order,
    in_batches,
    in_thread,
)
from fusionclf.batches.text import (
    HashedNGrams,
    HashedTitles,
    TextBatch,
    TextPreparer,
    TitleTable,
    Tokeniser,
    joined_lengths,
)
from fusionclf.batches.transforms import PictureTransform, View, cover_size, uniforms

__all__ = [
    "Batch",
    "HashedNGrams",
    "HashedTitles",
    "PictureCache",
    "PictureTransform",
    "ProductSource",
    "TextBatch",
    "TextPreparer",
    "TitleTable",
    "Tokeniser",
    "View",
    "ahead",
    "by_length",
    "cache_folder",
    "cached_features",
    "count_batches",
    "cover_size",
    "decode_pictures",
    "epoch_order",
    "fingerprint",
    "in_batches",
    "in_thread",
    "joined_lengths",
    "open_cache",
    "text_fingerprint",
    "uniforms",
]
