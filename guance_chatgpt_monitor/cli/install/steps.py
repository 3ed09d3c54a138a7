"""What installing goes by: what the user asked for, and the steps that come of it."""

from typing import Callable, Dict, List, NamedTuple, Optional

KEY_LABEL = "OpenAI key"


class Settings(NamedTuple):
    """What the user asked for; None, "" or {} where nothing was said. `parameters` by their labels."""

    parameters: Dict[str, str]
    openai_key: str = ""
    open_link: bool = False
    calls_per_minute: Optional[int] = None
    task_records: Optional[int] = None
    packages: bool = True
    pip_index: str = ""


class Step(NamedTuple):
    """One step: what it is about, what it does (make, change, keep, test), and in words.

    `run` returns what was done; None when there is nothing to do.
    """

    name: str
    action: str
    text: str
    run: Optional[Callable[[], str]] = None


class Progress(NamedTuple):
    """How a step tells of itself while it waits, and of what the user should know afterwards."""

    say: Callable[[str], None]
    sleep: Callable[[float], None]  # seconds
    clock: Callable[[], float]  # seconds
    warnings: List[str]

    def tell(self, name: str, text: str) -> None:
        """One line of progress."""
        self.say(f"{name:20} {text}")

    def warn(self, text: str) -> None:
        """Say it once, at the end."""
        if text not in self.warnings:
            self.warnings.append(text)
