"""A running Airflow and its sandbox, asked over HTTP: what the demo needs, whoever started them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from ferry.core.errors import LedgerError
from ferry.core.wire import httpx
from ferry.ledger.evidence import Folder
from scripts.environment import USER

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


class StackError(Exception):
    """The stack did not start or answer; says which process, why, and where its log is."""


class ApiError(Exception):
    """Airflow or the sandbox refused a request; carries the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_passing(self) -> bool:
        """Whether it is about the server's state and not about what was asked; whether that took effect is for people to see."""
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR


class Client:
    """Airflow's public API with a login, and the sandbox's control endpoints."""

    evidence: Folder
    ledger: Path | str
    """For people: where the ledger is."""
    login: str
    """For people: where Airflow's pages are, and how to get in."""

    def __init__(self, base_url: str, sandbox_url: str, password: str) -> None:
        self.base_url, self.sandbox_url, self.password = base_url, sandbox_url, password
        self._client = httpx.Client(timeout=30, trust_env=False)
        self._token = ""

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def api(self, method: str, path: str, json: Any = None, **params: Any) -> Any:
        """Airflow's public API below /api/v2; ApiError with Airflow's own words otherwise."""
        url = f"{self.base_url}/api/v2{path}"
        for fresh in (False, True):
            headers = {"Authorization": f"Bearer {self._login(fresh=fresh)}"}
            answer = self._ask(method, url, json=json, params=params, headers=headers)
            if answer.status_code != 401:
                break
        return _content(answer, f"{method} {path}")

    def sandbox(self, method: str, path: str, json: Any = None, **params: Any) -> Any:
        """The sandbox's control endpoints, e.g. `/fenergo/state`."""
        # No parameters at all, or those in the path would be dropped.
        answer = self._ask(method, f"{self.sandbox_url}/_sandbox{path}", json=json, params=params or None, timeout=120)
        return _content(answer, f"{method} /_sandbox{path}")

    def healthy(self) -> bool:
        """True once Airflow's database, scheduler, triggerer and DAG processor all report that they live."""
        try:
            health = self._client.get(f"{self.base_url}/api/v2/monitor/health").json()
        except (httpx.HTTPError, ValueError):
            return False
        return all((health.get(part) or {}).get("status") == "healthy" for part in COMPONENTS)

    def sandbox_answers(self) -> bool:
        """True once the sandbox takes requests."""
        try:
            return self._client.get(f"{self.sandbox_url}/_sandbox/requests", params={"limit": 1}).status_code < 500
        except httpx.HTTPError:
            return False

    def wait_for(self, condition: Callable[[], Any], what: str, seconds: float, every: float = 0.5) -> Any:
        """The first true value of the condition. StackError if the time is up, or there is no sense in waiting on.

        An Airflow or a ledger that is away for a moment is waited for, too.
        """
        deadline = time.monotonic() + seconds
        while True:
            trouble = ""
            try:
                if value := condition():
                    return value
            except (ApiError, LedgerError) as error:
                if isinstance(error, ApiError) and not error.is_passing:
                    raise
                trouble = f" The last answer: {error}"
            self.complain(what)
            if time.monotonic() > deadline:
                raise StackError(f"Waited {seconds:.0f} s for {what}, in vain. {self.where_logs_are()}{trouble}")
            time.sleep(every)

    def complain(self, what: str) -> None:
        """Raise StackError if what is waited for cannot come about any more."""

    def where_logs_are(self) -> str:
        """A sentence for whoever has to find out why."""
        return "The logs of the services tell why."

    def log_of(self, task: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """Where people find the log of a task instance's last try, and its entries."""
        name = "/dags/{dag_id}/{runs}/{dag_run_id}/{tasks}/{task_id}"
        path = name.format(**task, runs="dagRuns", tasks="taskInstances")
        page = self.base_url + name.format(**task, runs="runs", tasks="tasks")
        try:
            told = self.api("GET", f"{path}/logs/{task['try_number']}", map_index=task["map_index"], full_content=True)
        except ApiError:
            return page, []
        return page, list(told["content"])

    def _login(self, *, fresh: bool) -> str:
        if fresh or not self._token:
            known = {"username": USER, "password": self.password}
            answer = self._ask("POST", f"{self.base_url}/auth/token", json=known)
            self._token = _content(answer, "POST /auth/token")["access_token"]
        return self._token

    def _ask(self, method: str, url: str, **what: Any) -> httpx.Response:
        try:
            return self._client.request(method, url, **what)
        except httpx.TransportError as error:
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, f"{url} gave no answer ({type(error).__name__})") from error


def _content(answer: httpx.Response, what: str) -> Any:
    if answer.is_error:
        raise ApiError(answer.status_code, f"{what} was answered with {answer.status_code}: {answer.text[:500]}")
    return answer.json() if answer.content else None
