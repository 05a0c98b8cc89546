"""Audited verbs in templates."""

from django import template

from mailops.accounts.verbs import words_of

register = template.Library()

register.filter("verb_words", words_of)
