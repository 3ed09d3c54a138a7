"""Makes `python -m guance_chatgpt_monitor` the same as `guance-chatgpt-monitor`."""

import sys

from .cli.main import main

sys.exit(main())
