"""A class at once: one server, and more and more people who use it.

    python benchmarks/load.py [--people 1 10 50] [--seconds 50] [--quick] [--json FILE]

Each person does one thing after the other, without a pause: changes a control, uploads a photo,
downloads the numbers, opens a checkpoint. Real pages are open beside them and are hovered over.
Needs what `make test` installs. Server, people and browsers share this machine's cores: the
times are compared with those that the throughput explains, the hover with itself before there were
people.
"""

from __future__ import annotations

import io
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import paths
from chromium import launch
from hover import LISTENERS, MOVES, processor_times
from in_page import CHROMIUM, new_page, open_photo, photo_file
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from rows import Report, Row, arguments, finish
from servers import free_port, wait_for
from visitor import Job, Visitor, config_of

from deformviz.web.made_up_network import write_network

PEOPLE, SECONDS = (1, 10, 50), 50.0
PAGES = 2
MIX = {"change": 12, "photo": 2, "numbers": 1, "checkpoint": 1}
"""How often each is done, of 16 times."""

KEEP = 1536
"""MiB that the server may keep: less than it would, so that it is full before it is judged."""

_KEPT_RUNS = KEEP // 4
"""MiB of them that are runs which pages show, see `deformviz.web.tidy`."""

GRACE = 20.0
"""Seconds for what is under way at the end; what takes longer is not counted."""

_SHORT = 2.0
"""Seconds: who waits for longer has asked for a place."""


@dataclass
class Server:
    """A `python app.py` and what it takes."""

    address: str
    process: subprocess.Popen[bytes]
    files: Path

    def memory(self) -> float:
        """MiB that are in memory of it and its children, without what they share."""
        return sum(_private(pid) for pid in _family(self.process.pid)) / 1024

    def processor(self) -> float:
        """Seconds of the processor's time, of its children too."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def stored(self) -> float:
        """MB of files."""
        return sum(file.stat().st_size for file in self.files.rglob("*") if file.is_file()) / 1e6


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from _family(int(child))


def _private(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # a child that has just ended
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


@contextmanager
def served() -> Iterator[Server]:
    """A server with a folder of its own for what is uploaded, and with little to keep things in."""
    with tempfile.TemporaryDirectory(prefix="deformviz-load-") as folder:
        port = free_port()
        command = [sys.executable, "app.py", "--device", "cpu", "--port", str(port)]
        command += ["--keep", str(KEEP)]
        environment = os.environ | {"GRADIO_TEMP_DIR": folder}
        process = subprocess.Popen(
            command, cwd=paths.ROOT, stdout=subprocess.DEVNULL, env=environment
        )
        address = f"http://127.0.0.1:{port}"
        try:
            wait_for(address, lambda: process.poll() is None)
            yield Server(address, process, Path(folder))
        finally:
            process.terminate()
            process.wait(timeout=30)


# What people do


class Person(threading.Thread):
    """Does one thing after the other until `over` is set."""

    def __init__(self, visitor: Visitor, number: int, file: Path, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.jobs: list[Job] = []
        self._visitor, self._checkpoint, self._over = visitor, file, over
        self._chance = random.Random(number)

    def run(self) -> None:
        """Do, and go."""
        kinds = [kind for kind, share in MIX.items() for _ in range(share)]
        while not self._over.is_set():
            kind = self._chance.choice(kinds)
            try:
                self.jobs.append(self._do(kind, self._visitor))
            except Exception as error:
                self.jobs.append(Job(kind, error=f"{type(error).__name__}: {error}"))
        self._visitor.close()

    def _do(self, kind: str, visitor: Visitor) -> Job:
        if kind == "change":
            return visitor.change(strength=round(self._chance.uniform(1, 39), 3))
        if kind == "photo":
            return visitor.photo("photo.png", self._photo())
        if kind == "checkpoint":
            return visitor.checkpoint(self._checkpoint)
        job, content = visitor.numbers(seed=self._chance.randrange(2**20), field="random")
        if not job.error:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                job.error = "" if "offset" in arrays else "no offsets in the file"
        return job

    def _photo(self) -> bytes:
        """One that nobody else has."""
        height, width = self._chance.randrange(200, 400), self._chance.randrange(200, 400)
        file = io.BytesIO()
        noise = np.frombuffer(self._chance.randbytes(height * width * 3), np.uint8)
        Image.fromarray(noise.reshape(height, width, 3)).save(file, "PNG", compress_level=1)
        return file.getvalue()


def fill(address: str, seconds: float, report: Report) -> None:
    """Make runs until those before them must go, so that memory grows no more for their sake."""
    visitor, start, came, runs = Visitor(address), time.perf_counter(), 0.0, 0
    while came < _KEPT_RUNS and time.perf_counter() - start < seconds:
        runs += 1
        job = visitor.change(strength=round(39 + runs / 1000, 3))  # as nobody else asks for
        came += job.size / 2**20
    visitor.close()
    report.note(f"{runs} runs of {came:.0f} MiB before, of which at most {_KEPT_RUNS} MiB are kept")


# One size of a class


@dataclass
class Hour:
    """What was measured while so many people were there.

    Attributes:
        people: how many.
        seconds: for how long.
        jobs: all that was done.
        memory: of the server in MiB, once a second.
        processor: seconds of the server's.
        hover: milliseconds of script for each move, by round.
    """

    people: int
    seconds: float
    jobs: list[Job]
    memory: list[float]
    processor: float
    hover: list[list[float]]


def together(
    server: Server, browser: Browser, pages: Sequence[Page], people: int, seconds: float, file: Path
) -> Hour:
    """Let so many people in, and hover over the pages meanwhile."""
    over, memory = threading.Event(), []
    config = config_of(server.address)
    visitors = [Visitor(server.address, config) for _ in range(people)]
    crowd = [Person(visitor, 100 * people + i, file, over) for i, visitor in enumerate(visitors)]
    before, start = server.processor(), time.perf_counter()

    def watch() -> None:
        while not over.wait(1):
            memory.append(server.memory())

    watching = threading.Thread(target=watch, daemon=True)
    for thread in (watching, *crowd):
        thread.start()
    hover = [processor_times(browser, page, "image") for page in pages]
    time.sleep(max(0, seconds - (time.perf_counter() - start)))
    over.set()
    for thread in (watching, *crowd):
        thread.join(timeout=max(0.0, start + seconds + GRACE - time.perf_counter()))
    took = time.perf_counter() - start
    jobs = [job for person in crowd for job in [*person.jobs]]
    return Hour(people, took, jobs, memory, server.processor() - before, hover)


def tell(hour: Hour, quiet: list[list[float]], report: Report) -> None:
    """The rows of one size."""
    n, jobs = hour.people, hour.jobs
    who = "1 person" if n == 1 else f"{n} people"
    good = [job for job in jobs if not job.error]
    share = len(good) / max(1, len(jobs))
    row = _once(f"{who}: share of the jobs that succeeded", share, "", 1)
    report.add(replace(row, better="more"))
    for error, count in Counter(job.error for job in jobs if job.error).most_common(3):
        report.note(f"{count} times: {error[:150]}")
    if len(good) < 2:
        report.check(f"{len(good)} jobs are enough to tell times", False)
        return
    rate = len(good) / hour.seconds
    explained = n / rate
    middle, slow = median_and_slow([job.seconds for job in good])
    report.add(_once(f"{who}: median time / (people / throughput)", middle / explained, "×", 1.5))
    report.add(_once(f"{who}: slowest tenth / (people / throughput)", slow / explained, "×", 1.5))
    loaded, alone = (
        statistics.median([ms for r in rounds for ms in r]) for rounds in (hour.hover, quiet)
    )
    report.add(_once(f"{who}: hover's processor time / without them", loaded / alone, "×", 1.5))
    report.note(
        f"{len(good)} jobs in {hour.seconds:.0f} s, {rate:.1f} a second, each "
        f"{hour.processor / max(1, len(good)):.2f} s of the server's processor time; "
        f"median {middle:.2f} s, slowest tenth from {slow:.2f} s; hover {loaded:.2f} ms a move"
    )
    for kind in MIX:
        times = [job.seconds for job in good if job.kind == kind]
        if len(times) > 1:
            report.note(
                "{} {}: median {:.2f} s, slowest tenth from {:.2f} s".format(
                    len(times), kind, *median_and_slow(times)
                )
            )
    late = [job for job in good if job.kind == "change" and job.seconds > _SHORT]
    told = sum(bool(job.places) for job in late)
    longest = max((size for job in good for _, size in job.places), default=0)
    report.note(
        f"{told} of {len(late)} that took over {_SHORT:.0f} s heard of a place, of up to {longest}"
    )


def slope_of(values: Sequence[float]) -> float:
    """From one value to the next: the median of all pairs, which a few peaks do not move."""
    pairs = combinations(enumerate(values), 2)
    return statistics.median([(b - a) / (j - i) for (i, a), (j, b) in pairs] or [0.0])


def median_and_slow(values: Sequence[float]) -> tuple[float, float]:
    """The median, and what the slowest tenth takes at least."""
    cuts = statistics.quantiles(values, n=10, method="inclusive")
    return cuts[4], cuts[8]


STAYS = 0.05
"""Of what the runs take, the share that memory may grow by: 1 if all were kept, as without bounds;
0 if it is flat. What is left is for the allocator, whose pages come and go by some MiB a second."""


def tell_memory(hours: Sequence[Hour], report: Report) -> None:
    """Whether it goes on to grow: of the largest size, once everybody is there."""
    hour = hours[-1]
    memory = hour.memory[len(hour.memory) // 3 :]
    slope = 60 * slope_of(memory)
    made = sum(job.size for job in hour.jobs) / 2**20 / hour.seconds * 60
    name = f"{hour.people} people: growth of the server's memory / what their runs take"
    report.add(_once(name, slope / max(1.0, made), "×", STAYS))
    report.note(f"{slope:.0f} MiB a minute, of {made:.0f} MiB of runs a minute")
    each = ", ".join(
        f"{hour.people} people {hour.memory[0]:.0f} to {hour.memory[-1]:.0f}" for hour in hours
    )
    most = max(max(hour.memory) for hour in hours)
    report.details["MiB by people, once a second"] = {
        str(hour.people): [round(mib) for mib in hour.memory] for hour in hours
    }
    report.note(f"MiB at the beginning and at the end: {each}; at most {most:.0f}")


def _once(name: str, value: float, unit: str, target: float) -> Row:
    return Row(name, value, value, value, unit, target)


def measure(people: Sequence[int], seconds: float, report: Report) -> None:
    """All sizes, one after the other, of one server."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="deformviz-load-")))
        checkpoint = write_network(folder)
        photo = stack.enter_context(photo_file())
        server = stack.enter_context(served())
        browser = launch(stack.enter_context(sync_playwright()), args=CHROMIUM)
        stack.callback(browser.close)
        report.note(
            f"Chromium {browser.version}, {os.cpu_count()} cores, "
            f"load {os.getloadavg()[0]:.1f} before"
        )
        pages = [new_page(browser, LISTENERS) for _ in range(PAGES)]
        for page in pages:
            open_photo(page, server.address, photo)
        quiet = [processor_times(browser, page, "image") for page in pages]
        fill(server.address, seconds, report)
        hours = []
        for count in people:
            hours.append(together(server, browser, pages, count, seconds, checkpoint))
            tell(hours[-1], quiet, report)
        tell_memory(hours, report)
        report.note(f"{server.stored():.0f} MB of uploads and downloads lie in files, for an hour")


def rows(
    report: Report, quick: bool, people: Sequence[int] = PEOPLE, seconds: float = SECONDS
) -> None:
    """The table; quick, it is of 12 seconds for each size, and of fewer moves."""
    if quick:
        MOVES["image"] = 50
    measure(people, min(seconds, 12) if quick else seconds, report)


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=PEOPLE)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each size")
    options = parser.parse_args()
    given = partial(rows, people=options.people, seconds=options.seconds)
    finish(given, options.quick, options.json)
