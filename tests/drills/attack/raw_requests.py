"""
Hostile requests as bytes: for a wrong key, a wrong host, a foreign page, two opinions on where a body ends.

A template holds `@HOST@`, the address of the server, and, where the attacker is to be somebody who has the key or a
part of it, `@KEY@`. Shapes of smuggling are those of RFC 9112 section 11.2 and of the public lists that grew from it:
both lengths, two lengths that differ, odd spellings of `chunked`, folded headers, bare CR and LF.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

HOST = b"@HOST@"
KEY = b"@KEY@"
Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is asked for at a door."""

    paths: tuple[tuple[bytes, bytes], ...]
    """Methods and paths that must not work for the attacker."""
    body: bytes
    """What makes a POST work, where it is let in."""
    harmless: bytes
    """A path that anybody may ask for, or that is at least there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A request to be sent."""

    name: str
    data: bytes
    whole: bool = True
    """Whether the server must answer it or hang up; of half a request it may wait for the rest."""
    slow: bool = False


WRONG_KEYS: tuple[tuple[str, Headers], ...] = (
    ("no key", ()),
    ("an empty key", ((b"Authorization", b"Bearer "),)),
    ("a scheme alone", ((b"Authorization", b"Bearer"),)),
    ("a wrong key", ((b"Authorization", b"Bearer wrong"),)),
    ("the word unused", ((b"Authorization", b"Bearer unused"),)),
    ("the word none", ((b"Authorization", b"Bearer none"),)),
    ("null", ((b"Authorization", b"Bearer null"),)),
    ("the key and more", ((b"Authorization", b"Bearer " + KEY + b"x"),)),
    ("the key twice", ((b"Authorization", b"Bearer " + KEY + KEY),)),
    ("basic", ((b"Authorization", b"Basic dXNlcjpwYXNz"),)),
    ("two wrong ones", ((b"Authorization", b"Bearer a"), (b"Authorization", b"Bearer b"))),
    ("another header", ((b"X-Api-Key", b"wrong"),)),
    ("an empty other header", ((b"X-Api-Key", b""),)),
    ("a cookie", ((b"Cookie", b"api_key=wrong; Authorization=Bearer wrong"),)),
    ("a long key", ((b"Authorization", b"Bearer " + b"A" * 6000),)),
    ("bytes beyond ASCII", ((b"Authorization", b"Bearer \xff\xfe\x80\xc3\x28"),)),
    ("forwarded for loopback", ((b"X-Forwarded-For", b"127.0.0.1"), (b"Forwarded", b"for=127.0.0.1;host=localhost"))),
    ("an override of the path", ((b"X-Original-URL", b"/health"), (b"X-Rewrite-URL", b"/health"))),
    ("an override of the method", ((b"X-HTTP-Method-Override", b"OPTIONS"),)),
)  # fmt: skip

FOREIGN_HOSTS = (
    b"evil.example", b"evil.example:80", b"localhost.evil.example", b"127.0.0.1.evil.example", b"evil.example.localhost.",
    b"127.0.0.1@evil.example", b"evil.example@127.0.0.1", b"x@127.0.0.1", b"192.168.1.7", b"10.0.0.1:8383", b"0x7f.evil.example",
    b"[::ffff:192.168.1.7]", b"run.evil.example", b"cloudbuild.evil.example", b"storage.googleapis.com.evil.example",
    b"cloudbuild.googleapis.com@evil.example", b"googleapis.com.evil.example", b"evilgoogleapis.com", b"home.run.app.evil.example",
    b"evil-run.app", b"metadata.google.internal.evil.example", b"", b" ", b"/", b"..", b"localhost/evil", b"localhost evil",
    b"localhost\tevil", b"localhost#@evil.example", b"localhost,evil.example", b"evil.example,localhost", b"[::1", b"::1]",
    b"[::1]evil.example", b"localhost\\.evil.example", b"xn--80ak6aa92e.example", b"LOCALHOST.EVIL.EXAMPLE", b"a" * 300,
)  # fmt: skip

FOREIGN_PAGES: tuple[Headers, ...] = (
    ((b"Origin", b"https://evil.example"),), ((b"Origin", b"null"),), ((b"Origin", b"http://localhost.evil.example"),),
    ((b"Origin", b"http://evil.example:80"), (b"Sec-Fetch-Site", b"cross-site")), ((b"Sec-Fetch-Site", b"cross-site"),),
    ((b"Sec-Fetch-Site", b"same-site"),), ((b"Origin", b"http://localhost:1"),), ((b"Origin", b"http://127.0.0.1:1"),),
    ((b"Origin", b"file://"),), ((b"Origin", b"https://" + HOST),), ((b"Origin", b"http://" + HOST + b"@evil.example"),),
    ((b"Origin", b"http://" + HOST + b".evil.example"),), ((b"Origin", b"http://" + HOST), (b"Origin", b"https://evil.example")),
    ((b"Origin", b"chrome-extension://abc"),), ((b"Origin", b""), (b"Sec-Fetch-Site", b"cross-site")),
)  # fmt: skip

CHUNKED = (
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: xchunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x", b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding:\tchunked", b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding:\r\n chunked", b"X: x\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: 'chunked'", b"Transfer-Encoding: CHUNKED", b"transfer_encoding: chunked", b"Transfer-Encoding: chunked\x00",
    b"Transfer-Encoding: chunk\xeed", b" Transfer-Encoding: chunked", b"X: x\rTransfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked",
    b"Transfer\xc2\xadEncoding: chunked", b"Transfer-Encoding: chunked;q=1", b"Content-Encoding: chunked",
)  # fmt: skip
LENGTHS = (
    b"4", b"0", b"-1", b"+4", b"4, 4", b"4, 40", b"0x4", b"4 ", b"04", b"1e1", b"99999999999999999999", b"", b"4\r\nContent-Length: 40",
    b"40\r\nContent-Length: 4", b"\xd9\xa4", b"4;", b"18446744073709551615",
)  # fmt: skip
CHUNKS = (
    b"0\r\n\r\n", b"5;a=b\r\nhello\r\n0\r\n\r\n", b"5;\nhello\r\n0\r\n\r\n", b"-1\r\n\r\n", b"FFFFFFFFFFFFFFFFF\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\n0\n\n", b"g\r\n\r\n", b"00000000000000005\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b" 5\r\nhello\r\n0\r\n\r\n",
)  # fmt: skip


def request(
    method: bytes, target: bytes, headers: Headers = (), body: bytes = b"", host: bytes = HOST
) -> bytes:
    """A request of the ordinary kind, after which the server closes."""
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: " + host, b"Connection: close"]
    lines += [name + b": " + value for name, value in headers]
    if body:
        lines += [b"Content-Type: application/json", b"Content-Length: " + str(len(body)).encode()]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _asked(target: Target, random: Random) -> tuple[bytes, bytes, bytes]:
    method, path = random.choice(target.paths)
    return method, path, target.body if method == b"POST" else b""


def with_wrong_keys(target: Target, random: Random) -> list[Raw]:
    """Every path with every wrong key, by its own method and by one of the others."""
    made = []
    others = (
        b"HEAD",
        b"PUT",
        b"DELETE",
        b"PATCH",
        b"OPTIONS",
        b"TRACE",
        b"PROPFIND",
        b"QUERY",
        b"get",
        b"G E T",
    )
    for method, path in target.paths:
        for name, headers in [*random.sample(WRONG_KEYS, 6), WRONG_KEYS[0]]:
            body = target.body if method == b"POST" else b""
            made.append(
                Raw(name=f"{_t(method)} {_t(path)} with {name}", data=request(method, path, headers, body))
            )
        other = random.choice(others)
        made.append(Raw(name=f"{_t(other)} {_t(path)}", data=request(other, path, (), target.body)))
    made += [
        Raw(name=f"{name} at {_t(path)}", data=request(method, path, headers, body))
        for name, headers in WRONG_KEYS
        for method, path, body in [_asked(target, random)]
    ]
    return made


def with_odd_paths(target: Target, random: Random, count: int) -> list[Raw]:
    """Paths that one part of a server may read otherwise than another, above all as the harmless one."""
    free = target.harmless
    shapes: tuple[Callable[[bytes], bytes], ...] = (
        lambda path: b"/" + path,
        lambda path: path.replace(b"/", b"//"),
        lambda path: path + b"/",
        lambda path: free + b"/.." + path,
        lambda path: free + b"/%2e%2e" + path,
        lambda path: free + b"%2f..%2f" + path[1:],
        lambda path: free + b";/.." + path,
        lambda path: free + b"\\.." + path.replace(b"/", b"\\"),
        lambda path: path + b"%00" + free,
        lambda path: path + b"?" + free,
        lambda path: path + b"#" + free,
        lambda path: path + b"?path=" + free + b"&api_key=" + KEY[:1] + b"wrong",
        lambda path: b"/" + b"".join(b"%%%02x" % byte for byte in path[1:]),
        lambda path: b"/%2f" + path[1:],
        lambda path: path.upper(),
        lambda path: b"/." + path,
        lambda path: b"/x/.." + path,
        lambda path: path + b"." + b"json",
        lambda path: path + b"%20",
        lambda path: path + b"\xc0\xaf",
        lambda path: b"http://" + HOST + path,
        lambda path: b"http://evil.example" + path,
        lambda path: b"https://" + HOST + path,
        lambda path: b"HTTP://" + HOST + b"@evil.example" + path,
        lambda path: b"file://" + path,
        lambda path: b"*",
        lambda path: HOST,
        lambda path: path[1:],
        lambda path: path.replace(b"/", b"\\"),
        lambda path: path + b"/" + b"../" * random.randint(3, 30) + b"etc/passwd",
        lambda path: path + b"?" + b"a" * random.randint(9000, 70000),
    )  # fmt: skip
    made = []
    for number in range(count):
        method, path, body = _asked(target, random)
        odd = shapes[number % len(shapes)](path)
        made.append(Raw(name=f"{_t(method)} {_t(odd)}", data=request(method, odd, (), body)))
    return made


def with_two_ends(target: Target, random: Random, count: int) -> list[Raw]:
    """Bodies about whose end two readers may disagree, with a second request in them."""
    made = []
    for number in range(count):
        method, path, body = _asked(target, random)
        hidden = request(method, path, ((b"X-Smuggled", b"yes"),), body)
        coding, length = CHUNKED[number % len(CHUNKED)], random.choice(LENGTHS)
        chunks = random.choice(CHUNKS)
        first = random.choice((target.harmless, path))
        head = b"POST " + first + b" HTTP/1.1\r\nHost: " + HOST + b"\r\n"
        both = [b"Content-Length: " + length, coding]
        random.shuffle(both)
        kind = number % 4
        lines = both if kind else [coding] if number % 8 else [b"Content-Length: " + length]
        data = head + b"\r\n".join(lines) + b"\r\n\r\n" + (chunks if kind < 3 else b"") + hidden
        made.append(
            Raw(
                name=f"{_t(b' | '.join(lines))} before {_t(method)} {_t(path)}",
                data=data,
                whole=False,
                slow=number % 5 == 0,
            )
        )
    return made


def with_odd_heads(target: Target, random: Random, count: int) -> list[Raw]:
    """Heads that are too long, folded, cut, doubled, or of another protocol."""
    made = []
    shapes: tuple[tuple[str, Callable[[bytes, bytes], bytes]], ...] = (
        ("folded", lambda m, p: m + b" " + p + b" HTTP/1.1\r\nHost: " + HOST + b"\r\nAuthorization: Bearer\r\n wrong\r\n\tmore\r\n\r\n"),
        ("LF only", lambda m, p: m + b" " + p + b" HTTP/1.1\nHost: " + HOST + b"\n\n"),
        ("CR only", lambda m, p: m + b" " + p + b" HTTP/1.1\rHost: " + HOST + b"\r\r\n\r\n"),
        ("a long header", lambda m, p: request(m, p, [(b"X-Long", b"a" * random.randint(9000, 300_000))])),
        ("many headers", lambda m, p: request(m, p, [(b"X-%d" % at, b"a") for at in range(random.randint(150, 3000))])),
        ("a long name", lambda m, p: request(m, p, [(b"X" * 20_000, b"a")])),
        ("NUL in a name", lambda m, p: request(m, p, [(b"X\x00Y", b"a")])),
        ("NUL in a value", lambda m, p: request(m, p, [(b"Authorization", b"Bearer \x00" + KEY + b"x")])),
        ("no colon", lambda m, p: m + b" " + p + b" HTTP/1.1\r\nHost: " + HOST + b"\r\nAuthorization\r\n\r\n"),
        ("two hosts", lambda m, p: m + b" " + p + b" HTTP/1.1\r\nHost: " + HOST + b"\r\nHost: evil.example\r\n\r\n"),
        ("no host", lambda m, p: m + b" " + p + b" HTTP/1.1\r\nConnection: close\r\n\r\n"),
        ("HTTP/1.0", lambda m, p: m + b" " + p + b" HTTP/1.0\r\n\r\n"),
        ("HTTP/0.9", lambda m, p: m + b" " + p + b"\r\n"),
        ("HTTP/9.9", lambda m, p: m + b" " + p + b" HTTP/9.9\r\nHost: " + HOST + b"\r\n\r\n"),
        ("HTTP/2", lambda m, p: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
        ("h2c", lambda m, p: request(m, p, [(b"Upgrade", b"h2c"), (b"HTTP2-Settings", b"AAMAAABkAAQAAP__")])),
        ("a web socket", lambda m, p: request(b"GET", p, [(b"Upgrade", b"websocket"), (b"Sec-WebSocket-Key", b"x3JJHMbDL1EzLkh9GBhXDw=="), (b"Sec-WebSocket-Version", b"13")])),
        ("TLS", lambda m, p: b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + random.randbytes(160)),
        ("noise", lambda m, p: random.randbytes(random.randint(1, 4000)) + b"\r\n\r\n"),
        ("expects", lambda m, p: request(m, p, [(b"Expect", b"100-continue")], b"{}")),
        ("CONNECT", lambda m, p: b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n"),
        ("a space before the colon", lambda m, p: m + b" " + p + b" HTTP/1.1\r\nHost : " + HOST + b"\r\nAuthorization : Bearer wrong\r\n\r\n"),
        ("a long method", lambda m, p: request(b"G" * 10_000, p)),
        ("blank lines first", lambda m, p: b"\r\n\r\n\r\n" + request(m, p)),
    )  # fmt: skip
    for number in range(count):
        method, path, _ = _asked(target, random)
        name, shape = shapes[number % len(shapes)]
        made.append(Raw(name=f"{name}: {_t(method)} {_t(path)}", data=shape(method, path), whole=False))
    return made


def in_rows(target: Target, random: Random, count: int) -> list[Raw]:
    """Many requests on one connection, of which the first are harmless or refused."""
    made = []
    for number in range(count):
        row = []
        for at in range(random.randint(2, 8)):
            method, path, body = _asked(target, random)
            harmless = at == 0 and number % 2 == 0
            row.append(request(b"GET", target.harmless) if harmless else request(method, path, (), body))
        data = b"".join(row[:-1]).replace(b"Connection: close", b"Connection: keep-alive") + row[-1]
        made.append(Raw(name=f"{len(row)} in a row", data=data, slow=number % 3 == 0))
    return made


def halves(target: Target, random: Random, count: int) -> list[Raw]:
    """Requests that stop in the middle."""
    made = []
    for _ in range(count):
        method, path, body = _asked(target, random)
        whole = request(method, path, ((b"Content-Length", b"1000"),) if not body else (), body)
        made.append(
            Raw(
                name=f"half of {_t(method)} {_t(path)}",
                data=whole[: random.randint(1, len(whole) - 1)],
                whole=False,
            )
        )
    return made


def from_pages(
    target: Target, random: Random, *, pages: Sequence[Headers] = FOREIGN_PAGES, key: Headers = ()
) -> list[Raw]:
    """What a browser sends for a page that is not of this machine; `key` where even the right key must not help it."""
    made = []
    for host in FOREIGN_HOSTS:
        for method, path, body in (_asked(target, random), (*target.paths[0], b"")):
            named = f"{_t(method)} {_t(path)} for the host {_t(host)}"
            made.append(
                Raw(name=named, data=request(method, path, key, body if method == b"POST" else b"", host))
            )
    for headers in pages:
        for method, path in target.paths:
            named = f"{_t(method)} {_t(path)} from {_t(headers[0][1])}"
            plain = b"\r\n".join(
                [method + b" " + path + b" HTTP/1.1", b"Host: " + HOST, b"Connection: close"]
                + [name + b": " + value for name, value in (*headers, *key)]
                + ([b"Content-Type: text/plain", b"Content-Length: " + str(len(target.body)).encode()] if method == b"POST" else [])
            )  # fmt: skip
            made.append(
                Raw(name=named, data=plain + b"\r\n\r\n" + (target.body if method == b"POST" else b""))
            )
    return made


def _t(data: bytes) -> str:
    text = data.decode("latin-1").encode("unicode_escape").decode()
    return text if len(text) <= 80 else text[:77] + "…"
