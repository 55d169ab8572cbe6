"""Videos: created, asked for, fetched, deleted; and paid once, when the task has ended, whoever was killed meanwhile."""
import hashlib
import json
import re
import time

import pytest

import client
import gateway
import processes
import rig
import swarm

FORM = "multipart/form-data; boundary=XyZ"
TOKENS_PER_SECOND = 21600  # weir-fake: 1280 x 720 x 24 / 1024
PER_MILLION = 7.0
PNG = bytes.fromhex("89504e470d0a1a0a") + bytes(range(256))


def configured(fakes, **more):
    ark = {"type": "seedance", "base_url": fakes["ark"].url + "/api/v3", "api_key": f"{gateway.CANARY}-ark", "poll": "50ms", **more}
    return {
        "version": 1,
        "providers": {"ark": ark},
        "models": {"ark/seedance-2-0": {"price": {"output": str(PER_MILLION)}}},
        "routes": {"video": {"targets": [{"model": "ark/seedance-2-0"}]}},
    }


@pytest.fixture
def video(start_fakes, start_weir):
    fakes = start_fakes("ark")
    return start_weir(configured(fakes)), fakes["ark"]


def call(weir, method, path, body=b"", headers=()):
    with client.Connection(weir.address) as c:
        return c.request(method, path, body, headers)


def create(weir, prompt, headers=(), **more):
    body = {"model": "video", "prompt": prompt, "seconds": "8", "size": "1280x720", **more}
    return call(weir, "POST", "/v1/videos", json.dumps(body).encode(), [("content-type", "application/json"), *headers])


def until_over(weir, video_id):
    def over():
        got = call(weir, "GET", f"/v1/videos/{video_id}")
        assert got.status == 200, got.body
        return got.json() if got.json()["status"] in ("completed", "failed") else None

    return processes.wait_until(over, 10, "the video to end") or over()


def settled(weir, n=1, seconds=15):
    """The ledger's bills of tasks, once there are n."""
    def bills():
        rows = weir.usage("model")
        found = [r for r in rows if r["model"] == "seedance-2-0"]
        return found[0] if found else None

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        said = weir.cli("tail", "-n", "500", "-o", "json", expect=None)  # 6: the control plane is just being started again
        assert said.returncode in (0, 6), said.stderr
        lines = [x for x in said.stdout.splitlines() if x]
        records = [json.loads(x) for x in lines]
        done = [r for r in records if r.get("task") == "settled"]
        if len(done) >= n and said.returncode == 0:
            return bills(), done
        time.sleep(0.05)
    raise AssertionError(f"{len(done)} of {n} tasks are settled: {lines}")


def test_create_poll_content_and_one_bill(video):
    weir, ark = video
    made = create(weir, "A kite over a fjord [[task:queue=100]][[task:run=300]]")
    assert made.status == 200, made.body
    first = made.json()
    assert first["object"] == "video" and first["status"] == "queued" and first["model"] == "video" and first["seconds"] == "8"
    assert re.fullmatch(r"video_[A-Za-z0-9_-]+", first["id"]) and "cgt" not in first["id"]
    sent = json.loads(next(c["body"] for c in ark.calls() if c["method"] == "POST"))
    assert sent == {"model": "seedance-2-0", "content": [{"type": "text", "text": "A kite over a fjord [[task:queue=100]][[task:run=300]]"}],
                    "resolution": "720p", "ratio": "16:9", "duration": 8, "watermark": False}
    early = call(weir, "GET", f"/v1/videos/{first['id']}/content")
    assert early.status == 404 and b"no content" in early.body
    over = until_over(weir, first["id"])
    assert over["status"] == "completed" and over["progress"] == 100 and over["size"] == "1280x720" and over["seconds"] == "8"
    assert over["id"] == first["id"] and over["error"] is None and over["expires_at"] > over["created_at"]
    content = call(weir, "GET", f"/v1/videos/{first['id']}/content")
    assert content.status == 302 and content.body == b"", "the file lies at its provider's; SDKs follow"
    with client.Connection(ark.address) as c:
        file = c.request("GET", content.header("location").split(str(ark.port), 1)[1])
    assert file.status == 200 and file.body.startswith(b"....ftypmp42") and len(file.body) > 100000
    usage, bills = settled(weir)
    tokens = 8 * TOKENS_PER_SECOND
    assert bills[0]["cost_usd"] == pytest.approx(tokens * PER_MILLION / 1e6) and bills[0]["gen_ai.usage.output_tokens"] == tokens
    assert usage["cost_nanousd"] == pytest.approx(1e9 * (tokens * PER_MILLION / 1e6))
    said = weir.cli("explain", made.header("x-request-id")).stdout
    assert "settled" in said and "cgt-" in said and "172800" in said
    rows = weir.json("usage", "--by", "model")
    assert rows["total"]["calls"] == rows["total"]["attempts"], "the bill is no call of its own"


def test_a_failed_and_an_expired_task_cost_nothing(video):
    weir, _ = video
    for prompt, code in (("x [[task:fail]]", "OutputVideoSensitiveContentDetected"), ("x [[task:expire]]", "expired")):
        over = until_over(weir, create(weir, prompt).json()["id"])
        assert over["status"] == "failed" and over["error"]["code"] == code and over["completed_at"]
    _, bills = settled(weir, 2)
    assert [b["cost_usd"] for b in bills] == [0, 0]
    assert sorted(b["error"]["type"] for b in bills) == ["up_content_policy", "up_timeout"]
    refused = create(weir, "x [[task:sensitive]]")
    assert refused.status == 400 and refused.json()["error"]["type"] == "invalid_request_error"


def test_a_cancelled_task_costs_nothing_and_a_running_one_cannot_be_cancelled(video):
    weir, _ = video
    waiting = create(weir, "x [[task:queue=60000]]").json()["id"]
    gone = call(weir, "DELETE", f"/v1/videos/{waiting}")
    assert gone.status == 200 and gone.json() == {"id": waiting, "object": "video.deleted", "deleted": True}
    running = create(weir, "x [[task:run=800]]").json()["id"]
    assert call(weir, "DELETE", f"/v1/videos/{running}").status == 409
    _, bills = settled(weir, 2)
    assert sorted((b["outcome"], b["cost_usd"]) for b in bills)[0] == ("cancelled", 0)
    assert sum(b["cost_usd"] > 0 for b in bills) == 1
    assert call(weir, "GET", f"/v1/videos/{waiting}").json()["error"]["code"] == "cancelled"


def test_an_abandoned_task_is_paid_once_though_everything_was_killed(video):
    """Nobody asks for it; all processes are killed while it runs, before it is booked, and while it is being booked."""
    weir, ark = video
    made = [create(weir, f"{n} [[task:run={400 + 150 * n}]]") for n in range(6)]
    assert all(m.status == 200 for m in made)
    weir.kill_all()
    weir.start()
    kept = made[0].json()["id"]
    assert call(weir, "GET", f"/v1/videos/{kept}").status == 200, "an id is good after any restart"
    for _ in range(8):
        weir.kill("controlplane")
        time.sleep(0.25)
    usage, bills = settled(weir, 6, 30)
    time.sleep(0.5)
    usage, bills = settled(weir, 6)
    cost = 8 * TOKENS_PER_SECOND * PER_MILLION / 1e6
    assert len(bills) == 6 and len({b["request_id"] for b in bills}) == 6
    assert [b["cost_usd"] for b in bills] == [pytest.approx(cost)] * 6
    assert usage["cost_nanousd"] == pytest.approx(6e9 * cost) and usage["output"] == 6 * 8 * TOKENS_PER_SECOND
    weir.kill_all()
    weir.start()
    time.sleep(0.4)
    assert settled(weir, 6)[0]["cost_nanousd"] == pytest.approx(6e9 * cost)


def test_what_nobody_can_ask_for_any_more_is_booked_at_its_bound(video):
    weir, ark = video
    made = create(weir, "x [[task:run=60000]]")
    ark.fault(path="*/tasks/cgt*", status=404)
    _, bills = settled(weir)
    bound = 9 * 24 * 930000 // 1024 * PER_MILLION / 1e6
    assert bills[0]["cost_usd"] == pytest.approx(bound) and bills[0]["cost_basis"] == "estimated"
    assert bills[0]["request_id"] == made.header("x-request-id")
    ark.clear()
    unnamed = create(weir, "x [[task:nousage]][[task:run=0]]")
    _, bills = settled(weir, 2)
    last = next(b for b in bills if b["request_id"] == unnamed.header("x-request-id"))
    assert last["cost_basis"] == "estimated" and last["cost_usd"] == pytest.approx(bound)


def test_a_provider_that_is_down_for_a_while_is_asked_again(video):
    weir, ark = video
    create(weir, "x [[task:run=0]]")
    ark.fault(path="*/tasks/cgt*", status=503, times=4)
    _, bills = settled(weir)
    assert bills[0]["outcome"] == "ok" and bills[0]["cost_usd"] > 0


def test_an_id_is_good_for_the_key_that_made_it_alone(start_fakes, start_weir):
    fakes = start_fakes("ark")
    config = configured(fakes)
    config["auth"] = {"mode": "keys"}
    config["keys"] = {n: {"hash": "sha256:" + hashlib.sha256(f"sk-{n}-0123456789".encode()).hexdigest()} for n in ("one", "two")}
    weir = start_weir(config)
    one, two = ([("authorization", f"Bearer sk-{name}-0123456789")] for name in ("one", "two"))
    made = create(weir, "x", one)
    assert made.status == 200, made.body
    video_id = made.json()["id"]
    assert call(weir, "GET", f"/v1/videos/{video_id}", headers=one).status == 200
    before = fakes["ark"].stats()["calls"]
    for path, headers in ((f"/v1/videos/{video_id}", two), (f"/v1/videos/{video_id}/content", two), ("/v1/videos/video_AAAA", one),
                          (f"/v1/videos/{video_id[:-4]}AAAA", one), ("/v1/videos/cgt-20261127-000001", one), ("/v1/videos/video_%2e%2e", one)):
        got = call(weir, "GET", path, headers=headers)
        assert got.status == 404 and got.json()["error"]["message"], path
    assert call(weir, "DELETE", f"/v1/videos/{video_id}", headers=two).status == 404
    listed = call(weir, "GET", "/v1/videos", headers=one)
    assert listed.status == 501 and "all keys" in listed.json()["error"]["message"], "whose a video is, no list can say"
    settled(weir)
    seen = [c for c in fakes["ark"].calls() if c["method"] == "DELETE"]
    assert seen == [] and fakes["ark"].stats()["calls"] >= before


def test_videos_are_listed_in_pages(video):
    weir, ark = video

    def ids(query=""):
        got = call(weir, "GET", "/v1/videos" + query)
        assert got.status == 200, got.body
        page = got.json()
        found = [v["id"] for v in page["data"]]
        assert page["object"] == "list" and [page["first_id"], page["last_id"]] == ([found[0], found[-1]] if found else [None, None])
        return found, page["has_more"], page["data"]

    assert ids() == ([], False, [])
    made = [create(weir, f"x [[task:run={n * 50}]]").json()["id"] for n in range(5)]
    for video_id in made:
        assert until_over(weir, video_id)["status"] == "completed"
    listed, more, data = ids()
    # The id of a list is another text of the same video: it names the provider's model, not the route.
    assert len(listed) == 5 and not more and {v["status"] for v in data} == {"completed"} and {v["seconds"] for v in data} == {"8"}
    kept = [call(weir, "GET", f"/v1/videos/{i}").json() for i in listed]
    assert [v["created_at"] for v in kept] == sorted((v["created_at"] for v in kept), reverse=True)
    assert call(weir, "GET", f"/v1/videos/{listed[0]}/content").status == 302
    assert ids("?limit=2")[:2] == (listed[:2], True)
    assert ids(f"?limit=2&after={listed[1]}")[:2] == (listed[2:4], True)
    assert ids(f"?limit=2&after={listed[3]}")[:2] == (listed[4:], False)
    assert ids("?order=asc&limit=100")[:2] == (listed[::-1], False)
    assert ids(f"?order=asc&limit=1&after={listed[4]}")[:2] == ([listed[3]], True)
    settled(weir, 5)


def test_forms_pictures_and_what_is_refused(video):
    weir, ark = video

    def part(name, value, more=""):
        return f'--XyZ\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"

    form = part("model", b"video") + part("prompt", b"a cat") + part("seconds", b"4") + part("generate_audio", b"true")
    form += part("input_reference", PNG, '; filename="a.png"\r\nContent-Type: image/png') + b"--XyZ--\r\n"
    made = call(weir, "POST", "/v1/videos", form, [("content-type", FORM)])
    assert made.status == 200, made.body
    sent = json.loads([c["body"] for c in ark.calls() if c["method"] == "POST"][-1])
    assert sent["content"][1]["image_url"]["url"].startswith("data:image/png;base64,iVBORw0KGgo") and sent["content"][1]["role"] == "first_frame"
    assert sent["duration"] == 4 and sent["ratio"] == "adaptive" and sent["generate_audio"] is True
    made = create(weir, "x", size="1024x1792", input_reference={"image_url": "https://example.com/a.png"}, seed=7, seconds=4)
    assert made.status == 200, made.body
    sent = json.loads([c["body"] for c in ark.calls() if c["method"] == "POST"][-1])
    assert sent["content"][1]["image_url"]["url"] == "https://example.com/a.png" and sent["seed"] == 7 and sent["duration"] == 4
    assert (sent["resolution"], sent["ratio"]) == ("1080p", "9:16")
    for body in ({"prompt": ""}, {"seconds": "soon"}, {"size": "wide"}, {"input_reference": {"file_id": "file-1"}}):
        got = create(weir, **{"prompt": "x", **body})
        assert got.status == 400 and got.json()["error"]["type"] == "invalid_request_error", body
    for method, path, status in (("GET", "/v1/videos?limit=0", 400), ("GET", "/v1/videos?after=video_1", 400), ("GET", "/v1/videos?order=up", 400), ("POST", "/v1/videos/video_1/remix", 501), ("POST", "/v1/videos/edits", 501)):
        got = call(weir, method, path, b"{}" if method == "POST" else b"", [("content-type", "application/json")])
        assert got.status == status and got.json()["error"]["message"], path
    settled(weir, 2)


class Maker:
    """A provider that has Videos itself."""

    def __init__(self):
        self.status = "queued"

    def __call__(self, request):
        method, path, _ = request.head.decode().split(" ", 2)
        video = {"id": "video_up1", "object": "video", "model": "sora-9", "status": self.status, "progress": 0, "created_at": 1795000000,
                 "seconds": "8", "size": "1280x720", "error": None, "further": [1.10]}
        if path.endswith("/content?variant=video"):
            return rig.whole(b"\0\1mp4" * 40000, kind="video/mp4")
        if method == "DELETE":
            return rig.whole({"id": "video_up1", "object": "video.deleted", "deleted": True})
        return rig.whole(video)


def test_a_provider_that_has_videos_itself_gets_the_clients_own_bytes(start_weir):
    maker = Maker()
    with swarm.Upstream(maker) as up:
        weir = start_weir({
            "version": 1,
            "providers": {"up": {"type": "openai", "base_url": up.url + "/v1", "api_key": f"{gateway.CANARY}-up", "poll": "50ms"}},
            "routes": {"video": {"targets": [{"model": "up/sora-9"}]}},
        })
        body = b'{"model": "video",  "prompt": "x", "seconds": "8", "new_thing": 1.10}'
        made = call(weir, "POST", "/v1/videos", body, [("content-type", "application/json")])
        assert made.status == 200, made.body
        video_id = made.json()["id"]
        assert made.json()["model"] == "video" and b"1.1" in made.body and video_id != "video_up1"
        post = next(r for r in up.requests if r.head.startswith(b"POST"))
        assert post.head.startswith(b"POST /v1/videos HTTP/1.1") and post.body == body.replace(b'"video"', b'"sora-9"')
        assert call(weir, "GET", f"/v1/videos/{video_id}").json()["id"] == video_id
        maker.status = "completed"
        content = call(weir, "GET", f"/v1/videos/{video_id}/content?variant=video")
        assert content.status == 200 and content.body == b"\0\1mp4" * 40000 and content.header("content-type") == "video/mp4"
        _, bills = settled(weir)
        assert bills[0]["cost_usd"] is None and bills[0]["outcome"] == "ok", "without a price it is unknown, never zero"
        polls = [r for r in up.requests if r.head.startswith(b"GET /v1/videos/video_up1 ")]
        assert len(polls) >= 2 and all(b"uthorization: Bearer" in r.head for r in polls)
        assert call(weir, "DELETE", f"/v1/videos/{video_id}").json() == {"id": video_id, "object": "video.deleted", "deleted": True}
