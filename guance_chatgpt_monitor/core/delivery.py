"""Deliver now, or keep in the backlog; replay; count what was delivered, replayed and dropped."""

import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from .backlog import Backlog, Claim, timestamp_ns
from .datakit import DataKit, DataKitError

BATCH_LINES = 500
# Of points, a batch is a fifth of it; of what was said, a few calls can be more.
BATCH_BYTES = 1024 * 1024
DOWN_S = 30.0  # how long nobody tries a DataKit that failed
TRIAL_S = 5  # how long the one who tries it again may take
REPLAY_LOCK_S = 30  # far above the longest request; a dead replayer is in nobody's way for longer
MAX_AGE_S = 12 * 3600.0
TIME_KEPT_S = 2 * 3600.0 - 60  # DataKit overwrites the time of older points, unless told not to
MAX_STRANDED_LINES = 1000
MAX_STRANDED_BYTES = 8 * 1024 * 1024
# DataKit takes 100 requests a second from one address: replaying leaves half of them to the callers.
REQUEST_INTERVAL_S = 0.02
LONGEST_INTERVAL_S = 1.6  # doubled up to here after a 429; refused even then, it is left to the next run

BACKLOG_FULL = "backlog_full"
TOO_OLD = "too_old"


class Category(NamedTuple):
    """One of DataKit's. `are_series`: of two lines of one series with one time, the later overwrites."""

    name: str
    noun: str
    are_series: bool
    claim_lines: int  # how many are in memory while they are replayed


METRIC = Category("metric", "point(s)", True, BATCH_LINES)
LOGGING = Category("logging", "log line(s)", False, 50)  # up to some 100 KB each


class Replay(NamedTuple):
    """What one replay did: `problem` says in words why it stopped early, empty if nothing is left."""

    replayed: int = 0
    problem: str = ""
    datakit_failed: bool = False


class Delivery:
    """Lines on their way to DataKit. No method raises for a DataKit or a backlog that is away.

    `say` takes one line for the operator, without any content. `memory` outlives the object, in plain
    containers, and takes what not even the backlog took. All lines are of one `category` of DataKit's, and
    each category has a backlog and a memory of its own.
    """

    def __init__(
        self,
        datakit: DataKit,
        backlog: Backlog,
        say: Callable[[str], None],
        memory: Optional[Dict[str, Any]] = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        category: Category = METRIC,
    ) -> None:
        self._datakit = datakit
        self._category = category
        self._backlog = backlog
        self._say = say
        self._memory: Dict[str, Any] = {} if memory is None else memory
        self._clock = clock
        self._sleep = sleep

    def deliver(self, lines: List[str], counted: bool = True) -> bool:
        """Write up to BATCH_LINES lines now, unless DataKit is known to be down; keep what fails.

        The monitor's own points are not `counted` as delivered. Returns whether nothing had to be kept: else
        DataKit need not be asked for more, each time of which may take a timeout.
        """
        trying = self._may_try() if lines else None
        left = lines
        if trying is not None:
            left = self._deliver_now(lines, counted)
            if trying == "trial" and not left:
                self._clear_down()
        self._keep(left)
        return not left

    def keep(self, lines: List[str]) -> None:
        """Put lines on the backlog without asking DataKit."""
        self._keep(lines)

    def count_dropped(self, reason: str, count: int) -> None:
        """Count lines that could not be made."""
        self._count(_dropped(reason, count))

    def replay(self, budget_s: float) -> Replay:
        """Deliver what waits, oldest first, for at most about `budget_s`, one replayer at a time."""
        return self._work_off(budget_s, self._deliver_batch)

    def drop_too_old(self, budget_s: float) -> Replay:
        """Drop what is too old, and nothing else: for a DataKit that is away, so that nothing is replayed."""
        return self._work_off(budget_s, self._leave_batch)

    def _deliver_now(self, lines: List[str], counted: bool) -> List[str]:
        """What is left of `lines`."""
        refusals = _Refusals()
        left = lines
        for step in self._write(lines, lambda: True):
            if step.error is not None:
                self._mark_down()
                self._say(f"{step.error}; {len(left)} {self._category.noun} wait in the backlog")
                break
            if step.refused:
                refusals.add(left[0], step.refused)
                self._count(_dropped(step.refused, 1))
            elif counted:
                self._note({"delivered": step.n_lines})
            left = left[step.n_lines :]
        self._count_noted()
        refusals.say(self._say, self._category.noun)
        return left

    def _work_off(self, budget_s: float, work: Callable[["_Run", Claim, List[str]], Claim]) -> Replay:
        self._keep([])
        run = _Run(self._backlog, budget_s, self._sleep)
        try:
            if run.holds_lock():
                try:
                    self._work_off_claims(run, work)
                finally:
                    self._backlog.release("replay")
        except Exception as error:
            run.problem = f"the backlog cannot be reached ({type(error).__name__})"
        self._count_noted()
        run.refusals.say(self._say, self._category.noun)
        return Replay(run.replayed, run.problem, run.datakit_failed)

    def _work_off_claims(self, run: "_Run", work: Callable[["_Run", Claim, List[str]], Claim]) -> None:
        while not run.is_over:
            claim = self._backlog.claim(self._category.claim_lines)
            if claim is None:
                return
            now_s = self._clock()
            for batch in _batches(claim.lines, now_s, self._category.are_series):
                if timestamp_ns(batch[0]) >= _oldest_allowed_ns(now_s):
                    claim = work(run, claim, batch)
                elif run.may_go_on():
                    claim = run.settle(claim, len(batch), _dropped(TOO_OLD, len(batch)))
                if run.is_over:
                    return

    def _deliver_batch(self, run: "_Run", claim: Claim, batch: List[str]) -> Claim:
        """What is left of the claim. What DataKit took or refused is settled before the next request."""
        now_s = self._clock()
        for step in self._write([_with_delay(line, now_s) for line in batch], run.may_request):
            if step.error is not None:
                if not run.slow_down(step.error):
                    self._mark_down()
                    break
            elif step.refused:
                run.refusals.add(claim.lines[0], step.refused)
                claim = run.settle(claim, 1, _dropped(step.refused, 1))
            else:
                claim = run.settle(claim, step.n_lines, {"replayed": step.n_lines})
                run.replayed += step.n_lines
                run.speed_up()
                self._clear_down()
        return claim

    def _leave_batch(self, run: "_Run", claim: Claim, _: List[str]) -> Claim:
        run.is_over = True
        return claim

    def _write(self, lines: List[str], may_request: Callable[[], bool]) -> Iterator["_Step"]:
        """Write lines, in order, BATCH_BYTES at a time; of those refused, halve until the bad stand alone.

        After an error, the same lines are tried again if the caller goes on.
        """
        parts = _requests(lines)[::-1]
        while parts and may_request():
            part = parts.pop()
            try:
                self._timed_write(part)
                yield _Step(len(part))
            except DataKitError as error:
                if not error.lines_refused:
                    parts.append(part)
                    yield _Step(0, error=error)
                elif len(part) == 1:
                    yield _Step(1, refused=error.reason)
                else:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]

    def _timed_write(self, lines: List[str]) -> None:
        started_s = time.perf_counter()
        named_itself = self._datakit.write(lines, self._category.name)
        self._note({"writes": 1, "write_us": int((time.perf_counter() - started_s) * 1e6)})
        if not self._is_delivery(named_itself):
            raise DataKitError(
                f"DataKit at {self._datakit.url} answered 200 without X-Datakit: not delivered", "no_header"
            )

    def _is_delivery(self, named_itself: bool) -> bool:
        """A 200 without the header is none from a DataKit that sent it before, to whichever worker."""
        mark = "names_itself " + self._datakit.url
        known = self._memory.get(mark, False)
        try:
            if not named_itself:
                return not (known or self._backlog.load(mark))
            if not known:
                self._backlog.save(mark, "1")
                self._memory[mark] = True
        except Exception:
            pass  # then the next answer tells the others
        return True

    def _keep(self, lines: List[str]) -> None:
        """Put lines on the backlog, and those that it could not take before."""
        stranded = self._memory.setdefault("stranded", [])
        stranded.extend(lines)
        try:
            while stranded:
                part = stranded[: self._backlog.at_once]
                dropped = self._backlog.push(part)
                del stranded[: len(part)]
                self._count(_dropped(BACKLOG_FULL, dropped))
        except Exception as error:
            too_many = _surplus(stranded)
            del stranded[:too_many]
            self._count(_dropped(BACKLOG_FULL, too_many))
            self._say(
                f"the backlog cannot be reached ({type(error).__name__}); trying again with the next call"
            )

    def _may_try(self) -> Optional[str]:
        """`up`, `trial` for the one caller who tries a DataKit that was down, or None."""
        try:
            until_s = float(self._backlog.load("down_until_s") or 0)
            if not until_s:
                return "up"
            # A mark further ahead than any is set comes from a clock that was put back.
            if 0 < until_s - self._clock() <= DOWN_S:
                return None
            return "trial" if self._backlog.acquire("trial", TRIAL_S) else None
        except Exception:
            return "up"

    def _mark_down(self) -> None:
        self._mark(str(self._clock() + DOWN_S))

    def _clear_down(self) -> None:
        self._mark("")

    def _mark(self, until_s: str) -> None:
        try:
            self._backlog.save("down_until_s", until_s)
        except Exception:
            pass  # then the next caller finds out for itself

    def _count(self, counts: Dict[str, int]) -> None:
        self._note(counts)
        self._count_noted()

    def _note(self, counts: Dict[str, int]) -> None:
        """To be counted with what is counted next: to a file, each time is a transaction."""
        waiting = self._memory.setdefault("uncounted", {})
        for name, count in counts.items():
            if count:
                waiting[name] = waiting.get(name, 0) + count

    def _count_noted(self) -> None:
        waiting = self._memory.setdefault("uncounted", {})
        try:
            while waiting:
                part = {name: waiting.pop(name) for name in list(waiting)[: self._backlog.at_once]}
                try:
                    self._backlog.add(part)
                except Exception:
                    waiting.update(part)
                    raise
        except Exception:
            pass  # counted with the next call


class _Step(NamedTuple):
    """What one request did: the next `n_lines` are delivered or refused, or there is an `error`."""

    n_lines: int
    refused: str = ""  # the reason; DataKit will never take them
    error: Optional[DataKitError] = None  # the same request may succeed later


class _Run:
    """One run of a replayer: what it did, whether it may go on, and how fast."""

    def __init__(self, backlog: Backlog, budget_s: float, sleep: Callable[[float], None]) -> None:
        self.replayed = 0
        self.problem = ""
        self.datakit_failed = False
        self.is_over = False
        self.refusals = _Refusals()
        self._backlog = backlog
        self._sleep = sleep
        self._until_s = time.monotonic() + budget_s
        self._interval_s = REQUEST_INTERVAL_S
        self._has_settled = False
        self._last_request_s = float("-inf")

    def holds_lock(self) -> bool:
        """Take the lock, or lengthen it. Lost, because we were too slow: another goes on from here."""
        if not self._backlog.acquire("replay", REPLAY_LOCK_S):
            self._stop("another replay is under way")
        return not self.is_over

    def may_go_on(self) -> bool:
        """Whether there is time for one step more; there always is until the first lines are settled.

        Else a run could end while it halves a batch, and the next would begin that anew, for ever.
        """
        if self._has_settled and time.monotonic() + self._pause_s() >= self._until_s:
            self._stop("the time for one run is used up, the next one goes on")
        return not self.is_over and self.holds_lock()

    def may_request(self) -> bool:
        """Whether there is time for one request more; waits until it may be sent."""
        if not self.may_go_on():
            return False
        pause_s = self._pause_s()
        if pause_s > 0:
            self._sleep(pause_s)
        self._last_request_s = time.monotonic()
        return True

    def settle(self, claim: Claim, n_lines: int, counts: Dict[str, int]) -> Claim:
        self._has_settled = True
        return self._backlog.settle(claim, n_lines, counts)

    def slow_down(self, error: DataKitError) -> bool:
        """Whether it is worth trying again after `error`."""
        if error.status_code == 429 and self._interval_s * 2 <= LONGEST_INTERVAL_S:
            self._interval_s *= 2
            return True
        self.datakit_failed = True
        self._stop(str(error))
        return False

    def speed_up(self) -> None:
        self._interval_s = max(REQUEST_INTERVAL_S, self._interval_s / 2)

    def _pause_s(self) -> float:
        return max(0.0, self._last_request_s + self._interval_s - time.monotonic())

    def _stop(self, problem: str) -> None:
        self.problem = problem
        self.is_over = True


class _Refusals:
    """Refused lines by measurement and reason: said once, and never with the line."""

    def __init__(self) -> None:
        self._counts: Dict[Tuple[str, str], int] = {}

    def add(self, line: str, reason: str) -> None:
        key = (line.split(",", 1)[0].split(" ", 1)[0], reason)
        self._counts[key] = self._counts.get(key, 0) + 1

    def say(self, say: Callable[[str], None], noun: str) -> None:
        for (measurement, reason), count in self._counts.items():
            say(f"DataKit refused {count} {noun} of {measurement}: {reason}; dropped")


def _oldest_allowed_ns(now_s: float) -> int:
    return int((now_s - MAX_AGE_S) * 1e9)


def _requests(lines: List[str]) -> List[List[str]]:
    """`lines`, in order, cut into requests of up to BATCH_BYTES, or of one line that is longer."""
    requests: List[List[str]] = []
    room_bytes = 0
    for line in lines:
        n_bytes = len(line.encode("utf-8", "replace"))
        if n_bytes > room_bytes or not requests:
            requests.append([])
            room_bytes = BATCH_BYTES
        requests[-1].append(line)
        room_bytes -= n_bytes
    return requests


def _surplus(lines: List[str]) -> int:
    """How many of the oldest lines are too many to keep in memory."""
    room_bytes = MAX_STRANDED_BYTES
    for n, line in enumerate(reversed(lines)):
        room_bytes -= len(line.encode("utf-8", "replace"))
        if n >= MAX_STRANDED_LINES or room_bytes < 0:
            return len(lines) - n
    return 0


def _batches(lines: List[str], now_s: float, are_series: bool) -> List[List[str]]:
    """`lines`, in order, cut into what is too old, and what can be one request.

    DataKit gives all points of a request whose time is over 2 h from its own one and the same time: two
    of one series would overwrite each other. Of logs, which are no series, none does.
    """
    batches: List[List[str]] = []
    kind_before = ""
    series_seen: Set[str] = set()
    for line in lines:
        kind = _kind(line, now_s)
        series = line.rsplit(" ", 2)[0] if are_series else ""
        if kind != kind_before or (are_series and kind == "replaced" and series in series_seen):
            batches.append([])
            series_seen.clear()
        batches[-1].append(line)
        series_seen.add(series)
        kind_before = kind
    return batches


def _kind(line: str, now_s: float) -> str:
    """`too_old`, `replaced` for a time that DataKit will replace, or `kept`."""
    at_ns = timestamp_ns(line)
    if at_ns < _oldest_allowed_ns(now_s):
        return TOO_OLD
    return "replaced" if abs(now_s * 1e9 - at_ns) > TIME_KEPT_S * 1e9 else "kept"


def _dropped(reason: str, count: int) -> Dict[str, int]:
    return {"dropped:" + reason: count}


def _with_delay(line: str, now_s: float) -> str:
    """The line with the field `delay`, seconds between the call and now."""
    head, _, stamp = line.rpartition(" ")
    delay_s = max(0.0, now_s - timestamp_ns(line) / 1e9)
    return f"{head},delay={round(delay_s, 3)} {stamp}"
