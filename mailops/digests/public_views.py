"""The link in a digest that switches it off; its signature proves that the mail was read, so no log-in is asked for."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from mailops.accounts.permissions import for_anyone
from mailops.digests.subscribing import digest_by_token, is_on, switch
from mailops.lib.public_pages import posted, render_public
from mailops.lib.sound_requests import takes_any_charset
from mailops.protocol.unsubscribe import is_one_click


@takes_any_charset  # many programs call their ASCII ISO-8859-1
@for_anyone  # the signed token in the address proves who asks; so a mailbox provider may post for its user
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def leave(request: HttpRequest, token: str) -> HttpResponseBase:
    """Switch the digest off by POST, in one click (RFC 8058) or on the page; to look changes nothing."""
    digest = digest_by_token(token)
    if digest is None:
        return render_public(request, "feedback/unsubscribe_unknown.html", {}, status=404)
    if request.method != "POST":
        return render_public(request, "digests/leave.html", {"is_on": is_on(digest.user)})
    switch(user=digest.user, on=False, by_mail=True)
    if is_one_click(posted(request)):
        return HttpResponse("Unsubscribed.\n", content_type="text/plain")
    return redirect("digests:leave", token)
