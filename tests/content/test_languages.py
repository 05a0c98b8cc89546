"""Which words a reader gets."""

import pytest

from mailops.content.languages import chain


@pytest.mark.parametrize(
    ("data", "tags"),
    [
        ({"language": "pt-BR"}, ["pt-br", "pt"]),
        ({"language": "zh_Hant_TW"}, ["zh-hant-tw", "zh-hant", "zh"]),
        ({"locale": "de_DE.UTF-8"}, ["de-de", "de"]),
        ({"lang": "ca_ES@valencia"}, ["ca-es", "ca"]),
        ({"language": "German", "locale": "de-AT"}, ["de-at", "de"]),
        ({"language": ["pt"], "lang": "fr"}, ["fr"]),
        ({"language": None, "locale": 5}, []),
        ({}, []),
    ],
)
def test_are_those_of_the_first_attribute_that_names_a_language(data, tags):
    assert list(chain(data)) == tags
