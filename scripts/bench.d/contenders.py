"""The contenders: the configuration and the command of each, and the check that it works as described."""

import string
from dataclasses import dataclass
from pathlib import Path

from load import Client, LoadFailed

ORIGINS = ("127.9.0.11:8080", "127.9.0.12:8080")
# The same servers, with a session cookie of their own in every response.
COOKIE_ORIGINS = ("127.9.0.11:8081", "127.9.0.12:8081")
BODY = "." * 91
ORIGINS_COOKIE = "JSESSIONID=1A2B3C4D5E6F7A8B9C0D1E2F3A4B5C6D"
_HERE = Path(__file__).parent
_ADMIN = "127.9.0.{}:9180"


@dataclass(frozen=True)
class Contender:
    """One contender. `cookie` is the name of the session cookie. With `sends_it` the client is a returning browser, without it a new
    one. With `rewrites` the cookie is the application's, so every response sets it."""

    name: str
    what: str
    number: int
    template: str | None = None
    sticky: str = ""
    cookie: str | None = None
    sends_it: bool = False
    rewrites: bool = False
    origins: tuple = ORIGINS
    logs: bool = True
    only_with_all: bool = False
    engine: str = "pingora"

    @property
    def address(self):
        return f"127.9.0.{20 + self.number}:8080"

    def command(self, directory, target):
        """Writes the configuration into `directory` and returns the command line."""
        if self.template is None:
            return [str(target / "release/bare_proxy"), self.address, *self.origins]
        config = directory / self.template
        config.write_text(fill(self.template, directory, self.address, self.number, self.sticky, self.origins, self.engine))
        return {
            "burdock.yaml": [str(target / "release/burdock"), "run", "-c", str(config)],
            "haproxy.cfg": ["haproxy", "-db", "-f", str(config)],
            "nginx.conf": ["nginx", "-p", str(directory), "-c", str(config)],
            "envoy.yaml": [
                *(str(target / "envoy/envoy/_bin/envoy"), "-c", str(config)),
                *("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"),
            ],
        }[self.template]

    def fresh_cookie(self):
        """The cookie that the client sends, or None. It is new, because an old one would be renewed."""
        if not self.sends_it:
            return None
        with Client(self.address) as client:
            made = client.send(None).set_cookie(self.cookie)
        if made is None:
            raise LoadFailed(f"{self.name}: the first response has no Set-Cookie named {self.cookie}")
        return made

    def verify(self, cookie):
        """Raises LoadFailed unless the proxy works as its description says."""
        with Client(self.address) as client:
            seen = [client.send(cookie) for _ in range(20)]
        servers = {response.body[:8] for response in seen}
        written = self.cookie is not None and [r for r in seen if r.set_cookie(self.cookie)]
        if not all(response.body.startswith(b"origin ") for response in seen):
            raise LoadFailed(f"{self.name}: not a response of the origins: {seen[0].body!r}")
        if self.sends_it and len(servers) != 1:
            raise LoadFailed(f"{self.name}: a returning client does not stay on its server: {len(servers)} servers")
        if self.sends_it and not self.rewrites and written:
            raise LoadFailed(f"{self.name}: a returning client gets {len(written)} new cookies")
        if self.cookie and (self.rewrites or not self.sends_it) and len(written) != len(seen):
            raise LoadFailed(f"{self.name}: {len(written)} of {len(seen)} responses have a cookie")
        if self.rewrites and any(ORIGINS_COOKIE in response.set_cookie(self.cookie) for response in seen):
            raise LoadFailed(f"{self.name}: the client gets the servers' own cookie")
        if self.cookie is None and len(servers) != 2:
            raise LoadFailed(f"{self.name}: requests reach {len(servers)} of 2 servers")


CONTENDERS = (
    Contender("bare", "bare Pingora: no log, metrics, timeouts or forwarded headers", 1, logs=False),
    Contender("burdock-hit", "Burdock's defaults, a sealed cookie, hit", 2, "burdock.yaml", "sticky: cookie", "BURDOCK_shop", True),
    Contender("burdock-new", "Burdock's defaults, no cookie: each request is a new session with a Set-Cookie", 3, "burdock.yaml", "sticky: cookie", "BURDOCK_shop"),
    Contender("burdock-off", "Burdock's defaults, `sticky` removed", 4, "burdock.yaml"),
    Contender(
        *("burdock-rewrite", "`mode: rewrite`, a hit, and a cookie of the servers in each response", 8, "burdock.yaml"),
        *("sticky: [{cookie: {name: JSESSIONID, mode: rewrite}}]", "JSESSIONID", True, True, COOKIE_ORIGINS),
    ),
    Contender("burdock-off-cookie", "`sticky` removed, a cookie of the servers in each response", 9, "burdock.yaml", origins=COOKIE_ORIGINS),
    Contender(
        *("native-hit", "as burdock-hit, by Burdock's own engine", 10, "burdock.yaml", "sticky: cookie", "BURDOCK_shop", True),
        engine="native",
    ),
    Contender(
        *("native-new", "as burdock-new, by Burdock's own engine", 11, "burdock.yaml", "sticky: cookie", "BURDOCK_shop"),
        engine="native",
    ),
    Contender("haproxy", "cookie SRV insert indirect nocache, a hit", 5, "haproxy.cfg", "", "SRV", True),
    Contender("nginx", "plain proxy: Debian's nginx has no sticky", 6, "nginx.conf"),
    Contender("envoy", "cookie stateful_session, a hit", 7, "envoy.yaml", "", "SESSION", True, only_with_all=True),
)


def chosen(only, with_all):
    """The contenders to run; `burdock` selects all of Burdock's. Raises ValueError for an unknown name."""
    wanted = [name for name in only.split(",") if name] if only else []
    for name in wanted:
        if not any(_matches(contender, name) for contender in CONTENDERS):
            raise ValueError(f"no contender {name!r}; known: {', '.join(c.name for c in CONTENDERS)}, and burdock for all of Burdock's")
    if wanted:
        return [c for c in CONTENDERS if any(_matches(c, name) for name in wanted)]
    return [c for c in CONTENDERS if with_all or not c.only_with_all]


def fill(template, directory, listen, number=0, sticky="", origins=ORIGINS, engine="pingora"):
    """A template from this directory, filled in with addresses and paths."""
    values = {"dir": directory, "listen": listen, "admin": _ADMIN.format(20 + number), "sticky": sticky, "engine": engine, "body": BODY, "origins_cookie": ORIGINS_COOKIE}
    for name, address in (("listen", listen), *zip(("origin1", "origin2", "cookie_origin1", "cookie_origin2"), (*origins, *COOKIE_ORIGINS))):
        host, port = address.rsplit(":", 1)
        values |= {name: address, f"{name}_host": host, f"{name}_port": port}
    return string.Template((_HERE / template).read_text()).substitute(values)


def _matches(contender, name):
    return contender.name == name or contender.name.startswith(f"{name}-")
