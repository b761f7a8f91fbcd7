"""The programs are found by envtest's convention, and what is missing is named."""

from pathlib import Path

import pytest

from tests.control_plane.binaries import PROGRAMS, BinariesMissing, find, find_or_build


def test_the_folder_that_the_environment_names_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    for program in PROGRAMS:
        (tmp_path / program).touch(mode=0o755)
    assert find()["etcd"] == tmp_path / "etcd"


def test_missing_programs_are_named_and_never_built_into_a_chosen_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    (tmp_path / "etcd").touch(mode=0o755)
    with pytest.raises(
        BinariesMissing, match=r"make control-plane .*lacks kube-apiserver, kube-controller-manager, kubectl"
    ):
        find_or_build()
