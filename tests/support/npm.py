"""Packages from npm that are too large for every set-up: pinned by a package.json in tests/, kept in .deps/NAME, installed when first wanted."""
import os
import shutil
import subprocess

DEPS = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".deps"))


def node():
    ours = os.path.join(DEPS, "bin", "node")
    return ours if os.access(ours, os.X_OK) else "node"


def folder(name):
    return os.path.join(DEPS, name)


def install(name, source):
    """Once, and again when source/package.json changes."""
    wanted, at = os.path.join(source, "package.json"), folder(name)
    stamp = os.path.join(at, "installed.json")
    with open(wanted, encoding="utf-8") as f:
        text = f.read()
    if os.path.exists(stamp) and open(stamp, encoding="utf-8").read() == text:
        return
    os.makedirs(at, exist_ok=True)
    shutil.copyfile(wanted, os.path.join(at, "package.json"))
    path = os.path.join(DEPS, "bin") + ":" + os.environ["PATH"]
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=at, check=True, env={**os.environ, "PATH": path})
    shutil.copyfile(wanted, stamp)
