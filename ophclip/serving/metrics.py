"""What the service counts of itself, for Prometheus: a registry of its own, no label that tells of content."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_LATENCY_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """All figures of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("ophclip_requests", "Requests answered", ("route", "status"), registry=self.registry)
        self.seconds = Histogram(
            "ophclip_request_seconds", "From the first byte of a request to the last of its answer", ("route",),
            buckets=_LATENCY_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.under_way = Gauge(
            "ophclip_requests_under_way", "Requests that are not answered yet", registry=self.registry
        )
        self.waiting = Gauge(
            "ophclip_encoder_waiting", "Items that wait for the encoder", ("kind",), registry=self.registry
        )
        self.batches = Histogram(
            "ophclip_encoder_batch", "Items encoded together", ("kind",), buckets=_BATCH_SIZES, registry=self.registry
        )
        self.rejected = Counter("ophclip_rejected", "Requests refused because too many wait", registry=self.registry)
        self.restarts = Counter(
            "ophclip_decoder_restarts", "Decoding processes that died or were ended", registry=self.registry
        )
        self.cached = Counter(
            "ophclip_text_cache", "Texts whose vector was asked for", ("found",), registry=self.registry
        )

    def page(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
