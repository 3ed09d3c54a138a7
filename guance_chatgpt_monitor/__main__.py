"""`python -m guance_chatgpt_monitor` is guance-chatgpt-monitor."""

import sys

from .cli import main

sys.exit(main())
