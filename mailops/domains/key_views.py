"""The pages of a domain's signing keys: make, publish, sign, rotate, retire."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from mailops.accounts.meanwhile import first_come
from mailops.accounts.permissions import Act, confirm_password, needs, user_of
from mailops.domains.forms import SigningKeyForm
from mailops.domains.models import Domain, SigningKey
from mailops.domains.signing_keys import (
    NotPublished,
    NotToSign,
    begin_signing,
    discard_key,
    free_selector,
    look,
    make_key,
    stop_signing,
)
from mailops.lib.confirm import ConfirmForm
from mailops.lib.htmx import polled_status, render_page


@needs(Act.SEE)
def key_list(request: HttpRequest, domain_id: int) -> HttpResponse:
    domain = get_object_or_404(Domain, pk=domain_id)
    keys = list(domain.signing_keys.select_related("domain").in_order())
    awaited = any(key.is_waiting and not key.is_published for key in keys)
    context = {
        "domain": domain,
        "keys": [key for key in keys if not key.is_retired],
        "retired": [key for key in keys if key.is_retired],
        "is_signed": any(key.is_signing for key in keys),
        "lacks_rsa": not any(key.is_signing and key.algorithm == "rsa" for key in keys),
        "awaited": awaited,
    }
    status = polled_status(request, goes_on=awaited)
    return render_page(
        request, "domains/key_list.html", context, fragment="signing-keys", status=status
    )


@needs(Act.CONFIGURE)
@confirm_password
def key_make(request: HttpRequest, domain_id: int) -> HttpResponse:
    domain = get_object_or_404(Domain, pk=domain_id)
    form = SigningKeyForm(
        request.POST or None, domain=domain, initial={"selector": free_selector(domain)}
    )
    if request.method == "POST" and form.is_valid():
        with first_come(form):
            key = make_key(
                domain=domain,
                algorithm=form.cleaned_data["algorithm"],
                selector=form.cleaned_data["selector"],
                actor=user_of(request),
            )
        if not form.errors:
            messages.success(request, f"The key {key.selector} was made. Now publish its record.")
            return redirect("domains:keys", domain.pk)
    status = 422 if form.is_bound else 200
    context = {"form": form, "domain": domain}
    return render_page(request, "domains/key_form.html", context, status=status)


def _key(key_id: int) -> SigningKey:
    return get_object_or_404(SigningKey.objects.select_related("domain"), pk=key_id)


@require_POST
@needs(Act.OPERATE)
def key_look(request: HttpRequest, key_id: int) -> HttpResponse:
    key = _key(key_id)
    look(key, actor=user_of(request))
    if key.dns_sentence:
        messages.warning(request, f"{key.host}: {key.dns_sentence}")
    else:
        messages.success(request, f"{key.host} is published as it should be.")
    return redirect("domains:keys", key.domain_id)


@needs(Act.CONFIGURE)
@confirm_password
def key_begin(request: HttpRequest, key_id: int) -> HttpResponse:
    """Let a key sign; the one before it retires after a wait, and can be taken back until then."""
    key = _key(key_id)
    signing = key.domain.signing_keys.signing().filter(algorithm=key.algorithm)
    old = signing.exclude(pk=key.pk).first()
    context: dict[str, object] = {"key": key, "domain": key.domain, "old": old}
    if request.method != "POST":
        return render_page(request, "domains/key_begin.html", context)
    try:
        old = begin_signing(key=key, actor=user_of(request))
    except NotPublished as error:
        context["problem"] = str(error)
        return render_page(request, "domains/key_begin.html", context, status=422)
    except NotToSign:
        messages.error(request, f"{key.selector} has retired; make a new key.")
        return redirect("domains:keys", key.domain_id)
    instead = f" instead of {old.selector}" if old else ""
    messages.success(request, f"Mail of {key.domain} is signed with {key.selector}{instead} now.")
    return redirect("domains:keys", key.domain_id)


@needs(Act.CONFIGURE)
@confirm_password
def key_stop(request: HttpRequest, key_id: int) -> HttpResponse:
    key = _key(key_id)
    form = ConfirmForm(request.POST or None, name=key.selector)
    if request.method == "POST" and form.is_valid():
        if stop_signing(key=key, actor=user_of(request)):
            messages.success(request, f"Nothing is signed with {key.selector} any more.")
        return redirect("domains:keys", key.domain_id)
    context = {"form": form, "key": key, "domain": key.domain}
    status = 422 if form.is_bound else 200
    return render_page(request, "domains/key_stop.html", context, status=status)


@require_POST
@needs(Act.CONFIGURE)
@confirm_password
def key_discard(request: HttpRequest, key_id: int) -> HttpResponse:
    key = _key(key_id)
    if discard_key(key=key, actor=user_of(request)):
        messages.success(
            request, f"{key.selector} was discarded; its record may be deleted from DNS."
        )
    else:
        messages.error(request, f"{key.selector} has signed mail, so it retires instead.")
    return redirect("domains:keys", key.domain_id)
