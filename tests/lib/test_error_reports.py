import sys

from django.test import RequestFactory
from django.views.debug import ExceptionReporter


def break_down():
    raise RuntimeError("on purpose")


def report_of_an_error(settings, password):
    request = RequestFactory().post("/", {"label": "x", "secret": password})
    settings.CELERY_BROKER_URL = f"redis://:{password}@broker/0"
    try:
        break_down()
    except RuntimeError:
        report = ExceptionReporter(request, *sys.exc_info())
    return report.get_traceback_html() + report.get_traceback_text()


def test_a_report_says_where_it_broke_and_holds_no_values(settings):
    report = report_of_an_error(settings, "canary-" + str(1))
    assert "on purpose" in report
    assert "report_of_an_error" in report
    assert "canary-1" not in report
