"""`fusionclf embed` and `fusionclf similar`."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fusionclf.cli.options import Columns, CpuOption, EngineOption, PartOption
from fusionclf.cli.options_class import takes

embed_app = typer.Typer()


@dataclass(frozen=True, kw_only=True)
class EmbedOptions:
    """Options of `embed`."""

    run: Annotated[Path, typer.Option("--run", "--run-folder", help="A finished run.", show_default=False)]
    source: Annotated[
        Path,
        typer.Option(
            "--input", help="CSV, Parquet or JSON lines, or a folder of pictures.", show_default=False
        ),
    ]
    out: Annotated[Path, typer.Option("--out", help="Parquet or npz file to write.", show_default=False)]
    overrides: Columns = None
    pictures: Annotated[
        Path | None, typer.Option("--pictures", help="Folder of the pictures; default: the input's.")
    ] = None
    part: PartOption = None
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities/--no-probabilities", help="Also write the probabilities of all classes."
        ),
    ] = True
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False
    resume: Annotated[bool, typer.Option("--resume", help="Resume an output that was interrupted.")] = False
    cpu: CpuOption = False
    engine: EngineOption = None


@embed_app.command(name="embed")
@takes(EmbedOptions)
def embed_command(options: EmbedOptions) -> None:
    """Write the embeddings of every product of a file, and the probabilities of all classes.

    Example: fusionclf embed --run runs/fusion --input products.csv --out products.parquet
    """
    from fusionclf.console import Console
    from fusionclf.prediction.job import Request
    from fusionclf.workflows.embed import embed

    request = Request(
        options.run, options.source, options.out, options.part, pictures=options.pictures,
        overrides=tuple(options.overrides or ()),
        engine=None if options.engine is None else options.engine.value,
    )  # fmt: skip
    embed(
        request, probabilities=options.probabilities, overwrite=options.overwrite, resume=options.resume,
        cpu=options.cpu, console=Console(),
    )  # fmt: skip


class Kind(StrEnum):
    """Which embedding is compared."""

    joint = "joint"
    picture = "picture"
    text = "text"


@dataclass(frozen=True, kw_only=True)
class SimilarOptions:
    """Options of `similar`."""

    source: Annotated[
        Path, typer.Option("--input", help="Embeddings of the products to search in.", show_default=False)
    ]
    queries: Annotated[
        Path | None, typer.Option("--queries", help="Embeddings of the products to search for.")
    ] = None
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="ID", help="Id of a product to search for; repeatable."),
    ] = None
    kind: Annotated[Kind, typer.Option("--by", help="Which embedding is compared.")] = Kind.joint
    top_k: Annotated[int, typer.Option("--top-k", min=1, help="Number of nearest products for each.")] = 10
    max_distance: Annotated[
        float | None,
        typer.Option(
            "--max-distance", min=0, max=2,
            help="Largest distance (1 - cosine) to list. Default: no limit, or 0.02 for near duplicates.",
        ),
    ] = None  # fmt: skip
    out: Annotated[Path | None, typer.Option("--out", help="CSV file to write; default: print it.")] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False


@embed_app.command(name="similar")
@takes(SimilarOptions)
def similar_command(options: SimilarOptions) -> None:
    """Find the products nearest to given ones (--id or --queries), or near duplicates among all.

    Example: fusionclf similar --input products.parquet --out duplicates.csv
    """
    from fusionclf.console import Console
    from fusionclf.workflows.similar import SimilarRequest, find_similar

    request = SimilarRequest(
        options.source, options.queries, tuple(options.ids or ()), options.kind.value, options.top_k,
        options.max_distance,
    )  # fmt: skip
    find_similar(request, options.out, overwrite=options.overwrite, console=Console())
