#!/usr/bin/env python3
"""A language model for the tests of editors, by the OpenAI-compatible protocol.

    model.py FILE

Writes its base URL to FILE. An answer is two paragraphs at once, and the third when FILE.go exists.
"""
import http.server
import json
import os
import sys
import time


class Model(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer("application/json", json.dumps({"data": [{"id": "small"}]}).encode())

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.answer("text/event-stream", self.say("One two.\n\nThree four.\n\nFi"))
        while not os.path.exists(sys.argv[1] + ".go"):
            time.sleep(0.02)
        self.wfile.write(self.say("ve six.") + b"data: [DONE]\n\n")

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    @staticmethod
    def say(text):
        chunk = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"http://127.0.0.1:{server.server_port}/v1")
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
