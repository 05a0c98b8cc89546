import errno
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailops.lib import env as parse
from mailops.lib.installation_keys import kept_keys


class TestKeptKeys:
    def test_are_made_once_and_private(self, tmp_path):
        made = kept_keys(tmp_path / "home", make=True)
        assert kept_keys(tmp_path / "home", make=True) == made
        assert (tmp_path / "home" / "secrets.json").stat().st_mode & 0o777 == 0o600

    def test_are_on_the_disk_before_anything_is_sealed_with_them(self, tmp_path, monkeypatch):
        synced = []
        monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
        home = tmp_path / "home"
        kept_keys(home, make=True)
        assert synced == [path.stat().st_ino for path in (home / "secrets.json", home, tmp_path)]

    def test_are_made_where_a_folder_can_not_be_synced(self, tmp_path, monkeypatch):
        def fsync(file):
            if stat.S_ISDIR(os.fstat(file).st_mode):
                raise OSError(errno.EINVAL, "not on this file system")

        monkeypatch.setattr(os, "fsync", fsync)
        assert kept_keys(tmp_path, make=True)

    def test_can_be_read_as_settings(self, tmp_path):
        made = kept_keys(tmp_path, make=True)
        assert parse.long_secret(made["SECRET_KEY"])
        assert parse.keys(made["MAILOPS_SECRET_KEYS"])
        assert list(parse.named_keys(made["MAILOPS_TOKEN_KEYS"])) == ["k1"]

    def test_are_the_same_for_processes_that_start_together(self, tmp_path):
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda _: kept_keys(tmp_path, make=True), range(8)))
        assert all(keys == made[0] for keys in made)
        assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]

    def test_are_not_made_unasked(self, tmp_path):
        assert kept_keys(tmp_path, make=False) == {}

    @pytest.mark.parametrize("text", ["{", "[]", json.dumps({"SECRET_KEY": 1})])
    def test_a_file_that_is_not_ours_is_named(self, tmp_path, text):
        (tmp_path / "secrets.json").write_text(text)
        with pytest.raises(ValueError, match=r"secrets\.json"):
            kept_keys(tmp_path, make=True)
