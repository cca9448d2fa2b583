"""The page and the endpoint around one finished run."""

import asyncio
import json
from collections.abc import Callable, Collection
from importlib.metadata import version
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, File, Form, HTTPException, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from fusionclf.catalog.decoding import READ
from fusionclf.catalog.picture_cells import MOST_PICTURES
from fusionclf.errors import FusionclfError
from fusionclf.prediction.answers import LEAST_PROBABILITY
from fusionclf.prediction.io.products import Product
from fusionclf.serving.guard import Guard
from fusionclf.serving.json_lines import read_fields, read_products
from fusionclf.serving.limits import Limits
from fusionclf.serving.metrics import KIND
from fusionclf.serving.observed import REQUEST_ID, Observed, note_decisions, note_error
from fusionclf.serving.schemas import (
    LINES_BYTES,
    MOST_CLASSES,
    PICTURE_BYTES,
    TITLE_LENGTH,
    Answer,
    Explanation,
    Fault,
    Health,
    Ready,
)
from fusionclf.serving.worker import BusyError, ModelWorker

FIELDS_BYTES = 2**16  # of a form beside its picture
NDJSON = "application/x-ndjson"
PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
PATHS = (*PAGE, "/health", "/ready", "/metrics", "/openapi.json", "/predict", "/explain", "/predict/batch")
REFUSALS: dict[int | str, dict[str, Any]] = {
    413: {"model": Fault, "description": "The request is too large."},
    422: {"model": Fault, "description": "The request has a bad value, or no input that the model reads."},
    503: {"model": Fault, "description": "Too many requests are waiting."},
}

router = APIRouter()


def make_app(
    worker: ModelWorker,
    name: str,
    *,
    hosts: Collection[str] | None = None,
    origins: Collection[str] = (),
    log: Callable[[str], None] | None = None,
) -> ASGIApp:
    """The application, guarded and observed.

    Args:
        worker: runs the model.
        name: of the run, shown on the page.
        hosts: accepted host names; None for any.
        origins: other origins whose pages may use it.
        log: gets a line of JSON for each request; None: no log.
    """
    product = PICTURE_BYTES + FIELDS_BYTES
    most_bytes = {"/predict": product, "/explain": product, "/predict/batch": LINES_BYTES}
    endpoints = _endpoints(worker, name)
    app: ASGIApp = Limits(endpoints, most_bytes)
    if origins:
        app = CORSMiddleware(
            app, allow_origins=origins, allow_methods=("GET", "POST"), allow_private_network=True,
            expose_headers=(REQUEST_ID,),
        )  # fmt: skip
    return Observed(Guard(app, hosts, origins), worker.metrics, PATHS, log)


def _endpoints(worker: ModelWorker, name: str) -> FastAPI:
    app = FastAPI(
        title="fusionclf",
        description="Classifies products by picture and title.",
        version=version("fusionclf"),
        docs_url=None,  # FastAPI's pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat the Host header
        form_limits={"max_files": MOST_PICTURES, "max_fields": 8, "max_part_size": FIELDS_BYTES},
    )
    app.state.worker, app.state.run = worker, name
    app.include_router(router)
    for path, (file, kind) in PAGE.items():
        app.add_api_route(path, _page_file(file, kind), include_in_schema=False)
    app.add_exception_handler(RequestValidationError, _invalid_value)
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(FusionclfError, _request_error)
    app.add_exception_handler(ClientDisconnect, _client_left)
    app.add_exception_handler(Exception, _model_failed)
    return app


def _worker(request: Request) -> ModelWorker:
    return request.app.state.worker


BELOW = (
    f"abstain below it; default: {LEAST_PROBABILITY}. Of several labels per product: from which a label is predicted; "
    "default: from the threshold of the label"
)
WorkerOf = Annotated[ModelWorker, Depends(_worker)]
PicturesOf = Annotated[
    list[UploadFile] | None,
    File(description=f"{READ}; up to {MOST_PICTURES}, which together keep the limit of one"),
]
TitleOf = Annotated[str | None, Form(max_length=TITLE_LENGTH)]
FieldsOf = Annotated[
    str | None,
    Form(max_length=FIELDS_BYTES, description='further texts and attributes: {"brand": "Nordvik"}'),
]


@router.get("/health")
async def health(request: Request, worker: WorkerOf) -> Health:
    """The served model, and limits of a request."""
    predictor = worker.predictor
    return Health(
        run=request.app.state.run,
        part=predictor.part,
        classes=len(predictor.classes),
        reads_pictures=predictor.reads_pictures,
        reads_titles=predictor.reads_titles,
        several_labels=predictor.model.decision is not None,
        fields=list(predictor.fields.names),
        version=version("fusionclf"),
    )


@router.get("/ready", responses={503: REFUSALS[503]})
async def ready(worker: WorkerOf) -> Ready:
    """Whether a further request is accepted: the model is loaded, and too many requests do not wait."""
    if not worker.is_ready:
        raise HTTPException(503, "too many requests are waiting, or the server is shutting down")
    return Ready()


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(worker: WorkerOf) -> Response:
    """Requests, times, products and the queue, for Prometheus; of all workers together."""
    return Response(worker.metrics.text(), headers={"Content-Type": KIND})


# A product without an answer gets an error, so an Answer has no reason.
@router.post(
    "/predict", responses=REFUSALS, response_model_exclude={"reason"}, response_model_exclude_unset=True
)
async def predict(
    request: Request,
    worker: WorkerOf,
    picture: PicturesOf = None,
    title: TitleOf = None,
    fields: FieldsOf = None,
    top_k: Annotated[int, Form(ge=1, le=MOST_CLASSES, description="number of classes")] = 5,
    min_probability: Annotated[float | None, Form(ge=0, le=1, description=BELOW)] = None,
) -> Answer:
    """Predict one product by its pictures, what is written about it, or both."""
    contents = [await each.read() for each in picture or ()]
    product = Product(contents, title, read_fields(fields))
    answer = await worker.predict_product(product, top_k, min_probability)
    note_decisions(request, [answer.decision])
    if answer.reason:
        raise HTTPException(422, f"{answer.reason}: give {worker.needed_inputs}")
    return answer


@router.post("/explain", responses=REFUSALS)
async def explain(
    worker: WorkerOf, picture: PicturesOf = None, title: TitleOf = None, fields: FieldsOf = None
) -> Explanation:
    """Show how much each part of one product contributed to its prediction.

    Takes about a hundred times as long as /predict.
    """
    contents = [await each.read() for each in picture or ()]
    explanation = await worker.explain(Product(contents, title, read_fields(fields)))
    return Explanation.model_validate(explanation.to_json())


@router.post(
    "/predict/batch",
    response_class=Response,
    responses={
        200: {
            "description": "One Answer per line, in the order of the request.",
            "content": {NDJSON: {"schema": {"type": "string"}}},
        },
        **REFUSALS,
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                NDJSON: {"schema": {"type": "string"}, "example": '{"title": "Blue Running Shoes"}\n'}
            },
        }
    },
)
async def predict_batch(
    request: Request,
    worker: WorkerOf,
    top_k: Annotated[int, Query(ge=1, le=MOST_CLASSES)] = 5,
    min_probability: Annotated[float | None, Query(ge=0, le=1, description=BELOW)] = None,
) -> Response:
    """Predict many products: JSON lines in, JSON lines out.

    A line has a `title`, a `picture` (the content of a file in base64, or a list of several), further fields, or all.
    """
    body = await request.body()
    products = await asyncio.to_thread(read_products, body, worker.predictor.fields.names)
    answers = await worker.predict_products(products, top_k, min_probability)
    note_decisions(request, [answer.decision for answer in answers])
    lines = (answer.model_dump_json(exclude_unset=True) for answer in answers)
    return Response("".join(f"{line}\n" for line in lines), media_type=NDJSON)


def _page_file(name: str, kind: str) -> Any:
    content = files("fusionclf.serving").joinpath("page", name).read_bytes()

    async def send() -> Response:
        return Response(content, headers={"Content-Type": kind})

    return send


def _one_line(request: Request, status: int, reason: str, headers: Any = None) -> JSONResponse:
    line = " ".join(reason.split())
    note_error(request, line)
    return JSONResponse(Fault(error=line).model_dump(), status, headers)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    return _one_line(request, error.status_code, str(error.detail), error.headers)


async def _request_error(request: Request, error: Exception) -> JSONResponse:
    busy = isinstance(error, BusyError)
    return _one_line(request, 503 if busy else 422, str(error), {"Retry-After": "1"} if busy else None)


async def _client_left(request: Request, error: Exception) -> JSONResponse:
    return _one_line(request, 400, "the client left before its request was complete")  # nobody reads this


async def _invalid_value(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    fault = error.errors()[0]
    where = ".".join(str(step) for step in fault["loc"][1:]) or str(fault["loc"][0])
    value = fault.get("input")
    shown = f"={json.dumps(value)[:100]}" if isinstance(value, str | int | float) else ""
    return _one_line(request, 422, f"{where}{shown}: {fault['msg']}")


async def _model_failed(request: Request, error: Exception) -> JSONResponse:
    response = _one_line(
        request, 500, "the model failed on this request; the server's console shows the reason"
    )
    note_error(request, " ".join(f"{type(error).__name__}: {error}".split()))
    return response
