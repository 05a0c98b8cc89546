"""What is committed outlives a crash of the server, however it was tuned."""

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db(transaction=True)


def say(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone() if cursor.description else None


@pytest.mark.parametrize(
    ("tuned", "used"), [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")]
)
def test_a_server_that_forgets_is_told_not_to(tuned, used):
    database = f'DATABASE "{connection.settings_dict["NAME"]}"'
    say(f"ALTER {database} SET synchronous_commit = {tuned}")
    try:
        connection.close()
        assert say("SHOW synchronous_commit") == (used,)
    finally:
        say(f"ALTER {database} RESET synchronous_commit")
        connection.close()
