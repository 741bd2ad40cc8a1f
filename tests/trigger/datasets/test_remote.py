"""Addresses: read through fsspec, and what is said where that cannot be."""

import http.server
import re
import threading
from pathlib import Path

import numpy as np
import pytest

from trigger import rootfile
from trigger.datasets.files import expand
from trigger.datasets.formats import propose
from trigger.datasets.read import read
from trigger.errors import UserError
from trigger.rootfile import need_remote, open_root


@pytest.fixture
def server(tmp_path):
    """Serves a folder on loopback with ranges of bytes, as storage does."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_one_request(self):
            """What the base class does, without a method per verb."""
            self.raw_requestline = self.rfile.readline(65537)
            if self.raw_requestline and self.parse_request():
                self.answer(body=self.command == "GET")
                self.wfile.flush()

        def answer(self, body):
            path = tmp_path / self.path.lstrip("/")
            if not path.is_file():
                self.send_error(404)
                return
            whole = path.read_bytes()
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            start, stop = wanted.groups() if wanted else (0, "")
            stop = min(int(stop or len(whole)), len(whole) - 1)
            part = whole[int(start) : stop + 1]
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Range", f"bytes {start}-{stop}/{len(whole)}")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            if body:
                self.wfile.write(part)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_file_behind_an_address_is_read_as_if_it_lay_here(
    server, write, events, card
):
    path = write(events)
    local, remote = read(card, [path]), read(card, [f"{server}/events.root"])
    assert np.array_equal(local.matrix(["pt", "eta"]), remote.matrix(["pt", "eta"]))
    assert np.array_equal(local.event, remote.event)
    assert remote.sources[0].sha256 == ""
    proposed = propose(f"{server}/events.root")
    assert (proposed.files, proposed.checksums) == ((f"{server}/events.root",), ())


def test_an_address_that_does_not_answer_is_one_sentence(server, card, events, write):
    address = f"{server}/no.root"
    with pytest.raises(
        UserError, match=rf"address '{address}' cannot be read: "
    ) as error:
        read(card, [address])
    assert "\n" not in str(error.value)
    sample = read(card, [address, write(events)], on_bad_file="skip")
    assert [file.name for file in sample.skipped] == ["no.root"]


def test_a_closed_port_is_one_sentence(card):
    with pytest.raises(
        UserError, match=r"address 'http://127\.0\.0\.1:9/a\.root' cannot be"
    ):
        read(card, ["http://127.0.0.1:9/a.root"])


def test_what_is_behind_an_address_may_be_no_root_file(server, card, tmp_path):
    (tmp_path / "page.root").write_text("<html>please log in</html>" * 50)
    with pytest.raises(UserError, match=r"page\.root' cannot be read: ") as error:
        read(card, [f"{server}/page.root"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("address", ["https://x.y/a.root", "root://x.y//a.root"])
def test_without_the_extra_the_sentence_says_what_to_install(monkeypatch, address):
    monkeypatch.setattr(rootfile.importlib.util, "find_spec", lambda name: None)
    expected = r"needs the package '\w+': pip install 'jetlut\[remote\]'"
    with pytest.raises(UserError, match=expected), open_root(address):
        pass
    with pytest.raises(UserError, match=expected):
        expand([address.replace("a.root", "*.root")])


def test_an_unknown_scheme_is_told_with_the_known():
    with pytest.raises(UserError, match="cannot read 'gopher', only http, https, root"):
        need_remote("gopher://x/a.root")


def test_a_colon_in_a_path_is_part_of_the_path(write, events, card, tmp_path):
    path = Path(write(events)).rename(tmp_path / "12:30:00.root")
    assert len(read(card, [str(path)]).label) == 4
