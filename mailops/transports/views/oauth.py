"""The pages of credentials that log in by OAuth 2.0: the app, the sign-in and the way back from it."""

import base64
import secrets
import time
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.crypto import constant_time_compare

from mailops.accounts.meanwhile import (
    ChangedMeanwhile,
    Meanwhile,
    last_done,
    meanwhile,
    tell_saved,
    typed_by_one_who_saw,
)
from mailops.accounts.permissions import Act, confirm_password_keep_nothing, needs, user_of
from mailops.lib.htmx import render_page
from mailops.lib.secrets import Place, Secret, Unsealable, seal, unseal
from mailops.transports.credentials import add_grant, change_grant
from mailops.transports.forms.oauth import CallbackForm, GrantForm, ProviderForm
from mailops.transports.models import OAuthGrant, Transport
from mailops.transports.models.oauth import PROVIDERS
from mailops.transports.oauth import (
    REFUSALS,
    NotGranted,
    accept_refresh_token,
    connect,
    make_verifier,
    redirect_uri,
    sign_in_url,
)

_SIGN_IN = "oauth_sign_in"  # of the session
_SIGN_IN_SECONDS = 1800
_HOSTS = {"smtp.gmail.com": "google", "smtp.office365.com": "microsoft"}


@needs(Act.CONFIGURE)
@confirm_password_keep_nothing
def oauth_add(request: HttpRequest, transport_id: int) -> HttpResponse:
    transport = get_object_or_404(Transport, pk=transport_id, kind=Transport.Kind.SMTP)
    chosen = ProviderForm({"provider": _HOSTS.get(transport.host, "google"), **request.GET.dict()})
    provider = chosen.cleaned_data["provider"] if chosen.is_valid() else "google"
    form = GrantForm(request.POST or None, provider=provider)
    if request.method == "POST" and form.is_valid():
        grant = add_grant(
            transport=transport,
            credential=form.of_credential,
            grant=form.of_grant,
            client_secret=form.new_client_secret,
            actor=user_of(request),
        )
        return _go_on(request, grant, form)
    context = {
        "form": form,
        "transport": transport,
        "provider": provider,
        "providers": PROVIDERS.items(),
        "redirect_uri": redirect_uri(),
    }
    is_wrong = form.is_bound or not chosen.is_valid()
    return render_page(
        request, "transports/oauth_form.html", context, status=422 if is_wrong else 200
    )


@needs(Act.CONFIGURE)
@confirm_password_keep_nothing
def oauth_edit(request: HttpRequest, grant_id: int) -> HttpResponse:
    grant = _grant(grant_id)
    name = grant.credential.label
    form = GrantForm(request.POST or None, instance=grant, provider=grant.provider)
    if request.method == "POST" and form.is_valid():
        grant = _grant(grant_id)  # as it is stored: the form has changed its own
        scope = grant.scope
        try:
            is_changed = change_grant(
                grant=grant,
                credential=form.of_credential,
                changed=form.of_grant,
                client_secret=form.new_client_secret,
                actor=user_of(request),
                seen=form.cleaned_data["seen"],
            )
        except ChangedMeanwhile:
            return _conflict(request, _grant(grant_id))
        asks_anew = grant.scope != scope
        return _go_on(request, grant, form, is_changed=is_changed, asks_anew=asks_anew)
    return _edit(request, form, name, None)


def _conflict(request: HttpRequest, grant: OAuthGrant) -> HttpResponse:
    """Show the app as it is by now beside what was typed, but for secrets; whoever saves again has seen it."""
    typed = typed_by_one_who_saw(grant.mark, request.POST)
    again = GrantForm(typed, instance=grant, provider=grant.provider)
    entry = last_done("credential.change", grant.credential)
    told = meanwhile(again, entry, untold=("client_secret", "refresh_token"))
    if "client_secret" in again.changed_data:
        kept = "one is kept" if grant.client_secret else "none"
        told.facts.append((str(again["client_secret"].label), kept))
    return _edit(request, again, grant.credential.label, told)


def _edit(request: HttpRequest, form: GrantForm, name: str, told: Meanwhile | None) -> HttpResponse:
    grant = form.instance
    context = {
        "form": form,
        "transport": grant.credential.transport,
        "credential": grant.credential,
        "name": name,
        "provider": grant.provider,
        "redirect_uri": redirect_uri(),
        "meanwhile": told,
    }
    status = 422 if form.is_bound else 200
    return render_page(request, "transports/oauth_form.html", context, status=status)


def _go_on(
    request: HttpRequest,
    grant: OAuthGrant,
    form: GrantForm,
    *,
    is_changed: bool = True,
    asks_anew: bool = False,
) -> HttpResponse:
    """Try a refresh token that was given; without one, or where more is asked for than was given, somebody must sign in."""
    if form.new_refresh_token is None:
        tell_saved(request, f"{grant.credential.label} was saved.", is_changed=is_changed)
        if grant.is_given and not asks_anew:
            return redirect("transports:credential", grant.credential_id)
        return redirect("transports:oauth-sign-in", grant.pk)
    try:
        accept_refresh_token(grant, form.new_refresh_token, actor=user_of(request))
    except (NotGranted, Unsealable) as fault:
        sentence = fault.sentence if isinstance(fault, NotGranted) else str(fault)
        messages.error(request, f"It was saved, but the refresh token gave none. {sentence}")
        return redirect("transports:oauth-sign-in", grant.pk)
    messages.success(request, f"{grant.credential.label} was saved, and its token works.")
    return redirect("transports:credential", grant.credential_id)


@needs(Act.CONFIGURE)
@confirm_password_keep_nothing
def oauth_sign_in(request: HttpRequest, grant_id: int) -> HttpResponse:
    """Show the way to the provider; what the browser comes back with is checked against this session."""
    grant = _grant(grant_id)
    state, verifier = secrets.token_urlsafe(24), make_verifier()
    sealed = seal(Secret(verifier), _place(request, grant_id))
    request.session[_SIGN_IN] = {
        "state": state,
        "verifier": base64.b64encode(sealed).decode(),
        "grant": grant_id,
        "at": time.time(),
    }
    context = {
        "grant": grant,
        "credential": grant.credential,
        "transport": grant.credential.transport,
        "url": sign_in_url(grant, state=state, verifier=verifier),
        "redirect_uri": redirect_uri(),
    }
    return render_page(request, "transports/oauth_sign_in.html", context)


@needs(Act.CONFIGURE)
def oauth_callback(request: HttpRequest) -> HttpResponse:
    """Take in what the provider sent the browser back with, once, and only for the sign-in of this session."""
    form = CallbackForm(request.GET)
    begun = _begun(request, form.cleaned_data["state"]) if form.is_valid() else None
    if begun is None:
        messages.error(request, "That sign-in was not begun here, or is too long ago. Begin again.")
        return redirect("transports:credentials")
    del request.session[_SIGN_IN]
    grant = _grant(begun["grant"])
    try:
        _take(request, grant, form.cleaned_data, begun)
    except (NotGranted, Unsealable) as fault:
        messages.error(request, str(fault))
        return redirect("transports:oauth-sign-in", grant.pk)
    messages.success(request, f"Signed in: {grant.credential.label} has its tokens. Test it now.")
    return redirect("transports:credential", grant.credential_id)


def _take(
    request: HttpRequest, grant: OAuthGrant, given: dict[str, Any], begun: dict[str, Any]
) -> None:
    if not given["code"]:
        fallback = "The provider sent back neither a code nor a reason. Sign in again."
        raise NotGranted(REFUSALS.get(given["error"], fallback))
    sealed = base64.b64decode(begun["verifier"])
    verifier = unseal(sealed, _place(request, grant.pk)).reveal()
    connect(grant, code=given["code"], verifier=verifier, actor=user_of(request))


def _begun(request: HttpRequest, state: str) -> dict[str, Any] | None:
    """Return the sign-in of this session that `state` names, None where there is none."""
    begun: dict[str, Any] | None = request.session.get(_SIGN_IN)
    if begun is None or not constant_time_compare(begun["state"], state):
        return None
    return begun if time.time() - begun["at"] < _SIGN_IN_SECONDS else None


def _place(request: HttpRequest, grant_id: int) -> Place:
    return Place(table="session", column=_SIGN_IN, row=str(request.user.pk), endpoint=str(grant_id))


def _grant(grant_id: int) -> OAuthGrant:
    rows = OAuthGrant.objects.select_related("credential__transport")
    return get_object_or_404(rows, pk=grant_id)
