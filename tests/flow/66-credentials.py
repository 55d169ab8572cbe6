"""Credentials are fetched ahead of need: each source against a loopback server, failures, recovery, rotation."""
import base64
import hashlib
import hmac
import json
import os
import queue
import subprocess
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
from processes import program
from token_server import Issuer, TokenServer

RIG = program("tests/credentials_rig")
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def after(seconds):
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Rig:
    """credentials_rig with an environment of its own: nothing of this machine's credentials is seen."""

    def __init__(self, *arguments, env=None, quick=True):
        base = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS") or k == "PATH"}
        waits = ["retry_min_ms=50", "retry_max_ms=400", "gap_ms=50", "metadata_ms=1500"] if quick else []
        self.process = subprocess.Popen(
            [RIG, *waits, *arguments], env={**base, "HOME": "/nonexistent", **(env or {})},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put({**json.loads(line), "at": time.monotonic()})

    def next(self, timeout=5):
        return self.lines.get(timeout=timeout)

    def silent(self, seconds):
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            return
        raise AssertionError(f"unexpected: {line}")

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def status(self, row=0):
        self.tell(f"status {row}")
        while "status" not in (line := self.next()):
            pass
        return line

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        try:
            code = self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        if kind is None:
            assert code == 0, self.process.stderr.read()


def fresh(rig, **want):
    event = rig.next()
    assert event["state"] == "fresh", event
    for key, value in want.items():
        assert event[key] == value, (key, event)
    return event


def refused(rig, *words):
    event = rig.next()
    assert event["state"] == "auth_error" and "secret" not in event, event
    for word in words:
        assert word in event["why"], event
    return event


def lives(event, seconds):
    """Its life less the margin: ten seconds, or a tenth of a short life."""
    margin = min(10, seconds / 10)
    assert (seconds - margin - 2) * 1000 <= event["expires_in_ms"] <= (seconds - margin) * 1000 + 1000, event


# ---- AWS ----


def test_keys_need_no_fetching():
    with Rig("source=key", "key=sk-1", "source=aws", "access_key_id=AK", "secret_access_key=SK", env={"AWS_ACCESS_KEY_ID": "no",
             "AWS_SECRET_ACCESS_KEY": "no"}) as rig:
        assert "expires_in_ms" not in fresh(rig, secret="sk-1", via="configured key")
        fresh(rig, access_key_id="AK", secret="SK", via="configured keys")
        rig.silent(0.3)


def test_aws_keys_of_the_environment():
    env = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t", "AWS_CREDENTIAL_EXPIRATION": after(600)}
    with Rig("source=aws", env=env) as rig:
        lives(fresh(rig, access_key_id="AKIA", secret="s", session_token="t", via="environment"), 600)
    with Rig("source=aws", env={**env, "AWS_BEARER_TOKEN_BEDROCK": "bedrock-key"}) as rig:
        fresh(rig, access_key_id="", secret="bedrock-key")
    with Rig("source=aws-environment", env={"AWS_ACCESS_KEY_ID": "AKIA"}) as rig:
        refused(rig, "AWS_SECRET_ACCESS_KEY")


def sts_xml(key, life_s):
    return (f"<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId>"
            f"<SecretAccessKey>s/{key}</SecretAccessKey><SessionToken>t&amp;{key}</SessionToken><Expiration>{after(life_s)}</Expiration>"
            "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>")


def test_aws_web_identity_reads_the_rotated_token(tmp_path):
    token = tmp_path / "token"
    token.write_text("jwt-1\n")
    seen = []

    def answer(r):
        seen.append(r.form["WebIdentityToken"])
        return 200, sts_xml(f"ASIA{len(seen)}", 2), {"Content-Type": "text/xml"}

    with TokenServer(answer) as server:
        env = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": "arn:aws:iam::1:role/r", "AWS_REGION": "eu-west-1"}
        with Rig("source=aws", f"token_url={server.url}", env=env) as rig:
            fresh(rig, access_key_id="ASIA1", secret="s/ASIA1", session_token="t&ASIA1", via="web identity")
            token.write_text("jwt-2\n")
            fresh(rig, access_key_id="ASIA2")
        first = server.requests[0]
        assert seen[:2] == ["jwt-1", "jwt-2"]
        assert first.method == "POST" and first.path == "/" and first.headers["accept"] == "application/xml"
        assert first.form["Action"] == "AssumeRoleWithWebIdentity" and first.form["RoleArn"] == "arn:aws:iam::1:role/r"
        assert first.form["RoleSessionName"] == "weir" and "authorization" not in first.headers


def test_aws_web_identity_refusals(tmp_path):
    denied = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized</Message></Error></ErrorResponse>"
    token = tmp_path / "token"
    env = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": "arn:r", "AWS_REGION": "r"}
    with TokenServer(lambda r: (403, denied)) as server:
        with Rig("source=aws", f"token_url={server.url}", env=env) as rig:
            refused(rig, str(token), "cannot be read")
        token.write_text("jwt")
        with Rig("source=aws", f"token_url={server.url}", env=env) as rig:
            refused(rig, "STS: AccessDenied: Not authorized")
    with Rig("source=aws", env={k: v for k, v in env.items() if k != "AWS_REGION"}) as rig:
        refused(rig, "no region")


def test_aws_keys_take_on_a_role():
    """AssumeRole is signed with the keys that the chain found; what comes are the role's, with their own end."""
    def answer(r):
        said = r.headers["authorization"]
        assert said.startswith("AWS4-HMAC-SHA256 Credential=AKIAX/") and "/eu-west-1/sts/aws4_request" in said
        scheme, _, rest = said.partition(" ")
        parts = dict(p.strip().split("=", 1) for p in rest.split(","))
        names = parts["SignedHeaders"].split(";")
        assert {"host", "content-type", "x-amz-date"} <= set(names)
        canonical = "\n".join(["POST", "/", "", *(f"{n}:{r.headers[n]}" for n in names), "", ";".join(names), hashlib.sha256(r.body.encode()).hexdigest()])
        date, key = r.headers["x-amz-date"], b"AWS4secret"
        to_sign = "\n".join([scheme, date, f"{date[:8]}/eu-west-1/sts/aws4_request", hashlib.sha256(canonical.encode()).hexdigest()])
        for part in (date[:8], "eu-west-1", "sts", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        if hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest() != parts["Signature"]:
            return 403, "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error></ErrorResponse>"
        return 200, sts_xml("ASIAROLE", 3600), {"Content-Type": "text/xml"}

    with TokenServer(answer) as server:
        with Rig("source=aws", "role_arn=arn:aws:iam::2:role/other", "region=eu-west-1", f"token_url={server.url}",
                 env={"AWS_ACCESS_KEY_ID": "AKIAX", "AWS_SECRET_ACCESS_KEY": "secret"}) as rig:
            lives(fresh(rig, access_key_id="ASIAROLE", via="assumed role"), 3600)
        assert server.requests[0].form == {"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": "arn:aws:iam::2:role/other", "RoleSessionName": "weir"}
        with Rig("source=aws-keys", "role_arn=arn:aws:iam::2:role/other", "region=eu-west-1", f"token_url={server.url}", "access_key_id=AKIAX", "secret_access_key=wrong") as rig:
            refused(rig, "STS: SignatureDoesNotMatch")
    with TokenServer(lambda r: (200, sts_xml("ASIAWEB", 3600))) as server:  # web identity is that role already
        with Rig("source=aws", "role_arn=arn:r", f"token_url={server.url}", f"token_file={__file__}", "region=r") as rig:
            fresh(rig, access_key_id="ASIAWEB", via="web identity")
        assert len(server.requests) == 1


def keys(name, life_s):
    return {"Code": "Success", "AccessKeyId": name, "SecretAccessKey": "s", "Token": "tok", "Expiration": after(life_s)}


def test_aws_container_endpoint(tmp_path):
    token = tmp_path / "auth"
    token.write_text("secret-1")
    with TokenServer(lambda r: (200, keys("ASIAC", 3600))) as server:
        with Rig("source=aws", f"container_url={server.url}", env={"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/creds?id=1"}) as rig:
            lives(fresh(rig, access_key_id="ASIAC", session_token="tok", via="container endpoint"), 3600)
        env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.url}/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "other",
               "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token)}
        with Rig("source=aws", env=env) as rig:
            fresh(rig, access_key_id="ASIAC")
        assert [r.target for r in server.requests] == ["/v2/creds?id=1", "/v1/credentials"]
        assert "authorization" not in server.requests[0].headers
        assert server.requests[1].headers["authorization"] == "secret-1"


@pytest.mark.parametrize("uri", ["http://10.0.0.1/x", "http://169.254.169.254/x", "http://example.com/x", "ftp://127.0.0.1/"])
def test_aws_container_token_goes_nowhere_else(uri):
    with Rig("source=aws", env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": uri, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "secret"}) as rig:
        refused(rig, "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor an address of ECS or EKS")


class Imds:
    def __init__(self, life_s=3600, end_sessions=0):
        self.life_s, self.end_sessions, self.sessions = life_s, end_sessions, 0

    def __call__(self, r):
        if r.method == "PUT":
            self.sessions += 1
            assert r.path == "/latest/api/token" and r.headers["x-aws-ec2-metadata-token-ttl-seconds"] == "21600"
            return 200, f"session-{self.sessions}"
        if r.headers.get("x-aws-ec2-metadata-token") != f"session-{self.sessions}":
            return 401, "who?"
        if r.path == "/latest/meta-data/iam/security-credentials/":
            return 200, "my-role\n"
        if self.end_sessions > 0:
            self.end_sessions -= 1
            return 401, "expired"
        return (200, keys("ASIAI", self.life_s)) if r.path.endswith("/my-role") else (404, "no")


def test_aws_instance_metadata():
    with TokenServer(Imds()) as server:
        with Rig("source=aws", f"metadata_url={server.url}") as rig:
            lives(fresh(rig, access_key_id="ASIAI", via="instance metadata"), 3600)
        assert [r.method for r in server.requests] == ["PUT", "GET", "GET"]
    with TokenServer(Imds(end_sessions=1)) as server:
        with Rig("source=aws-metadata", env={"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url + "/"}) as rig:
            fresh(rig, access_key_id="ASIAI")
        assert [r.method for r in server.requests] == ["PUT", "GET", "GET", "PUT", "GET", "GET"]
    with Rig("source=aws", env={"AWS_EC2_METADATA_DISABLED": "true"}) as rig:
        refused(rig, "instance metadata is disabled")


def test_aws_instance_metadata_that_is_late_is_used_a_while():
    with TokenServer(Imds(life_s=-60)) as server:
        with Rig("source=aws", f"metadata_url={server.url}") as rig:
            event = fresh(rig, access_key_id="ASIAI")
            assert 280_000 <= event["expires_in_ms"] <= 600_000


def test_aws_instance_without_a_role_is_named():
    with TokenServer(lambda r: (200, "s") if r.method == "PUT" else (404, "")) as server:
        with Rig("source=aws", f"metadata_url={server.url}") as rig:
            refused(rig, "instance metadata: the instance has no role")


# ---- Google ----


@pytest.fixture(scope="module")
def rsa(tmp_path_factory):
    where = tmp_path_factory.mktemp("rsa")
    private, public = where / "private.pem", where / "public.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def service_account(rsa, url, **more):
    return {"type": "service_account", "project_id": "p", "private_key_id": "k1", "private_key": rsa[0].read_text(),
            "client_email": "weir@p.iam.gserviceaccount.com", "token_uri": url, **more}


def test_google_service_account(tmp_path, rsa):
    with TokenServer(Issuer()) as server:
        file = tmp_path / "key.json"
        file.write_text(json.dumps(service_account(rsa, server.url + "/token", quota_project_id="billed")))
        with Rig("source=google", env={"GOOGLE_APPLICATION_CREDENTIALS": str(file)}) as rig:
            lives(fresh(rig, secret="t1", project="billed", via="credential file"), 3600)
        request = server.requests[0]
        assert request.path == "/token" and request.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        header, claims, signature = request.form["assertion"].split(".")
        assert json.loads(unbase64(header)) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
        said = json.loads(unbase64(claims))
        assert said["iss"] == "weir@p.iam.gserviceaccount.com" and said["aud"] == server.url + "/token" and said["scope"] == SCOPE
        assert said["exp"] - said["iat"] == 3600 and abs(said["iat"] - time.time()) < 10
        (tmp_path / "sig").write_bytes(unbase64(signature))
        checked = subprocess.run(["openssl", "dgst", "-sha256", "-verify", rsa[1], "-signature", tmp_path / "sig"],
                                 input=f"{header}.{claims}".encode(), capture_output=True)
        assert checked.stdout == b"Verified OK\n"


def test_google_file_of_gcloud_and_its_refusal(tmp_path):
    folder = tmp_path / ".config" / "gcloud"
    folder.mkdir(parents=True)
    file = folder / "application_default_credentials.json"
    with TokenServer(Issuer()) as server:
        file.write_text(json.dumps({"type": "authorized_user", "client_id": "id", "client_secret": "s", "refresh_token": "1//r"}))
        with Rig("source=google", f"token_url={server.url}", env={"HOME": str(tmp_path)}) as rig:
            fresh(rig, secret="t1")
        assert server.requests[0].form == {"grant_type": "refresh_token", "client_id": "id", "client_secret": "s", "refresh_token": "1//r"}
        server.answer = lambda r: (400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."})
        with Rig("source=google", f"token_url={server.url}", env={"CLOUDSDK_CONFIG": str(folder)}) as rig:
            refused(rig, "the token endpoint: invalid_grant: Token has been expired or revoked.")
        file.write_text('{"type":"service_account"}')
        with Rig("source=google", env={"HOME": str(tmp_path)}) as rig:
            refused(rig, str(file), "no client_email")


def external(server, **source):
    return {"type": "external_account", "audience": "//iam.googleapis.com/pool", "token_url": server.url + "/sts",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "credential_source": source}


def test_google_workload_identity_federation(tmp_path):
    subject, file = tmp_path / "subject", tmp_path / "adc.json"
    subject.write_text("subject-1\n")

    def answer(r):
        if r.path == "/subject":
            assert r.headers["x-flavor"] == "y"
            return 200, {"id_token": "subject-2"}
        if r.path == "/sts":
            return 200, {"access_token": "sts-" + r.form["subject_token"], "expires_in": 3600, "token_type": "Bearer"}
        assert r.path == "/impersonate" and r.headers["authorization"] == "Bearer sts-subject-1"
        assert json.loads(r.body) == {"scope": [SCOPE], "lifetime": "3600s"}
        return 200, {"accessToken": "as-account", "expireTime": after(1800)}

    with TokenServer(answer) as server:
        config = external(server, file=str(subject))
        file.write_text(json.dumps(config))
        with Rig("source=google-file", f"file={file}") as rig:
            fresh(rig, secret="sts-subject-1")
        file.write_text(json.dumps({**config, "service_account_impersonation_url": server.url + "/impersonate"}))
        with Rig("source=google-file", f"file={file}") as rig:
            lives(fresh(rig, secret="as-account"), 1800)
        file.write_text(json.dumps(external(server, url=server.url + "/subject", headers={"x-flavor": "y"},
                                            format={"type": "json", "subject_token_field_name": "id_token"})))
        with Rig("source=google-file", f"file={file}") as rig:
            fresh(rig, secret="sts-subject-2")
        exchange = server.requests[0].form
        assert exchange["audience"] == "//iam.googleapis.com/pool" and exchange["scope"] == SCOPE
        assert exchange["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"


def test_google_metadata_server_must_say_who_it_is():
    issuer = Issuer()
    with TokenServer(lambda r: (*issuer(r), {"Metadata-Flavor": "Google"})) as server:
        with Rig("source=google", f"metadata_url={server.url}") as rig:
            lives(fresh(rig, secret="t1", via="metadata server"), 3600)
        request = server.requests[0]
        assert request.headers["metadata-flavor"] == "Google" and request.query == {"scopes": SCOPE}
        assert request.path == "/computeMetadata/v1/instance/service-accounts/default/token"
    with TokenServer(Issuer()) as server:
        with Rig("source=google", env={"GCE_METADATA_HOST": f"127.0.0.1:{server.port}"}) as rig:
            refused(rig, "not Google's")


# ---- Azure ----


def test_azure_client_secret():
    env = {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "app", "AZURE_CLIENT_SECRET": "s~&"}
    with TokenServer(Issuer(life_s=3599, ext_expires_in=3599)) as server:
        with Rig("source=azure", env={**env, "AZURE_AUTHORITY_HOST": server.url + "/"}) as rig:
            lives(fresh(rig, secret="t1", via="client secret"), 3599)
        request = server.requests[0]
        assert request.path == "/tenant/oauth2/v2.0/token"
        assert request.form == {"grant_type": "client_credentials", "client_id": "app", "client_secret": "s~&",
                                "scope": "https://cognitiveservices.azure.com/.default"}
        server.answer = lambda r: (401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret"})
        with Rig("source=azure", f"token_url={server.url}", "scope=https://ai.azure.com/.default", env=env) as rig:
            refused(rig, "Entra: invalid_client: AADSTS7000215")
        assert server.requests[-1].form["scope"] == "https://ai.azure.com/.default"


def test_azure_workload_identity(tmp_path):
    file = tmp_path / "token"
    file.write_text("projected\n")
    env = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "app", "AZURE_FEDERATED_TOKEN_FILE": str(file)}
    with TokenServer(Issuer()) as server:
        with Rig("source=azure", f"token_url={server.url}", env=env) as rig:
            fresh(rig, secret="t1", via="workload identity")
        form = server.requests[0].form
        assert form["client_assertion"] == "projected" and "client_secret" not in form
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def test_azure_managed_identity():
    answer = {"access_token": "mi", "expires_on": str(int(time.time()) + 7200), "resource": "r", "token_type": "Bearer"}
    with TokenServer(lambda r: (200, answer)) as server:
        with Rig("source=azure", f"metadata_url={server.url}", "account=user-assigned") as rig:
            lives(fresh(rig, secret="mi", via="managed identity"), 7200)
        request = server.requests[0]
        assert request.path == "/metadata/identity/oauth2/token" and request.headers["metadata"] == "true"
        assert request.query == {"api-version": "2018-02-01", "resource": "https://cognitiveservices.azure.com", "client_id": "user-assigned"}
        with Rig("source=azure", env={"IDENTITY_ENDPOINT": server.url + "/msi/token", "IDENTITY_HEADER": "h"}) as rig:
            fresh(rig, secret="mi")
        request = server.requests[1]
        assert request.path == "/msi/token" and request.headers["x-identity-header"] == "h" and request.query["api-version"] == "2019-08-01"


# ---- Time ----


def entra(server):
    return ["source=azure-secret", "tenant=t", "client_id=c", "client_secret=s", f"token_url={server.url}"]


def test_a_token_is_renewed_before_it_ends():
    with TokenServer(Issuer(life_s=1)) as server:
        with Rig(*entra(server)) as rig:
            ends = None
            for turn in range(1, 9):
                event = fresh(rig, secret=f"t{turn}")
                assert ends is None or event["t"] < ends
                ends = event["t"] + event["expires_in_ms"]
        gaps = [b.at - a.at for a, b in zip(server.requests, server.requests[1:])]
        assert all(0.6 < gap < 0.9 for gap in gaps), gaps


def test_the_issuers_wish_is_followed():
    with TokenServer(Issuer(life_s=3600, refresh_in=1)) as server:
        with Rig(*entra(server)) as rig:
            first, second = fresh(rig, secret="t1"), fresh(rig, secret="t2")
            assert 800 < second["t"] - first["t"] < 1500


def test_a_failed_refresh_keeps_the_token_until_it_ends():
    issuer = Issuer(life_s=2)
    with TokenServer(issuer) as server:
        with Rig(*entra(server)) as rig:
            first = fresh(rig, secret="t1")
            issuer.failure = (503, "<html>down</html>")
            failing = rig.next()
            assert failing["state"] == "failing" and failing["secret"] == "t1" and "Entra: status 503" in failing["why"]
            lost = rig.next()
            while lost["state"] == "failing":
                lost = rig.next()
            assert lost["state"] == "auth_error" and "secret" not in lost and "status 503" in lost["why"]
            assert abs(lost["t"] - first["t"] - first["expires_in_ms"]) < 300
            assert rig.status()["state"] == "auth_error"
            issuer.failure = None
            fresh(rig, secret="t2", why="")
            assert rig.status()["state"] == "fresh"


def test_a_first_failure_is_told_at_once_and_mended():
    issuer = Issuer()
    issuer.failure = (500, {"error": "server_error"})
    with TokenServer(issuer) as server:
        with Rig(*entra(server)) as rig:
            refused(rig, "server_error")
            rig.silent(0.3)  # told once
            issuer.failure = None
            fresh(rig, secret="t1")


def test_pauses_grow_and_a_final_refusal_is_not_pressed():
    issuer = Issuer()
    issuer.failure = (503, "")
    with TokenServer(issuer) as server:
        with Rig(*entra(server), "retry_max_ms=100000") as rig:
            refused(rig, "503")
            time.sleep(1.6)
        gaps = [b.at - a.at for a, b in zip(server.requests, server.requests[1:])]
        assert 4 <= len(gaps) <= 6 and all(b > 1.3 * a for a, b in zip(gaps, gaps[1:])), gaps
        server.requests.clear()
        issuer.failure = (400, {"error": "invalid_grant"})
        with Rig(*entra(server), "retry_max_ms=100000") as rig:
            refused(rig, "invalid_grant")
            time.sleep(0.6)
            assert len(server.requests) == 1


def test_a_refused_token_is_fetched_anew():
    with TokenServer(Issuer()) as server:
        with Rig(*entra(server), "gap_ms=400") as rig:
            fresh(rig, secret="t1")
            rig.tell("refresh 0")  # too soon after the last
            rig.silent(0.3)
            time.sleep(0.2)
            rig.tell("refresh 0")
            fresh(rig, secret="t2")
            assert len(server.requests) == 2 and rig.status()["refreshes"] == 2


def test_a_new_configuration_leaves_what_did_not_change():
    with TokenServer(Issuer()) as server:
        with Rig(*entra(server), *entra(server), "scope=other") as rig:
            fresh(rig), fresh(rig)
            rig.tell("keep 1")
            rig.silent(0.3)
            assert rig.status()["refreshes"] == 1 and len(server.requests) == 2
            rig.tell("keep 2")
            fresh(rig, secret="t3", id=1)


def test_a_silent_metadata_service_is_left():
    with TokenServer(lambda r: None) as server:
        began = time.monotonic()
        with Rig("source=azure-managed", f"metadata_url={server.url}", "metadata_ms=300") as rig:
            refused(rig, "the managed identity endpoint: no answer in time")
            assert time.monotonic() - began < 3


# ---- The way there ----


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    where = tmp_path_factory.mktemp("tls")
    names = [where / "cert.pem", where / "key.pem"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1", "-out", names[0], "-keyout", names[1]],
                   check=True, capture_output=True)
    return names


def test_a_token_endpoint_is_trusted_by_its_certificate(certificate):
    with TokenServer(Issuer(), tls=certificate) as server:
        with Rig(f"ca={certificate[0]}", *entra(server)) as rig:
            fresh(rig, secret="t1")
        with Rig(*entra(server), env={"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}) as rig:
            refused(rig, "Entra: certificate")
        assert len(server.requests) == 1


def test_a_redirect_is_not_followed():
    with TokenServer(lambda r: (302, "", {"Location": "/other"})) as server:
        with Rig(*entra(server)) as rig:
            refused(rig, "Entra: status 302")
        assert {r.path for r in server.requests} == {"/t/oauth2/v2.0/token"}


def test_nothing_secret_is_told(tmp_path):
    """An endpoint that sends the secret back does not get it into a log."""
    with TokenServer(lambda r: (400, {"error": "bad", "error_description": "\x1b[31m\r\nforged: line"})) as server:
        with Rig(*entra(server)) as rig:
            why = refused(rig, "Entra: bad")["why"]
            assert "\x1b" not in why and "\n" not in why
