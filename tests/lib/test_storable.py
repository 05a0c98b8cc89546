from mailops.lib.storable import storable


def test_long_text_is_cut_with_a_sign():
    assert storable("x" * 10, 5) == "xxxx…"
    assert storable("x" * 5, 5) == "xxxxx"


def test_what_the_database_refuses_is_replaced():
    assert storable("a\0b\ud800c") == "a\ufffdb?c"
