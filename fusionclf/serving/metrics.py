"""What a server counts, in the text format of Prometheus."""

import os
from collections.abc import Sequence

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # set before prometheus_client is imported; it then keeps its values in that folder
KIND = CONTENT_TYPE_LATEST
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
PRODUCTS = (1, 2, 4, 8, 16, 32)


class Metrics:
    """Counters of one server process, or of all its workers where FOLDER is set.

    Attributes:
        requests: by path and status.
        seconds: a request takes, by path.
        products: by decision.
        turn_products: products that the model computes together.
        queue: requests that wait for the model.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = {"namespace": "fusionclf", "registry": self.registry}
        self.requests = Counter("requests", "Requests, by path and status.", ["path", "status"], **own)
        self.seconds = Histogram(
            "request_seconds", "Seconds from a request's head to the end of its response.", ["path"],
            buckets=SECONDS, **own,
        )  # fmt: skip
        self.products = Counter(
            "products", "Products, by decision; none: without an answer.", ["decision"], **own
        )
        self.turn_products = Histogram(
            "turn_products", "Products that the model computes together.", buckets=PRODUCTS, **own
        )
        self.queue = Gauge(
            "queue_length", "Requests that wait for the model or run.", multiprocess_mode="livesum", **own
        )

    def count(self, path: str, status: int, seconds: float, decisions: Sequence[str]) -> None:
        """Count a request.

        Args:
            path: one of few, as each gets a counter of its own.
            status: of its response.
            seconds: until the end of the response.
            decisions: of its products.
        """
        self.requests.labels(path, str(status)).inc()
        self.seconds.labels(path).observe(seconds)
        for decision in set(decisions):
            self.products.labels(decision).inc(decisions.count(decision))

    def text(self) -> bytes:
        """All values, as Prometheus reads them."""
        if FOLDER not in os.environ:
            return generate_latest(self.registry)
        every = CollectorRegistry()
        MultiProcessCollector(every)
        return generate_latest(every)
