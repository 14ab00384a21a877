"""Cloud Monitoring's answers in PromQL: from a real Prometheus, where the rehearsal has one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gcp_rehearsal.call import Reply
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import invalid, unimplemented

_API = "monitoring.projects.location.prometheus.api.v1"
_MANY_NAMES = re.compile(r"""\{[^}]*__name__\s*(?:=~|!~|!=)""")


def _query_handler(path: str) -> Handler:
    def answer(call: Call) -> Reply:
        metrics = call.cloud.metrics
        if metrics is None:
            raise unimplemented(
                "queries of metrics: no `prometheus` is on the PATH of the rehearsal, which keeps none by itself"
            )
        form = {key: str(value) for key, value in call.body.items()}
        if _MANY_NAMES.search(form.get("query", "")):
            raise invalid("invalid parameter: only exact matching on metric names is supported")
        content = metrics.query(path, form)
        return Reply(body=content, headers={"content-type": "application/json"})

    return answer


KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    f"{_API}.query": _query_handler("query"),
    f"{_API}.query_range": _query_handler("query_range"),
}
