"""Messages of every command: wrong command lines and settings, servers that do not answer."""

from .. import Texts

TEXTS: Texts = {
    "error": "error: ",
    "warning": "warning: ",
    "next": "next: ",
    "stopped": "stopped by Ctrl-C",
    "os_error_step": "check that the path exists and that you may use it, then try again",
    "unforeseen": "unexpected failure ({name})",
    "unforeseen_step": "run it again with CHATGPT_MONITOR_DEBUG=1 to see where it failed, and report that",
    # ---- the command line ----
    "unknown_command": "there is no command {word}",
    "unknown_option": "there is no option {word}",
    "unknown_word": "unexpected argument {word}",
    "not_a_choice": "{word} is not one of {choices}",
    "did_you_mean": "did you mean {near}? See {program} --help",
    "see_help": "see {program} --help",
    "quote_spaces": "put quotes around a value with spaces; see {program} --help",
    "no_value": ("{name} needs a value", "see {program} --help"),
    "no_argument": ("{name} is missing", "see {program} --help"),
    "ambiguous": ("{name} is ambiguous: {matches}", "write it out"),
    "takes_no_value": ("{name} takes no value", "leave out the equals sign and what follows it"),
    "not_a_number": ("{name} needs another kind of value", "see {program} --help"),
    "usage": ("{message}", "see {program} --help"),
    "no_port": ("{value!r} is not a port", "give a number from 0 to 65535; 0 takes a free one"),
    "no_count": ("{value!r} is not a whole number of at least {least}", "give one such as 10"),
    "count_too_large": ("{value} is above the limit of {most}", "give {most} or less"),
    # ---- settings ----
    "no_http_address": ("the {name} is not an HTTP address", "give one such as {example}"),
    "odd_secret": ("the {name} has spaces, line breaks or non-ASCII characters", "copy it again, whole"),
    "no_datakit_address": (
        "the DataKit URL must look like http://localhost:9529",
        "give --datakit http://localhost:9529, or the address of yours",
    ),
    "setting_step": "correct it, or unset it",
    "missing": ("no {name} was given", "give {option}, or export {variable}=…"),
    "ask_secret": "{name} (not shown as you type): ",
    "func_address": "address of Func",
    "func_token": "localhost token of Func",
    "access_key": "access key",
    "access_secret": "secret of the access key",
    "link": "link",
    "link_secret": "secret of the link",
    "openai_key": "OpenAI key",
    "openai_base_url": "OpenAI base URL",
    "key_on_command_line": "other users of this host can read {option} on the command line: prefer export {variable}=…",
    # ---- no answer ----
    "proxy": (
        "the proxy does not let requests through to {shown}",
        "correct HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, or bypass the proxy: export NO_PROXY={host}",
    ),
    "no_socks": (
        "the environment sets a SOCKS proxy for {shown}, and this Python has no package for it",
        "run pip install PySocks, or bypass the proxy: export NO_PROXY={host}",
    ),
    "connect_timeout": (
        "connecting to {address} timed out",
        "check the address, and any firewall on the way",
    ),
    "read_timeout": ("{shown} accepted the connection but does not answer", "look at the server's log"),
    "no_such_host": ("the host name {host} cannot be resolved", "check the address, or this host's DNS"),
    "refused": ("connection refused: nothing listens at {address}", "check host and port, and that it runs"),
    "redirect": (
        "{url} answers {status}, a redirect to {to}",
        "give that address if it is the right one; otherwise a login page is in the way",
    ),
    "broken": (
        "the connection to {address} broke before an answer came",
        "check that it speaks HTTP, then look at the server's log",
    ),
    "wants_tls": ("{address} expects TLS", "start the address with https://"),
    "no_tls": ("{shown} does not speak TLS", "if it speaks plain HTTP, start the address with http://"),
    "no_ca_file": (
        "the CA certificates to check {shown} with are missing, or not a PEM file",
        "correct the path in REQUESTS_CA_BUNDLE, or in CHATGPT_MONITOR_DATAKIT_CA for DataKit",
    ),
    "certificate_name": (
        "the TLS certificate of {shown} is not for {host}",
        "use the name in the certificate as the address",
    ),
    "certificate_expired": ("the TLS certificate of {shown} has expired", "renew it, or correct the clock"),
    "certificate_untrusted": (
        "the TLS certificate of {shown} is not trusted here",
        "name the file of the authority that signed it: export REQUESTS_CA_BUNDLE=/path/to/ca.pem",
    ),
}
