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
from ..messages import text
from ..user_error import UserError
from .func_contents import ENV_ID, MADE_BY, FuncContents, is_ours, is_this_product
from .link import LinkSetup
from .packages import install_packages, missing_packages
from .startup_script import StartupSetup
from .startup_template import check_parameter
from .steps import KEY_LABEL, InstallOptions, Progress, Step, run_steps


class Installed(NamedTuple):
    """The outcome. `secret` only if it was made now; `problem` is the error of the test call."""

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
        options: InstallOptions,
        built: Built,
        say: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for label, value in options.parameters.items():
            check_parameter(label, value)
        self._client = client
        self._found = found
        self._options = options
        self._built = built
        self._progress = Progress(say, sleep, clock, [])
        with zipfile.ZipFile(built.zip_path) as archive:
            self._meta: Row = yaml.safe_load(archive.read(META_FILE))
        template = built.scripts[f"{built.set_id}__example"]
        self._startup = StartupSetup(client, found, options, template, self._progress)
        self._link = LinkSetup(client, found, options, self._progress)

    @property
    def warnings(self) -> List[str]:
        """What the user should know; whole once the plan is made."""
        return self._progress.warnings

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
            Step("test_call", "test", text("install.ask_one"), self._link.test),
        ]

    def install(self) -> Installed:
        """Run the steps. Raises UserError; run again, it goes on from there."""
        done = run_steps(self.plan(), lambda step: self._progress.tell(step.name, step.text))
        link = self._link
        return Installed(
            done, link.url, link.new_secret, link.protected, self._progress.warnings, link.problem
        )

    # ---- the script set and its packages ----

    def _set_step(self) -> Step:
        row, wanted = self._found.script_set, _code_md5s(self._built.scripts)
        if row is None:
            return Step("script_set", "make", text("install.import_set", n=len(wanted)), self._import)
        if not is_this_product(row):
            self._progress.warn(text("install.set_of_others", title=row.get("title") or ""))
        present = {script["id"]: script["codeMD5"] for script in row["scripts"]}
        if row.get("originMD5") == self._built.origin_md5 and present == wanted:
            return Step("script_set", "keep", text("install.set_up_to_date", n=len(wanted)))
        n_same = len(present.items() & wanted.items())
        n_differ = max(len(wanted), len(present)) - n_same
        return Step(
            "script_set", "change", text("install.replace_set", n=n_differ, total=len(wanted)), self._import
        )

    def _import(self) -> str:
        content = self._built.zip_path.read_bytes()
        if self._found.script_set is None or is_ours(self._found.script_set):
            content = _mark(content, self._meta)
        self._client.upload("script-sets/do/import", self._built.zip_path.name, content)
        return text("install.imported", n=len(self._built.scripts))

    def _package_steps(self) -> List[Step]:
        if not self._options.packages:
            return []
        missing = missing_packages(self._client, self._requirements())
        if not missing:
            return [Step("packages", "keep", text("install.packages_there"))]
        what = text("install.add_packages", packages=", ".join(missing))
        return [Step("packages", "make", what, lambda: self._install_packages(missing))]

    def _install_packages(self, missing: List[str]) -> str:
        return install_packages(self._client, missing, self._options.pip_index, self._progress)

    def _requirements(self) -> List[str]:
        return str(self._meta["scriptSets"][0]["requirements"]).split()

    # ---- the key ----

    def _key_step(self) -> Step:
        row, key = self._found.env, self._options.openai_key
        if row is not None and not key:
            return Step("openai_key", "keep", text("install.key_there"))
        if row is not None:
            return Step("openai_key", "change", text("install.set_key"), self._set_key)
        if not key and _has_key_in_script(self._found):
            return Step("openai_key", "keep", text("install.key_in_script"))
        return Step("openai_key", "make", text("install.add_key"), self._set_key)

    def _set_key(self) -> str:
        if not self._options.openai_key:
            raise UserError("install.no_key")
        value = {"autoTypeCasting": "password", "valueTEXT": self._options.openai_key}
        if self._found.env is not None:
            self._client.post(f"env-variables/{ENV_ID}/do/modify", {"data": value})
            return text("install.key_set")
        about = {"id": ENV_ID, "title": "OpenAI key", "description": MADE_BY}
        self._client.post("env-variables/do/add", {"data": {**about, **value}})
        return text("install.key_added")


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
    new_meta = yaml.safe_dump(
        {**meta, "scriptSets": [marked_set, *others]}, allow_unicode=True, sort_keys=False
    )
    marked = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(marked, "w") as target:
        for info in source.infolist():
            data = new_meta.encode("utf-8") if info.filename == META_FILE else source.read(info)
            target.writestr(info, data)
    return marked.getvalue()
