"""Installs the script set in a running Func, or brings it up to date: a plan of steps, and running it.

What is there is read first; a step does only what differs. What the user changed is left as it is: an
edited startup script, the settings of a link unless others are given now.
"""

import hashlib
import io
import time
import zipfile
from typing import Callable, Dict, List, NamedTuple

import yaml

from ..build import META_FILE, Built
from ..func_client import FuncClient, Row
from ..user_error import UserError
from .func_contents import ENV_ID, MADE_BY, FuncContents, is_ours
from .link import LinkSetup
from .packages import install_packages, missing_packages
from .startup_script import StartupSetup
from .startup_template import check_parameter
from .steps import KEY_LABEL, Progress, Settings, Step


class Installed(NamedTuple):
    """What came of it. `secret` only when it was made now; `problem` is what the test call was told."""

    steps: List[Step]
    link: str
    secret: str
    protected: bool
    warnings: List[str]
    problem: str


class Installer:
    """Installs `built` in the Func of `client`, where `found` is what is there. `say` shows progress.

    Raises UserError for a parameter that Func would not take as it is.
    """

    def __init__(
        self,
        client: FuncClient,
        found: FuncContents,
        settings: Settings,
        built: Built,
        say: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for label, value in settings.parameters.items():
            check_parameter(label, value)
        self._client = client
        self._found = found
        self._settings = settings
        self._built = built
        self._progress = Progress(say, sleep, clock, [])
        with zipfile.ZipFile(built.zip_path) as archive:
            self._meta: Row = yaml.safe_load(archive.read(META_FILE))
        template = built.scripts[f"{built.set_id}__example"]
        self._startup = StartupSetup(client, found, settings, template, self._progress)
        self._link = LinkSetup(client, found, settings, self._progress)

    def plan(self) -> List[Step]:
        """The steps, none of them run. Raises UserError."""
        script_set = self._set_step()
        return [
            script_set,
            *self._package_steps(),
            self._key_step(),
            self._startup.step(scripts_change=script_set.run is not None),
            self._link.auth_step(),
            self._link.link_step(),
            Step("test call", "test", "ask one question through the link", self._link.test),
        ]

    def install(self) -> Installed:
        """Run the steps. Raises UserError; run again, it goes on from there."""
        done: List[Step] = []
        for step in self.plan():
            text = step.run() if step.run else step.text
            done.append(step._replace(text=text))
            self._progress.tell(step.name, text)
        link = self._link
        return Installed(
            done, link.url, link.new_secret, link.protected, self._progress.warnings, link.problem
        )

    # ---- the script set and its packages ----

    def _set_step(self) -> Step:
        row, wanted = self._found.script_set, _code_md5s(self._built.scripts)
        if row is None:
            return Step("script set", "make", f"import {len(wanted)} scripts", self._import)
        present = {script["id"]: script["codeMD5"] for script in row["scripts"]}
        if row.get("originMD5") == self._built.origin_md5 and present == wanted:
            return Step("script set", "keep", f"is up to date ({len(wanted)} scripts)")
        n_same = len(present.items() & wanted.items())
        n_differ = max(len(wanted), len(present)) - n_same
        return Step(
            "script set", "change", f"replace: {n_differ} of {len(wanted)} scripts differ", self._import
        )

    def _import(self) -> str:
        content = self._built.zip_path.read_bytes()
        if self._found.script_set is None or is_ours(self._found.script_set):
            content = _mark(content, self._meta)
        self._client.upload("script-sets/do/import", self._built.zip_path.name, content)
        return f"imported {len(self._built.scripts)} scripts"

    def _package_steps(self) -> List[Step]:
        if not self._settings.packages:
            return []
        missing = missing_packages(self._client, self._requirements())
        if not missing:
            return [Step("packages", "keep", "are there")]
        text = f"install {', '.join(missing)} with Func's installer"
        return [Step("packages", "make", text, lambda: self._install_packages(missing))]

    def _install_packages(self, missing: List[str]) -> str:
        return install_packages(self._client, missing, self._settings.pip_index, self._progress)

    def _requirements(self) -> List[str]:
        return str(self._meta["scriptSets"][0]["requirements"]).split()

    # ---- the key ----

    def _key_step(self) -> Step:
        row, key = self._found.env, self._settings.openai_key
        if row is not None and not key:
            return Step(ENV_ID, "keep", "is there; --openai-key-env NAME replaces its key")
        if row is not None:
            return Step(
                ENV_ID, "change", "set the key given now: what it holds, Func does not show", self._set_key
            )
        if not key and _has_key_in_script(self._found):
            return Step(ENV_ID, "keep", "none: the startup script has its own way to a key")
        return Step(ENV_ID, "make", "add it, of type password", self._set_key)

    def _set_key(self) -> str:
        if not self._settings.openai_key:
            raise UserError("no OpenAI key was given", "export OPENAI_API_KEY=…, then run it again")
        value = {"autoTypeCasting": "password", "valueTEXT": self._settings.openai_key}
        if self._found.env is not None:
            self._client.post(f"env-variables/{ENV_ID}/do/modify", {"data": value})
            return "set"
        about = {"id": ENV_ID, "title": "OpenAI key", "description": MADE_BY}
        self._client.post("env-variables/do/add", {"data": {**about, **value}})
        return "added, of type password"


def needs_key(found: FuncContents) -> bool:
    """Whether there is no OpenAI key, as far as one can see."""
    return found.env is None and not _has_key_in_script(found)


def _has_key_in_script(found: FuncContents) -> bool:
    """Whether the startup script holds a key, or may: an edited one has its own ways."""
    startup = found.startup
    return startup is not None and (startup.parameters is None or bool(startup.parameters.get(KEY_LABEL)))


def _code_md5s(scripts: Dict[str, str]) -> Dict[str, str]:
    return {
        script_id: hashlib.md5(code.encode("utf-8")).hexdigest()  # noqa: S324 - Func's own marker
        for script_id, code in scripts.items()
    }


def _mark(content: bytes, meta: Row) -> bytes:
    """The import zip, whose script set says that install made it."""
    first, *others = meta["scriptSets"]
    marked_set = {**first, "description": f"{first['description'].rstrip()}\n{MADE_BY}\n"}
    text = yaml.safe_dump({**meta, "scriptSets": [marked_set, *others]}, allow_unicode=True, sort_keys=False)
    marked = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(marked, "w") as target:
        for info in source.infolist():
            data = text.encode("utf-8") if info.filename == META_FILE else source.read(info)
            target.writestr(info, data)
    return marked.getvalue()
