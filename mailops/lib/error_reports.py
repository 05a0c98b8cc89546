"""What a report of an error of ours may hold: where it broke and why, nothing of what was in memory or posted."""

import re
from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class NothingSecret(SafeExceptionReporterFilter):
    """Frames show their code and no values: a log-in's line, a form's field and a key all pass through some frame."""

    # a broker's address holds its password
    hidden_settings = re.compile(
        "API|AUTH|TOKEN|KEY|SECRET|PASS|SIGNATURE|HTTP_COOKIE|URL", re.IGNORECASE
    )

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        return dict.fromkeys(request.POST, self.cleansed_substitute) if request else {}

    def get_traceback_frame_variables(
        self,
        request: HttpRequest | None,  # noqa: ARG002 - Django's signature
        tb_frame: FrameType,
    ) -> ItemsView[str, Any]:
        values: dict[str, Any] = dict.fromkeys(tb_frame.f_locals, self.cleansed_substitute)
        return values.items()
