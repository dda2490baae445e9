"""How tests read a page that a browser shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Keys:
    """What WebDriver calls keys. (To import selenium's names would be an error where there is no selenium.)"""

    TAB, ENTER, ESCAPE = "\ue004", "\ue007", "\ue00c"
    SHIFT, END, HOME = "\ue008", "\ue010", "\ue011"
    ARROW_LEFT, ARROW_RIGHT, ARROW_DOWN = "\ue012", "\ue014", "\ue015"


# What a screen reader would say of each thing that can be used, and of each picture.
NAMES = """
    return [...document.querySelectorAll("button, input, select, a, [role=button], [role=img], [tabindex='0']")]
      .filter((one) => one.checkVisibility())
      .map((one) => [one.outerHTML.slice(0, 120), (one.getAttribute("aria-label")
        || (one.labels && one.labels.length ? one.labels[0].firstChild.data : one.textContent)).trim()]);
"""
# The lowest contrast of a text to what is behind it, by the formula of WCAG 2.
CONTRAST = """
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const over = ([r, g, b, a], below) =>
      [r, g, b].map((part, at) => part * a / 255 + below[at] * (1 - a / 255));
    const behind = (one) => {
      const layers = [];
      for (let at = one; at; at = at.parentElement) layers.unshift(rgba(getComputedStyle(at).backgroundColor));
      return layers.reduce((below, layer) => over(layer, below), [255, 255, 255]);
    };
    const bright = (colour) => {
      const [r, g, b] = colour.map((part) => part / 255)
        .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (one) => {
      const style = getComputedStyle(one);
      const below = behind(one);
      const text = over(rgba(one instanceof SVGElement ? style.fill : style.color), below);
      const [low, high] = [bright(text), bright(below)].sort((a, b) => a - b);
      return (high + 0.05) / (low + 0.05);
    };
    const texts = [...document.querySelectorAll("body *")].filter((one) => one.checkVisibility() && !one.disabled &&
      one.tagName !== "title" && [...one.childNodes].some((child) => child.nodeType === 3 && child.data.trim()));
    const ratios = texts.map((one) => [ratio(one), one.outerHTML.slice(0, 120)]).sort(([a], [b]) => a - b);
    return [texts.length, ratios.filter(([a]) => a < 4.5)];
"""
# ``current`` is what was asked for.
SETTLED = """
    const done = arguments[0];
    const number = () => current.test.servers[current.serverIndex].exchanges[current.index].n;
    const shown = () => !panel.hidden && panel.textContent.startsWith(`Request ${number()} of`);
    const wait = () => (!current || shown() ? done() : requestAnimationFrame(wait));
    wait();
"""


class Reader:
    """The page, as tests see it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path, *, scheme: str = "light", width: int = 1280, height: int = 900) -> None:
        wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}  # nothing is half-way
        media = [{"name": name, "value": value} for name, value in wanted.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.driver.get(page.as_uri())

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements("css selector", selector)
        return found

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        return str(self.one(selector).text)

    def shown(self) -> list[str]:
        """The names of the tests that are shown."""
        return [name.text for name in self.all(".test:not([hidden]) .name")]

    def row(self, name: str) -> Any:
        return next(row for row in self.all(".test") if row.find_element("css selector", ".name").text == name)

    def expand(self, name: str) -> Any:
        row = self.row(name)
        row.find_element("css selector", ".name").click()
        return row

    def choose(self, fault: str) -> None:
        names = [option.get_attribute("value") for option in self.all("#fault option")]
        self.one("#fault").send_keys(Keys.HOME, *[Keys.ARROW_DOWN] * names.index(fault))

    def focused(self) -> Any:
        return self.driver.switch_to.active_element

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is, and wait until an exchange that they ask for is there."""
        self.focused().send_keys(*keys)
        self.settle()

    def settle(self) -> None:
        """Wait until the exchange that was asked for is shown: it is read asynchronously."""
        self.driver.execute_async_script(SETTLED)

    def script(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def complaints(self) -> list[Any]:
        """What stands in the console, the page's policy included."""
        log: list[Any] = self.driver.get_log("browser")
        return log
