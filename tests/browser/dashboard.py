#!/usr/bin/env python3
"""dashboard.py URL - what a person sees while a node breaks, a rollout runs and the controller restarts.

dashboard.sh has made the fleet and tells of it in the environment."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from datetime import datetime, timedelta, timezone

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


def run(*arguments, text=None):
    subprocess.run([os.path.join(os.environ["BIN"], arguments[0]), *arguments[1:]], check=True, input=text, text=True,
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
        self.metrics(*SIZES[name], name == "phone")

    def metrics(self, width, height, mobile=False):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile})

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

    def tells(self, what, since, because, do):
        """The story of one item: four facts, each on the screen."""
        self.sees(what, ".story")
        facts = self.driver.execute_script(
            "return [...document.querySelectorAll('.story dd')].map((fact) => [fact.innerText, fact.getBoundingClientRect()])")
        for (text, box), pattern in zip(facts, (re.escape(what), since, because, do), strict=True):
            if not re.search(pattern, text):
                self.fail(f"'{pattern}' is not in '{text}'")
            if box["height"] < 10 or box["top"] < 0 or box["bottom"] > SIZES["desktop"][1]:
                self.fail(f"'{text}' is not on the screen")

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

    def picture(self, name):
        """For the README: of the page's beginning, and a bit higher than a screen."""
        self.metrics(SIZES["desktop"][0], 960)
        self.driver.execute_script("scrollTo(0, 0)")
        time.sleep(0.3)
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "webp", "quality": 90})
        with open(os.path.join(SHOTS, name), "wb") as file:
            file.write(b64decode(shot["data"]))
        self.size("desktop")

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
            wide = self.driver.execute_script(
                "return [...document.querySelectorAll('.card')].filter((card) => card.scrollWidth > card.clientWidth + 1).map((card) => card.innerText)")
            if wide:
                self.fail(f"{name}, {size}: does not fit into its card:\n{wide[0]}")
        nameless = self.driver.execute_script(NAMELESS)
        if nameless:
            self.fail(f"{name}: without a name: {nameless}")
        self.size("desktop")
        self.scheme("light")
        self.is_quiet()


# Three clicks from something red to what there is to know of it.
def three_clicks(page):
    note("all is well; then a host breaks, and the open page says so")
    page.open("/")
    page.sees("Everything is as wanted")
    page.sees("sim2-gpu0", ".matrix")
    run("gdr-simhost", "break", os.path.join(os.environ["HOSTS"], "sim2"), "hugepage-stolen=100")
    page.sees("1 needs a person")
    page.sees("drifted", ".attention")
    page.picture("fleet.webp")
    page.look("fleet")

    note("from red to the item, since when, because of what, and what to do: three clicks")
    page.open("/")
    page.click(".chip.s-drifted")
    page.sees("sim1", ".matrix", there=False)
    page.click(".matrix a[href$=sim2]")
    page.sees("node0", ".layer-card[open]")
    page.click("a[href$='item=hugepages%2Fnode0']")
    page.tells("hugepages node0 on sim2: 275, not 375", r"\d\d:\d\d:\d\d, \d+ (s|min) ago",
               "changed on the machine itself", "gdrctl node release sim2 lets the agent put it right")
    page.sees("gdrctl node release sim2", ".remedy")
    page.sees("Reboot 2 of 2", ".timeline")
    page.picture("node.webp")
    page.look("node")


def because_of_a_change(page):
    note("what an operator's change made wrong names that change; the way there is the drift page")
    run("gdrctl", "apply", "-f", "-", text="{kind: Node, name: sim2, labels: {rack: r2}, profile: vela-a100@1, mode: audit, "
        "override: {kernel: {min_version: '9.9'}}}")
    page.open("/drift")
    page.sees("kernel version")
    page.look("drift")
    page.click("a[href$='item=kernel%2Fversion']")
    page.tells("kernel version on sim2", "ago", "node.configured vela-a100@1 by user/admin", "boot a newer kernel")


def a_host_and_its_guest(page):
    note("NICs by default, current and next boot; the VM's devices, and how far they are from each other")
    page.open("/nodes/sim1")
    page.sees("8 functions alike", "[data-key=nics]")
    page.sees("default\tcurrent\tnext boot", "[data-key=nics] thead")
    page.sees("MAX_ACC_OUT_READ\t0\t44\t44", "[data-key=nics]")
    page.sees("3d:00.0 → ", "[data-key=vms]")
    page.sees("\tPIX\t", "[data-key=vms] .distances")
    if not page.driver.find_elements(By.CSS_SELECTOR, ".tree path.direct"):
        page.fail("no GPU-NIC path is drawn")
    page.look("host")

    note("the guest, one click further: every check of readiness; then a GPU is lost in it")
    page.click("[data-key=vms] a[href$=sim1-gpu0]")
    page.sees("guest of sim1")
    page.sees("R25", ".checks")
    if len(page.driver.find_elements(By.CSS_SELECTOR, ".checks tbody tr")) != 25:
        page.fail(f"not 25 checks:\n{page.text('.checks')}")
    guest = os.path.join(os.environ["HOSTS"], "sim1/sim1-gpu0")
    run("gdr-simhost", "break", guest, "gpu-lost")
    page.sees("stuck", ".node-head")
    page.sees("fail\tfatal\t8 GPUs\t7, lost", ".checks")
    page.click(".checks a[href$='item=readiness%2FR03%2Fgpus']")
    page.tells("readiness R03/gpus on sim1/sim1-gpu0", "ago", "changed on the machine itself",
               "shut the VM down and start it again")
    page.look("guest")
    page.open("/")
    page.sees("stuck", ".matrix")
    run("gdr-simhost", "mend", guest, "gpu-lost")
    page.sees("stuck", ".matrix", there=False)


def filters_and_keys(page):
    note("filters stay in the address, and keys do what a mouse does")
    page.driver.get("about:blank")
    page.open("/")
    page.sees("sim1", ".matrix")
    order = []
    for _ in range(11):
        page.press(Keys.TAB)
        order.append(page.focused())
    wanted = ["Skip to content", "gdrfleet", "Fleet", "Rollouts", "Drift", "Events", "sim2"]
    if order[:7] != wanted or "search" not in order:
        page.fail(f"keyboard order: {order}")
    outline = page.driver.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    if outline == "none":
        page.fail("where the keyboard is cannot be seen")
    page.click("#search")
    page.press("rack=r1")
    page.sees("sim2", ".matrix", there=False)
    page.driver.refresh()
    page.sees("sim1", ".matrix")
    page.sees("sim2", ".matrix", there=False)
    page.open("/?state=drifted")
    page.sees("sim1", ".matrix", there=False)
    page.open("/")
    page.sees("sim1", ".matrix")
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
    page.open("/events")
    page.sees("node.drifted")
    page.look("events")


def window(page):
    note("a rollout that waits for its window says so, and until when")
    page.open("/rollouts")
    page.sees("None yet")
    page.sees("keep to no hours")
    later = datetime.now(timezone.utc) + timedelta(hours=3)
    run("gdrctl", "apply", "-f", "-", text=f"{{kind: Window, name: later, selector: rack=r9, description: Racks that nobody rents, "
        f"hours: [{{start: '{later:%H:%M}', duration: 1h}}]}}")
    run("gdrctl", "apply", "-f", os.path.join(os.environ["SOURCE"], "deploy/examples/revisions/good.yaml"))
    page.sees("closed opens", "[data-key=windows]")
    page.sees("in 2 h 5", "[data-key=windows]")
    run("gdrctl", "rollout", "start", "vela-a100", "-l", "rack=r1", "--name", "patient", "--window", "later")
    page.sees("patient", ".cards")
    page.click(".cards a")
    page.sees("Only in window later:", ".hours")
    page.sees("closed opens", ".hours")
    page.sees(f"window later opens at {later:%Y-%m-%d %H:%M} UTC", ".remedy")
    page.look("window")
    run("gdrctl", "rollout", "abort", "patient")
    page.sees("aborted", ".node-head")


def rollout(page):
    note("a rollout, from its beginning to its end, without a reload")
    page.open("/rollouts")
    run("gdrctl", "rollout", "start", "vela-a100", "-l", "rack=r1", "--name", "better", "--soak", "1s", "--promotion", "manual")
    page.sees("running", ".cards")
    page.click(".cards a[href$=better]")
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
        page.sees("sim1", ".matrix")
        run("gdrctl", "node", "hold", "sim1")
        page.sees("held", ".matrix")
        page.is_quiet()
    finally:
        gdrd.terminate()
        gdrd.wait()


os.makedirs(SHOTS, exist_ok=True)
page = Page()
try:
    page.size("desktop")
    three_clicks(page)
    because_of_a_change(page)
    a_host_and_its_guest(page)
    filters_and_keys(page)
    drift_and_events(page)
    window(page)
    rollout(page)
    restart(page)
finally:
    page.driver.quit()
