"""Recorded calls that are no chat through a worker: bytes as they came, usage as the provider said it."""
import csv
import json
import os

import pytest
import rig as r

SHARED = os.environ.get("WEIR_SHARED", os.path.join(os.path.dirname(__file__), "..", "..", "..", "shared"))
DATA = os.path.join(SHARED, "recordings")
PATHS = {
    "openai-embeddings": "/v1/embeddings",
    "openai-completions": "/v1/completions",
    "openai-moderations": "/v1/moderations",
    "rerank": "/v2/rerank",
    "anthropic-count-tokens": "/v1/messages/count_tokens",
    "gemini-embed": None,
    "gemini-count-tokens": None,
}


def recorded():
    index = os.path.join(DATA, "index-dev.tsv")
    if not os.path.exists(index):
        return []
    with open(index, encoding="utf-8") as f:
        # Vertex's predict has a form and a path of its own, which are not served
        return [row for row in csv.DictReader(f, delimiter="\t") if row["dialect"] in PATHS and row["provider"] != "vertex"]


def load(row):
    folder = os.path.join(DATA, "dev", row["id"])

    def read(name):
        with open(os.path.join(folder, name), "rb") as f:
            return f.read()

    return json.loads(read("request.json")), read("request.body"), json.loads(read("response.json")), read("body")


@pytest.mark.skipif(not recorded(), reason="the recordings are not here (WEIR_SHARED)")
@pytest.mark.parametrize("row", recorded() or [{}], ids=lambda row: row.get("id", "none"))
def test_a_recording_passes(tmp_path, row):
    request, asked, response, said = load(row)
    streaming = bool(response.get("streaming")) or b"data:" in said[:40]
    kind = "text/event-stream" if streaming else "application/json"
    provider = "anthropic" if "anthropic" in row["dialect"] else "gemini" if "gemini" in row["dialect"] else "openai"
    path = PATHS[row["dialect"]] or request["path"]
    if provider == "gemini":
        head, verb = path.rsplit(":", 1)
        path, body = f"/v1beta/models/chat:{verb}", asked
    else:
        body = json.dumps({**json.loads(asked), "model": "chat"}).encode()
    status = response["status"]
    with r.Origin(lambda conn, q: conn.sendall(r.whole(said, status=status, kind=kind))) as a:
        with r.Rig(tmp_path, [a.provider("a", provider), "target a/m 2.5 10", "route chat ordered a/m"]) as rig:
            got = rig.call(body, path)
            [record] = rig.records(1)
            if status != 200:
                assert got.status in (status, 502) and record["outcome"] != 1
                return
            assert got.status == 200 and got.whole
            sent = a.requests[0].json
            if provider != "gemini":
                wanted = {**json.loads(asked), "model": "m"}
                if streaming and "stream_options" not in wanted:
                    wanted["stream_options"] = {"include_usage": True}
                assert sent == wanted
            assert got.body == said, "byte for byte"
            usage = {} if streaming else json.loads(said).get("usage") or {}
            if usage and "embeddings" in row["dialect"]:
                assert record["in"] == usage["prompt_tokens"] and record["basis"] == 2
                assert record["cost"] == usage["prompt_tokens"] * 2500
            rig.settled()
