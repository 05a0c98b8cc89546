"""Teaching what replies mean: what is said, what that would change, the press, and how far it is."""

from functools import partial
from uuid import uuid4

from django.contrib import messages as toasts
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from mailops.accounts.permissions import Act, confirm_password, needs, user_of
from mailops.lib.htmx import polled_status, render_page
from mailops.lib.templatetags.words import fault_words, reason_word
from mailops.outbox.models import Signature
from mailops.protocol.classification import Stops
from mailops.signatures.models import Lesson
from mailops.signatures.reclassifying import try_again
from mailops.signatures.tasks import continue_lesson
from mailops.signatures.teaching import (
    Foresight,
    TaughtMeanwhile,
    Word,
    foresee,
    teach,
)
from mailops.signatures.teaching_forms import TeachForm, UndoForm

_STOPS = {
    Stops.CAMPAIGN: "From now on each such reply pauses its campaign.",
    Stops.TRANSPORT: "From now on each such reply pauses its transport.",
}


@needs(Act.SEND)
@confirm_password
def signature_teach(request: HttpRequest, signature_id: int) -> HttpResponse:
    """Ask what its replies mean; show what that would change; teach it once that was seen."""
    signature = get_object_or_404(Signature, pk=signature_id)
    if signature.is_other:
        raise Http404("These are many replies, of many meanings.")
    form = TeachForm(request.POST or None, signature=signature)
    is_valid = request.method == "POST" and form.is_valid()
    if is_valid and form.cleaned_data["key"] and "edit" not in request.POST:
        try:
            lesson = teach(
                key=form.cleaned_data["key"],
                signature=signature,
                word=form.word,
                revision=form.cleaned_data["revision"],
                actor=user_of(request),
            )
        except TaughtMeanwhile as first:
            form, is_valid = _shown_again(request, signature, str(first)), False
        else:
            return _taught(lesson)
    is_shown = is_valid and "edit" not in request.POST
    foresight = foresee(signature, form.word) if is_shown else None
    return render_page(
        request,
        "signatures/signature_teach.html",
        {
            "signature": signature,
            "form": form,
            "foresight": foresight,
            "effects": _effects(foresight) if foresight else [],
            "key": uuid4(),
        },
        status=422 if form.errors else 200,
    )


def _shown_again(request: HttpRequest, signature: Signature, why: str) -> TeachForm:
    """Return the form with what was said; whoever presses once more has seen that somebody was first."""
    signature.refresh_from_db()
    said = request.POST.copy()
    said["revision"] = str(signature.revision)
    form = TeachForm(said, signature=signature)
    form.is_valid()
    form.add_error(None, why)
    return form


def _taught(lesson: Lesson) -> HttpResponse:
    if lesson.is_running:
        transaction.on_commit(partial(continue_lesson.delay, lesson.pk), robust=True)
    return redirect("signatures:lesson", lesson.pk)


def _effects(foresight: Foresight) -> list[str]:
    """Say what would change, with numbers."""
    if not foresight.changes_meaning:
        return ["What such replies do stays as it is: only what is said of them changes."]
    meaning = foresight.meaning
    kind = "final" if meaning.is_permanent else "passing: such messages are tried again"
    said = [
        f"From now on such a reply means “{reason_word(meaning.reason).lower()}”; {fault_words(meaning.fault)}; it is {kind}.",
        "From now on it suppresses the recipient at once." if meaning.suppress else "",
        _STOPS.get(meaning.stops, ""),
        f"{foresight.replies:,} replies of the past, to {foresight.messages:,} messages, are understood anew.",
        f"{foresight.moved:,} messages count as {'failed' if foresight.to_failed else 'bounced'} instead of "
        f"{'bounced' if foresight.to_failed else 'failed'}."
        if foresight.moved
        else "",
        f"Up to {foresight.suppressed:,} addresses are suppressed." if foresight.suppressed else "",
        f"Up to {foresight.withdrawn:,} suppressions are withdrawn, where nothing else speaks against the address."
        if foresight.withdrawn
        else "",
        "Nothing is sent again by this.",
    ]
    return [one for one in said if one]


@needs(Act.SEE)
def lesson_detail(request: HttpRequest, lesson_id: int) -> HttpResponse:
    lesson = _lesson(lesson_id)
    return render_page(
        request,
        "signatures/lesson_detail.html",
        {"lesson": lesson, "signature": lesson.signature, "fix": _fix(lesson)},
        fragment="progress",
        status=polled_status(request, goes_on=lesson.is_running),
    )


def _fix(lesson: Lesson) -> str:
    if not lesson.has_failed:
        return ""
    if not lesson.is_newest:
        return (
            "Nothing: something else was taught since, and that goes through all of these replies."
        )
    return "Press “Try again”; it goes on where it was. If it fails again, show the technical text to whoever runs mailops."


@needs(Act.SEND)
@require_POST
def lesson_retry(request: HttpRequest, lesson_id: int) -> HttpResponse:
    lesson = _lesson(lesson_id)
    if not try_again(lesson, actor=user_of(request)):
        toasts.info(
            request, "It isn't to be tried again: it goes on, or something was taught since."
        )
    return _taught(lesson)


def _lesson(lesson_id: int) -> Lesson:
    lessons = Lesson.objects.select_related("signature", "created_by")
    return get_object_or_404(lessons, pk=lesson_id)


@needs(Act.SEND)
@confirm_password
def lesson_undo(request: HttpRequest, lesson_id: int) -> HttpResponse:
    """Show what taking a lesson back would change; do it on POST."""
    lesson = _lesson(lesson_id)
    word = Word(**lesson.before)
    form = UndoForm(request.POST or None)
    if not lesson.is_newest and not _is_pressed_again(form):
        toasts.info(request, "Something was taught after it: take that back first, or teach anew.")
        return redirect("signatures:lesson", lesson.pk)
    if request.method == "POST" and form.is_valid():
        try:
            undone = teach(
                key=form.cleaned_data["key"],
                signature=lesson.signature,
                word=word,
                revision=lesson.revision,
                actor=user_of(request),
                undoes=lesson,
            )
        except TaughtMeanwhile as first:
            toasts.error(request, str(first))
            return redirect("signatures:lesson", lesson.pk)
        return _taught(undone)
    return render_page(
        request,
        "signatures/lesson_undo.html",
        {
            "lesson": lesson,
            "signature": lesson.signature,
            "form": UndoForm(initial={"key": uuid4()}),
            "effects": _effects(foresee(lesson.signature, word)),
        },
        status=422 if form.errors else 200,
    )


def _is_pressed_again(form: UndoForm) -> bool:
    """Tell whether this very press took the lesson back already."""
    return (
        form.is_bound
        and form.is_valid()
        and Lesson.objects.filter(key=form.cleaned_data["key"]).exists()
    )
