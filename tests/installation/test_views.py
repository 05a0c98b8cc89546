from django.db import OperationalError, connection


class TestHealth:
    def test_is_well_for_anyone_while_the_database_answers(self, client, db):
        response = client.get("/healthz/")
        assert (response.status_code, response.content) == (200, b"well\n")
        assert "no-store" in response["Cache-Control"]

    def test_is_503_without_a_database(self, client, db, monkeypatch):
        def away():
            raise OperationalError("away")

        with monkeypatch.context() as patch:
            patch.setattr(connection, "cursor", away)
            assert client.get("/healthz/").status_code == 503


class TestEveryAnswer:
    def test_lets_in_our_own_scripts_and_styles_only(self, client, db):
        policy = client.get("/accounts/login/")["Content-Security-Policy"]
        parts = {part.split()[0]: part.split()[1:] for part in policy.split("; ")}
        assert parts["default-src"] == ["'none'"]
        assert parts["script-src"] == ["'self'"]
        assert parts["style-src"] == ["'self'"]
