import pytest

from mailops.accounts.palette import ACTIONS, offers
from mailops.lib.templatetags.navigation import PLACES, resolve

BUILT = {place.url_name.partition(":")[0] for place in PLACES if resolve(place.url_name)}


class TestOffers:
    @pytest.mark.parametrize("name", [name for _, name, _ in ACTIONS])
    def test_every_act_of_an_app_with_pages_leads_somewhere(self, name):
        assert name.partition(":")[0] not in BUILT or resolve(name)

    def test_no_two_places_share_a_key(self):
        assert len({place.key for place in PLACES}) == len(PLACES)

    def test_gives_each_role_only_what_it_may_do(self, editor, stranger):
        labels = [action["label"] for action in offers(editor)["actions"]]
        assert "New template" in labels
        assert "Add a domain" not in labels
        assert offers(stranger)["places"] == []
