"""Makes docs/images/*.png: the demo's calls on the local page, in a real browser.

`make screenshots`, or `make screenshots ARGS=monitors` for one of them. The demo makes its calls all at once;
their times are then spread over an hour, as if it had been running for that long.
"""

import sys
import threading
import time
from pathlib import Path

from browser import Page, chromium

from guance_chatgpt_monitor.cli.demo import Demo
from guance_chatgpt_monitor.cli.demo_traffic import Traffic
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit, Point

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
MAX_BYTES = 300 * 1024
SERVICES = ("shop", "chatbot", "search")
CALLS_OF_EACH = 150
CALLS_A_COLLECTION = 4
HOUR_NS = 3600 * 10**9
LANGUAGES = {"en": "en-US", "zh": "zh-CN"}
# Name -> tab, width, height, dark.
PICTURES = {
    "dashboard": ("openai", 1280, 1130, False),
    "dashboard-dark": ("openai", 1280, 700, True),
    "calls": ("calls", 1280, 860, False),
    "monitors": ("monitors", 1280, 640, False),
    "phone": ("openai", 390, 844, False),
}


def main(wanted: list[str]) -> None:
    points = demo_points()
    IMAGES.mkdir(parents=True, exist_ok=True)
    with LocalDataKit() as datakit, chromium() as page:
        for language, of_browser in LANGUAGES.items():
            for name, (tab, width, height, dark) in PICTURES.items():
                if wanted and name not in wanted:
                    continue
                datakit.clear()
                datakit.add(spread(points, time.time_ns()))
                path = IMAGES / f"{name}-{language}.png"
                page.emulate(of_browser, width, height, dark)
                page.open(datakit.url, tab)
                page.choose("range", "60")
                if tab == "calls":
                    open_a_call(page)
                page.wait("document.querySelector('.trace path, main table')")
                time.sleep(2)  # until the last chart is drawn
                page.driver.save_screenshot(str(path))
                size = path.stat().st_size
                print(f"{path}  {size / 1024:.0f} KiB")
                if size > MAX_BYTES:
                    sys.exit(f"{path} is larger than {MAX_BYTES / 1024:.0f} KiB")


def demo_points() -> list[Point]:
    with LocalDataKit() as datakit:
        threads = [
            threading.Thread(target=run_demo, args=(datakit.url, service, seed))
            for seed, service in enumerate(SERVICES)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [*datakit.points(), *datakit.points(category="logging")]


def run_demo(datakit_url: str, service: str, seed: int) -> None:
    with Demo(lambda line: None, datakit_url, log_content=True, service_name=service) as demo:
        demo.read_books()
        traffic = Traffic(demo, seed)
        for number in range(CALLS_OF_EACH):
            if number % CALLS_A_COLLECTION == 0:
                demo.collect()
            traffic.call()
        demo.collect()


def spread(points: list[Point], now_ns: int) -> list[Point]:
    """The same points over the last hour."""
    times_ns = [point.timestamp_ns for point in points if point.measurement == "openai"]
    last_ns = max(times_ns)
    stretch = HOUR_NS * 0.99 / (last_ns - min(times_ns))

    def moved_ns(point: Point) -> int:
        ago_ns = max(0, last_ns - point.timestamp_ns)
        # The times of OpenAI's books are some minutes earlier, and remain so.
        spread_ns = int(ago_ns * stretch)
        return now_ns - 10**9 - (spread_ns if spread_ns < HOUR_NS else ago_ns)

    return [point._replace(timestamp_ns=moved_ns(point)) for point in points]


def open_a_call(page: Page) -> None:
    page.wait("document.querySelectorAll('#calls tbody tr').length > 3")
    page.click("#calls tbody tr:nth-child(3) button")
    page.wait("document.querySelector('.detail')")


if __name__ == "__main__":
    main(sys.argv[1:])
