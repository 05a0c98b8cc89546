from mailops.domains.checks.verdict import Problem, verdict_of
from mailops.domains.models import CheckStatus


def test_of_what_quotes_a_long_record_the_beginning_and_the_end_are_told():
    sentence = f"“{'x' * 60_000}” is not an SPF term: receivers answer permerror."
    verdict = verdict_of("spf", [Problem(CheckStatus.ERROR, sentence)], well="", rfc="")
    assert verdict.sentence.startswith("“xxx")
    assert verdict.sentence.endswith("x” is not an SPF term: receivers answer permerror.")
    assert len(verdict.sentence) < 1000
