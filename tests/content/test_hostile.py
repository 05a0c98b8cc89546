"""What hostile templates come to: a finding or a clean limit, in little time and little memory."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

from tests.content import hostile


@pytest.fixture(scope="module")
def outcome():
    """Look all of them over in one process, so that its memory can be told."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.content.hostile"],
        capture_output=True,
        check=True,
        cwd=settings.BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
    )
    return json.loads(done.stdout)


class TestHostileTemplates:
    @pytest.mark.parametrize("name", [*hostile.LIQUID, *hostile.MARKUP, *hostile.MJML])
    def test_end_with_a_sentence_within_seconds(self, outcome, name):
        errors, seconds, _ = outcome["said"][name]
        assert errors
        assert all(sentence.endswith(".") for sentence in errors)
        assert seconds < 5

    @pytest.mark.parametrize("name", [*hostile.STYLED, *hostile.OPEN, *hostile.BESIDE])
    def test_end_where_patterns_look_for_an_end(self, outcome, name):
        errors, seconds, is_rendered = outcome["said"][name]
        assert errors or is_rendered
        assert seconds < 5

    @pytest.mark.parametrize("name", hostile.NAMES)
    def test_end_where_names_are_held_against_conditions(self, outcome, name):
        _, seconds, is_found = outcome["said"][name]
        assert is_found == (name == "names beside long conditions")
        assert seconds < 5

    @pytest.mark.parametrize("name", hostile.GAPS)
    def test_end_where_their_text_is_derived(self, outcome, name):
        _, seconds, is_derived = outcome["said"][name]
        assert is_derived
        assert seconds < 5

    @pytest.mark.parametrize("name", ["blocks", *hostile.MJML, *hostile.BESIDE])
    def test_end_where_they_are_opened_visually(self, outcome, name):
        assert outcome["said"][f"{name}, opened visually"][1] < 5

    def test_leave_memory_alone(self, outcome):
        assert max(outcome["kilobytes"]) < 200 * 1024


class TestHostileData:
    @pytest.mark.parametrize(
        ("name", "never"),
        [
            ("a header through data", "\n"),
            ("a parameter through data", "&amp;admin"),
            ("a parameter through data", "&admin"),
            ("a declaration through data", "display:none"),
            ("an element through data", "<script"),
            ("an attribute through data", "' onerror='"),
            ("an address that runs a script", "javascript:"),
        ],
    )
    def test_breaks_out_of_nothing(self, outcome, name, never):
        assert all(never not in part for part in outcome["filled"][name])
