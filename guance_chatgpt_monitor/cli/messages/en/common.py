"""What every command may say: wrong command lines and settings, servers that do not answer."""

from typing import Dict

from .. import Text

TEXTS: Dict[str, Text] = {
    "error": "error:",
    "warning": "warning:",
    "next": "next:",
    "stopped": "stopped by Ctrl-C",
    "os_error_step": "see that the path exists and that you may use it, then run it again",
    "unforeseen": "an unforeseen failure ({name})",
    "unforeseen_step": "run it again with CHATGPT_MONITOR_DEBUG=1 to see where it failed, and report that",
    # ---- the command line ----
    "unknown_command": ("there is no command {word}", "{program} --help lists them"),
    "unknown_command_near": ("there is no command {word}", "did you mean {near}? {program} --help lists all"),
    "unknown_option": ("there is no option {word}", "{program} --help lists them"),
    "unknown_option_near": ("there is no option {word}", "did you mean {near}? {program} --help lists all"),
    "unknown_word": (
        "{word} is one argument too many",
        "put quotes around a text with spaces; {program} --help shows an example",
    ),
    "unknown_word_near": (
        "{word} is one argument too many",
        "did you mean {near}? {program} --help shows an example",
    ),
    "not_a_choice": ("{word} is not one of {choices}", "choose one of them; {program} --help tells more"),
    "not_a_choice_near": (
        "{word} is not one of {choices}",
        "did you mean {near}? {program} --help tells more",
    ),
    "no_value": ("{name} needs a value", "{program} --help shows an example"),
    "no_argument": ("{name} is missing", "{program} --help shows an example"),
    "ambiguous": ("{name} may mean {matches}", "write it out"),
    "takes_no_value": ("{name} takes no value", "leave out what follows the equals sign"),
    "not_a_number": ("{name} needs another kind of value", "{program} --help shows an example"),
    "usage": ("{message}", "{program} --help shows the options"),
    "no_port": ("{value!r} is no port", "give a number from 0 to 65535; 0 takes a free one"),
    "no_count": ("{value!r} is no whole number of at least {least}", "give one such as 10"),
    "count_too_large": ("{value} is more than {most}, the most that Func takes", "give {most} or less"),
    # ---- settings ----
    "no_http_address": ("the {name} is no HTTP address", "give one such as {example}"),
    "odd_secret": (
        "the {name} has spaces, line ends or characters outside ASCII",
        "copy it again, whole",
    ),
    "no_datakit_address": (
        "the DataKit URL must look like http://localhost:9529",
        "give --datakit http://localhost:9529, or where yours is",
    ),
    "missing": ("no {name} was given", "give {option}, or export {variable}=…"),
    "ask_secret": "{name} (it is not shown): ",
    "func_address": "address of Func",
    "func_token": "localhost token of Func",
    "access_key": "access key",
    "access_secret": "secret of the access key",
    "link": "link",
    "link_secret": "secret of the link",
    "openai_key": "OpenAI key",
    "openai_base_url": "OpenAI base URL",
    "key_on_command_line": "{option} stands on the command line, where other users of this host can read it: prefer export {variable}=…",
    # ---- no answer ----
    "proxy": (
        "a proxy stands in the way of {shown}, and does not let it pass",
        "correct HTTP_PROXY and HTTPS_PROXY, or add the host to NO_PROXY: export NO_PROXY={host}",
    ),
    "connect_timeout": (
        "no connection to {address} within the time limit",
        "check the address, and any firewall between",
    ),
    "read_timeout": ("{shown} took the connection and does not answer", "look at the server's log"),
    "no_such_host": ("the host name {host} cannot be resolved", "check the address, or this host's DNS"),
    "refused": (
        "connection refused: nothing listens at {address}",
        "check host and port, and that it runs",
    ),
    "broken": (
        "the connection to {address} broke before an answer came",
        "check that it speaks HTTP, then look at the server's log",
    ),
    "wants_tls": ("{address} wants TLS, and plain HTTP was spoken to it", "begin the address with https://"),
    "no_tls": ("no TLS with {shown}", "if it speaks plain HTTP, begin the address with http://"),
    "certificate_name": (
        "the TLS certificate of {shown} is for another name than {host}",
        "use the name in the certificate as the address",
    ),
    "certificate_expired": (
        "the TLS certificate of {shown} has expired",
        "renew it, or correct the clock",
    ),
    "certificate_untrusted": (
        "the TLS certificate of {shown} is not trusted here",
        "name the file of the authority that signed it: export REQUESTS_CA_BUNDLE=/path/to/ca.pem",
    ),
}
