"""What the release build left: hardened programs, each linked with what its folder may link and nothing else."""
import os
import pathlib
import re
import subprocess

import pytest

RELEASE = pathlib.Path(__file__).resolve().parents[2] / "build/release"
PROGRAMS = ["weir", "weir-controlplane", "weir-dataplane", "weir-fake"]


def readelf(program, *options):
    command = ["readelf", "-W", *options, str(RELEASE / program)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=dict(os.environ, LC_ALL="C")).stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_hardened(program):
    assert re.search(r"Type:\s+DYN", readelf(program, "-h")), "not position independent"
    segments = readelf(program, "-l")
    assert "GNU_RELRO" in segments
    assert re.search(r"GNU_STACK.* RW ", segments), "the stack is executable"
    assert re.search(r"FLAGS.*BIND_NOW|FLAGS_1.*NOW", readelf(program, "-d")), "symbols are bound late"
    symbols = readelf(program, "--dyn-syms")
    assert "__stack_chk_fail" in symbols
    assert re.search(r"__\w+_chk", symbols.replace("__stack_chk", "")), "no call is fortified"


@pytest.mark.parametrize(
    "program, forbidden",
    [
        ("weir", ["lmdb", "yaml"]),
        ("weir-dataplane", ["lmdb", "yaml"]),
        ("weir-fake", ["lmdb", "yaml"]),
        ("weir-controlplane", ["ssl", "crypto"]),  # TLS is mbedTLS everywhere
    ],
)
def test_links_only_what_it_may(program, forbidden):
    needed = re.findall(r"NEEDED.*\[lib([\w.+-]+?)\.so", readelf(program, "-d"))
    assert needed
    assert not [name for name in needed if name.split("-")[0] in forbidden]


@pytest.mark.parametrize("program", PROGRAMS)
def test_tells_its_version(program):
    done = subprocess.run([str(RELEASE / program), "--version"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0
    assert re.match(rf"{program} \d+\.\d+\.\d+\b", done.stdout)
