"""The routes of the Open Inference Protocol's REST form, and health and metrics beside it.

Source: open-inference-protocol, inference_rest.md. `/livez`, `/readyz`, `/healthz` and `/metrics` are the
usual names outside the protocol.
"""

from __future__ import annotations

import time
import urllib.parse

from lading_runtime.http import Answer, Handler
from lading_runtime.protocol import (
    Model,
    infer,
    model_metadata,
    read_request,
    server_metadata,
    write_response,
)
from lading_runtime.state import Busy
from lading_runtime.tensors import BadRequest

_LIVE = ("/v2/health/live", "/livez", "/healthz")
_READY = ("/v2/health/ready", "/readyz")
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class InferenceHandler(Handler):
    """Answers for one model, whose name and version stand on the class that `bind` makes."""

    model_name = ""
    model_version = ""

    @classmethod
    def bind(cls, name: str, version: str) -> type[InferenceHandler]:
        return type("BoundInferenceHandler", (cls,), {"model_name": name, "model_version": version})

    def answer(self, method: str, path: str) -> Answer:
        parts = [urllib.parse.unquote(part) for part in path.partition("?")[0].split("/")]
        path = "/".join(parts)
        if parts[:3] == ["", "v2", "models"] and len(parts) > 3:
            return self._model_route(method, parts[3:])
        if method not in ("GET", "HEAD"):
            known = path in (*_LIVE, *_READY, "/v2", "/metrics")
            return self._not_allowed("GET, HEAD") if known else self._not_found(path)
        state = self.server.state
        if path in _LIVE:
            return Answer.json({"live": True})
        if path in _READY:
            return Answer.json({"ready": state.ready}, 200 if state.ready else 503)
        if path in ("/v2", "/v2/"):
            return Answer.json(server_metadata())
        if path == "/metrics":
            return Answer(200, state.metrics().encode(), _METRICS_TYPE)
        return self._not_found(path)

    def _model_route(self, method: str, parts: list[str]) -> Answer:
        name, rest = parts[0], parts[1:]
        if name != self.model_name:
            return Answer.error(404, f"no model is called {name[:100]!r}; {self.model_name!r} is here")
        if rest[:1] == ["versions"] and len(rest) > 1:
            if rest[1] != self.model_version:
                return Answer.error(404, f"model {name!r} has version {self.model_version} only")
            rest = rest[2:]
        if rest == ["infer"]:
            return self._infer() if method == "POST" else self._not_allowed("POST")
        if rest not in ([], ["ready"]):
            return self._not_found("/".join(("/v2/models", *parts)))
        if method not in ("GET", "HEAD"):
            return self._not_allowed("GET, HEAD")
        state = self.server.state
        if rest == ["ready"]:
            return Answer.json({"name": name, "ready": state.ready}, 200 if state.ready else 503)
        if state.model is None:
            return self._loading()
        return Answer.json(model_metadata(name, self.model_version, state.model))

    def _infer(self) -> Answer:
        state, start = self.server.state, time.monotonic()
        if state.draining:
            answer = Answer.error(503, "the server is shutting down", close=True, Retry_After="1")
        elif state.model is None:
            answer = self._loading()
        else:
            try:
                answer = self._run(state.model)
            except BadRequest as error:
                answer = Answer.error(error.status, str(error))
            except Busy:
                answer = Answer.error(503, "the server is busy", Retry_After="1")
        state.count(answer.status, time.monotonic() - start)
        return answer

    def _run(self, model: Model) -> Answer:
        self._check_headers()
        request = read_request(self.read_body())
        seconds = self.server.limits.request_seconds
        with self.server.state.slot(seconds):
            outputs = infer(model, request, seconds)
        return Answer(200, write_response(self.model_name, self.model_version, request.id, outputs))

    def _check_headers(self) -> None:
        kind = self.headers.get("Content-Type", "application/json").partition(";")[0].strip().lower()
        # curl's default for -d is taken too: the body decides.
        if kind not in ("application/json", "application/x-www-form-urlencoded"):
            raise BadRequest(f"Content-Type is {kind[:100]!r}; application/json is read", 415)
        if self.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise BadRequest("compressed bodies are not read", 415)
        if "Inference-Header-Content-Length" in self.headers:
            raise BadRequest("the binary tensor extension is not spoken here", 415)

    def _loading(self) -> Answer:
        return Answer.error(503, "the model is being loaded", Retry_After="1")

    def _not_found(self, path: str) -> Answer:
        return Answer.error(404, f"no route is called {path[:200]!r}")

    def _not_allowed(self, allowed: str) -> Answer:
        return Answer.error(405, f"this route takes {allowed}", Allow=allowed)
