"""install, uninstall, and what Func says."""

from typing import Dict

from .. import Text

_AGAIN = "run guance-chatgpt-monitor install again"

TEXTS: Dict[str, Text] = {
    "step_script_set": "script set",
    "step_packages": "packages",
    "step_openai_key": "OPENAI_API_KEY",
    "step_startup_script": "startup script",
    "step_auto_trigger": "auto-trigger",
    "step_api_auth": "API authentication",
    "step_link": "link",
    "step_test_call": "test call",
    "action_make": "make",
    "action_change": "change",
    "action_keep": "keep",
    "action_test": "test",
    "action_remove": "remove",
    "reading": "reading what is in Func",
    "nothing_changed": "nothing was changed: --dry-run",
    "nothing": "nothing",
    "stopped": "stopped by Ctrl-C; done: {done}; not done, the first perhaps half: {left}. Run it again: it goes on from there",
    "another_variable": "another variable",
    # ---- the script set ----
    "import_set": "import {n} scripts",
    "set_up_to_date": "is up to date ({n} scripts)",
    "replace_set": "replace: {n} of {total} scripts differ",
    "imported": "imported {n} scripts",
    "set_of_others": "Func had a set of this ID of another product ({title}), such as the official market's: this one takes its place",
    # ---- packages ----
    "packages_there": "are there",
    "add_packages": "install {packages} with Func's installer",
    "packages_added": "installed {packages} ({seconds} s)",
    "packages_late": (
        "the packages are not installed after {seconds} s: {status}",
        "look at Func's PIP tool, then run install again",
    ),
    "packages_failed": (
        "pip in Func could not install {package}: {said}",
        "give an index that Func reaches (--pip-index URL), or upload a wheel in Func's PIP tool",
    ),
    "no_reason": "no reason given",
    # ---- the key ----
    "key_there": "is there; --openai-key-env NAME replaces its key",
    "set_key": "set the key given now: what it holds, Func does not show",
    "key_in_script": "none: the startup script has its own way to a key",
    "add_key": "add it, of type password",
    "no_key": ("no OpenAI key was given", "export OPENAI_API_KEY=…, then run it again"),
    "key_set": "set",
    "key_added": "added, of type password",
    # ---- the startup script ----
    "deploy": "deploy {startup}, with its auto-trigger",
    "deployed": "deployed {startup}, auto-trigger every minute",
    "renew": "renew it: its template or its parameters change",
    "renewed": "renewed",
    "deploy_again": "keep it, run it once with the present scripts, register its functions",
    "deployed_again": "kept; it runs with the present scripts",
    "startup_left": "left as it is",
    "up_to_date": "is up to date",
    "startup_edited": "{startup} differs from what its template gives: edited, or of an earlier version. It was left as it is. To renew it: copy your edits, delete the script in Func, run install again",
    "trigger_disabled": "the auto-trigger is disabled: enable it in Func, or what waits is not delivered",
    "no_functions": (
        "Func deployed the startup script without its functions",
        "look whether Func's workers are busy, then run install again",
    ),
    "startup_fails": ("the startup script fails: {said}", "correct what it names, and run install again"),
    "startup_package": (
        "the startup script fails: {said}",
        "let install add the packages (without --no-packages), or use Func's PIP tool",
    ),
    "odd_parameter": (
        "the parameter {label!r} contains {what}, which Func would not put into the script as it is",
        "give another value, or enter it in the startup script in Func",
    ),
    "in_brackets": "<…> around it",
    "control_character": "a line end or control character",
    # ---- the link and its authentication ----
    "auth_none": "none: the link is open",
    "take_auth_off": "take it off the link: --open",
    "auth_there": "is there; Func shows its secret under API authentication",
    "auth_open": "none: --open",
    "auth_of_earlier": "is there, of an install that did not come to its end",
    "make_secret": "make a secret for the header {header}",
    "made_secret": "made a secret for the header {header}",
    "auth_off": "taken off the link",
    "link_open": "the link is open: whoever has its address spends the money of your OpenAI key; to protect it, delete it in Func and run install again: that makes another",
    "add_link": "add one to {chat}",
    "link_added": "added: {limit} calls a minute, {kept} task records kept",
    "set_link": "set {names}",
    "link_disabled": "the link is disabled: enable it in Func",
    "records_kept": "Func keeps the link's questions and answers in clear text (task records); to keep none: install --task-records 0",
    # ---- the test call ----
    "ask_one": "ask one question through the link",
    "not_tried": "not made: the link's authentication is not one that install made",
    "waiting_for_func": "waiting until Func notices the changes, some seconds",
    "answered": "answered by {model} in {seconds} s",
    "answered_error": "answered {status}: {error}",
    "no_answer": (
        "it is installed, but OpenAI did not answer: {problem}",
        "guance-chatgpt-monitor check --openai{further} tells more",
    ),
    "secret_once": "The secret is shown this once; Func keeps it, under API authentication.",
    # ---- uninstall ----
    "removed": "removed: {what}",
    "with_its_key": "with its key",
    "nothing_there": "there is nothing of the monitor in this Func",
    "left_link": "left: {link}, not made by install",
    "left_auth": "left: another link uses it",
    "left_env": "left: not made by install",
    "left_packages": "left: other scripts may use openai and requests",
    "left_imported": "left: not imported by install",
    "left_edited": "left, with all that it needs: {startup} was edited. To have it removed, delete that script in Func, and run uninstall again",
    "left_deployed_by_hand": "left, with all that it needs: {startup} was deployed by hand. To have it removed, delete that script in Func, and run uninstall again",
    # ---- what Func says ----
    "not_func": (
        "{url} answers {status}, but not as a Func",
        "check the address of Func; a proxy or another server may stand in the way",
    ),
    "func_redirect": (
        "{url} answers {status}: it sends its callers to {to}",
        "give that address as Func's, if it is the one you mean; else a login page stands in the way",
    ),
    "func_clock": (
        "Func answered {error} {reason}: {said}",
        "the clocks of Func and of this host differ by more than 15 min: correct one",
    ),
    "func_token": (
        "Func answered {error} {reason}: {said}",
        "read the token anew, in Func's container: cat /data/localhost-auth-token",
    ),
    "func_auth": (
        "Func answered {error} {reason}: {said}",
        "check id and secret of the access key: Func, Management / Access Key",
    ),
    "func_old": (
        "Func answered {error} {reason}: {said}",
        "this Func is of a version without it: 2024 or later is needed",
    ),
    "func_no_key": (
        "Func answered {error} {reason}: {said}",
        "there is no access key of this id: look under Management / Access Key",
    ),
    "func_EUserPrivilege": (
        "Func answered {error} {reason}: {said}",
        "the user of this access key may not do that: use a key of an administrator",
    ),
    "func_EUserDisabled": (
        "Func answered {error} {reason}: {said}",
        "the user of this access key is disabled: use another",
    ),
    "func_EClientBadRequest": (
        "Func answered {error} {reason}: {said}",
        "this Func takes another form of the request: it may be of another version",
    ),
    "func_EClientNotFound": (
        "Func answered {error} {reason}: {said}",
        "somebody removed it meanwhile: run it again",
    ),
    "func_EBizRequestConflict": (
        "Func answered {error} {reason}: {said}",
        "somebody else is at the same work: wait, then run it again",
    ),
    "func_ESys": ("Func answered {error} {reason}: {said}", "look at the log of Func's server"),
    "func_other": ("Func answered {error} {reason}: {said}", "look at the message, and at Func's log"),
    # ---- what the link says ----
    "no_link": ("the link is no authorization link", "give it whole: http://HOST:8088/api/v1/al/ID"),
    "link_not_func": (
        "the link answers {status}, but neither as Func nor as the script",
        "check the address; a proxy or another server may stand in the way",
    ),
    "link_throttled": (
        "the link's throttling is reached",
        "wait {seconds} s, or raise it in Func",
    ),
    "link_wrong_secret": (
        "the link refuses this secret",
        "put what install printed into CHATGPT_MONITOR_LINK_SECRET (header {header})",
    ),
    "link_wants_secret": (
        "the link asks for its secret",
        "put what install printed into CHATGPT_MONITOR_LINK_SECRET (header {header})",
    ),
    "link_refuses": ("Func answered {reason}: {said}", "look at Func's log"),
    "link_package": (
        "the workers of Func lack the Python package {name}",
        "install it: guance-chatgpt-monitor install, or Func's PIP tool",
    ),
    "link_script_fails": ("the startup script fails: {said}", "look at it in Func, or run install again"),
    "link_unknown": ("Func knows no such link", f"check the link, or {_AGAIN}"),
    "link_no_function": ("the link leads to a function that is not there", _AGAIN),
    "link_is_disabled": ("the link is disabled", "enable it in Func"),
    "link_expired": ("the link has expired", "give it another time limit in Func"),
    "link_timeout": ("the script ran past its time limit", "look at the task's record in Func"),
    "link_no_worker": (
        "no worker of Func took the call in time",
        "look whether Func's workers run",
    ),
}
