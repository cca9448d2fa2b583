"""Examples of pictures that are blank, dark, blurred or of an odd size, as an HTML page."""

from fusionclf.catalog import Catalog
from fusionclf.catalog.picture_checks import LOOKS, PictureFacts, picture_names
from fusionclf.catalog.pictures import map_paths
from fusionclf.catalog.thumbnails import thumbnail
from fusionclf.report.page import environment

SHOWN = 24  # pictures of each kind
TEMPLATE = "picture_page.html.j2"


def picture_page(catalog: Catalog, facts: PictureFacts) -> str:
    """The page: the first SHOWN pictures of each kind of finding.

    Args:
        catalog: the products.
        facts: what a check of its pictures found.
    """
    paths = dict(zip(picture_names(catalog), catalog.flat_picture_paths(), strict=True))
    kinds = []
    for kind, names in facts.looks.items():
        shown = names[:SHOWN]
        pictures = map_paths([paths[name] for name in shown], thumbnail)
        entries = [
            {"name": name, "picture": picture, "path": str(paths[name]).removeprefix(f"{catalog.root}/")}
            for name, picture in zip(shown, pictures, strict=True)
        ]
        kinds.append({"name": kind, "count": len(names), "remedy": LOOKS[kind], "entries": entries})
    templates = environment(TEMPLATE)
    return templates.get_template(TEMPLATE).render(
        catalog=catalog.root.name, decoded=facts.decoded, kinds=kinds
    )
