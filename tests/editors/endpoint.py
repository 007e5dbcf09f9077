"""A model endpoint that says what a test tells it to. Usage: endpoint.py [PORT]; prints its base URL.

It speaks the OpenAI chat API (`/v1/models`, `/v1/chat/completions` with `stream`). `POST /script` takes a JSON list
of what each answer consists of: a string is said; `{"hold": true}` waits for one `POST /go`, or until the asking side
hangs up; `{"status": 500}` is answered instead; `{"die": true}` ends the connection. `GET /asked` lists what was asked,
and how each answer ended.
"""

import json
import select
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

script = ["Use ", "full jitter."]
asked = []
going = threading.Semaphore(0)


class HungUp(Exception):
    pass


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/asked":
            return self.answer(asked)
        if self.path == "/v1/models":
            return self.answer({"object": "list", "data": [{"id": "scripted"}, {"id": "other"}]})
        return self.answer({"error": {"message": "no such path"}}, 404)

    def do_POST(self):
        global script
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "null")
        if self.path == "/script":
            script = body
            return self.answer({})
        if self.path == "/go":
            going.release()
            return self.answer({})
        if self.path != "/v1/chat/completions":
            return self.answer({"error": {"message": "no such path"}}, 404)
        question = {"body": body, "ended": None}
        asked.append(question)
        try:
            self.say(body, list(script))
            question["ended"] = "end"
        except (HungUp, OSError):
            question["ended"] = "hung up"
            self.close_connection = True

    def say(self, body, pieces):
        refused = next((one for one in pieces if isinstance(one, dict) and "status" in one), None)
        if refused:
            return self.answer({"error": {"message": refused.get("message", "out of order")}}, refused["status"])
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        said = 0
        for piece in pieces:
            if isinstance(piece, str):
                said += len(piece)
                self.chunk(body, {"content": piece}, None)
            elif "hold" in piece:
                self.hold()
            elif "die" in piece:
                raise HungUp
        self.chunk(body, {}, "stop")
        prompt = sum(len(str(one.get("content"))) for one in body["messages"]) // 3 + 1
        usage = {"prompt_tokens": prompt, "completion_tokens": said // 3 + 1, "total_tokens": prompt + said // 3 + 1}
        self.event({"object": "chat.completion.chunk", "model": body["model"], "choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def hold(self):
        while not going.acquire(timeout=0.02):
            # Readable without having been asked anything more: the other side is gone.
            if select.select([self.connection], [], [], 0)[0]:
                raise HungUp

    def chunk(self, body, delta, finish):
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        self.event({"object": "chat.completion.chunk", "model": body["model"], "choices": [choice]})

    def event(self, value):
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):  # a connection that was closed is no news
        pass


server = Server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Handler)
print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
server.serve_forever()
