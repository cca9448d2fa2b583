"""The page in headless Chromium: as a person has it."""

import base64
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from PIL import ExifTags, Image

import fusionclf
from fusionclf.catalog import Catalog
from fusionclf.serving.access import LOCAL
from fusionclf.serving.app import make_app
from fusionclf.serving.worker import ModelWorker
from tests.browser import OpenPage
from tests.runs import Runs
from tests.serving.conftest import HOSTILE

pytestmark = pytest.mark.slow

DROP = """([target, name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name));
  document.querySelector(target).dispatchEvent(
    new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
}"""


CELLS = """canvas => {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return [canvas.width, canvas.height, new Set(new Uint32Array(data.buffer)).size];
}"""


class Served:
    """A server on a thread, at a port of its own."""

    def __init__(self, predictor: Any, name: str) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        app = make_app(ModelWorker(predictor), name, hosts=LOCAL)
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]})
        self.thread.start()
        end = time.monotonic() + 30
        while not self.server.started and time.monotonic() < end:
            time.sleep(0.01)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.listener.close()


@pytest.fixture(scope="module")
def fusion_address(runs: Runs) -> Iterator[str]:
    predictor: Any = fusionclf.load(runs("fusion"), device="cpu")
    # What is in a catalog may be hostile: so are a class's path and the name of a run's folder.
    predictor.paths = {name: (HOSTILE, *path) for name, path in predictor.paths.items()}
    served = Served(predictor, f"run {HOSTILE}")
    yield served.address
    served.stop()


class Visitor(OpenPage):
    """The page of a server, open."""

    def __init__(self, browser: Any, address: str, **settings: Any) -> None:
        super().__init__(browser, address, **settings)
        self.page.wait_for_selector("#run:not(:empty)")

    def drop(self, file: Path, target: str = "#drop", name: str | None = None) -> None:
        """Drop a file on an element."""
        content = base64.b64encode(file.read_bytes()).decode()
        self.page.evaluate(DROP, [target, name or file.name, content])

    def classify(self, waits_for: str = "#answer") -> None:
        """Send the form and wait for what comes of it."""
        self.page.click("#classify")
        self.page.wait_for_selector(f"{waits_for}:not([hidden])")


@pytest.fixture
def visitor(browser: Any, fusion_address: str) -> Iterator[Visitor]:
    visitor = Visitor(browser, fusion_address, viewport={"width": 1100, "height": 800})
    yield visitor
    assert visitor.faults == []
    assert all(url.startswith((fusion_address, f"blob:{fusion_address}")) for url in visitor.requests)
    visitor.page.close()


def picture(sample: Catalog) -> Path:
    return sample.root / sample.table["picture"].iloc[0]


def test_a_dropped_picture_and_a_title_get_five_answers(visitor: Visitor, sample: Catalog) -> None:
    page = visitor.page
    visitor.drop(picture(sample))
    page.wait_for_selector("#preview:visible")
    assert page.locator("#preview").evaluate("picture => picture.naturalWidth") == 60
    page.fill("#title", "Nordvik Men Blue Shirts")
    visitor.classify()
    rows = page.locator("#classes li")
    assert rows.count() == 5
    shares = [float(text.removesuffix(" %")) for text in rows.locator("span:nth-child(2)").all_inner_texts()]
    assert shares == sorted(shares, reverse=True) and 0 < shares[0] <= 100
    first = rows.first.locator(".class").inner_text()
    assert page.locator("#first").inner_text() == first
    widths = [row.bounding_box()["width"] for row in page.locator(".track span").all()]
    assert widths == sorted(widths, reverse=True) and widths[0] > widths[-1]
    assert page.locator("#decision").inner_text() == "accept"
    assert page.locator("#status").inner_text() == "Picture: used. Title: used."


def test_hostile_text_is_text(visitor: Visitor) -> None:
    page = visitor.page
    page.fill("#title", HOSTILE)
    page.fill("#least", "100")
    visitor.classify()
    assert page.locator("#decision").inner_text() == "abstain"
    assert HOSTILE in page.locator("#path").text_content()
    assert HOSTILE in page.locator("#run").text_content() and HOSTILE in page.title()
    assert page.locator("script").count() == 1 and page.locator("img").count() == 2


def test_an_answer_is_explained_by_words_and_cells(visitor: Visitor, sample: Catalog) -> None:
    page = visitor.page
    visitor.drop(picture(sample))
    page.fill("#title", f"Blue Shirts {HOSTILE}")
    visitor.classify()
    assert not page.locator("#explanation").is_visible()
    page.fill("#title", "of another product")  # what is explained is the answer that is shown
    page.click("#explain")
    page.wait_for_selector("#explanation:not([hidden])")
    words = page.locator("#words .word")
    texts = [text.rsplit(" ", 1) for text in words.all_text_contents()]
    assert [text for text, _ in texts] == ["Blue", "Shirts", *HOSTILE.split()]
    shares = words.evaluate_all("all => all.map(word => Number(word.style.getPropertyValue('--share')))")
    assert max(shares) == 1 and min(shares) < 1
    strongest = texts[shares.index(1)][1]
    assert abs(float(strongest)) == max(abs(float(drop)) for _, drop in texts)
    grounds = words.evaluate_all("all => all.map(word => getComputedStyle(word).backgroundColor)")
    assert len(set(grounds)) > 1
    columns, rows, colours = page.locator("#cells").evaluate(CELLS)
    assert (columns, rows) == (6, 8) and colours > 8
    page.wait_for_selector("#seen:visible")
    assert page.locator("#seen").bounding_box() == page.locator("#cells").bounding_box()
    assert page.locator("#sides div").count() == 2
    assert page.locator("#explained").inner_text() == f"Why {page.locator('#first').inner_text()}"
    assert page.locator("script").count() == 1 and page.locator("img").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 1100
    visitor.page.click("#classify")
    page.wait_for_selector("#explanation", state="hidden")


def test_a_turned_picture_is_explained_upright(visitor: Visitor, tmp_path: Path) -> None:
    file = tmp_path / "turned.jpg"
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (60, 80), "red").save(file, exif=turned)
    visitor.drop(file)
    visitor.classify()
    visitor.page.click("#explain")
    visitor.page.wait_for_selector("#explanation:not([hidden])")
    visitor.page.wait_for_selector("#seen:visible")
    shown = visitor.page.locator("#seen").bounding_box()
    assert shown["height"] / shown["width"] == pytest.approx(60 / 80, abs=0.01)
    assert visitor.page.locator("#cells").evaluate(CELLS)[:2] == [8, 6]
    assert not visitor.page.locator("#words").is_visible()


def test_a_picture_can_be_removed(visitor: Visitor, sample: Catalog) -> None:
    visitor.page.set_input_files("#picture", picture(sample))
    visitor.page.fill("#title", "Shirts")
    visitor.page.click("#remove")
    assert not visitor.page.locator("#preview").is_visible()
    visitor.classify()
    assert visitor.page.locator("#status").inner_text() == "Picture: missing. Title: used."


def test_a_picture_dropped_beside_the_box_is_taken(visitor: Visitor, sample: Catalog) -> None:
    visitor.drop(picture(sample), target="h1")
    visitor.page.wait_for_selector("#preview:visible")
    visitor.classify()
    assert visitor.page.locator("#status").inner_text() == "Picture: used. Title: missing."


def test_an_error_replaces_the_answer(browser: Any, fusion_address: str, tmp_path: Path) -> None:
    visitor = Visitor(browser, fusion_address)
    file = tmp_path / "a.jpg"
    file.write_bytes(b"no picture")
    visitor.drop(file, name=f"{HOSTILE}.jpg")
    visitor.classify("#fault")
    fault = visitor.page.locator("#fault").inner_text()
    assert fault.startswith("picture: not a picture in a supported format (AVIF, ")
    assert not visitor.page.locator("#answer").is_visible()
    assert all("422" in fault for fault in visitor.faults)  # Chromium notes each refusal itself
    visitor.page.fill("#title", "Shirts")
    visitor.page.click("#remove")
    visitor.classify()
    assert not visitor.page.locator("#fault").is_visible()
    visitor.page.close()


def test_a_picture_that_is_too_large_is_not_sent(visitor: Visitor, tmp_path: Path) -> None:
    file = tmp_path / "large.jpg"
    file.write_bytes(bytes(20 * 2**20 + 1))
    visitor.page.set_input_files("#picture", file)
    visitor.classify("#fault")
    assert visitor.page.locator("#fault").inner_text() == "The picture is larger than 20 MiB."
    assert not [url for url in visitor.requests if url.endswith("predict")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_it_fits_the_screen_in_light_and_dark(
    browser: Any, fusion_address: str, scheme: str, width: int
) -> None:
    visitor = Visitor(browser, fusion_address, color_scheme=scheme, viewport={"width": width, "height": 800})
    visitor.page.fill("#title", "W" * 300)
    visitor.classify()
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
    dark = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark") and visitor.faults == []
    visitor.page.close()


def test_inputs_that_the_model_does_not_read_are_disabled(browser: Any, runs: Runs) -> None:
    served = Served(fusionclf.load(runs("linear"), device="cpu"), "linear")
    try:
        visitor = Visitor(browser, served.address)
        assert visitor.page.locator("#hint").inner_text() == "This model reads no pictures"
        assert visitor.page.locator("#picture").is_disabled() and visitor.page.locator("#title").is_enabled()
        visitor.page.fill("#title", "Red Shirts")
        visitor.page.press("#title", "Enter")
        visitor.page.wait_for_selector("#answer:not([hidden])")
        assert visitor.faults == []
        visitor.page.close()
    finally:
        served.stop()
