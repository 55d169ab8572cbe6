"""tools/check/run finds each breach that is planted in a small tree, and nothing in the clean one."""
import pathlib
import subprocess

import pytest

CHECK = pathlib.Path(__file__).resolve().parents[2] / "tools/check/run"


def run(root):
    return subprocess.run([str(CHECK), str(root)], capture_output=True, text=True)


@pytest.fixture
def tree(tmp_path):
    for folder in ("dataplane", "controlplane", "shm", "proto", "tools", "tests"):
        (tmp_path / folder).mkdir()
    for name in ("meson.build", "README.md", "LICENSE"):
        (tmp_path / name).write_text("x\n")
    (tmp_path / "proto/a.c").write_text('#include "proto/a.h"\n')
    return tmp_path


def test_clean_tree_passes(tree):
    done = run(tree)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].endswith("passed, 0 failed")


@pytest.mark.parametrize(
    "path, text, says",
    [
        ("proto/b.c", '#include "shm/layout.h"\n', "proto may not include shm/layout.h"),
        ("dataplane/b.c", '#include "controlplane/x.h"\n', "dataplane may not include controlplane/x.h"),
        ("controlplane/b.h", '#include "dataplane/x.h"\n', "controlplane may not include dataplane/x.h"),
        ("shm/b.c", '#include "b.h"\n', "shm may not include b.h"),
        ("proto/b.c", "#include <uv.h>\n", "proto may not use <uv.h>"),
        ("dataplane/b.c", "#include <lmdb.h>\n", "dataplane may not use <lmdb.h>"),
        ("shm/b.c", "int f(char *a)\n{\n    return sprintf(a, x);\n}\n", "sprintf is banned"),
        ("shm/b.c", "x\n" * 801, "801 lines, the limit is 800"),
        ("tools/b.sh", "curl registry" + ".npmjs" + ".org\n", "names a package registry"),
        ("docs/b.md", "x\n", "docs: does not belong at the top"),
    ],
)
def test_planted_breach_is_found(tree, path, text, says):
    file = tree / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    done = run(tree)
    assert done.returncode == 1
    assert says in done.stdout


@pytest.mark.parametrize("line", ['    puts("strcpy(a, b)");', "    snprintf(a, n, x); /* not sprintf(a) */", "    r.gets(x);"])
def test_harmless_lines_pass(tree, line):
    (tree / "shm/b.c").write_text(line + "\n")
    assert "is banned" not in run(tree).stdout


@pytest.mark.parametrize(
    "folder, visible, include, compiles",
    [
        ("dataplane", ["dataplane", "shm", "proto"], "proto/a.h", True),
        ("dataplane", ["dataplane", "shm", "proto"], "controlplane/a.h", False),
        ("proto", ["proto"], "shm/a.h", False),
    ],
)
def test_forbidden_include_does_not_compile(tree, folder, visible, include, compiles):
    for name in ("proto", "shm", "controlplane", "dataplane"):
        (tree / name / "a.h").write_text("\n")
    source = tree / folder / "b.c"
    source.write_text(f'#include "{include}"\n')
    view = tree / "view"
    subprocess.run([str(CHECK.parent / "make-view"), str(tree), str(view), *visible], check=True)
    done = subprocess.run(["gcc", "-fsyntax-only", f"-I{view}", str(source)], capture_output=True, text=True)
    assert (done.returncode == 0) == compiles, done.stderr
