"""Where a file comes from: a chosen folder, the cache, a public source; and what is said when it cannot be had."""

import dataclasses
import http.server
import shutil
import threading
from functools import partial

import numpy as np
import pooch
import pytest
from noisezoo import data
from noisezoo.data import files


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine that has no data yet: no folder chosen, none beside the checkout, an empty cache."""
    monkeypatch.delenv("NOISEZOO_DATA", raising=False)
    monkeypatch.setattr(files, "BESIDE_CHECKOUT", tmp_path / "nowhere")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path


@pytest.fixture
def server(tmp_path):
    """A web server on this machine, counting what it is asked for."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            asked.append(self.path)

    asked = []
    root = tmp_path / "web"
    root.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=root)) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}/", root, asked
        httpd.shutdown()
        thread.join()


def from_source(monkeypatch, url):
    """The yacht set, its public source moved to `url`."""
    monkeypatch.setitem(data.CATALOGUE, "yacht", dataclasses.replace(data.CATALOGUE["yacht"], url=url))


def test_the_chosen_folder_comes_first(bare, folder, monkeypatch):
    (bare / "mine" / "uci" / "yacht").mkdir(parents=True)
    shutil.copy(folder / "uci" / "yacht" / "data.txt", bare / "mine" / "uci" / "yacht")
    monkeypatch.setenv("NOISEZOO_DATA", str(bare / "mine"))
    monkeypatch.setattr(files, "BESIDE_CHECKOUT", folder)
    assert files.find(data.CATALOGUE["yacht"], "data.txt") == bare / "mine" / "uci" / "yacht" / "data.txt"
    assert files.find(data.CATALOGUE["energy"], "data.txt") == folder / "uci" / "energy" / "data.txt"
    assert data.load("yacht").x_train.shape == (277, 6)


def test_a_changed_file_is_refused(bare, folder, monkeypatch):
    (bare / "uci" / "yacht").mkdir(parents=True)
    text = (folder / "uci" / "yacht" / "data.txt").read_text()
    (bare / "uci" / "yacht" / "data.txt").write_text(text.replace("0.11", "0.12", 1))
    monkeypatch.setenv("NOISEZOO_DATA", str(bare))
    with pytest.raises(ValueError, match=r"data.txt is not the published file \(its sha256 should be 00dfecc0"):
        data.load("yacht")


def test_a_chosen_folder_that_is_none(bare, monkeypatch):
    monkeypatch.setenv("NOISEZOO_DATA", str(bare / "gone"))
    with pytest.raises(FileNotFoundError, match="NOISEZOO_DATA is .*gone.*not a folder"):
        data.load("yacht")


def test_download_once_then_from_the_cache(bare, folder, server, monkeypatch):
    url, root, asked = server
    shutil.copy(folder / "uci" / "yacht" / "data.txt", root)
    from_source(monkeypatch, url)
    first = data.load("yacht")
    again = data.load("yacht")
    assert asked == ["/data.txt"]
    assert (bare / "cache" / "noisezoo" / "uci" / "yacht" / "data.txt").is_file()
    np.testing.assert_array_equal(first.x_train, again.x_train)


def test_a_damaged_cache_is_fetched_anew(bare, folder, server, monkeypatch):
    url, root, asked = server
    shutil.copy(folder / "uci" / "yacht" / "data.txt", root)
    from_source(monkeypatch, url)
    cached = bare / "cache" / "noisezoo" / "uci" / "yacht" / "data.txt"
    cached.parent.mkdir(parents=True)
    cached.write_text("1 2 3")
    assert data.load("yacht").x_train.shape == (277, 6)
    assert asked == ["/data.txt"]


def test_a_changed_download_is_refused_and_not_kept(bare, server, monkeypatch):
    url, root, _ = server
    (root / "data.txt").write_text("1 2 3 4 5 6 7\n")
    from_source(monkeypatch, url)
    with pytest.raises(ValueError, match="no longer the published file") as caught:
        data.load("yacht")
    assert one_sentence(caught.value)
    assert not (bare / "cache" / "noisezoo" / "uci" / "yacht" / "data.txt").exists()


@pytest.mark.parametrize("where", ["closed port", "missing page"])
def test_nothing_to_be_had_says_what_to_put_where(bare, server, monkeypatch, where):
    from_source(monkeypatch, "http://127.0.0.1:9/" if where == "closed port" else server[0])
    advice = r"save data.txt from http.* in DIR/uci/yacht and set NOISEZOO_DATA=DIR\."
    with pytest.raises(FileNotFoundError, match=advice) as caught:
        data.load("yacht")
    assert one_sentence(caught.value)


def one_sentence(error: Exception) -> bool:
    """One line, and no chain of network errors behind it."""
    return "\n" not in str(error) and (error.__cause__ is None and error.__suppress_context__)


def test_public_sources_are_pinned():
    for name, entry in data.CATALOGUE.items():
        assert entry.url.startswith("https://") or not entry.files
        lengths = {len(sha256) for sha256 in entry.files.values()}
        assert lengths <= ({0} if name == "year" else {64})  # no checksum of the Million Songs is published
    assert "{" not in data.CATALOGUE["yacht"].url
