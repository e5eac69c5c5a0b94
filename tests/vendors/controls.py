"""A vendor's sandbox and the ways to set it up, the same for all vendors."""

import httpx as plain  # noqa: TID251 (the sandbox's control endpoints are no vendor: no client of ours knows them)


class Controls:
    """The control endpoints of one vendor's sandbox."""

    vendor: str

    def __init__(self, base):
        self.base = base

    def control(self, method, path, **how):
        reply = plain.request(method, f"{self.base}/_sandbox{path}", timeout=30, **how)
        reply.raise_for_status()
        return reply.json()

    def switch(self, **values):
        self.control("PUT", f"/{self.vendor}/switches", json=values)

    def fault(self, method, path, action, **rule):
        self.control("POST", f"/{self.vendor}/faults", json={"method": method, "path": path, "action": action, **rule})

    def requests(self, path="*"):
        return self.control("GET", "/requests", params={"vendor": self.vendor, "path": path})
