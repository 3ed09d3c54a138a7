"""The tag `host`: the host that made the call, if its name lasts.

Set when the point is made, because each DataKit would add its own: a repetition through another DataKit would
be another series, and count twice. A container's name changes with each start, and Guance bills by series.
"""

import os
import socket

from .line_protocol import MAX_TAG_VALUE_BYTES

NONE = ("none", "off")
# Common names for the node name from Kubernetes' downward API.
NODE_VARIABLES = ("NODE_NAME", "K8S_NODE_NAME", "ENV_K8S_NODE_NAME", "KUBERNETES_NODE_NAME", "MY_NODE_NAME")
# Set in environments where each start has a new host name. The files are Docker's and Podman's.
_CONTAINER_VARIABLES = (
    "KUBERNETES_SERVICE_HOST",
    "ECS_CONTAINER_METADATA_URI_V4",
    "AWS_LAMBDA_FUNCTION_NAME",
    "K_SERVICE",
    "container",
)
_CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")


def own_host(setting: str = "") -> str:
    """`setting` if given; else the Kubernetes node, nothing in other containers, or the name of this host."""
    if setting:
        return "" if setting.lower() in NONE else setting
    for name in NODE_VARIABLES:
        if os.environ.get(name):
            return os.environ[name][:MAX_TAG_VALUE_BYTES]
    if any(map(os.environ.get, _CONTAINER_VARIABLES)) or any(map(os.path.exists, _CONTAINER_FILES)):
        return ""
    return socket.gethostname()
