"""The tag `host`: the host that made the call, where its name lasts.

A point has it when it is made, since each DataKit would add its own: a repeat through another one would be
another series, and count twice. A container's name changes with each start, and Guance bills by series.
"""

import os
import socket

from .line_protocol import MAX_TAG_VALUE_BYTES

NONE = ("none", "off")
# As Kubernetes' own examples, DataKit's and others call what the downward API tells.
NODE_VARIABLES = ("NODE_NAME", "K8S_NODE_NAME", "ENV_K8S_NODE_NAME", "KUBERNETES_NODE_NAME", "MY_NODE_NAME")
# Set in what is started anew under another name each time; the files are Docker's and Podman's.
_CONTAINER_VARIABLES = (
    "KUBERNETES_SERVICE_HOST",
    "ECS_CONTAINER_METADATA_URI_V4",
    "AWS_LAMBDA_FUNCTION_NAME",
    "K_SERVICE",
    "container",
)
_CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")


def own_host(setting: str = "") -> str:
    """The name of this host, or of its Kubernetes node; empty in another container. `setting` goes first."""
    if setting:
        return "" if setting.lower() in NONE else setting
    for name in NODE_VARIABLES:
        if os.environ.get(name):
            return os.environ[name][:MAX_TAG_VALUE_BYTES]
    if any(map(os.environ.get, _CONTAINER_VARIABLES)) or any(map(os.path.exists, _CONTAINER_FILES)):
        return ""
    return socket.gethostname()
