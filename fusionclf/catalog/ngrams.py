"""Character n-grams of a text, as scikit-learn's analyzer `char_wb` gives them, without its import."""

from collections.abc import Iterator


def character_ngrams(text: str, smallest: int, largest: int) -> Iterator[str]:
    """N-grams of each lower-case word with a space on either side; of a word shorter than an n-gram, the word once.

    Args:
        text: such as a title.
        smallest, largest: number of characters of an n-gram.

    >>> list(character_ngrams("Red", 3, 4))
    [' re', 'red', 'ed ', ' red', 'red ']
    """
    for word in text.lower().split():
        padded = f" {word} "
        for n in range(smallest, largest + 1):
            yield from (padded[i : i + n] for i in range(max(len(padded) - n, 0) + 1))
            if n >= len(padded):
                break
