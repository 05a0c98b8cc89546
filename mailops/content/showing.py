"""Finds a version by the numbers of its address."""

from django.http import Http404

from mailops.content.models import TemplateVersion


def version_or_404(template_id: int, number: int) -> TemplateVersion:
    found = TemplateVersion.objects.select_related("template__layout", "published_by")
    version = found.filter(template=template_id, number=number).first()
    if version is None:
        raise Http404
    return version
