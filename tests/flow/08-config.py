"""weir config without a running weir: check, show, schema, init, as people and CI call it."""
import glob
import json
import os
import subprocess

import processes
import pytest

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "config")
CANARY = "sk-canary-0123456789"
KEYS = {"OPENAI_API_KEY": CANARY, "ANTHROPIC_API_KEY": CANARY + "b"}


def run(*arguments, text=None, **env):
    kept = {k: v for k, v in os.environ.items() if k not in KEYS}
    command = [processes.program("weir-controlplane"), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, env={**kept, **env}, timeout=60)
    assert CANARY not in done.stdout + done.stderr
    return done


def test_check_tells_place_line_caret_and_a_way_out(tmp_path):
    path = tmp_path / "weir.yaml"
    path.write_text("version: 1\nproviders:\n  openai: {type: openai, api_key: \"${OPENAI_API_KEY}\"}\n"
                    "routes:\n  chat:\n    targets: [{model: openai/gpt-x}]\n    fallback: []\n")
    done = run("--check-config", str(path), **KEYS)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == (f'{path}:7:5: unknown key "fallback" in routes.chat\n'
                           "    7 |     fallback: []\n"
                           '      |     ^~~~~~~~  did you mean "fallbacks"?\n'
                           "1 error\n")
    report = json.loads(run("--check-config", str(path), "--format", "json", **KEYS).stdout)
    assert not report["ok"] and report["problems"][0]["line"] == 7 and report["problems"][0]["column"] == 5
    assert run("--check-config", str(path), "--format=github", **KEYS).stdout == (
        f"::error file={path},line=7,col=5::unknown key \"fallback\" in routes.chat (did you mean \"fallbacks\"?)\n")


def test_check_accepts_and_counts(tmp_path):
    done = run("--check-config", os.path.join(GOLDEN, "full.yaml"), **KEYS)
    assert (done.returncode, done.stderr) == (0, "")
    assert "providers: 8, routes: 4, keys: 2" in done.stdout
    with open(os.path.join(GOLDEN, "smallest.yaml"), encoding="utf-8") as f:
        assert run("--check-config", "-", text=f.read(), **KEYS).returncode == 0


@pytest.mark.parametrize("arguments", [["--check-config"], ["--check-config", "a", "b"], ["--check-config", "a", "--format", "xml"],
                                       ["--show-config", "--nothing"]])
def test_usage(arguments):
    done = run(*arguments)
    assert done.returncode == 2 and "usage:" in done.stderr


def test_files_that_are_no_configuration(tmp_path):
    assert "No such file" in run("--check-config", str(tmp_path / "none.yaml")).stderr
    assert "no ordinary file" in run("--check-config", str(tmp_path)).stderr
    large = tmp_path / "large.yaml"
    large.write_text("# " + "x" * (10 << 20) + "\n")
    assert "larger than 10485760 bytes" in run("--check-config", str(large)).stderr
    os.mkfifo(tmp_path / "pipe")  # must not wait for a writer
    assert "no ordinary file" in run("--check-config", str(tmp_path / "pipe")).stderr


def test_a_key_from_a_file(tmp_path):
    key = tmp_path / "key"
    config = tmp_path / "weir.yaml"
    config.write_text(f"version: 1\nproviders: {{a: {{type: openai, api_key_file: {key}}}}}\nroutes: {{p: {{match: \"*/*\"}}}}\n")
    key.write_text(CANARY + "\n")
    assert run("--check-config", str(config)).returncode == 0
    for content, said in [("", "is empty"), ("\n", "is empty"), (CANARY + "\nmore\n", "blanks, line ends"), ("x" * 20000, "larger than")]:
        key.write_text(content)
        done = run("--check-config", str(config))
        assert done.returncode == 1 and said in done.stderr


def test_init_prints_what_the_environment_stands_for(tmp_path):
    first = run("--init-config", **KEYS)
    assert first.returncode == 0
    path = tmp_path / "weir.yaml"
    path.write_text(first.stdout)
    assert run("--show-config", str(path), **KEYS).stdout == run("--show-config", **KEYS).stdout
    only = run("--init-config", ANTHROPIC_API_KEY="x").stdout
    assert "claude-*" in only and "openai" not in only
    for verb in ["--init-config", "--show-config"]:
        assert run(verb).returncode == 1


def test_show_tells_where_a_value_comes_from():
    shown = run("--show-config", os.path.join(GOLDEN, "variables-used.yaml"), "--origin", EMPTY="", PORT="8495", **KEYS).stdout
    assert "max_connections: 77  # " in shown and ":5 ${NOT_SET:-77}" in shown
    assert "drain_timeout: 25s  # default" in shown


def test_the_schema_agrees_with_the_reader():
    jsonschema = pytest.importorskip("jsonschema")
    yaml = pytest.importorskip("yaml")
    schema = json.loads(run("--config-schema").stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    refused_by_both = 0
    for path in sorted(glob.glob(os.path.join(GOLDEN, "*.yaml"))):
        with open(path, "rb") as f, open(path[:-5] + ".expected", encoding="utf-8") as e:
            accepted = e.read().find("---\nversion") >= 0
            try:
                data = yaml.safe_load(f)
            except (yaml.YAMLError, UnicodeDecodeError):
                assert not accepted
                continue
        if accepted:
            assert [e.message for e in validator.iter_errors(data)] == [], path
        elif not validator.is_valid(data):
            refused_by_both += 1
    assert refused_by_both >= 8  # what one value or name says; the rest is about several together


def test_keys_lists_what_can_be_written():
    listed = run("--config-keys").stdout.splitlines()
    assert any(line.startswith("routes.NAME.timeout.first_token ") and "[10m]" in line for line in listed)
    only = run("--config-keys", "server.admin").stdout.splitlines()
    assert [line.split()[0] for line in only] == ["server.admin.socket", "server.admin.http"]
    assert run("--config-keys", "nonsense").returncode == 1
