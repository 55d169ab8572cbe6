"""Runs the parts of the test suite in order and sums their counts. Started by tools/test, which has done the set-up.

The last line is "N passed, N failed" (", N skipped"); exit 1 if anything failed or nothing ran. Parts with a runner of their
own (tests/PART/run) print such a line as their last, too. Logs: build/test-logs.
"""
import argparse
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, "build", "test-logs")
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")
CORES = os.cpu_count() or 2
# Flow stories mostly wait for sockets and timers, so a few more than there are cores run side by side.
FLOW_JOBS = os.environ.get("WEIR_TEST_JOBS", str(min(2 * CORES, 8)))


class Result:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []  # (name, last lines)
        self.notes = []

    def fail(self, name, text=""):
        self.failed += 1
        self.failures.append((name, text))


def tail(text, lines=30):
    return "\n".join(text.rstrip().splitlines()[-lines:])


def errors(text):
    """What a compiler or linker complained of, without the command lines around it."""
    told = [line for line in text.splitlines() if re.search(r"\berror: |undefined reference|ERROR:", line)]
    return tail("\n".join(told) or text)


def run(command, log, timeout_s, env=None):
    """Runs a command in its own process group, output to build/test-logs/LOG; returns (exit code, output). 124: timed out."""
    path = os.path.join(LOGS, log + ".log")
    with open(path, "w", encoding="utf-8") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=ROOT, env=env, start_new_session=True
        )
        try:
            code = process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            code = 124
            out.write(f"\ntimed out after {timeout_s} s\n")
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
    with open(path, encoding="utf-8", errors="replace") as f:
        return code, f.read()


def environment():
    env = dict(os.environ)
    env["PATH"] = os.path.join(ROOT, ".deps", "bin") + os.pathsep + env["PATH"]
    env["WEIR_SOURCE_ROOT"] = ROOT
    env["WEIR_BIN"] = os.path.join(ROOT, "build", "debug")
    env["WEIR_RELEASE_BIN"] = os.path.join(ROOT, "build", "release")
    env.setdefault("WEIR_SHARED", os.path.join(ROOT, "..", "shared"))
    # A report of any process, also of a worker that the supervisor then replaced, is a file here and so a failure.
    report = os.path.join(LOGS, "sanitizer")
    env["ASAN_OPTIONS"] = f"abort_on_error=1:detect_stack_use_after_return=1:log_path={report}"
    env["UBSAN_OPTIONS"] = f"print_stacktrace=1:halt_on_error=1:log_path={report}"
    for key in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "WEIR_STATE"):
        env.pop(key, None)  # tests never reach a real provider or a person's state
    return env


def collect_sanitizer_reports(result, part):
    for path in sorted(glob.glob(os.path.join(LOGS, "sanitizer.*"))):
        with open(path, encoding="utf-8", errors="replace") as f:
            result.fail(f"{part}: {os.path.basename(path)}", "\n".join(f.read().splitlines()[:25]))
        os.rename(path, os.path.join(LOGS, f"{part}-{os.path.basename(path)}"))


def run_pytest(result, name, arguments, env, timeout_s):
    report = os.path.join(LOGS, name + ".xml")
    if os.path.exists(report):
        os.remove(report)
    command = ["/usr/bin/python3", "-m", "pytest", "-c", "tests/pytest.ini", "--rootdir=tests", "-q", f"--junitxml={report}"]
    code, output = run(command + arguments, name, timeout_s, env)
    if code == 5:  # nothing selected
        return
    failed_before = result.failed
    if os.path.exists(report):
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            case_name = f"{case.get('classname')}::{case.get('name')}"
            bad = case.find("failure") if case.find("failure") is not None else case.find("error")
            if bad is not None:
                result.fail(case_name, tail(bad.text or bad.get("message") or ""))
            elif case.find("skipped") is not None:
                result.skipped += 1
                result.notes.append(f"skipped {case_name}: {case.find('skipped').get('message')}")
            else:
                result.passed += 1
    if code != 0 and result.failed == failed_before:
        result.fail(f"{name}: pytest ended with {code}", tail(output))


def run_custom(result, part, env, timeout_s=1800, arguments=()):
    code, output = run([os.path.join(ROOT, "tests", part, "run"), *arguments], part, timeout_s, env)
    lines = output.rstrip().splitlines()
    counts = COUNTS.match(lines[-1].strip()) if lines else None
    if not counts:
        result.fail(f"tests/{part}/run: exit {code}, its last line is not its counts", tail(output))
        return
    passed, failed, skipped = (int(n or 0) for n in counts.groups())
    result.passed += passed
    result.failed += failed
    result.skipped += skipped
    if failed:
        shown = [line for line in lines if line.startswith(("FAILED", "not ok"))]
        result.failures.append((f"tests/{part}/run", tail("\n".join(shown) or output, 60)))
    elif code != 0:
        result.fail(f"tests/{part}/run: exit {code} though its counts tell no failure", tail(output))
    elif passed == 0 and skipped == 0:
        result.fail(f"tests/{part}/run: ran no test", tail(output))


# ---- The parts -------------------------------------------------------------------------------------------------------


def part_checks(options, env, result):
    code, output = run(["tools/check/run"], "check", 120, env)
    counts = COUNTS.match(output.rstrip().splitlines()[-1]) if output.strip() else None
    if not counts:
        result.fail("tools/check/run", tail(output))
    else:
        result.passed += int(counts.group(1))
        for line in output.splitlines():
            if line.startswith("aim: "):
                result.notes.append(line)
        if code != 0:
            result.failed += int(counts.group(2))
            result.failures.append(("tools/check/run", "\n".join(l for l in output.splitlines() if l.startswith("FAILED"))))
    run_pytest(result, "checks", ["tests/checks/test_checks.py"], env, 300)


def part_build(options, env, result):
    for kind in ["debug"] if options.quick else ["debug", "clang", "release"]:
        code, output = run(["tools/build", kind], f"build-{kind}", 1800, env)
        warnings = [line for line in output.splitlines() if "warning:" in line]
        if code != 0:
            result.fail(f"build {kind}", errors(output))
        elif warnings:  # the release build does not stop at a warning, the tests do
            result.fail(f"build {kind}: warnings", tail("\n".join(warnings)))
        else:
            result.passed += 1
    missing = [p for p in ("weir", "weir-dataplane", "weir-controlplane", "weir-fake") if not os.path.exists(f"build/debug/{p}")]
    if missing:
        result.fail("build debug: programs missing: " + " ".join(missing))
    if not options.quick:
        run_pytest(result, "programs", ["tests/checks/test_programs.py"], env, 300)


def part_unit(options, env, result):
    log = os.path.join(ROOT, "build/debug/meson-logs/testlog.json")
    if os.path.exists(log):
        os.remove(log)
    command = ["meson", "test", "-C", "build/debug", "--num-processes", str(CORES)]
    code, output = run(command, "unit", 1200, env)
    if not os.path.exists(log):
        result.fail("meson test", tail(output))
        return
    failed_before = result.failed
    with open(log, encoding="utf-8") as f:
        for test in map(json.loads, f):
            text = (test.get("stdout") or "") + (test.get("stderr") or "")
            told = re.findall(r"^(ok|not ok) (.*)", text, re.M)
            # cmocka 1.1.5 writes "not ok N # SKIP name", which meson takes for failed; newer ones write "ok".
            left_out = [rest for _, rest in told if "# SKIP" in rest]
            good = sum(1 for word, rest in told if word == "ok" and "# SKIP" not in rest)
            bad = [f"{word} {rest}" for word, rest in told if word == "not ok" and "# SKIP" not in rest]
            result.passed += good
            result.skipped += len(left_out)
            result.notes += [f"skipped {test['name']}: {line.split('# SKIP ')[-1]}" for line in left_out]
            if left_out and not bad and test["returncode"] == 0:
                continue
            if test["result"] != "OK":
                result.failed += max(1, len(bad))
                result.failures.append((f"{test['name']}: {test['result']}", tail("\n".join(bad) + "\n" + text)))
            elif good == 0:
                result.fail(f"{test['name']}: ran no test", tail(text))
    if code != 0 and result.failed == failed_before and result.skipped == 0:
        result.fail("meson test", tail(output))


def part_golden(options, env, result):
    if os.path.exists("tests/golden/run"):
        run_custom(result, "golden", env)
        return
    users = [p for p in glob.glob("tests/unit/**/*.c", recursive=True) if "tests/golden" in open(p, encoding="utf-8").read()]
    if users:
        result.notes.append("golden cases are run by the unit tests " + ", ".join(users))
    else:
        result.fail("tests/golden", "neither tests/golden/run nor a unit test that reads these cases")


def part_flow(options, env, result):
    skip_slow = " and not slow" if options.quick else ""
    run_pytest(result, "flow", ["-n", FLOW_JOBS, "--dist=load", "-m", "not serial" + skip_slow, "tests/flow"], env, 2400)
    run_pytest(result, "flow-serial", ["-m", "serial" + skip_slow, "tests/flow"], env, 2400)


def part_clients(options, env, result):
    run_custom(result, "clients", env)


def part_recordings(options, env, result):
    if not os.path.isdir(os.path.join(env["WEIR_SHARED"], "recordings")):
        result.skipped += 1
        result.notes.append(f"skipped: no recordings at {env['WEIR_SHARED']}/recordings")
        return
    run_custom(result, "recordings", env)


FUZZ_SEEDS = "build/fuzz/seeds"  # of the dialect targets, made from the golden cases
FUZZ_DIALECTS = ("reader", "writer", "stream_reader", "stream_writer", "roundtrip")  # through every dialect of the registry


def fuzz_name(target):
    return os.path.basename(target)[len("fuzz_"):]


def fuzz_seed():
    """Another one for each state of the sources, and the same wherever that state is tested: a finding can be had again."""
    done = subprocess.run(["git", "rev-parse", "HEAD^{tree}"], capture_output=True, text=True)
    return int(done.stdout[:7], 16) + 1 if done.returncode == 0 else 1


def fuzz_one(target, options, env):
    name = fuzz_name(target)
    seconds = options.fuzz_dialect_seconds if name in FUZZ_DIALECTS else options.fuzz_seconds
    work = os.path.join(ROOT, "build/fuzz/corpus", name)
    os.makedirs(work, exist_ok=True)
    corpora = [work] + [d for d in [f"tests/fuzz/corpus/{name}", f"{FUZZ_SEEDS}/{name}"] if os.path.isdir(d)]
    command = [target, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]
    command += [f"-artifact_prefix={LOGS}/{name}-", f"-seed={fuzz_seed()}"]
    code, output = run(command + corpora, "fuzz-" + name, seconds + 120, env)
    runs = re.search(r"stat::number_of_executed_units: (\d+)", output)
    edges = re.findall(r"cov: (\d+)", output)
    return name, code, output, int(runs.group(1)) if runs else 0, int(edges[-1]) if edges else 0


def part_fuzz(options, env, result):
    code, output = run(["tools/build", "fuzz"], "build-fuzz", 1800, env)
    if code != 0:
        result.fail("build fuzz", errors(output))
        return
    run(["tests/fuzz/seeds.py", FUZZ_SEEDS], "fuzz-seeds", 60, env)
    env = dict(env, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")
    targets = [t for t in glob.glob("build/fuzz/tests/fuzz_*") if os.path.isfile(t) and os.access(t, os.X_OK)]
    targets.sort(key=lambda t: (fuzz_name(t) not in FUZZ_DIALECTS, t))  # the long ones first
    sources = glob.glob("tests/fuzz/fuzz_*.c")
    if len(targets) < len(sources):
        result.fail(f"{len(sources)} fuzz sources, but {len(targets)} targets: name them in tests/meson.build")
    with ThreadPoolExecutor(CORES) as pool:
        for name, code, output, runs, edges in pool.map(lambda t: fuzz_one(t, options, env), targets):
            if code != 0:
                begin = max(output.find("ERROR:"), output.find("runtime error:"), 0)
                result.fail(f"fuzz {name}: exit {code}", "\n".join(output[begin:].splitlines()[:40]))
            elif runs == 0:
                result.fail(f"fuzz {name}: executed nothing", tail(output))
            else:
                result.passed += 1
                result.notes.append(f"fuzz {name}: {runs} executions, {edges} edges")


PARTS = {  # name: (function, the folder it needs)
    "checks": (part_checks, None),
    "build": (part_build, None),
    "unit": (part_unit, "tests/unit"),
    "golden": (part_golden, "tests/golden"),
    "flow": (part_flow, "tests/flow"),
    "clients": (part_clients, "tests/clients"),
    "recordings": (part_recordings, "tests/recordings"),
    "fuzz": (part_fuzz, "tests/fuzz"),
}
QUICK = ["checks", "build", "unit", "golden", "flow"]


def main():
    parser = argparse.ArgumentParser(prog="tools/test", description="Set-up, then every test.")
    parser.add_argument("parts", nargs="*", metavar="PART", help="only these: " + " ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="debug build, checks, unit, golden and the flow stories under 10 s")
    parser.add_argument("--fuzz-seconds", type=int, default=5, metavar="N", help="for each fuzz target (default 5)")
    parser.add_argument("--fuzz-dialect-seconds", type=int, default=60, metavar="N", help="for each of the five over all dialects (default 60)")
    options = parser.parse_args()
    unknown = [p for p in options.parts if p not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]}; there are {' '.join(PARTS)}")

    os.chdir(ROOT)
    shutil.rmtree(LOGS, ignore_errors=True)
    os.makedirs(LOGS)
    env = environment()
    passed = failed = skipped = 0
    timings = []
    for name in [p for p in PARTS if p in options.parts] if options.parts else QUICK if options.quick else list(PARTS):
        function, folder = PARTS[name]
        if folder and not os.path.isdir(folder):
            continue
        result, start = Result(), time.monotonic()
        print(f"== {name}", flush=True)
        function(options, env, result)
        collect_sanitizer_reports(result, name)
        seconds = time.monotonic() - start
        for note in result.notes:
            print(f"   {note}")
        for failure, text in result.failures:
            print(f"FAILED {name}: {failure}")
            print("".join(f"    | {line}\n" for line in text.splitlines()), end="")
        timings.append(f"{name} {seconds:.0f} s")
        print(f"== {name}: {result.passed} ok, {result.failed} not, {result.skipped} left out, {seconds:.1f} s", flush=True)
        passed, failed, skipped = passed + result.passed, failed + result.failed, skipped + result.skipped
        if name == "build" and any(failure.startswith("build debug") for failure, _ in result.failures):
            print("there is no build to test: nothing more is run")
            break
    print("times: " + ", ".join(timings))
    if passed + failed == 0:
        print("no test was executed")
        failed = 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
