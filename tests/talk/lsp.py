"""A small editor: speaks LSP to a `pieces-lsp serve`."""

import json
import queue
import subprocess
import threading
import time


class Editor:
    def __init__(self, command, env, capabilities=None, options=None):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
        )
        self.answers, self.notes, self.ids = {}, [], 0
        self.news = threading.Condition()
        self.answer_to = lambda method, params: None
        threading.Thread(target=self.read, daemon=True).start()
        self.call("initialize", {"processId": None, "rootUri": None, "capabilities": capabilities or {},
                                 "initializationOptions": options or {}})
        self.send("initialized", {})

    def read(self):
        out = self.process.stdout
        while True:
            length = 0
            while line := out.readline().strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            body = out.read(length) if length else b""
            if not body:
                break
            message = json.loads(body)
            if "method" in message and "id" in message:
                self.write({"id": message["id"], "result": self.answer_to(message["method"], message.get("params"))})
            with self.news:
                if "method" in message:
                    self.notes.append((time.monotonic(), message["method"], message.get("params")))
                else:
                    self.answers[message["id"]] = (time.monotonic(), message)
                self.news.notify_all()

    def write(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def send(self, method, params):
        self.write({"method": method, "params": params})

    def start(self, method, params):
        self.ids += 1
        self.write({"id": self.ids, "method": method, "params": params})
        return self.ids

    def wait(self, condition, what, seconds=60):
        with self.news:
            assert self.news.wait_for(condition, seconds), f"not within {seconds} s: {what}"
            return condition()

    def finish(self, id, seconds=90):
        _, message = self.wait(lambda: self.answers.get(id), f"the answer to request {id}", seconds)
        assert "error" not in message, message["error"]
        return message["result"]

    def call(self, method, params, seconds=90):
        return self.finish(self.start(method, params), seconds)

    def command(self, name, argument=None, seconds=90):
        return self.call("workspace/executeCommand", {"command": name, "arguments": [argument] if argument else []}, seconds)

    def begin(self, name, argument, **members):
        return self.start("workspace/executeCommand", {"command": name, "arguments": [argument], **members})

    def heard(self, method, matches=lambda params: True):
        with self.news:
            return [params for _, name, params in self.notes if name == method and matches(params)]

    def close(self):
        try:
            self.call("shutdown", None, 10)
            self.send("exit", None)
            self.process.stdin.close()
            self.process.wait(10)
        finally:
            self.process.kill()
