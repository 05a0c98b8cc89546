import re

from django.conf import settings

from mailops.accounts.verbs import WORDS, words_of

VERB = re.compile(r"""verb(?:: str)?\s*=\s*"([a-z_]+\.[a-z_]+)"|_audit\(\s*"([a-z_]+\.[a-z_]+)\"""")


class TestWords:
    def test_every_verb_that_is_written_down_is_in_words(self):
        found = set()
        for module in (settings.BASE_DIR / "mailops").rglob("*.py"):
            found |= {one or other for one, other in VERB.findall(module.read_text())}
        assert len(found) > 40
        assert found <= set(WORDS)

    def test_a_new_verb_says_its_own_name(self):
        assert words_of("thing.do_it") == "Thing do it"
