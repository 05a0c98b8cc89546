import pytest

from mailops.accounts.models import Role
from mailops.accounts.permissions import MATRIX, Act

# the table of the mission, row by row
MAY = {
    Act.SEE: {"admin", "operator", "editor", "oncall", "viewer"},
    Act.CONFIGURE: {"admin"},
    Act.SEND: {"admin", "operator"},
    Act.AUTHOR: {"admin", "operator", "editor"},
    Act.OPERATE: {"admin", "operator", "oncall"},
    Act.SIGN: {"admin", "operator"},
}


class TestMatrix:
    @pytest.mark.parametrize("act", Act)
    def test_is_the_mission_s_table(self, act):
        assert {role for role in Role if act in MATRIX[role]} == MAY[act]
