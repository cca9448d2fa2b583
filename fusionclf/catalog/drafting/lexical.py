"""What a lexical database calls the classes of a catalog: other nouns for what a name means, and kinds of it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from fusionclf.catalog.drafting.lexicon import Lexicon, Meaning
from fusionclf.catalog.drafting.phrases import class_phrases

STEPS = 2  # how far below a meaning its kinds are drafted; more found nothing on held-out classes
MOST_KINDS = 40  # of one meaning
LEAST_TOPIC = 0.05  # of the meanings of all classes: a rarer topic is a misreading, such as Capri the island


def lexical_names(families: Mapping[str, str], lexicon: Lexicon) -> Iterator[tuple[str, str, int, str]]:
    """Class, further name, steps from what the class means to what the name means, and source.

    Args:
        families: class → its lowest category.
        lexicon: the database.
    """
    found = class_meanings(families, lexicon)
    topics = Counter(own[0].topic for own in found.values() if own)
    usual = {topic for topic, count in topics.items() if count >= LEAST_TOPIC * topics.total()}
    for name, meanings in found.items():
        for meaning in meanings:
            if meaning.topic in usual:
                yield from ((name, other, 0, "WordNet") for other in meaning.names)
                yield from _kinds(name, meaning, lexicon)


def _kinds(name: str, meaning: Meaning, lexicon: Lexicon) -> Iterator[tuple[str, str, int, str]]:
    left = MOST_KINDS
    for steps, level in enumerate(lexicon.kinds(meaning, STEPS), start=1):
        for kind in level:
            for other in kind.names[:left]:
                yield name, other, steps, f"WordNet: a kind of {meaning.names[0]}"
            left -= len(kind.names[:left])


def class_meanings(families: Mapping[str, str], lexicon: Lexicon) -> dict[str, list[Meaning]]:
    """Class → what its name means, or each kind of product that the name joins.

    Of several meanings, the one counts that other classes are nearest to: what most classes, and most of the same
    category, are kinds of, too. So a ring is jewellery, and no sound.

    Args:
        families: class → its lowest category.
        lexicon: the database.
    """
    options = {name: [lexicon.meanings(phrase) for phrase in class_phrases(name)] for name in families}
    chains = {
        each.number: lexicon.chain(each) for own in options.values() for senses in own for each in senses
    }
    of_all: Counter[int] = Counter()
    of_family: dict[str, Counter[int]] = {family: Counter() for family in families.values()}
    for name, own in options.items():
        above = set().union(*(chains[each.number] for senses in own for each in senses))
        of_all.update(above)
        of_family[families[name]].update(above)
    sizes = Counter(families.values())

    def support(name: str, meaning: Meaning) -> float:
        family = families[name]
        return sum(
            (of_all[number] - 1) / len(families) + (of_family[family][number] - 1) / sizes[family]
            for number in sorted(chains[meaning.number])
        )

    return {
        name: [_best(senses, [support(name, each) for each in senses]) for senses in own if senses]
        for name, own in options.items()
    }


def _best(senses: Sequence[Meaning], supports: Sequence[float]) -> Meaning:
    """The sense with the most support; of equals, the most frequent."""
    return senses[max(range(len(senses)), key=lambda place: (supports[place], -place))]
