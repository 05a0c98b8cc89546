import pytest

from mailops.lib.mailbox_providers import NAMES, PROVIDER_BY_EXCHANGE, name_of
from mailops.lib.templatetags.words import FAULTS, fault_words, reason_sentence, reason_word
from mailops.protocol.classification import Fault, Reason


class TestWords:
    def test_every_provider_has_a_name(self):
        assert set(PROVIDER_BY_EXCHANGE.values()) == set(NAMES)

    def test_a_provider_without_one_is_called_by_its_domain(self):
        assert name_of("example.net") == "example.net"
        assert name_of("") == "not known"

    def test_every_fault_is_in_words(self):
        assert set(FAULTS) == set(Fault)
        assert fault_words("recipient") == "it lies with the recipient"

    @pytest.mark.parametrize("reason", list(Reason))
    def test_every_reason_is_in_words(self, reason):
        assert reason_sentence(reason).endswith(".")
        assert "_" not in reason_word(reason)

    def test_our_own_reasons_have_a_sentence_and_nonsense_has_none(self):
        assert reason_sentence("no_final_reply")
        assert reason_sentence("nonsense") == ""


def test_acronyms_stay_acronyms():
    assert reason_word("tls_failed") == "TLS failed"
    assert reason_word("no_reverse_dns") == "No reverse DNS"
    assert reason_word("mailbox_full") == "Mailbox full"
    assert reason_word("") == "No reason given"


def test_an_address_may_name_a_reason_that_is_no_word():
    assert reason_word("_") == "No reason given"
    assert reason_word("__full_") == "Full"
