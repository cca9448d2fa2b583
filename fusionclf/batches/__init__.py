"""Tables → tensors: decoded-picture cache, transforms, text, batches."""

from fusionclf.batches.cache import PictureCache, cache_folder, open_cache
from fusionclf.batches.loader import Batch, ProductSource, count_batches, in_batches, shuffled
from fusionclf.batches.text import HashedNGrams, TextBatch, TextPreparer, TitleTable, Tokeniser
from fusionclf.batches.transforms import PictureTransform, cover_size, uniforms

__all__ = [
    "Batch",
    "HashedNGrams",
    "PictureCache",
    "PictureTransform",
    "ProductSource",
    "TextBatch",
    "TextPreparer",
    "TitleTable",
    "Tokeniser",
    "cache_folder",
    "count_batches",
    "cover_size",
    "in_batches",
    "open_cache",
    "shuffled",
    "uniforms",
]
