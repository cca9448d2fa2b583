"""A made-up taxonomy of a published size, with names as shops use them and leaves that repeat."""

from collections.abc import Iterator, Sequence
from itertools import islice, product

DEPARTMENTS = (
    "Animals & Pet Supplies", "Apparel & Accessories", "Arts & Entertainment", "Baby & Toddler", "Cameras & Optics",
    "Electronics", "Food & Drink", "Furniture", "Garden & Outdoors", "Hardware & Tools", "Health & Beauty",
    "Kitchen & Dining", "Luggage & Bags", "Media", "Office Supplies", "Sporting Goods", "Toys & Games",
    "Vehicles & Parts",
)  # fmt: skip
KINDS = (
    "Bags", "Belts", "Benches", "Blankets", "Bottles", "Bowls", "Boxes", "Brushes", "Cables", "Cages", "Candles",
    "Carts", "Chairs", "Clamps", "Clocks", "Coats", "Cushions", "Cutters", "Desks", "Displays", "Drills", "Fans",
    "Filters", "Frames", "Gauges", "Gloves", "Hammers", "Hats", "Heaters", "Helmets", "Hooks", "Jackets", "Kettles",
    "Knives", "Ladders", "Lamps", "Locks", "Mats", "Mirrors", "Mixers", "Mugs", "Nets", "Ovens", "Pans", "Pens",
    "Pillows", "Pumps", "Racks", "Rings", "Ropes", "Rugs", "Saws", "Scales", "Shelves", "Shoes", "Sofas", "Speakers",
    "Stools", "Tables", "Tents", "Trays", "Trousers", "Umbrellas", "Vases", "Watches", "Wheels",
)  # fmt: skip
USES = (
    "Camping", "Travel", "Folding", "Wall", "Children's", "Wooden", "Steel", "Electric", "Outdoor", "Wireless",
    "Ceramic", "Leather", "Portable", "Industrial", "Vintage", "Inflatable", "Waterproof", "Insulated", "Adjustable",
    "Baby", "Bamboo", "Bathroom", "Beach", "Bicycle", "Boat", "Bridal", "Canvas", "Car", "Cat", "Christmas",
    "Classroom",
    "Climbing", "Compact", "Copper", "Corner", "Cotton", "Decorative", "Digital", "Disposable", "Dog", "Fishing",
    "Garden", "Glass", "Golf", "Handmade", "Hiking", "Horse", "Hotel", "Kitchen", "Laboratory", "Laptop", "Marble",
    "Medical", "Military", "Miniature", "Motorcycle", "Office", "Painted", "Paper", "Party", "Patio", "Plastic",
    "Professional", "Racing", "Rattan", "Rubber", "School", "Silicone", "Silver", "Ski", "Solar", "Stage", "Swimming",
    "Tennis", "Wedding", "Winter",
)  # fmt: skip
PARTS = ("Accessories", "Covers", "Replacement Parts", "Storage & Stands")  # leaves that many kinds have
SHARED = 7  # every so many a kind is in two departments


def synthetic_paths(size: int) -> list[tuple[str, ...]]:
    """`size` paths, each once, in a fixed order; every category has a line of its own, as in published files.

    >>> [" > ".join(path) for path in synthetic_paths(3)]
    ['Animals & Pet Supplies', 'Animals & Pet Supplies > Bags', 'Animals & Pet Supplies > Bags > Accessories']

    Raises:
        ValueError: more than there are.
    """
    found = list(islice(dict.fromkeys(_paths()), size))
    if len(found) < size:
        raise ValueError(f"{size} paths; there are {len(found)}")
    return found


def google_lines(paths: Sequence[tuple[str, ...]]) -> list[str]:
    """The lines of a file in Google's format, with ids."""
    numbered = [f"{number} - {' > '.join(path)}" for number, path in enumerate(paths, start=1)]
    return ["# Google_Product_Taxonomy_Version: made up", *numbered]


def _paths() -> Iterator[tuple[str, ...]]:
    for number, kind in enumerate(KINDS):
        department = DEPARTMENTS[number % len(DEPARTMENTS)]
        yield (department,)
        yield (department, kind)
        yield from ((department, kind, part) for part in PARTS)
        if number % SHARED == 0:
            other = DEPARTMENTS[(number + 5) % len(DEPARTMENTS)]
            yield (other,)
            yield from ((other, kind), (other, kind, f"{USES[0]} {kind}"), (other, kind, PARTS[0]))
    for use, number in product(USES, range(len(KINDS))):
        kind, department = KINDS[number], DEPARTMENTS[number % len(DEPARTMENTS)]
        yield (department, kind, f"{use} {kind}")
        if number % SHARED == 1 and use in USES[:30]:
            yield (department, kind, f"{use} {kind}", PARTS[2])
