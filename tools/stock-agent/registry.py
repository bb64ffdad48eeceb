"""A registry with one image, for as much as a Docker engine asks when it pulls."""

import gzip
import hashlib
import http.server
import json
import threading

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest(blob):
    return "sha256:" + hashlib.sha256(blob).hexdigest()


class Registry:
    """Serves the root file system `tar` as the image `name:tag` of every tag, on a port of its own."""

    def __init__(self, tar, name):
        layer = gzip.compress(tar, 1)
        config = json.dumps({
            "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(tar)]},
            "history": [{"created": "2026-01-01T00:00:00Z"}],
        }).encode()
        describe = lambda blob, kind: {"mediaType": kind, "size": len(blob), "digest": digest(blob)}
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": describe(config, "application/vnd.docker.container.image.v1+json"),
            "layers": [describe(layer, "application/vnd.docker.image.rootfs.diff.tar.gzip")],
        }).encode()
        self.digest = digest(manifest)
        blobs = {digest(config): config, digest(layer): layer}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                kind, _, last = self.path.strip("/").rpartition("/")
                if self.path == "/v2/":
                    self.answer(b"{}", "application/json")
                elif kind == f"v2/{name}/manifests":
                    self.answer(manifest, MANIFEST)
                elif kind == f"v2/{name}/blobs" and last in blobs:
                    self.answer(blobs[last], "application/octet-stream")
                else:
                    self.send_error(404)

            do_HEAD = do_GET

            def answer(self, body, kind):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Docker-Content-Digest", digest(body))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.image = f"127.0.0.1:{server.server_port}/{name}:1"
        threading.Thread(target=server.serve_forever, daemon=True).start()
