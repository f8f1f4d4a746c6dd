"""The page of a run: made by `make report`, complete, self-contained, and legible in a browser."""

import base64
import functools
import http.server
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.report.catalogue import entry
from tests import PROJECT
from tests.workflow.project import Project

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SHOWN = ("table_5_1", "table_5_2", "figure_5_3", "figure_5_6", "figure_5_7")
MENU = {"1 This run", "5 Privacy and action recognition"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of six clips in two classes, with tiny networks."""
    project = Project(tmp_path_factory.mktemp("page") / "project")
    project.use_two_classes()
    project.configure(
        privacy__what=["faces"],
        classify__training__epochs=1,
        classify__test_clips=1,
        classify__recipes__r2plus1d__batch=4,
        classify__recipes__r2plus1d__micro_batch=4,
        classify__recipes__r2plus1d__clip__frames=4,
        report__targets=["all", "classify"],
    )
    shutil.copy(PROJECT / "Makefile", project.folder)
    made = subprocess.run(
        ["make", "-o", ".venv/installed", "report", f"BIN={project.python.parent}", "CORES=2"],
        cwd=project.folder,
        env={k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
        | {"PATH": f"{project.python.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert "Open results/clips/report.html in a browser." in made.stdout
    assert (project.folder / "logs/clips/plan.json").is_file(), "what was planned is kept"
    return project.folder / "results/clips/report.html"


def test_only_its_owner_can_read_it(page):
    assert page.stat().st_mode & 0o077 == 0


def test_it_holds_no_original_frames_of_ones_own_videos(page):
    text = page.read_text()

    def shown(path: str) -> bool:
        return base64.b64encode((page.parent / path).read_bytes()).decode() in text

    assert shown("statistics/figure_5_3.png")
    assert not shown("private/contact_sheet.png")
    assert not shown("private/figure_5_4.png")


def test_the_overview_and_the_costs_say_what_was_run(page):
    overview = (page.parent / "report/overview.html").read_text()
    assert entry("table_5_1").title in overview
    costs = (page.parent / "report/costs.md").read_text()
    assert re.search(r"\| train_classifier\b", costs)
    assert "expected" in costs.splitlines()[2]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None and not os.environ.get("ACTA_NEEDS_CHROMIUM"):
        pytest.skip("there is no Chromium here")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(page: Path) -> Iterator[str]:
    """The page from a server on this machine's own loopback."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(page.parent))
    )  # fmt: skip
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/{page.name}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("width", [1280, 400])
def test_every_item_opens_without_a_mistake_or_a_request(browser, address, width):
    window = browser.new_page(viewport={"width": width, "height": 900})
    mistakes: list[str] = []
    window.on("console", lambda said: mistakes.append(said.text) if said.type == "error" else None)
    window.on("pageerror", lambda error: mistakes.append(str(error)))
    host = address.rsplit("/", 1)[0]
    window.on("request", lambda asked: None if asked.url.startswith((host, "data:")) else mistakes.append(asked.url))
    window.goto(address)
    window.wait_for_function("typeof app !== 'undefined'")
    assert window.title() == "Acta"
    assert set(window.evaluate("Object.keys(categories)")) == MENU
    window.wait_for_selector("#rulegraph canvas")
    said = window.locator("#app .document").bounding_box()
    assert said["y"] >= 0, "the first view begins above the window"
    assert said["width"] >= 300, "the first view is squeezed next to the drawing of the rules"
    items = window.evaluate("Object.entries(results).map(([path, r]) => [path, r.mime_type, r.labels, r.caption])")
    assert {entry(name).title for name in SHOWN} <= {f"{of['item']}: {of['what']}" for _, _, of, _ in items}
    for path, kind, labels, caption in items:
        assert labels["item"], path
        assert len(caption) > 80, f"{path}: how to read it"
        content = {"text/html": "html", "image/png": "img"}[kind]
        window.evaluate(
            "([path, content]) => app.setView({content, contentPath: results[path].data_uri, resultPath: path})",
            [path, content],
        )
        if content == "img":
            image = window.wait_for_selector("#app img[src^='data:image/png']")
            image.evaluate("image => image.decode()")
            assert image.bounding_box()["width"] >= min(width - 60, 600), f"{path} is too small to read"
        else:
            frame = window.wait_for_selector("#app iframe").content_frame()
            frame.wait_for_selector("h1")
            assert frame.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1"), (
                f"{path}: the page itself scrolls sideways at {width} pixels"
            )
            size = frame.evaluate("parseFloat(getComputedStyle(document.querySelector('td, p')).fontSize)")
            assert size >= 12, path
    assert mistakes == []
    window.close()
