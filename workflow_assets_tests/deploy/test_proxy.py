"""Dagster's webserver has no passwords: without one, nothing of it is reached through the recipe's nginx."""

from __future__ import annotations

import http.client
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from workflow_assets_tests.deploy.proxies import (
    HANDSHAKE,
    KNOWN,
    PASSWORD,
    Proxy,
    basic,
    listening,
    proxied,
    script,
    workplace,
)

QUERY = "{ version }"
LOOPBACK = "0100007F"  # 127.0.0.1, as the kernel writes it

REQUESTS = {
    "page": ("/", {}, None),
    "asset": ("/favicon.png", {}, None),
    "query": ("/graphql", {}, json.dumps({"query": QUERY})),
    "query in the address": (f"/graphql?query={quote(QUERY)}", {}, None),
    "version": ("/server_info", {}, None),
    "websocket": ("/graphql", HANDSHAKE, None),
    "report": ("/report_asset_materialization/x", {}, "{}"),
    "no such page": ("/../nowhere", {}, None),
}


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with proxied() as running:
        yield running


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize(
    "credentials",
    [
        {},
        basic("ada", "guessed"),
        basic("ada", ""),
        basic("bob", PASSWORD),
        {"Authorization": "Bearer " + PASSWORD},
    ],
    ids=["none", "wrong password", "empty password", "wrong user", "token"],
)
def test_nothing_is_reached_without_a_known_password(proxy, request_, credentials):
    path, headers, body = request_
    answer = proxy.ask(path, {**headers, **credentials}, body=body)
    told = "400 Bad Request" if path.startswith("/..") else "401 Authorization Required"
    assert answer.status == int(told[:3])
    assert f"<title>{told}</title>" in answer.body  # nginx's own page


def test_with_the_password_the_page_comes(proxy):
    answer = proxy.ask("/", {**KNOWN, "Accept": "text/html"})
    assert answer.status == 200
    scripts = re.findall(r'src="(/[^"]+\.js)"', answer.body)
    assert scripts
    assert proxy.ask(scripts[0], KNOWN).status == 200
    assert proxy.ask(scripts[0]).status == 401


def test_with_the_password_a_query_is_answered(proxy):
    answer = proxy.ask("/graphql", KNOWN, body=json.dumps({"query": QUERY}))
    assert answer.status == 200
    version = json.loads(answer.body)["data"]["version"]
    assert json.loads(proxy.ask("/server_info", KNOWN).body)["dagster_webserver_version"] == version


def test_with_the_password_a_websocket_is_opened(proxy):
    """GraphQL subscriptions, by which the UI follows a run, need it."""
    answer = proxy.ask("/graphql", {**HANDSHAKE, **KNOWN})
    assert answer.status == 101
    assert answer.headers["Sec-WebSocket-Protocol"] == "graphql-ws"


def test_a_page_of_another_origin_cannot_use_the_password_that_the_browser_knows(proxy):
    """A browser sends the password along with what any page makes it send."""
    own = {"Origin": f"https://localhost:{proxy.https}", "Sec-Fetch-Site": "same-origin"}
    body = json.dumps({"query": QUERY})
    for origin in (
        "https://elsewhere.example",
        "null",
        f"http://localhost:{proxy.https}",
        "https://localhost",
    ):
        foreign = {**KNOWN, "Origin": origin}
        assert proxy.ask("/graphql", foreign, body=body).status == 403
        assert proxy.ask("/graphql", {**HANDSHAKE, **foreign}).status == 403
        assert proxy.ask("/report_asset_materialization/x", foreign, body="{}").status == 403
    address = f"/graphql?query={quote(QUERY)}"
    assert proxy.ask(address, {**KNOWN, "Sec-Fetch-Site": "cross-site"}).status == 403
    assert proxy.ask("/", {**KNOWN, "Sec-Fetch-Site": "cross-site"}).status == 200  # a link to the UI is fine
    assert proxy.ask("/graphql", {**KNOWN, **own}, body=body).status == 200
    assert proxy.ask("/graphql", {**HANDSHAKE, **KNOWN, **own}).status == 101


def test_plain_http_leads_to_https_and_to_nothing_else(proxy):
    for headers in ({}, KNOWN):
        answer = proxy.ask("/runs?x=1", headers, plain=True)
        assert answer.status == 301
        assert answer.headers["Location"] == f"https://127.0.0.1:{proxy.https}/runs?x=1"


def test_answers_may_not_be_framed_and_hold_browsers_to_https(proxy):
    for headers, status in (({}, 401), (KNOWN, 200)):
        answer = proxy.ask("/server_info", headers)
        assert answer.status == status
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert answer.headers["Server"] == "nginx"  # and not its version


def test_all_listen_on_this_machine_only(proxy):
    ports = {proxy.https, proxy.plain, proxy.webserver}
    assert listening(proxy.processes) == {(LOOPBACK, port) for port in ports}


def test_the_webserver_alone_has_no_password(proxy):
    """What the proxy is for."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.webserver, timeout=30)
    connection.request("GET", "/server_info")
    assert connection.getresponse().status == 200
    connection.close()


def test_passwords_are_kept_as_hashes_and_keys_to_oneself(proxy):
    assert PASSWORD not in (proxy.folder / "passwords").read_text()
    assert (proxy.folder / "passwords").read_text().startswith("ada:$6$")
    for name, others in (("key.pem", stat.S_IRWXG | stat.S_IRWXO), ("passwords", stat.S_IRWXO)):
        assert not (proxy.folder / name).stat().st_mode & others, name


def test_a_new_password_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    for user, said in (("ada", "first"), ("bob", "his"), ("ada", "second")):
        assert script("password", tmp_path, user, said=said).returncode == 0
    users = [line.partition(":")[0] for line in (tmp_path / "passwords").read_text().splitlines()]
    assert users == ["bob", "ada"]


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["run"], {}, "nobody has a password"),
        (["run"], {"PROXY_PASSWORD": "x", "PROXY_CERTIFICATE": "x"}, "PROXY_KEY is not"),
        (["password", "a:b"], {}, "the user's name is 'a:b'"),
        (["password", "ada"], {}, "no password on standard input"),
        (["pasword", "ada"], {}, "'pasword' is none of password, certificate, configure, run"),
    ],
)
def test_what_is_missing_is_told_before_nginx_starts(tmp_path, arguments, environment, told):
    done = script(arguments[0], tmp_path / "proxy", *arguments[1:], **environment)
    assert done.returncode == 1
    assert told in done.stderr


def test_user_and_certificate_come_from_the_environment() -> None:
    """As in a container: nginx then says what is wrong with that certificate."""
    with workplace() as folder:
        done = script(
            "run",
            folder,
            PROXY_USER="ada",
            PROXY_PASSWORD=PASSWORD,
            PROXY_CERTIFICATE="none",
            PROXY_KEY="none",
        )
        assert done.returncode == 1
        assert "cannot load certificate" in done.stderr
        assert (folder / "passwords").read_text().startswith("ada:$6$")
        assert (folder / "certificate.pem").read_text() == "none\n"


def test_a_folder_that_nginx_cannot_enter_is_told(tmp_path: Path) -> None:
    """Started by root, nginx reads the passwords as somebody else; it would answer every request with an error."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    done = script(
        "run", closed / "proxy", PROXY_PASSWORD=PASSWORD, PROXY_CERTIFICATE="none", PROXY_KEY="none"
    )
    assert done.returncode == 1
    assert ("take a folder that others may enter" in done.stderr) == (os.geteuid() == 0)
