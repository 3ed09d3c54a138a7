"""Deliver now, or keep in the backlog; replay; count what is delivered, replayed and dropped."""

import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

from .backlog import DELIVERED, REPLAYED, WRITE_US, WRITES, Backlog, Claim, add_counts, count_of_dropped
from .batches import BATCH_LINES, as_replayed, by_age, cut, surplus
from .datakit import DataKit, DataKitError
from .replay import Refusals, Replay, Run

DOWN_S = 30.0  # how long nobody tries a DataKit that has failed
UP_S = 1.0  # after an answer, how long a caller does not ask whether others have failed
TRIAL_S = 5  # how long the one caller who tries it again may take
MAX_STRANDED_LINES = 1000
MAX_STRANDED_BYTES = 8 * 1024 * 1024

# Why lines are dropped. Besides these: what DataKit calls its refusal.
BACKLOG_FULL = "backlog_full"
TOO_OLD = "too_old"
QUEUE_FULL = "queue_full"
NO_TIME = "no_time"
MONITOR_ERROR = "monitor_error"


class Category(NamedTuple):
    """One of DataKit's. `are_series`: of two lines with the same series and time, the later overwrites."""

    name: str
    noun: str
    are_series: bool
    claim_lines: int  # how many are in memory while they are replayed


METRIC = Category("metric", "point(s)", True, BATCH_LINES)
LOGGING = Category("logging", "log line(s)", False, 50)  # up to some 100 KB each


class Delivery:
    """Lines on their way to DataKit. No method raises because DataKit or the backlog is unavailable.

    `say` takes one line for the operator, without content. `memory` outlives the object, in plain
    containers, and keeps what the backlog did not take either; nobody else reads it. All lines belong to one
    `category` of DataKit's, and each category has its own backlog and memory. `on_taken` gets the lines of
    each request that DataKit took, as they were sent: it may still lose them (see `recent_lines`).
    `before_replay` turns a line that has waited into what is to be sent now.
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
        monotonic: Callable[[], float] = time.monotonic,
        on_taken: Callable[[List[str]], None] = lambda _: None,
        before_replay: Callable[[str], str] = lambda line: line,
    ) -> None:
        self.is_up = True  # whether the last write reached DataKit
        self.has_failed = False  # whether one has not, since this was set to False
        self._datakit = datakit
        self._category = category
        self._backlog = backlog
        self._say = say
        self._memory: Dict[str, Any] = {} if memory is None else memory
        self._stranded: List[str] = self._memory.setdefault("stranded", [])
        self._clock = clock
        self._sleep = sleep
        self._monotonic = monotonic
        self._on_taken = on_taken
        self._before_replay = before_replay

    @property
    def stranded(self) -> List[str]:
        """Lines that neither DataKit nor the backlog took."""
        return list(self._stranded)

    def deliver(self, lines: List[str], counted: bool = True) -> bool:
        """Write up to BATCH_LINES lines now, unless DataKit is known to be down; keep what fails.

        The monitor's own points are not `counted` as delivered. Returns whether nothing had to be kept. If
        something had to, leave DataKit alone: each further attempt may cost a timeout.
        """
        trying = self._may_try() if lines else None
        left = lines
        if trying is not None:
            left = self._deliver_now(lines, counted)
            if trying == "trial" and not left:
                self._clear_down()
        self.keep(left)
        return not left

    def keep(self, lines: List[str]) -> None:
        """Put lines on the backlog without trying DataKit, and those that it could not take before."""
        stranded = self._stranded
        stranded.extend(lines)
        try:
            while stranded:
                part = stranded[: self._backlog.at_once]
                dropped = self._backlog.push(part)
                del stranded[: len(part)]
                self.count_dropped(BACKLOG_FULL, dropped)
        except Exception as error:
            too_many = surplus(stranded, MAX_STRANDED_LINES, MAX_STRANDED_BYTES)
            del stranded[:too_many]
            self.count_dropped(BACKLOG_FULL, too_many)
            self._say(
                f"the backlog cannot be reached ({type(error).__name__}); trying again with the next call"
            )
        self.save_counts()

    def try_keep(self, lines: List[str]) -> bool:
        """Put lines on the backlog. False if it does not take them: they remain the caller's."""
        try:
            dropped = self._backlog.push(lines)
        except Exception:
            return False
        self.count_dropped(BACKLOG_FULL, dropped)
        return True

    def count_dropped(self, reason: str, count: int) -> None:
        """Count lines as dropped. Saved by the next save_counts()."""
        if count:
            self._note(count_of_dropped(reason, count))

    def save_counts(self) -> None:
        """Add what was counted to the backlog's counters; what cannot be added is kept for the next time."""
        waiting = self._memory.setdefault("uncounted", {})
        try:
            while waiting:
                part = {name: waiting.pop(name) for name in list(waiting)[: self._backlog.at_once]}
                try:
                    self._backlog.add(part)
                except Exception:
                    waiting.update(add_counts(waiting, part))
                    raise
        except Exception:
            pass  # the next call saves them

    def replay(self, budget_s: float) -> Replay:
        """Deliver what waits, oldest first, for about `budget_s` at most, one replayer at a time."""
        return self._work_off(budget_s, self._deliver_batch)

    def drop_too_old(self, budget_s: float) -> Replay:
        """Only drop what is too old: for when DataKit is unreachable."""
        return self._work_off(budget_s, self._leave_batch)

    def _deliver_now(self, lines: List[str], counted: bool) -> List[str]:
        """What is left of `lines`."""
        refusals = Refusals()
        left = lines
        for step in self._write(lines, lambda: True):
            if step.error is not None:
                self._mark_down()
                self._say(f"{step.error}; {len(left)} {self._category.noun} wait in the backlog")
                break
            if step.refused:
                refusals.add(left[0], step.refused)
                self.count_dropped(step.refused, 1)
            elif counted:
                self._note({DELIVERED: step.n_lines})
            left = left[step.n_lines :]
        refusals.say(self._say, self._category.noun)
        return left

    def _work_off(self, budget_s: float, work: Callable[[Run, Claim, List[str]], Claim]) -> Replay:
        self.keep([])
        run = Run(self._backlog, budget_s, self._sleep, self._monotonic)
        try:
            if run.holds_lock():
                try:
                    self._work_off_claims(run, work)
                finally:
                    run.release_lock()
        except Exception as error:
            run.stop(f"the backlog cannot be reached ({type(error).__name__})")
        self.save_counts()
        run.refusals.say(self._say, self._category.noun)
        return run.result()

    def _work_off_claims(self, run: Run, work: Callable[[Run, Claim, List[str]], Claim]) -> None:
        while not run.is_over:
            claim = self._backlog.claim(self._category.claim_lines)
            if claim is None:
                return
            for too_old, batch in by_age(claim.lines, self._clock()):
                if not too_old:
                    claim = work(run, claim, batch)
                elif run.may_go_on():
                    claim = run.settle(claim, len(batch), count_of_dropped(TOO_OLD, len(batch)))
                if run.is_over:
                    return

    def _deliver_batch(self, run: Run, claim: Claim, batch: List[str]) -> Claim:
        """The rest of the claim. What DataKit took or refused is settled before the next request."""
        lines = as_replayed(
            [self._before_replay(line) for line in batch], self._clock(), self._category.are_series
        )
        for step in self._write(lines, run.may_request):
            if step.error is not None:
                if not run.slow_down(step.error):
                    self._mark_down()
                    break
            elif step.refused:
                run.refusals.add(claim.lines[0], step.refused)
                claim = run.settle(claim, 1, count_of_dropped(step.refused, 1))
            else:
                claim = run.settle(claim, step.n_lines, {REPLAYED: step.n_lines})
                run.replayed += step.n_lines
                run.speed_up()
                self._clear_down()
        return claim

    def _leave_batch(self, run: Run, claim: Claim, _: List[str]) -> Claim:
        run.is_over = True
        return claim

    def _write(self, lines: List[str], may_request: Callable[[], bool]) -> Iterator["_Step"]:
        """Write lines, in order, BATCH_BYTES at a time; halve a refused batch until the bad lines are alone.

        After an error, the same lines are tried again if the caller goes on.
        """
        parts = cut(lines)[::-1]
        while parts and may_request():
            part = parts.pop()
            try:
                self._timed_write(part)
                self.is_up = True
                self._memory["up_at_s"] = self._monotonic()
                self._tell_taken(part)
                yield _Step(len(part))
            except DataKitError as error:
                self.is_up = error.lines_refused or error.status_code == 429
                self.has_failed = self.has_failed or not error.lines_refused
                self._memory.pop("up_at_s", None)
                if not error.lines_refused:
                    parts.append(part)
                    yield _Step(0, error=error)
                elif len(part) == 1:
                    yield _Step(1, refused=error.reason)
                else:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]

    def _tell_taken(self, lines: List[str]) -> None:
        try:
            self._on_taken(lines)
        except Exception:
            pass  # DataKit has them, and will most likely keep them

    def _timed_write(self, lines: List[str]) -> None:
        started_s = self._monotonic()
        named_itself = self._datakit.write(lines, self._category.name)
        self._note({WRITES: 1, WRITE_US: int((self._monotonic() - started_s) * 1e6)})
        if not self._is_delivery(named_itself):
            raise DataKitError(
                f"DataKit at {self._datakit.url} answered 200 without X-Datakit: not delivered", "no_header"
            )

    def _is_delivery(self, named_itself: bool) -> bool:
        """A 200 without the header is no delivery if this DataKit has ever sent it, to whichever worker."""
        mark = "names_itself " + self._datakit.url
        known = self._memory.get(mark, False)
        try:
            if not named_itself:
                return not (known or self._backlog.load(mark))
            if not known:
                self._backlog.save(mark, "1")
                self._memory[mark] = True
        except Exception:
            pass  # the next answer tells the others
        return True

    def _may_try(self) -> Optional[str]:
        """`up`; `trial` for the one caller who tries a DataKit that was down; or None."""
        if self._monotonic() - self._memory.get("up_at_s", float("-inf")) < UP_S:
            return "up"
        try:
            until_s = float(self._backlog.load("down_until_s") or 0)
            if not until_s:
                return "up"
            # A mark too far ahead comes from before the clock was put back.
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
            pass  # the next caller finds out for itself

    def _note(self, counts: Dict[str, int]) -> None:
        """Count now, save later: for a backlog in a file, each save is a transaction."""
        waiting = self._memory.setdefault("uncounted", {})
        for name, count in counts.items():
            if count:
                waiting[name] = waiting.get(name, 0) + count


class _Step(NamedTuple):
    """The outcome of one request: the next `n_lines` are delivered or refused, or there is an `error`."""

    n_lines: int
    refused: str = ""  # why DataKit will never take them
    error: Optional[DataKitError] = None  # the same request may succeed later
