import pytest

from mailops.lib.enumerating import enumerated


@pytest.mark.parametrize(
    ("names", "said"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_names_several_things_in_a_sentence(names, said):
    assert enumerated(iter(names)) == said
