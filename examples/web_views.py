"""Views of a web application that asks people by SMS, as one writes them for Django or Flask.

A framework would call ``ask`` and ``show``; here a few lines of plain WSGI do, so that it runs as
it is, beside a gateway such as that of `smsgw demo --keep`:

    SMSGW_URL=http://127.0.0.1:8080 SMSGW_TOKEN=TOKEN python examples/web_views.py 8000

    curl -d 'number=77&subject=采购三脚架&approver=13800001001' http://127.0.0.1:8000/approvals
    curl http://127.0.0.1:8000/approvals/ID
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.simple_server import make_server

from smsgw.client import ApiError, Client, Person, Step, Unreachable

Answer = tuple[str, dict[str, Any]]


@functools.cache
def gateway() -> Client:
    """One client for the whole process: its threads share it, and its connections."""
    return Client()


def ask(form: dict[str, str]) -> Answer:
    """Ask the approver whom a form names."""
    try:
        request_id = gateway().requests.create(
            form["subject"],
            [Step([Person(form["approver"])], deadline_after=86400)],
            reference=form["number"],
            idempotency_key=f"form-{form['number']}",  # sent off twice, the form asks once
        )
    except ApiError as error:
        if error.status == 422:  # what the user wrote: show it beside the field
            return "422 Unprocessable Entity", {"field": error.field, "problem": error.detail}
        return "502 Bad Gateway", {"problem": "approvals do not work now"}
    except Unreachable:
        return "503 Service Unavailable", {"problem": "approvals do not work now, try again later"}
    return "201 Created", {"id": request_id}


def show(request_id: str) -> Answer:
    """Show how far an approval is."""
    try:
        request = gateway().requests.show(request_id)
    except ApiError as error:
        return f"{error.status} Not OK", {"problem": error.detail}
    answers = [
        {"phone": one.phone, "decision": one.decision, "reason": one.reason}
        for one in request.assignees
    ]
    return "200 OK", {"outcome": request.outcome, "answers": answers}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """What a framework does: find the view, and write its answer."""
    path = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] == "POST" and path == "/approvals":
        length = int(environ.get("CONTENT_LENGTH") or 0)
        status, content = ask(dict(parse_qsl(environ["wsgi.input"].read(length).decode())))
    elif path.startswith("/approvals/"):
        status, content = show(path.removeprefix("/approvals/"))
    else:
        status, content = "404 Not Found", {}
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(content, ensure_ascii=False).encode()]


def main(port: int) -> None:
    with make_server("127.0.0.1", port, application) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
