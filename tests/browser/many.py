#!/usr/bin/env python3
"""many.py URL NODES - how soon the fleet page shows NODES nodes, and how long it keeps who types waiting while they report.

many.sh has made the fleet.  The figures are printed; what is judged leaves room for a busy machine."""

import os
import statistics
import sys
import tempfile
import time

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

URL, NODES = sys.argv[1], int(sys.argv[2])
PATIENCE = int(os.environ["PATIENCE"])
PAINT_MS = 5000 * PATIENCE
KEY_MS = 1500 * PATIENCE
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,860"]

# Before anything of the page runs: when its rows are on the screen, and how long each key waited for the next picture.
WATCH = """
window.watched = { keys: [], long: [] };
new MutationObserver((_, self) => {
  if (!document.querySelector('.matrix .line')) return;
  self.disconnect();
  requestAnimationFrame(() => setTimeout(() => { watched.rows = performance.now(); }));
}).observe(document, { childList: true, subtree: true });
const watch = (type, into) => new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (type !== 'event' || entry.name === 'keydown') into.push(entry.duration);
}).observe({ type, buffered: true, durationThreshold: 16 });
watch('event', watched.keys);
watch('longtask', watched.long);
"""


def fail(why):
    sys.exit(f"many: FAILED: {why}")


def watched(driver, what):
    return driver.execute_script(f"return watched.{what}")


def work(driver):
    """Processor time, which a busy machine does not stretch."""
    metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return 1000 * next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


def shown(driver):
    """Milliseconds from asking for the page to its first paint, and to its rows; and what its own thread worked for that."""
    driver.get("about:blank")
    before = work(driver)
    driver.get(URL)
    end = time.monotonic() + PAINT_MS / 1000
    while not watched(driver, "rows"):
        if time.monotonic() > end:
            fail(f"no rows after {PAINT_MS} ms")
        time.sleep(0.05)
    paint = driver.execute_script(
        "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? performance.now()")
    return paint, watched(driver, "rows"), work(driver) - before


def type_on(driver):
    search = driver.find_element(By.ID, "search")
    for key in "load-00" * 3:
        search.send_keys(key)
        time.sleep(0.3)
        if len(search.get_attribute("value")) == 7:
            search.send_keys(Keys.ESCAPE)


folder = tempfile.TemporaryDirectory(prefix="gdrfleet-chromium.", ignore_cleanup_errors=True)
options = webdriver.ChromeOptions()
for flag in FLAGS + ["--user-data-dir=" + folder.name]:
    options.add_argument(flag)
driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
try:
    driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    times = [shown(driver) for _ in range(3)]
    for paint, rows, worked in times:
        print(f"many: first paint after {paint:.0f} ms, rows after {rows:.0f} ms, of which {worked:.0f} ms work")
    if int(driver.find_element(By.CSS_SELECTOR, ".matrix").get_attribute("aria-rowcount")) <= NODES:
        fail("it does not show all nodes")
    before = watched(driver, "long.length")
    begun = time.monotonic()
    type_on(driver)
    keys = [ms or 16 for ms in watched(driver, "keys")] or [16]
    long = watched(driver, "long")[before:]
    print(f"many: keys: median {statistics.median(keys):.0f} ms, at most {max(keys):.0f} ms; tasks above 50 ms: {len(long)}, "
          f"{sum(long):.0f} ms in {time.monotonic() - begun:.0f} s, the longest {max(long, default=0):.0f} ms")
    if "live" not in driver.find_element(By.ID, "link").text:
        fail("the page is not live")
    if max(keys) > KEY_MS:
        fail("who types is kept waiting")
finally:
    driver.quit()
