"""A script that prints an answer as it arrives. It is recorded as one call, with its time to first token.

pip install openai guance-chatgpt-monitor
python stream.py "What is observability?"
"""

import sys

from openai import OpenAI

from guance_chatgpt_monitor import monitor

# Without stream_usage, the API reports no tokens for a stream.
client = monitor(OpenAI(), stream_usage=True)
question = " ".join(sys.argv[1:]) or "What is observability, in one sentence?"

with client.chat.completions.create(
    model="gpt-4o-mini", messages=[{"role": "user", "content": question}], stream=True
) as chunks:
    for chunk in chunks:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
