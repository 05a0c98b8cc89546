"""The pages of sender domains."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import (
    ChangedMeanwhile,
    Meanwhile,
    expect,
    first_come,
    last_done,
    meanwhile,
    tell_saved,
    typed_by_one_who_saw,
)
from mailops.accounts.models import User
from mailops.accounts.permissions import Act, confirm_password, needs, user_of
from mailops.domains.checking import check_domain
from mailops.domains.deleting import delete_domain, delete_identity
from mailops.domains.forms import (
    DomainFilterForm,
    DomainForm,
    IdentityForm,
    OwnerForm,
    RequirementForm,
)
from mailops.domains.grace import grace_of
from mailops.domains.history import history
from mailops.domains.models import Domain, DomainQuerySet, Identity, Requirement
from mailops.lib.confirm import ConfirmForm
from mailops.lib.csv_export import stream_csv, wrong_filter
from mailops.lib.htmx import render_page
from mailops.lib.locks import lock_row

PAGE = 50
FINE = {"matches", "optional"}  # records to leave as they are


def _filtered(form: DomainFilterForm) -> DomainQuerySet:
    domains = Domain.objects.broken_first().select_related("owner")
    return form.apply(domains) if form.is_valid() else domains


@needs(Act.SEE)
def domain_list(request: HttpRequest) -> HttpResponse:
    form = DomainFilterForm(request.GET)
    domains = (
        _filtered(form)
        .prefetch_related("streams")
        .annotate(identity_count=Count("identities", distinct=True))
    )
    page = Paginator(domains, PAGE).get_page(request.GET.get("page"))
    context = {"filter_form": form, "page": page, "any": Domain.objects.exists()}
    status = 200 if form.is_valid() else 422
    return render_page(
        request, "domains/domain_list.html", context, fragment="results", status=status
    )


@needs(Act.SEE)
def domain_export(request: HttpRequest) -> HttpResponseBase:
    form = DomainFilterForm(request.GET)
    if not form.is_valid():
        return wrong_filter()
    rows = (
        (d.name, d.status, d.owner or "", d.checked_at or "") for d in _filtered(form).iterator()
    )
    return stream_csv("domains.csv", ["domain", "status", "owner", "checked_at"], rows)


@needs(Act.CONFIGURE)
def domain_add(request: HttpRequest) -> HttpResponse:
    form = DomainForm(request.POST if request.method == "POST" else None)
    domain = form.instance
    if request.method == "POST" and form.is_valid():
        with first_come(form):
            form.save()
            after = {"name": domain.name}
            audit(actor=user_of(request), verb="domain.add", subject=domain, after=after)
    if not form.is_valid():
        status = 422 if form.is_bound else 200
        return render_page(request, "domains/domain_form.html", {"form": form}, status=status)
    check_domain(domain)
    messages.success(request, f"{domain} was added and checked.")
    return redirect("domains:detail", domain.pk)


@needs(Act.SEE)
def domain_detail(request: HttpRequest, domain_id: int) -> HttpResponse:
    domains = Domain.objects.select_related("owner").with_grace()
    domain = get_object_or_404(domains, pk=domain_id)
    return render_page(request, "domains/domain_detail.html", _detail(domain))


def _detail(domain: Domain) -> dict[str, object]:
    findings = list(domain.findings.worst_first())
    broken = {one.check_name for one in findings if one.is_broken}
    records = [
        (record, record.state_beside(broken))
        for record in domain.records.expected().with_shown().select_related("domain")
    ]
    return {
        "domain": domain,
        "findings": [one for one in findings if not one.is_well],
        "well": [one for one in findings if one.is_well],
        "records": [one for one in records if one[1] not in FINE],
        "fine_records": [one for one in records if one[1] in FINE],
        "identities": domain.identities.order_by("name", "id"),
        "requirements": domain.requirements.order_by("kind", "host", "value", "id"),
        "streams": domain.streams.order_by("name"),
        "grace": grace_of(domain),
    }


@needs(Act.SEE)
def domain_history(request: HttpRequest, domain_id: int) -> HttpResponse:
    domain = get_object_or_404(Domain, pk=domain_id)
    page = Paginator(history(domain), PAGE).get_page(request.GET.get("page"))
    return render_page(request, "domains/domain_history.html", {"domain": domain, "page": page})


@require_POST
@needs(Act.SEE, to_change=Act.OPERATE)
def domain_verify(request: HttpRequest, domain_id: int) -> HttpResponse:
    domain = get_object_or_404(Domain, pk=domain_id)
    findings = check_domain(domain, actor=user_of(request))
    silent = sum(finding.is_stale for finding in findings)
    if silent:
        messages.warning(
            request,
            f"DNS did not answer for {silent} of {len(findings)} checks; what was known still stands.",
        )
    else:
        messages.success(request, f"{domain} was checked.")
    return redirect("domains:detail", domain.pk)


@needs(Act.CONFIGURE)
@confirm_password
def domain_edit(request: HttpRequest, domain_id: int) -> HttpResponse:
    domain = get_object_or_404(Domain, pk=domain_id)
    form = OwnerForm(request.POST if request.method == "POST" else None, instance=domain)
    if request.method == "POST" and form.is_valid():
        try:
            is_changed = _change(domain, user_of(request), seen=form.cleaned_data["seen"])
        except ChangedMeanwhile:
            return _conflict(request, get_object_or_404(Domain, pk=domain_id))
        tell_saved(request, f"{domain} was saved.", is_changed=is_changed)
        return redirect("domains:detail", domain.pk)
    return _edit(request, form, None)


@transaction.atomic
def _change(domain: Domain, actor: User, *, seen: str | None) -> bool:
    """Write down the owner and the grace of a domain that was edited in memory; return whether that changed anything.

    Its checks write the rest.
    """
    old = Domain.objects.select_for_update(no_key=True).get(pk=domain.pk)
    if not expect(seen, was=old.mark, wanted=domain.mark):
        return False
    domain.save(update_fields=OwnerForm.Meta.fields)
    before, after = _facts(old), _facts(domain)
    audit(
        actor=actor,
        verb="domain.edit",
        subject=domain,
        before={name: value for name, value in before.items() if after[name] != value},
        after={name: value for name, value in after.items() if before[name] != value},
    )
    return True


def _conflict(request: HttpRequest, domain: Domain) -> HttpResponse:
    """Show owner and grace as they are by now beside what was typed; whoever saves again has seen them."""
    again = OwnerForm(typed_by_one_who_saw(domain.mark, request.POST), instance=domain)
    return _edit(request, again, meanwhile(again, last_done("domain.edit", domain)))


def _edit(request: HttpRequest, form: OwnerForm, told: Meanwhile | None) -> HttpResponse:
    context = {"form": form, "domain": form.instance, "meanwhile": told}
    status = 422 if form.is_bound else 200
    return render_page(request, "domains/domain_form.html", context, status=status)


def _facts(domain: Domain) -> dict[str, object]:
    return {"owner": str(domain.owner or ""), "grace_hours": domain.grace_hours}


@needs(Act.CONFIGURE)
def domain_delete(request: HttpRequest, domain_id: int) -> HttpResponse:
    domain = get_object_or_404(Domain, pk=domain_id)
    uses = domain.uses()
    form = ConfirmForm(request.POST if request.method == "POST" else None, name=domain.name)
    if request.method == "POST" and form.is_valid() and not uses:
        uses = delete_domain(domain=domain, actor=user_of(request))
        if not uses:
            messages.success(request, f"{domain.name} was deleted.")
            return redirect("domains:list")
    context = {"form": form, "domain": domain, "uses": uses}
    status = 422 if request.method == "POST" else 200
    return render_page(request, "domains/domain_confirm_delete.html", context, status=status)


@needs(Act.CONFIGURE)
def identity_add(request: HttpRequest, domain_id: int) -> HttpResponse:
    domain = get_object_or_404(Domain, pk=domain_id)
    form = IdentityForm(
        request.POST if request.method == "POST" else None,
        domain=domain,
        instance=Identity(domain=domain),
    )
    identity = _added_identity(form, user_of(request)) if form.is_bound else None
    if identity is None:
        status = 422 if form.is_bound else 200
        context = {"form": form, "domain": domain}
        return render_page(request, "domains/identity_form.html", context, status=status)
    messages.success(request, f"{identity} can now be used as a sender.")
    return redirect("domains:detail", domain.pk)


@transaction.atomic
def _added_identity(form: IdentityForm, actor: User) -> Identity | None:
    """Add what the form says, or return None where it can't be; whoever adds the same at once waits and is told."""
    Domain.objects.select_for_update(no_key=True).get(pk=form.domain.pk)
    if not form.is_valid():
        return None
    identity: Identity = form.save()
    audit(actor=actor, verb="identity.add", subject=identity, after={"identity": str(identity)})
    return identity


@needs(Act.CONFIGURE)
def identity_delete(request: HttpRequest, identity_id: int) -> HttpResponse:
    identity = get_object_or_404(Identity.objects.select_related("domain"), pk=identity_id)
    domain, label = identity.domain, str(identity)
    if request.method != "POST":
        return render_page(request, "domains/identity_confirm_delete.html", {"identity": identity})
    if not delete_identity(identity=identity, actor=user_of(request)):
        messages.error(
            request, f"{label} has been used and stays, so that old mail keeps its sender."
        )
        return redirect("domains:detail", domain.pk)
    messages.success(request, f"{label} was deleted.")
    return redirect("domains:detail", domain.pk)


@needs(Act.CONFIGURE)
def requirement_add(request: HttpRequest, domain_id: int) -> HttpResponse:
    domain = get_object_or_404(Domain, pk=domain_id)
    needed_by = f"person: {user_of(request)}"[:100]
    form = RequirementForm(
        request.POST if request.method == "POST" else None,
        instance=Requirement(domain=domain, needed_by=needed_by),
    )
    if request.method != "POST" or not form.is_valid():
        status = 422 if form.is_bound else 200
        context = {"form": form, "domain": domain}
        return render_page(request, "domains/requirement_form.html", context, status=status)
    wanted = form.instance
    with transaction.atomic():
        _, is_new = domain.requirements.get_or_create(
            kind=wanted.kind, host=wanted.host, value=wanted.value, needed_by=needed_by
        )
        if is_new:
            after = {"record": wanted.label}
            audit(actor=user_of(request), verb="domain.expect", subject=domain, after=after)
    check_domain(domain)
    messages.success(request, f"{domain} was checked for {wanted.label}.")
    return redirect("domains:detail", domain.pk)


@require_POST
@needs(Act.CONFIGURE)
def requirement_delete(request: HttpRequest, requirement_id: int) -> HttpResponse:
    requirement = get_object_or_404(
        Requirement.objects.select_related("domain"),
        pk=requirement_id,
        needed_by__startswith="person:",
    )
    domain = requirement.domain
    with transaction.atomic():
        if lock_row(requirement):
            audit(
                actor=user_of(request),
                verb="domain.expect_no_more",
                subject=domain,
                before={"record": requirement.label},
            )
            requirement.delete()
    check_domain(domain)
    messages.success(request, f"{requirement.label} is no longer expected.")
    return redirect("domains:detail", domain.pk)
