#!/usr/bin/env python3
"""dashboard.py URL - what a person sees while a node breaks, a rollout runs and the controller restarts.

dashboard.sh has made the fleet and tells of it in the environment."""

import os
import signal
import subprocess
import sys
import tempfile
import time

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

URL = sys.argv[1]
SHOTS = os.environ["SHOTS"]
PATIENCE = 15 * int(os.environ["PATIENCE"])
SIZES = {"desktop": (1280, 860), "phone": (390, 844)}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--lang=en-GB"]

# Every text that can be seen, and how it stands out from what is behind it.
CONTRAST = """
const parse = (text) => {
  const n = text.match(/[\\d.e-]+/g).map(Number);
  const scale = text.startsWith('color(') ? 255 : 1;
  return { rgb: n.slice(0, 3).map((v) => v * scale), alpha: n.length > 3 ? n[3] : 1 };
};
const light = (rgb) => {
  const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  let rgb = [0, 0, 0];
  let left = 1;
  for (let at = element; at && left > 0.01; at = at.parentElement) {
    const { rgb: own, alpha } = parse(getComputedStyle(at).backgroundColor);
    rgb = rgb.map((v, i) => v + own[i] * alpha * left);
    left *= 1 - alpha;
  }
  return rgb;
};
const bad = [];
for (const element of document.querySelectorAll('body *')) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const box = element.getBoundingClientRect();
  if (!own || !box.width || !box.height || element.closest('.hidden, .skip, svg, noscript, option')) continue;
  const style = getComputedStyle(element);
  const [a, b] = [light(parse(style.color).rgb), light(behind(element))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  const large = parseFloat(style.fontSize) >= 24;
  if (ratio < (large ? 3 : 4.5)) bad.push(`${element.className} "${element.textContent.trim().slice(0, 30)}" ${ratio.toFixed(2)}`);
}
return bad;
"""

# What can be used and has no name for those who cannot see it.
NAMELESS = """
return [...document.querySelectorAll('a, button, input, select, summary, [role=img], [tabindex="0"]')].filter((element) =>
  !element.textContent.trim() && !element.getAttribute('aria-label') && !element.getAttribute('title') &&
  !element.labels?.length).map((element) => element.outerHTML.slice(0, 120));
"""


def note(text):
    print("dashboard:", text, flush=True)


def run(*arguments):
    subprocess.run([os.path.join(os.environ["BIN"], arguments[0]), *arguments[1:]], check=True,
                   stdout=subprocess.DEVNULL)


class Page:
    def __init__(self):
        options = webdriver.ChromeOptions()
        self.folder = tempfile.TemporaryDirectory(prefix="gdrfleet-chromium.", ignore_cleanup_errors=True)
        for flag in FLAGS + ["--user-data-dir=" + self.folder.name]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)

    def size(self, name):
        width, height = SIZES[name]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": name == "phone"})

    def scheme(self, name):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                    {"features": [{"name": "prefers-color-scheme", "value": name}]})

    def open(self, where):
        self.driver.get(f"{URL}/#{where}")

    def text(self, selector="body"):
        return self.driver.execute_script(
            "return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def sees(self, words, selector="body", there=True, patience=PATIENCE):
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if (words in self.text(selector)) == there:
                return
            time.sleep(0.1)
        self.fail(f"'{words}' is {'not' if there else 'still'} in {selector}:\n{self.text(selector)}")

    def click(self, selector):
        end = time.monotonic() + PATIENCE
        while True:  # The page may be drawn anew meanwhile.
            try:
                self.driver.find_element(By.CSS_SELECTOR, selector).click()
                return
            except Exception:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def press(self, key):
        webdriver.ActionChains(self.driver).send_keys(key).perform()

    def focused(self):
        return self.driver.execute_script(
            "const at = document.activeElement; return at.id || at.textContent.trim() || at.getAttribute('aria-label')")

    def fail(self, why):
        self.driver.save_screenshot(os.path.join(SHOTS, "failed.png"))
        sys.exit(f"dashboard: FAILED: {why}")

    def is_quiet(self):
        lines = [line["message"] for line in self.driver.get_log("browser")]
        if lines:
            self.fail("the console is not silent:\n" + "\n".join(lines))

    def look(self, name):
        """Screenshots, contrast, names and width, in both sizes and schemes."""
        for size in SIZES:
            self.size(size)
            for scheme in ("dark", "light") if size == "desktop" else ("light", "dark"):
                self.scheme(scheme)
                time.sleep(0.15)
                bad = self.driver.execute_script(CONTRAST)
                if bad:
                    self.fail(f"{name}, {size}, {scheme}: too little contrast:\n" + "\n".join(bad))
            self.driver.save_screenshot(os.path.join(SHOTS, f"{name}-{size}.png"))
            if self.driver.execute_script("return document.documentElement.scrollWidth > innerWidth"):
                self.fail(f"{name} is wider than a {size}")
        nameless = self.driver.execute_script(NAMELESS)
        if nameless:
            self.fail(f"{name}: without a name: {nameless}")
        self.size("desktop")
        self.scheme("light")
        self.is_quiet()


def broken_node(page):
    note("all is well; then a node breaks, and the open page says so")
    page.open("/")
    page.sees("Everything is as wanted")
    page.sees("n2", ".matrix")
    run("gdr-simhost", "break", os.path.join(os.environ["HOSTS"], "n2"), "hugepage-stolen=100")
    page.sees("1 needs a person")
    page.sees("drifted", ".attention")
    page.look("fleet")

    note("from red to the item, why, since when and what to do: one click")
    page.click(".attention a")
    page.sees("drifted", ".node-head")
    page.sees("gdrctl node release", ".remedy")
    page.sees("since", ".node-head")
    page.sees("node0", ".layer-card[open]")
    page.sees("Reboot 2 of 2", ".timeline")
    page.sees("NIC settings")
    page.sees("MAX_ACC_OUT_READ")
    if not page.driver.find_elements(By.CSS_SELECTOR, ".tree path.direct"):
        page.fail("no GPU-NIC path is drawn")
    page.look("node")


def filters_and_keys(page):
    note("filters stay in the address, and keys do what a mouse does")
    page.driver.get("about:blank")
    page.open("/")
    page.sees("n1", ".matrix")
    order = []
    for _ in range(11):
        page.press(Keys.TAB)
        order.append(page.focused())
    wanted = ["Skip to content", "gdrfleet", "Fleet", "Rollouts", "Drift", "Events", "n2"]
    if order[:7] != wanted or "search" not in order:
        page.fail(f"keyboard order: {order}")
    outline = page.driver.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    if outline == "none":
        page.fail("where the keyboard is cannot be seen")
    page.click("#search")
    page.press("rack=r1")
    page.sees("n2", ".matrix", there=False)
    page.driver.refresh()
    page.sees("n1", ".matrix")
    page.sees("n2", ".matrix", there=False)
    page.open("/?state=drifted")
    page.sees("n1", ".matrix", there=False)
    page.open("/")
    page.sees("n1", ".matrix")
    names = page.driver.execute_script(
        "const all = [...document.querySelectorAll('.lines a')]; all[0].focus(); return all.map((a) => a.textContent)")
    page.press(Keys.ARROW_DOWN)
    if page.focused() != names[1]:
        page.fail(f"arrow down went to {page.focused()}, not {names[1]}")
    page.press(Keys.ENTER)
    page.sees(names[1], ".node-head")
    page.is_quiet()


def drift_and_events(page):
    note("drift and events")
    page.open("/drift")
    page.sees("hugepages node0")
    page.sees("275")
    page.look("drift")
    page.open("/events")
    page.sees("node.drifted")
    page.look("events")


def rollout(page):
    note("a rollout, from its beginning to its end, without a reload")
    page.open("/rollouts")
    page.sees("None yet")
    run("gdrctl", "apply", "-f", os.path.join(os.environ["SOURCE"], "deploy/examples/revisions/good.yaml"))
    run("gdrctl", "rollout", "start", "vela-a100", "-l", "rack=r1", "--name", "better", "--soak", "1s", "--promotion", "manual")
    page.sees("running", ".cards")
    page.click(".cards a")
    page.sees("1 · canary", ".waves")
    page.sees("gdrctl rollout", ".next")
    page.sees("wave 1: pass", ".gates", patience=4 * PATIENCE)  # It takes a reboot.
    page.look("rollout")
    page.open("/rollouts")
    page.sees("better", ".cards")
    page.look("rollouts")


def restart(page):
    note("the controller goes away, and comes back")
    page.open("/")
    page.sees("live", "#link")
    pid = int(os.environ["GDRD_PID"])
    os.kill(pid, signal.SIGTERM)
    page.sees("The controller is away", ".banner")
    page.driver.save_screenshot(os.path.join(SHOTS, "away-desktop.png"))
    while os.path.exists(f"/proc/{pid}"):
        time.sleep(0.1)
    gdrd = subprocess.Popen([os.path.join(os.environ["BIN"], "gdrd"), "--config", os.environ["GDRD_YAML"]],
                            stderr=subprocess.DEVNULL)
    try:
        page.sees("live", "#link")
        if page.text(".banner"):
            page.fail("the banner stays")
        page.driver.get_log("browser")  # That nobody answered is said by the browser itself.
        page.sees("n1", ".matrix")
        run("gdrctl", "node", "hold", "n1")
        page.sees("held", ".matrix")
        page.is_quiet()
    finally:
        gdrd.terminate()
        gdrd.wait()


os.makedirs(SHOTS, exist_ok=True)
page = Page()
try:
    page.size("desktop")
    broken_node(page)
    filters_and_keys(page)
    drift_and_events(page)
    rollout(page)
    restart(page)
finally:
    page.driver.quit()
