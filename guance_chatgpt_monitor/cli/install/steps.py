"""The options of an installation, and its steps."""

from typing import Callable, Dict, List, NamedTuple, Optional

from ..messages import english, text
from ..terminal import pad

KEY_LABEL = "OpenAI key"


class InstallOptions(NamedTuple):
    """What the user asked for; None, "" or {} if not given. `parameters` are keyed by label."""

    parameters: Dict[str, str]
    openai_key: str = ""
    open_link: bool = False
    calls_per_minute: Optional[int] = None
    task_records: Optional[int] = None
    packages: bool = True
    pip_index: str = ""


class Step(NamedTuple):
    """One step: what it is about (`install.step_NAME`), what it does, and in words.

    `action` is make, change, keep, test or remove. `run` returns what was done; None when there is nothing
    to do.
    """

    name: str
    action: str
    text: str
    run: Optional[Callable[[], str]] = None

    @property
    def title(self) -> str:
        return text(f"install.step_{self.name}")

    def facts(self) -> Dict[str, str]:
        """For a script: the name is English in every language."""
        return {"name": english(f"install.step_{self.name}"), "action": self.action, "text": self.text}


class Progress(NamedTuple):
    """How steps report progress, and collect warnings for the end."""

    say: Callable[[str], None]
    sleep: Callable[[float], None]  # seconds
    clock: Callable[[], float]  # seconds
    warnings: List[str]

    def tell(self, name: str, said: str) -> None:
        """One line of progress of a step."""
        self.say(f"{pad(text(f'install.step_{name}'), 20)} {said}")

    def warn(self, said: str) -> None:
        """Print `said` once, at the end."""
        if said not in self.warnings:
            self.warnings.append(said)


def run_steps(steps: List[Step], say: Callable[[Step], None]) -> List[Step]:
    """Run them in order; those that were done, with what was done. Ctrl-C raises StoppedError."""
    from ..terminal import Waiting

    done: List[Step] = []
    for n_step, step in enumerate(steps):
        try:
            with Waiting(f"{step.title}: {step.text}"):
                said = step.run() if step.run else step.text
        except KeyboardInterrupt:
            raise StoppedError(done, steps[n_step:]) from None
        done.append(step._replace(text=said))
        say(done[-1])
    return done


class StoppedError(KeyboardInterrupt):
    """Ctrl-C: what was done, and what was not; of the first of those, some may be."""

    def __init__(self, done: List[Step], left: List[Step]) -> None:
        self.done = [step for step in done if step.run]
        self.left = [step for step in left if step.run]
        super().__init__()

    def __str__(self) -> str:
        none = text("install.nothing")
        done = ", ".join(step.title for step in self.done) or none
        left = ", ".join(step.title for step in self.left) or none
        return text("install.stopped", done=done, left=left)
