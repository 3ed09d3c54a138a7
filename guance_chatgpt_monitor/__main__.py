"""`python -m guance_chatgpt_monitor` is guance-chatgpt-monitor."""

import sys

from .cli.main import main

sys.exit(main())
