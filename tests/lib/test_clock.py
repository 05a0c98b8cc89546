import pytest
from django.db import connection

from mailops.lib.clock import ClockTimestamp, database_now
from tests.factories import make_transport


@pytest.mark.django_db
def test_goes_on_while_a_transaction_lasts():
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        (begin,) = cursor.fetchone()
    transport = make_transport(backoff_until=ClockTimestamp())
    transport.refresh_from_db()
    assert begin < transport.backoff_until < database_now()
