"""Take the picture of docs/serving.md: python docs/serve_picture.py OUT PICTURE TITLE, while `fusionclf serve` runs."""

import os
import shutil
import sys

from PIL import Image
from playwright.sync_api import sync_playwright

out, picture, title = sys.argv[1:]
chromium = os.environ.get("FUSIONCLF_CHROMIUM") or shutil.which("chromium")
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    page = browser.new_page(viewport={"width": 1000, "height": 640})
    page.goto("http://127.0.0.1:8000")
    page.set_input_files("#picture", picture)
    page.fill("#title", title)
    page.click("#classify")
    page.wait_for_selector("#answer:not([hidden])")
    page.screenshot(path=out)
    browser.close()
Image.open(out).convert("RGB").quantize(128, method=1).save(out, optimize=True)
