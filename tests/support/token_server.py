"""A loopback server that stands for token endpoints and metadata services: each story says how a request is answered."""
import http.server
import json
import ssl
import threading
import time
import urllib.parse


class Request:
    def __init__(self, handler, body):
        self.method = handler.command
        self.target = handler.path
        self.path, _, query = handler.path.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query))
        self.headers = {k.lower(): v for k, v in handler.headers.items()}
        self.body = body
        self.form = dict(urllib.parse.parse_qsl(body, strict_parsing=False))
        self.at = time.monotonic()


class TokenServer:
    """answer(request) gives (status, body) or (status, body, headers); a dict is sent as JSON. None: nothing is ever answered."""

    def __init__(self, answer, tls=None):
        self.answer, self.requests, self.lock = answer, [], threading.Lock()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                request = Request(self, body)
                with owner.lock:
                    owner.requests.append(request)
                    got = owner.answer(request)
                if got is None:
                    time.sleep(5)
                    return
                status, text, *more = got
                headers = {"Content-Type": "application/json", **(more[0] if more else {})}
                data = (json.dumps(text) if isinstance(text, dict) else text).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = serve

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a client that leaves in the middle of a handshake is part of a story

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Issuer:
    """Tokens t1, t2, … of a given life; can be told to fail."""

    def __init__(self, life_s=3600, **more):
        self.life_s, self.more, self.issued, self.failure = life_s, more, 0, None

    def __call__(self, request):
        if self.failure is not None:
            return self.failure
        self.issued += 1
        return 200, {"access_token": f"t{self.issued}", "expires_in": self.life_s, "token_type": "Bearer", **self.more}
