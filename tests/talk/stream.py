"""stream_question of pieces_os_client. Usage: stream.py NAME PORT"""

import sys

from check import check, finish
from pieces_os_client.wrapper import PiecesClient

name, port = sys.argv[1:3]
PiecesClient._port_scanning = staticmethod(lambda *args, **kwargs: port)


def ask():
    client = PiecesClient()
    said = ""
    for output in client.copilot.stream_question("ping"):
        for answer in (output.question.answers.iterable if output.question else []):
            said += answer.text
    assert said == "pong", said
    assert client.copilot.chat, "no chat after the answer"
    texts = [message.raw_content for message in client.copilot.chat.messages()]
    assert texts == ["ping", "pong"], texts


check(f"talk-{name}-stream-question", ask)
finish()
