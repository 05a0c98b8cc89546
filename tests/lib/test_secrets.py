import base64
import copy
import os
import pickle
from dataclasses import replace

import pytest

from mailops.lib import secrets
from mailops.lib.secrets import BadReference, Place, Secret, Unsealable

KEYS = [base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2)]
PLACE = Place(table="t", column="c", row="1", endpoint="smtp:a:587")


@pytest.fixture(autouse=True)
def keys(settings):
    settings.MAILOPS_SECRET_KEYS = KEYS


class TestSeal:
    def test_opens_again_in_its_place(self):
        assert secrets.unseal(secrets.seal(Secret("häsch"), PLACE), PLACE).reveal() == "häsch"

    def test_two_seals_of_one_secret_differ_and_hide_it(self):
        first, second = (secrets.seal(Secret("hush-hush"), PLACE) for _ in range(2))
        assert first != second
        assert b"hush-hush" not in first

    @pytest.mark.parametrize("change", ["table", "column", "row", "endpoint"])
    def test_does_not_open_in_another_place(self, change):
        sealed = secrets.seal(Secret("x"), PLACE)
        with pytest.raises(Unsealable):
            secrets.unseal(sealed, replace(PLACE, **{change: "other"}))

    def test_parts_of_a_place_do_not_run_together(self):
        first = Place(table="ab", column="c", row="", endpoint="")
        second = Place(table="a", column="bc", row="", endpoint="")
        assert first.as_bytes() != second.as_bytes()

    def test_the_first_key_seals_and_every_key_opens(self, settings):
        sealed = secrets.seal(Secret("x"), PLACE)
        settings.MAILOPS_SECRET_KEYS = KEYS[::-1]
        assert secrets.unseal(sealed, PLACE).reveal() == "x"
        assert not secrets.is_sealed_by_first_key(sealed)
        assert secrets.is_sealed_by_first_key(secrets.seal(Secret("x"), PLACE))

    def test_a_missing_key_is_said(self, settings):
        sealed = secrets.seal(Secret("x"), PLACE)
        settings.MAILOPS_SECRET_KEYS = KEYS[1:]
        with pytest.raises(Unsealable, match="MAILOPS_SECRET_KEYS"):
            secrets.unseal(sealed, PLACE)

    @pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x02" + bytes(40)])
    def test_rubbish_does_not_open(self, sealed):
        with pytest.raises(Unsealable):
            secrets.unseal(sealed, PLACE)

    @pytest.mark.parametrize("index", [6, 20, -1])
    def test_a_changed_octet_does_not_open(self, index):
        sealed = bytearray(secrets.seal(Secret("x"), PLACE))
        sealed[index] ^= 1
        with pytest.raises(Unsealable):
            secrets.unseal(bytes(sealed), PLACE)


class TestSecret:
    def test_hides_itself(self):
        secret = Secret("canary")
        assert "canary" not in f"{secret} {secret!r} {[secret]}"

    def test_does_not_travel(self):
        with pytest.raises(TypeError):
            pickle.dumps(Secret("canary"))
        with pytest.raises(TypeError):
            copy.deepcopy(Secret("canary"))


class TestFollow:
    def test_reads_a_variable_of_ours(self, monkeypatch):
        monkeypatch.setenv("MAILOPS_SECRET_RELAY", "hush")
        assert secrets.follow("env:MAILOPS_SECRET_RELAY").reveal() == "hush"

    def test_reads_a_variable_without_its_last_line_end(self, monkeypatch):
        monkeypatch.setenv("MAILOPS_SECRET_RELAY", "hush\n")
        assert secrets.follow("env:MAILOPS_SECRET_RELAY").reveal() == "hush"

    @pytest.mark.parametrize(
        "reference",
        [
            "env:PATH",
            "env:SECRET_KEY",
            "env:MAILOPS_SECRET_KEYS",
            "env:MAILOPS_SECRET_NOT_SET",
            "env:MAILOPS_SECRET_EMPTY",
            "env:MAILOPS_SECRET_LINES",
            "vault:x",
            "",
            "file:",
            "file:../outside",
            "file:/etc/passwd",
            "file:link",
            "file:folder",
            "file:missing",
            "file:empty",
            "file:binary",
            "file:nul\0",
            "file:pipe",
            "file:huge",
            "file:lines",
            "file:linked/outside",
            "file:" + "x" * 5000,
            "file:loop",
        ],
    )
    def test_reads_nothing_else(self, reference, settings, tmp_path, monkeypatch):
        monkeypatch.setenv("MAILOPS_SECRET_KEYS", "k")
        monkeypatch.setenv("MAILOPS_SECRET_EMPTY", "\n")
        monkeypatch.setenv("MAILOPS_SECRET_LINES", "user\nsecret")
        (tmp_path / "outside").write_text("outside")
        folder = tmp_path / "secrets"
        (folder / "folder").mkdir(parents=True)
        (folder / "link").symlink_to(tmp_path / "outside")
        (folder / "empty").write_text("")
        (folder / "binary").write_bytes(b"\xff\xfe")
        os.mkfifo(folder / "pipe")
        (folder / "huge").write_text("x" * (64 * 1024 + 1))
        (folder / "lines").write_text("user\nsecret")
        (folder / "linked").symlink_to(tmp_path)
        (folder / "loop").symlink_to(folder / "loop")
        settings.MAILOPS_SECRET_FOLDER = folder
        with pytest.raises(BadReference):
            secrets.follow(reference)

    def test_reads_a_file_without_its_last_line_end(self, settings, tmp_path):
        (tmp_path / "relay").write_text("hush\n")
        settings.MAILOPS_SECRET_FOLDER = tmp_path
        assert secrets.follow("file:relay").reveal() == "hush"

    def test_needs_a_folder(self, settings):
        settings.MAILOPS_SECRET_FOLDER = None
        with pytest.raises(BadReference):
            secrets.follow("file:relay")
