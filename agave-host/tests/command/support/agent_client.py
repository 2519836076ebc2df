"""Sends messages to the WebSocket at a URL, and prints as many as are expected in return.

Arguments: the URL, `-` or an origin, how many messages are expected, and those to send: `text:`
and text, or `hex:` and bytes. Prints a line `text:` and JSON or `hex:` and bytes for each, `refused`
and the status where there is no WebSocket, and at the end the code that the connection closed with."""

import json
import sys

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

url, origin, count, *messages = sys.argv[1:]
try:
    with connect(url, origin=None if origin == "-" else origin, proxy=None, max_size=None) as ws:
        for message in messages:
            kind, content = message.split(":", 1)
            ws.send(bytes.fromhex(content) if kind == "hex" else content)
        for _ in range(int(count)):
            got = ws.recv(timeout=50)
            print("text:" + json.dumps(got, ensure_ascii=False) if isinstance(got, str) else "hex:" + got.hex())
        ws.close(1000, "enough")
        print("closed", ws.close_code, ws.close_reason)
except InvalidStatus as refused:
    print("refused", refused.response.status_code, refused.response.body.decode().strip())
