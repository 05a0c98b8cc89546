import itertools

import pytest

from mailops.protocol.alignment import Author, Identifier, Result, align, change_to_make

ACME = "acme.example"
RELAXED = Author("news.acme.example", ACME)
STRICT = Author("news.acme.example", ACME, is_spf_strict=True, is_dkim_strict=True)


def spf(domain, organization=ACME, *, works=True):
    return Identifier(domain, organization, works, domain)


def dkim(domain, organization=ACME, *, works=True):
    return Identifier(domain, organization, works, "s1")


class TestAlign:
    @pytest.mark.parametrize(
        ("author", "envelope", "signatures", "result", "by"),
        [
            (RELAXED, spf("bounces.acme.example"), [], "pass", ("SPF",)),
            (STRICT, spf("bounces.acme.example"), [], "fail", ()),
            (STRICT, spf("news.acme.example"), [], "pass", ("SPF",)),
            (RELAXED, spf("esp.example", "esp.example"), [], "fail", ()),
            (RELAXED, spf("bounces.acme.example", works=False), [], "fail", ()),
            (RELAXED, spf("bounces.acme.example", works=None), [], "unknown", ()),
            (RELAXED, spf("esp.example", "esp.example", works=None), [], "fail", ()),
            (RELAXED, None, [dkim("acme.example")], "pass", ("DKIM",)),
            (STRICT, None, [dkim("acme.example")], "fail", ()),
            (RELAXED, None, [dkim("esp.example", "esp.example")], "fail", ()),
            (RELAXED, None, [dkim(ACME, works=False), dkim(ACME)], "pass", ("DKIM",)),
            (RELAXED, spf(ACME), [dkim(ACME)], "pass", ("SPF", "DKIM")),
            (RELAXED, spf(ACME, works=None), [dkim(ACME, works=False)], "unknown", ()),
            (RELAXED, None, [], "fail", ()),
            (RELAXED, spf("bounces.acme.example", ""), [], "fail", ()),
        ],
    )
    def test_passes_by_any_leg_that_is_aligned_and_works(
        self, author, envelope, signatures, result, by
    ):
        found = align(author, envelope, signatures)
        assert (found.result, found.passes_by) == (Result(result), by)

    def test_both_modes_are_told_whatever_is_in_force(self):
        found = align(RELAXED, spf("bounces.acme.example"), [])
        assert found.result_if(is_strict=False) is Result.PASS
        assert found.result_if(is_strict=True) is Result.FAIL

    def test_what_passes_strictly_passes_relaxedly(self):
        domains = ["news.acme.example", ACME, "esp.example"]
        for one, other, works in itertools.product(domains, domains, [True, False, None]):
            organization = ACME if one.endswith(ACME) else one
            found = align(RELAXED, Identifier(one, organization, works), [dkim(other, other)])
            if found.result_if(is_strict=True) is Result.PASS:
                assert found.result_if(is_strict=False) is Result.PASS


class TestChangeToMake:
    @pytest.mark.parametrize(
        ("author", "envelope", "signatures", "words"),
        [
            (RELAXED, spf(ACME), [dkim(ACME)], ""),
            (RELAXED, spf(ACME), [], "breaks when mail is forwarded"),
            (RELAXED, spf(ACME), [dkim(ACME, works=False)], "Mend the DKIM key s1"),
            (RELAXED, spf("esp.example", "esp.example"), [], "a host under acme.example"),
            (STRICT, spf(ACME), [], "Or use news.acme.example as the return path"),
            (RELAXED, spf(ACME, works=False), [], "Or mend the SPF record of acme.example"),
            (RELAXED, None, [], "name its DKIM selector on the transport"),
        ],
    )
    def test_names_the_nearest_way(self, author, envelope, signatures, words):
        told = change_to_make(align(author, envelope, signatures))
        assert words in told if words else told == ""

    def test_where_mailops_signs_it_sends_to_its_keys(self):
        told = change_to_make(align(RELAXED, None, []), signs_here=True)
        assert "Signing page of news.acme.example" in told
